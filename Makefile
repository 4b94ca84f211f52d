# `make ready` and `make test` do all their own set-up; `make help` lists the rest.
SHELL := /bin/sh
PYTHON ?= python3
WORKERS ?= 2
# Of our own tests, which wait for servers much of their time.
TEST_WORKERS ?= 3
ARGS ?=
PY := .venv/bin/python
STAMP := .venv/.installed
# In a folder of its own: see docs/dependencies.md.
LOCUST := .venv/locust/.installed
# MLflow without compiled bytecode imports three times as slowly.
RUN := env -u PYTHONDONTWRITEBYTECODE $(PY)
# Known before the rest of the line is read, so that the folder in `--report-dir DIR` is not taken for a test path.
EARLY := -c pytest.ini -p fixtures.config.settings

.DEFAULT_GOAL := help
.PHONY: help ready test test-all lint watch sweep stop lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s  %s\n", $$1, $$2}' Makefile
	@echo '  ARGS="..." passes options to pytest: make ready ARGS="-m registry". Gates call pytest, not make.'

ready: $(STAMP) ## may this server go live? the readiness suites on the default stack
	@$(RUN) -m pytest $(EARLY) -n $(WORKERS) $(ARGS); code=$$?; \
	case $$code in 0) word=READY;; 1) word='NOT READY';; 2) word=interrupted;; 3) word='internal error';; \
	4) word='usage error';; 5) word='nothing selected';; 6) word='NOT PROVEN';; \
	7) word='stack not started or not reached';; *) word=unknown;; esac; \
	echo "exit code $$code: $$word"; exit $$code

.PHONY: bench
bench: $(STAMP) ## figures on demand, alone on the machine: make bench ARGS="--baseline FILE" (docs/benchmark.md)
	@$(RUN) -m pytest $(EARLY) suites/benchmark $(ARGS)

.PHONY: durability
durability: $(STAMP) ## break a stack of our own under traffic: what is lost, how soon it recovers (docs/durability.md)
	@$(RUN) -m pytest $(EARLY) suites/durability $(ARGS)

.PHONY: recovery-drill
recovery-drill: $(STAMP) ## back up a stack of our own under load, restore it, compare (docs/recovery.md)
	@$(RUN) -m pytest $(EARLY) suites/recovery $(ARGS)

test: $(STAMP) $(LOCUST) ## the project's own tests, sabotage included, but for a few slow ones
	@$(RUN) -m pytest tests -n $(TEST_WORKERS) --dist worksteal -m "not slow" $(ARGS)

test-all: $(STAMP) $(LOCUST) ## all of them (docs/development.md)
	@$(RUN) -m pytest tests -n $(TEST_WORKERS) --dist worksteal $(ARGS)

.PHONY: test-versions
test-versions: $(STAMP) ## are the known issues seen on the MLflow versions of their entries? ARGS="-k F19" for one
	@$(RUN) -m pytest tests/versions $(ARGS)

lint: $(STAMP) ## ruff and mypy
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

.PHONY: verify-data
verify-data: $(STAMP) ## is all that the database names in the bucket, and the reverse? makes nothing (docs/recovery.md)
	@$(RUN) -m fixtures.tools.verify_data $(ARGS)

watch: $(STAMP) ## for a scheduler: look and make nothing; make watch ARGS="--stack external --mlflow-uri URL --metrics FILE"
	@$(RUN) -m pytest $(EARLY) -q --profile read-only $(ARGS)

.PHONY: steady
steady: $(STAMP) ## is each outcome the same N times? make steady N=20 (BUSY=1: with all cores kept busy)
	@$(RUN) -m fixtures.tools.steady --runs $(or $(N),20) $(if $(filter-out 0,$(BUSY)),--busy) -- \
	  $(EARLY) -n $(WORKERS) $(ARGS)

.PHONY: targets plan
targets: $(STAMP) ## several targets, one run and report each: make targets FILES="a.toml b.toml" (docs/targets.md)
	@$(RUN) -m fixtures.tools.targets $(FILES) -- -n $(WORKERS) $(ARGS)

plan: $(STAMP) ## what would run, and what it makes and sends; asks no server: make plan ARGS="--target FILE"
	@$(RUN) -m pytest $(EARLY) --plan $(ARGS)

