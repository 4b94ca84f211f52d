"""The GitHub action: each of its steps, run as a runner does, for every kind of end."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fixtures.core.files import ROOT
from tests.lifecycle.support import Checkout

ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
BLOCKS = {
    f"{file.name}: {step.get('name', step['run'][:20])}": step["run"]
    for file in (ROOT / "action.yml", *sorted((ROOT / ".github" / "workflows").glob("*.yml")))
    for document in [yaml.safe_load(file.read_text())]
    for job in ((document["runs"],) if "runs" in document else document["jobs"].values())
    for step in job["steps"]
    if "run" in step
}

GITLAB = re.search(r"## GitLab\n+```yaml\n(.*?)```", (ROOT / "docs" / "ci.md").read_text(), re.DOTALL)[1]
BLOCKS["docs/ci.md: GitLab"] = "\n".join(yaml.safe_load(GITLAB)["readiness"]["script"])


@pytest.mark.parametrize("name", BLOCKS)
def test_shellcheck_has_nothing_to_say(name, tmp_path):
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed; .ci/run installs it")
    (script := tmp_path / "block.sh").write_text(f"#!/usr/bin/env bash\nset -eo pipefail\n{BLOCKS[name]}")
    done = subprocess.run(["shellcheck", "--severity=style", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="session")
def set_up(tmp_path_factory):
    """The action's checkout with the example suites, set up already, as from the cache."""
    checkout = Checkout.make(tmp_path_factory.mktemp("action") / "checkout")
    for name in ("Makefile", "requirements.lock"):
        shutil.copy2(ROOT / name, checkout.root / name)
    (venv := checkout.root / ".venv").mkdir()
    for part in Path(sys.executable).parents[1].iterdir():
        (venv / part.name).symlink_to(part)
    (venv / ".installed").unlink(missing_ok=True)
    (venv / ".installed").write_text("")
    os.utime(venv / ".installed", (0, 0))  # the cache keeps times, and a checkout is newer
    return checkout.root


class Job:
    """A runner with one step: the action. `uses` steps are GitHub's, and nothing of ours."""

    def __init__(self, root, scratch, **inputs):
        self.inputs = {name: entry.get("default", "") for name, entry in ACTION["inputs"].items()} | inputs
        self.root, self.scratch, self.outputs, self.text = root, scratch, {"python": {"python-version": "3.11.9"}}, ""
        self.summary = scratch / "summary"
        (scratch / "workspace").mkdir()

    def value(self, text):
        def resolve(found):
            match found[1].strip().split("."):
                case ["inputs", name]:
                    return self.inputs[name]
                case ["github", "action_path"]:
                    return str(self.root)
                case ["steps", step, "outputs", name]:
                    return self.outputs.get(step, {}).get(name, "")
            raise AssertionError(f"not known: {found[0]}")

        return re.sub(r"\$\{\{(.*?)\}\}", resolve, str(text))

    def run(self):
        """The exit code of the step that ended the job; 0 if all went well."""
        for step in ACTION["runs"]["steps"]:
            if "run" not in step:
                {name: self.value(text) for name, text in step.get("with", {}).items()}
                continue
            code = self.step(step)
            if code:
                return code
        return 0

    def step(self, step):
        output = self.scratch / "output"
        output.write_text("")
        (script := self.scratch / "step.sh").write_text(step["run"])
        own = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.scratch),
            "TMPDIR": str(self.scratch),
            "RUNNER_TEMP": str(self.scratch),
            "GITHUB_WORKSPACE": str(self.scratch / "workspace"),
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(self.summary),
        }
        argv = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
        env = own | {name: self.value(text) for name, text in step.get("env", {}).items()}
        done = subprocess.run(argv, env=env, cwd=self.scratch, capture_output=True, text=True, timeout=120, check=False)
        self.text += done.stdout + done.stderr
        if "id" in step:
            self.outputs[step["id"]] = dict(line.split("=", 1) for line in output.read_text().splitlines())
        return done.returncode

    @property
    def annotations(self):
        return [line for line in self.text.splitlines() if line.startswith("::")]


@pytest.fixture
def job(set_up, scratch, stub):
    """job(selection, **inputs): the action on something that says it is MLflow, run to its end, and its code."""

    def start(selection, **inputs):
        (workspace := Job(set_up, scratch, **inputs)).inputs["options"] = selection
        target = f'stack = "external"\nmlflow-uri = "{stub.url}"\n'
        (scratch / "workspace" / "target.toml").write_text(inputs.pop("text", target))
        workspace.inputs["target"] = "target.toml"
        return workspace, workspace.run()

    return start


def test_ready(job, stub):
    done, code = job("suites/health/test_answers.py")
    assert code == 0, done.text
    assert done.outputs["summary"] == {"verdict": "READY"}
    line = "READY (black box; subset: 2 of "
    assert done.summary.read_text().startswith(f"## MLflow readiness: READY\n\n{line}")
    (notice,) = done.annotations
    assert notice.startswith(f"::notice title=MLflow readiness%3A READY::{line}")
    folder = Path(done.outputs["readiness"]["report"])
    assert json.loads((folder / "badge.json").read_text())["message"] == "READY"
    assert {"readiness.html", "readiness.sarif", "junit.xml"} <= {file.name for file in folder.iterdir()}


def test_not_ready(job):
    done, code = job('-n 2 -k "finds or answers" suites/health')
    assert code == 1, done.text
    assert done.outputs["summary"] == {"verdict": "NOT READY"}
    summary = done.summary.read_text()
    assert "\nNOT READY: 2 causes, 2 checks (black box; subset: 4 of " in summary
    first = """### 1. colour of the sky (1 check)

- **Remedy:** none, it is an example.
- **Expected:** blue
- **Seen:** green
- **Check:** suites/health/test\\_finds.py::test\\_first\\_finding
"""
    assert first in summary and "### 2. colour of grass (1 check)" in summary
    assert [line for line in done.annotations if line.startswith("::error")] == [
        f"::error title=colour of {what}::suites/health/test_finds.py::test_{name}_finding: "
        f"Expected {expected}, seen {seen}. Remedy: none, it is an example."
        for what, name, expected, seen in (("the sky", "first", "blue", "green"), ("grass", "second", "green", "blue"))
    ]


def test_not_proven(job):
    done, code = job("suites/client/test_cannot.py")
    assert code == 6, done.text
    assert done.summary.read_text().startswith("## MLflow readiness: NOT PROVEN\n\nNOT PROVEN: ")
    assert [line.split("::")[1] for line in done.annotations] == ["error title=MLflow readiness%3A NOT PROVEN"]
    assert "### Not checked" in done.summary.read_text()


def test_a_usage_error(job):
    done, code = job("suites/health/test_answers.py", text='stack = "external"\nmlflow-url = "x"\n')
    assert code == 4, done.text
    words = "target.toml: mlflow-url: unknown key; the nearest is mlflow-uri"
    summary = done.summary.read_text()
    assert summary.startswith("## MLflow readiness: usage error\n\n--target ")
    assert summary.rstrip().endswith(words.replace("_", "\\_")) and len(summary.splitlines()) == 3
    (error,) = done.annotations
    assert error.startswith("::error title=MLflow readiness%3A usage error::--target ") and error.endswith(words)


def test_quotes_that_do_not_end_are_no_run(job):
    done, code = job("-m 'registry")
    assert code != 0 and "unmatched single quote" in done.text
