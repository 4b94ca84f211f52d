"""--stack containers and auto without an engine that will do: why, in one line, and what else."""

import http.server
import json
import socketserver
import threading
from importlib import metadata
from pathlib import Path

import pytest

from fixtures.backends.choice import BACKEND_MODULES, choose_backend, load_backend
from fixtures.backends.kept import describe_kept
from fixtures.backends.protocol import Start
from fixtures.config.options import BACKENDS
from fixtures.config.settings import Settings
from fixtures.core.waiting import StartFailure
from fixtures.processes import docker_engine
from fixtures.processes.ports import Ports


@pytest.fixture
def begin(tmp_path):
    """begin(stack) -> the line with which it is refused."""

    def refused(stack="containers"):
        with pytest.raises(StartFailure) as caught:
            load_backend(stack).begin(Start(Settings(stack=stack), tmp_path, "x", Ports(), print))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return refused


@pytest.fixture
def version(tmp_path, monkeypatch):
    """version(text) -> an engine that answers with this, and has no image; other answers are possible."""
    path = tmp_path / "docker.sock"
    answer = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, said = answer[0] if self.path == "/version" else (404, {"message": "no such image"})
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self):
            return "engine"

        def log_message(self, *arguments):
            """Be silent."""

    def serve(text, status=200, **more):
        answer[:] = [(status, {"Version": text, "ApiVersion": "1.41"} | more)]
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")

    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield serve
        server.shutdown()


@pytest.mark.parametrize("stack", ["containers", "compose"])
@pytest.mark.parametrize("address", ["unix:///nonexistent/docker.sock", "tcp://127.0.0.1:9"])
def test_an_engine_that_does_not_answer(address, stack, monkeypatch, begin):
    monkeypatch.setenv("DOCKER_HOST", address)
    said = begin(stack)
    assert said.startswith(f"--stack {stack}: no Docker engine answers at {address} (")
    assert "DOCKER_HOST" in said
    assert "use --stack embedded" in said


def test_an_engine_that_lets_us_not_in(monkeypatch, begin):
    """Who may not use the socket is told of the group."""

    def refuse(connection):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setenv("DOCKER_HOST", "unix:///var/run/docker.sock")
    monkeypatch.setattr("docker.transport.unixconn.UnixHTTPConnection.connect", refuse)
    said = begin()
    assert "no rights at unix:///var/run/docker.sock" in said
    assert "usermod -aG docker" in said


def test_an_address_that_is_not_supported(monkeypatch, begin):
    monkeypatch.setenv("DOCKER_HOST", "ssh://somebody@host")
    assert "ssh is not supported; use unix:// or tcp://" in begin()


def test_an_engine_that_is_too_old(version, begin):
    version("19.3.15")
    assert "is 19.3.15; 20.10 or newer is needed" in begin()


def test_podman_has_numbers_of_its_own(version, begin):
    version("5.4.0", Components=[{"Name": "Podman Engine"}])
    assert "has no image" in begin()
    version("4.9.3", Components=[{"Name": "Podman Engine"}])
    assert "has no image" in begin()


def test_something_that_is_no_engine(version, begin):
    version("?", status=404)
    assert "answers 404: is that a Docker engine?" in begin()


def test_certificates_that_are_not_there(monkeypatch, tmp_path, begin):
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    assert "no Docker engine answers at tcp://127.0.0.1:9 (" in begin()


def test_a_proxy_is_not_the_way_to_the_engine(monkeypatch, begin):
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert docker_engine.make_client(docker_engine.Engine("tcp://127.0.0.1:9"), "1.41", 2).api.trust_env is False
    assert "(Connection refused, from DOCKER_HOST)" in begin()


def test_an_engine_without_the_images(version, begin):
    version("28.2.2")
    said = begin()
    assert "has no image docker.io/library/postgres:17.6-bookworm" in said
    assert "make images" in said


def test_auto_says_why_it_takes_embedded(version, monkeypatch):
    version("28.2.2")
    name, why = choose_backend(Settings())
    assert (name, "has no image" in why) == ("embedded", True)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    from fixtures.backends.containers import find_lacking

    find_lacking.cache_clear()
    assert "no Docker engine answers" in choose_backend(Settings())[1]
    find_lacking.cache_clear()


def test_a_version_is_for_the_embedded_stack_and_keeps_its_own(version):
    version("28.2.2")
    other = Settings(mlflow_version="3.9.0")
    assert choose_backend(other) == ("embedded", "--mlflow-version asks for it")
    same = Settings(stack="embedded", mlflow_version=metadata.version("mlflow"))
    assert describe_kept(other) != describe_kept(same) == describe_kept(Settings(stack="embedded"))


def test_a_docker_context_is_followed(monkeypatch, tmp_path):
    """`docker context use` names the engine where DOCKER_HOST does not."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(docker_engine, "read_context", lambda: ("rootless", "unix:///run/user/1000/docker.sock", False))
    assert docker_engine.find_address()[0].host == "unix:///run/user/1000/docker.sock"
    assert docker_engine.find_address()[1] == "Docker context 'rootless'"


def test_every_backend_can_be_chosen_and_loaded():
    assert set(BACKEND_MODULES) == set(BACKENDS) - {"auto"}
    for name in BACKEND_MODULES:
        assert callable(load_backend(name).begin)
        assert choose_backend(Settings(stack=name)) == (name, "")


def test_the_engines_files_are_where_the_guard_looks():
    """The guard calls the reaper by path, with no import of ours."""
    folder = Path(docker_engine.__file__).parent
    assert "reaper.py" in (folder / "guard.py").read_text()
    assert "from fixtures" not in (folder / "reaper.py").read_text()