sweep: $(STAMP) ## delete what killed runs left on a live server: make sweep ARGS="--stack external --mlflow-uri URL"
	@$(RUN) -m pytest $(EARLY) -q --sweep $(ARGS)

.PHONY: locust bench-engine fleet
fleet: $(STAMP) $(LOCUST) ## load from many machines, by Locust: make fleet ARGS="--master ..." (docs/load.md)
	@$(RUN) -m fixtures.load.fleet_process $(ARGS)

locust: $(LOCUST) ## install Locust, for fleets and bench-engine, where no other process of ours finds it

bench-engine: $(STAMP) $(LOCUST) ## is our load engine fast enough? beside Locust and wrk, and at MLflow's saturation
	@$(RUN) -m tests.bench_engine

.PHONY: bench-private
bench-private: $(STAMP) ## how soon is a private stack ready: on a clone of a template, beside a cold start
	@$(RUN) -m tests.bench_private

.PHONY: bench-data
bench-data: $(STAMP) ## what make verify-data costs at 10,000 and 100,000 objects, beside a bare listing; ten minutes
	@$(RUN) -m tests.bench_data

.PHONY: compare
compare: $(STAMP) ## is B faster than A? make compare A="mlflow=3.17.2 workers=2" B="workers=4" ARGS="--quick"
	@$(RUN) -m fixtures.compare "$(A)" "$(B)" $(ARGS)

.PHONY: rehearse
rehearse: $(STAMP) ## an upgrade of MLflow, on private copies: make rehearse FROM=2.22.5 [DUMP=FILE] (docs/upgrades.md)
	@$(RUN) -m fixtures.tools.rehearse $(if $(FROM),--from $(FROM)) $(if $(TO),--to $(TO)) \
	  $(if $(DUMP),--dump $(DUMP)) $(ARGS)

.PHONY: engine images image setup-local setup-aws bucket
images: $(STAMP) ## fetch the images of docker/images.env that the Docker engine lacks (IMAGES="mlflow ..." for some)
	@$(PY) -m fixtures.tools.images $(IMAGES)

image: ## build docker/mlflow/Dockerfile (VERSION=3.17.2, secrets: PIP_CONF=FILE, CA=FILE)
	@docker/build-image $(VERSION)

engine: ## for machines without one: a Docker engine and stand-in images; prints export lines
	@.ci/engine start

setup-local: ## write .env.mlflow for MLflow with MinIO beside it
	@docker/setup local

setup-aws: ## write .env.mlflow for MLflow with AWS S3
	@docker/setup aws

bucket: $(STAMP) ## make the bucket of .env.mlflow: versioned, encrypted, closed (ARGS="--dry-run")
	@$(PY) -m fixtures.tools.bucket $(ARGS)

stop: $(STAMP) ## stop the stacks that --keep-stack left running
	@$(PY) -P fixtures/processes/guard.py stop

lock: $(STAMP) ## make requirements.lock anew from pyproject.toml, and requirements-locust.lock
	@$(PY) -m pip install -q uv && $(PY) -m uv pip compile -q pyproject.toml --universal --python-version 3.11 \
	  --no-header --no-annotate --upgrade -o requirements.lock
	@echo locust | $(PY) -m uv pip compile -q - -c requirements.lock --universal --python-version 3.11 \
	  --no-header --no-annotate --upgrade -o requirements-locust.lock

clean: ## remove .venv, reports and caches
	@rm -rf .venv reports .mypy_cache .ruff_cache && find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else \
	  "Python 3.11 or newer is needed, %s is %d.%d; say make PYTHON=python3.11" % (sys.executable, v[0], v[1]))'
	@$(PYTHON) -c 'import sys; from fixtures.processes.child import explain_unsupported_system as s; sys.exit(s())'
	@echo "setting up .venv from requirements.lock: once, one to three minutes"
	@$(PYTHON) -m venv .venv
	@$(PY) -m pip install --disable-pip-version-check --progress-bar off -r requirements.lock
	@$(PY) -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation .
	@rm -rf build fixtures/config/*.egg-info
	@touch $(STAMP)

$(LOCUST): $(STAMP) requirements-locust.lock
	@rm -rf .venv/locust && $(PY) -m pip install -q --disable-pip-version-check --target .venv/locust -r requirements-locust.lock
	@touch $(LOCUST)
