"""An operator's own project from the same file is as it was, down to the byte, after a run of ours beside it."""

import json
import os
import secrets
import signal

import pytest

from fixtures.core.files import ROOT
from tests.containers.support import HANGS, Trail, docker, free_ports, homes

pytestmark = pytest.mark.timeout(600)
FILE = ("-f", str(ROOT / "docker-compose.mlflow.yml"))


@pytest.fixture(scope="module")
def operator(tmp_path_factory, env):
    """operator(*words) runs `docker compose` on the project of an operator, which is up; its volumes hold something."""
    folder = tmp_path_factory.mktemp("operator")
    ports = "".join(f"{name}={port}\n" for name, port in free_ports().items())
    (folder / "env").write_text(ports + (ROOT / ".env.mlflow.local").read_text())
    project = f"operator-{secrets.token_hex(3)}"

    def compose(*words):
        first = ("compose", *FILE, "--env-file", str(folder / "env"), "-p", project, "--profile", "local")
        return docker(*first, *words, env=env)

    compose.project = project

    compose("up", "-d")
    try:
        yield compose
    finally:
        compose("down", "-v")


def snapshot(project, chosen):
    """Everything that the engine says of the project's parts, and a digest of each volume's files."""
    label = f"label=com.docker.compose.project={project}"
    found = {}
    for kind, lister in (
        ("container", ("ps", "-aq")),
        ("network", ("network", "ls", "-q")),
        ("volume", ("volume", "ls", "-q")),
    ):
        for number in sorted(docker(*lister, "--filter", label).split()):
            (said,) = json.loads(docker(kind, "inspect", number))
            if kind == "container":  # health checks go on by themselves
                said["State"].pop("Health", None)
                said.pop("ExecIDs", None)
            found[f"{kind} {said['Name']}"] = said
            if kind == "volume" and "running" not in docker(
                "ps", "--filter", f"volume={number}", "--format", "{{.State}}"
            ):
                words = ("find /v -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum", chosen["MLFLOW_IMAGE"])
                digest = ("run", "--rm", "-v", f"{number}:/v:ro", "--entrypoint", "sh", words[1], "-c", words[0])
                found[f"files of {number}"] = docker(*digest)
    return found


def end_normally(examples, scratch, env):
    done = examples.begin(scratch, "--stack", "compose", "suites/health/test_answers.py", env=env).finish(300)
    assert done.code == 0, done.out


def end_by_kill_9(examples, scratch, env):
    begun = examples.begin(scratch, "--stack", "compose", *HANGS, env=env)
    trail = Trail(begun)
    begun.wait_for_file("first.hangs")
    assert homes(begun)
    trail.read()
    os.killpg(begun.popen.pid, signal.SIGKILL)
    trail.is_gone()
    trail.guard_is_gone()


@pytest.mark.parametrize("state", ["running", "stopped"])
@pytest.mark.parametrize("end", [end_normally, end_by_kill_9])
def test_an_operators_project_is_untouched(operator, examples, scratch, env, chosen, state, end):
    operator("start" if state == "running" else "stop")
    before = snapshot(operator.project, chosen)
    assert len(before) >= (7 if state == "running" else 9)
    end(examples, scratch, env)
    assert snapshot(operator.project, chosen) == before
