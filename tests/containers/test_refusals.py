"""What cannot come up on a real engine: one clear line, the mend, the last lines of the log, code 7, nothing left."""

import os
import socket

import pytest

from tests.containers.support import docker
from tests.lifecycle.support import refused

CHECK = "suites/health/test_answers.py"
SERVICES = "services:\n  mlflow-server:\n    image: {mlflow}\n{server}  mlflow-db:\n    image: {postgres}\n{db}"
pytestmark = pytest.mark.timeout(600)


def named(run):
    """Names of containers, networks and volumes that the run left."""
    format = ("--format", "{{.Name}}")
    said = (
        docker("ps", "-a", "--format", "{{.Names}}")
        + docker("network", "ls", *format)
        + docker("volume", "ls", *format)
    )
    return [name for name in said.split() if f"rdy-{run}-" in name]


@pytest.fixture
def bad(examples, scratch, env):
    """bad(*words, args=..., more=..., within=...): the run is refused so, and leaves nothing in the engine."""

    def check(*words, args, more=None, within=60):
        begun = examples.begin(scratch, *args, CHECK, env=env | (more or {}))
        done = begun.finish(240)
        refused(done, 7, f"NOT PROVEN: {words[0]}", *words[1:], within=within)
        assert named(done.document()["run"]) == []
        return done.out

    return check


@pytest.fixture
def compose_file(scratch, chosen):
    """compose_file(text or parts) -> the arguments that name it."""

    def write(text=None, server="    ports: ['5000:5000']\n", db="    ports: ['5432:5432']\n", end=""):
        given = {"mlflow": chosen["MLFLOW_IMAGE"], "postgres": chosen["POSTGRES_IMAGE"]}
        file = scratch / "other.yml"
        file.write_text((SERVICES.format(server=server, db=db, **given) + end) if text is None else text)
        return ("--stack", "compose", "--compose-file", str(file))

    return write


@pytest.mark.parametrize("stack", ["containers", "compose"])
def test_an_image_that_is_not_there(bad, stack):
    words = (f"--stack {stack}", "has no image", "nobody/none:1 (", "make images", "--image")
    bad(*words, args=("--stack", stack, "--image", "postgres=nobody/none:1"))


@pytest.mark.parametrize("stack", ["containers", "compose"])
def test_a_container_that_ends(bad, chosen, stack):
    """An image without MLflow: its last words are shown."""
    args = ("--stack", stack, "--image", f"mlflow={chosen['POSTGRES_IMAGE']}")
    said = bad(f"--stack {stack}", args=args)
    assert "python" in said


@pytest.mark.parametrize("stack", ["containers", "compose"])
def test_a_port_that_is_taken(bad, stack):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        bad(f"--stack {stack}", f"--mlflow-port {port}", "in use", args=("--stack", stack, "--mlflow-port", str(port)))


def test_a_file_that_does_not_parse(bad, compose_file):
    bad("--stack compose: Compose cannot read it", "other.yml", "yaml", args=compose_file("services: [\n"))


def test_a_service_that_is_missing(bad, compose_file, chosen):
    text = f"services:\n  mlflow:\n    image: {chosen['MLFLOW_IMAGE']}\n"
    bad("--stack compose: other.yml: no service mlflow-server", "it has: mlflow", args=compose_file(text))


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"db": "    network_mode: host\n"}, ("mlflow-db has network_mode: host",)),
        ({"db": "    volumes: ['/tmp:/x']\n"}, ("mlflow-db writes into the host's folder /tmp", "read_only")),
        ({"db": "    volumes: ['/var/run/docker.sock:/s:ro']\n"}, ("mounts the engine's socket",)),
        (
            {"db": "    volumes: ['data:/x']\n", "end": "volumes: {data: {external: true}}\n"},
            ("volume data is external",),
        ),
        ({"db": "    networks: [n]\n", "end": "networks: {n: {external: true}}\n"}, ("network n is external",)),
        ({"db": "    privileged: true\n"}, ("mlflow-db has privileged",)),
        ({"server": ""}, ("mlflow-server publishes no port",)),
    ],
)
def test_what_would_meet_other_projects_is_refused_by_name(bad, compose_file, parts, words):
    bad("--stack compose: other.yml:", *words, args=compose_file(**parts))


def test_a_database_that_is_not_healthy_is_shown_with_its_log(bad, compose_file):
    """Without a password the database ends at once: which, why, and its last words."""
    server = "    ports: ['5000:5000']\n    depends_on: {mlflow-db: {condition: service_healthy}}\n"
    db = "    ports: ['5432:5432']\n    healthcheck: {test: 'true', interval: 1s}\n"
    said = bad("--stack compose: other.yml:", args=compose_file(server=server, db=db))
    assert "POSTGRES_PASSWORD" in said


def test_a_compose_that_is_too_old(bad, scratch):
    """A `docker` whose Compose is 2.20."""
    (scratch / "bin").mkdir()
    (scratch / "bin" / "docker").write_text("#!/bin/sh\necho 2.20.3\n")
    (scratch / "bin" / "docker").chmod(0o755)
    words = ("--stack compose", "Compose 2.24 or newer is needed, found: 2.20.3")
    bad(*words, args=("--stack", "compose"), more={"PATH": f"{scratch}/bin:{os.environ['PATH']}"})
