"""Experiments and runs made over plain HTTP, so that a refusal is told in the server's own words."""

import functools

import pytest

from fixtures.clients.routes import RouteObjects
from fixtures.clients.spans import make_trace_id
from fixtures.core.outcomes import Lack, OutOfScope, expect_that
from fixtures.core.uris import proxied_path
from fixtures.preflight.canary import require_field
from fixtures.preflight.existing import NewestObjects


@pytest.fixture(scope="module")
def new_experiment(probe, unique):
    """new_experiment(name=None) -> the id of a new experiment of ours."""

    def make(name=None):
        answer = probe.call("experiments/create", {"name": name or unique("experiment")})
        return require_field(answer, "experiment_id")

    return make


@pytest.fixture(scope="module")
def new_run(probe, new_experiment, unique):
    """new_run() -> (id, artifact root) of a new run of ours, in the one experiment of a file's runs."""
    experiment = functools.cache(new_experiment)

    def make():
        body = {"experiment_id": experiment(), "run_name": unique("run"), "start_time": 1}
        info = require_field(probe.call("runs/create", body), "run", "info")
        return require_field(info, "run_id"), require_field(info, "artifact_uri")

    return make


@pytest.fixture(scope="module")
def newest(stack, probe, request):
    """What may be read: the newest that the server holds; if something may be made, a run of ours with a file."""
    if stack.read_only:
        return NewestObjects.of(probe)
    run, root = request.getfixturevalue("new_run")()
    experiment = probe.ask("runs/get", {"run_id": run})["run"]["info"]["experiment_id"]
    name = require_field(probe.ask("experiments/get", {"experiment_id": experiment}), "experiment", "name")
    probe.call("runs/log-parameter", {"run_id": run, "key": "newest", "value": run})
    if (path := proxied_path(root)) is not None:
        probe.put_artifact(f"{path}/newest.txt", run.encode())
    return NewestObjects.of(probe, f"name = '{name}'")


@pytest.fixture
def models(stack, probe, unique):
    """Names of models as a search shows them: the first that there are, or one of ours if something may be made."""
    asked = {"max_results": 5}
    if not stack.read_only:
        name = unique("found")
        probe.call("registered-models/create", {"name": name})
        asked["filter"] = f"name = '{name}'"
    found = probe.ask("registered-models/search", asked).get("registered_models", [])
    if stack.read_only and not found:
        raise OutOfScope(Lack.MODELS, "the registry holds no model")
    expect_that(found, f"models with {asked.get('filter', 'any name')}", "one at least", found)
    return [require_field(model, "name") for model in found]


@pytest.fixture(scope="module")
def route_objects(probe, unique):
    """What the requests of `fixtures.clients.routes` are about: a run with metrics and a file, a model made of it."""
    experiment = require_field(probe.call("experiments/create", {"name": unique("routes")}), "experiment_id")
    body = {"experiment_id": experiment, "run_name": unique("run"), "start_time": 1}
    info = require_field(probe.call("runs/create", body), "run", "info")
    run, source = require_field(info, "run_id"), require_field(info, "artifact_uri")
    points = [
        {"key": key, "value": value, "timestamp": 1, "step": 0}
        for key, value in (("loss", 0.5), ("nan", "NaN"), ("inf", "Infinity"), ("-inf", "-Infinity"))
    ]
    probe.call("runs/log-batch", {"run_id": run, "metrics": points})
    root, file, content = proxied_path(source) or "", "route.txt", f"routes of run {run}\n"
    if root:
        probe.put_artifact(f"{root}/{file}", content.encode())
    model = unique("routes")
    probe.call("registered-models/create", {"name": model})
    probe.call("model-versions/create", {"name": model, "source": source, "run_id": run})
    return RouteObjects(experiment, run, root, file, content, model, "loss", make_trace_id())
