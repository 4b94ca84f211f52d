"""The GitHub Actions workflow: each step that it runs, in its order, from a checkout against a real stack."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import psutil
import pytest
import yaml

from fixtures.core.files import ROOT

FILE = ROOT / ".github" / "workflows" / "mlflow-training.yml"
INSTALL = "pip install -r requirements.lock"  # this machine has done it: the tests run on what it installs
GATED = {"train": "lint-and-test", "validate": "train", "production": "validate"}


@pytest.fixture(scope="module")
def workflow():
    return yaml.safe_load(FILE.read_text())


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """The files of this project, without its history: a runner's commit comes from GITHUB_SHA."""
    root = tmp_path_factory.mktemp("github") / "checkout"
    argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in filter(None, subprocess.check_output(argv, cwd=ROOT, text=True).split("\0")):
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    return root


class Runner:
    """What GitHub does with a workflow, as far as ours needs it: expressions in `env`, outputs, exit codes."""

    def __init__(self, workflow, checkout, scratch, secrets, model):
        self.workflow, self.checkout, self.secrets, self.model = workflow, checkout, secrets, model
        self.output, self.summary, self.scratch = scratch / "output", scratch / "summary", scratch
        self.outputs, self.results, self.ran = {}, {}, []

    def value(self, text):
        """`text` with its expressions resolved; one that is not known here is an error."""

        def resolve(found):
            words = found[1].strip().split(".")
            match words:
                case ["github", _]:  # which model it is, by the branch
                    return self.model
                case ["secrets", name]:
                    return self.secrets.get(name, "")
                case ["needs", job, "result"]:
                    return self.results.get(job, "skipped")
                case ["needs", job, "outputs", name]:
                    return self.outputs.get(job, {})[name]
                case ["steps", _, "outputs", name]:
                    return dict(line.split("=", 1) for line in self.output.read_text().splitlines())[name]
            raise AssertionError(f"not known: {found[0]}")

        return re.sub(r"\$\{\{(.*?)\}\}", resolve, str(text))

    def job(self, name):
        """Run the job's steps up to one that fails."""
        job = self.workflow["jobs"][name]
        self.results[name] = "success"
        for step in job["steps"]:
            if "run" not in step or step["run"] == INSTALL:
                continue
            env = {**self.workflow["env"], **job.get("env", {}), **step.get("env", {})}
            code = self.step(step, {k: self.value(v) for k, v in env.items()})
            if code != 0:
                self.results[name] = "failure"
                return
        self.outputs[name] = {k: self.value(v) for k, v in job.get("outputs", {}).items()}

    def step(self, step, env):
        own = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.scratch),
            "LANG": "C.UTF-8",
            "GITHUB_SHA": "4f9c0e1d5a3b7286e0c1d2f3a4b5968778695a4b",
            "GITHUB_OUTPUT": str(self.output),
            "GITHUB_STEP_SUMMARY": str(self.summary),
        }
        (script := self.scratch / "step.sh").write_text(step["run"])
        argv = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
        done = subprocess.run(
            argv,
            cwd=self.checkout,
            env={**own, **env, "MODEL": self.model},
            capture_output=True,
            text=True,
            timeout=300,
        )
        print(f"{step['name']}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        self.ran.append((step["name"], done.returncode))
        return done.returncode


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_step_works(workflow, checkout, real_stack, tmp_path):
    """The jobs of a scheduled run one after the other, and the watch over what they put into production."""
    secrets = {"MLFLOW_TRACKING_URI": real_stack.mlflow_uri}
    runner = Runner(workflow, checkout, tmp_path, secrets, f"fraud-{uuid.uuid4().hex[:8]}")
    for job in ("lint-and-test", "train", "validate", "production", "watch", "notify"):
        runner.job(job)
    assert runner.outputs["lint-and-test"] == {"declared": "true"}
    jobs = [job for name, job in workflow["jobs"].items() if name != "rehearsal"]
    steps = [s["name"] for job in jobs for s in job["steps"] if "run" in s and s["run"] != INSTALL]
    assert sorted(runner.ran) == sorted((name, 0) for name in steps)
    manifest = json.loads((checkout / "artifacts" / "current_production" / "manifest.json").read_text())
    assert (manifest["alias"], manifest["version"], manifest["git_sha"][:8]) == ("champion", "1", "4f9c0e1d")
    assert "passed" in (checkout / "artifacts" / "MODEL_CARD.md").read_text()
    assert "version 1: tests success, rehearsal skipped, watch success, train success" in runner.summary.read_text()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_without_a_server_the_whole_path_is_rehearsed(workflow, checkout, tmp_path):
    """One job with a server of its own, which ends with it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    job = workflow["jobs"]["rehearsal"]
    job = {**job, "env": {"PORT": str(port), "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}}
    runner = Runner({**workflow, "jobs": {"rehearsal": job}}, checkout, tmp_path, {}, "fraud-rehearsal")
    try:
        runner.job("rehearsal")
    finally:
        server = psutil.Process(int((checkout / "mlflow-server.pid").read_text()))
        with contextlib.suppress(psutil.Error):
            server.wait(20)
    assert [code for _, code in runner.ran] == [0] * 4, runner.ran
    assert not psutil.pid_exists(server.pid)
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        pass
    made = checkout / "rehearsal"
    history = json.loads((made / "history.json").read_text())["events"]
    assert [(event["event"], event["to"]) for event in history] == [
        ("registered", ""),
        ("moved", "@challenger"),
        ("moved", "@champion"),
    ]
    assert all(event["by"] and event["run_id"] for event in history)
    assert "gates: " in history[1]["gates"] and "passed" in history[2]["gates"]
    assert (
        'mlflow_workflow_model_degraded{model="fraud-rehearsal",version="1"} 0.0' in (made / "model.prom").read_text()
    )
    assert json.loads((made / "current_production" / "manifest.json").read_text())["version"] == "1"


def test_the_order_of_the_jobs(workflow):
    """Nothing reaches production that was not tested, validated and approved; the notice goes out always."""
    jobs = workflow["jobs"]
    for job, before in GATED.items():
        assert before in jobs[job]["needs"]
    assert jobs["production"]["environment"] == "production"
    assert jobs["notify"]["if"] == "always()"
    assert set(jobs["notify"]["needs"]) == set(jobs) - {"notify"}
    assert (
        workflow["defaults"]["run"]["shell"] == "bash"
    )  # with pipefail: a gate that fails before `| tee` fails the step


def test_install_and_expressions(workflow):
    """Each job but the notice installs from the lock; expressions stand in `env`, never in a script."""
    for name, job in workflow["jobs"].items():
        runs = [step["run"] for step in job["steps"] if "run" in step]
        assert (INSTALL in runs) == (name != "notify")
        assert not [run for run in runs if "${{" in run]
    assert (ROOT / "requirements.lock").is_file()


@pytest.mark.skipif(not shutil.which("actionlint"), reason="actionlint is not installed (docs/workflow.md says how)")
def test_actionlint():
    subprocess.run(["actionlint", *sorted(map(str, FILE.parent.glob("*.yml")))], check=True)
