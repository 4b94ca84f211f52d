"""--stack containers without an engine: why, and what else."""

import socket

import pytest

from fixtures.backends import REGISTRY, Start, backend, choose, containers
from fixtures.options import BACKENDS
from fixtures.process import Ports
from fixtures.settings import Settings
from fixtures.waiting import StartFailure


@pytest.mark.parametrize("address", ["unix:///nonexistent/docker.sock", "tcp://127.0.0.1:9", "tcp://h:99999"])
def test_an_engine_that_does_not_answer(address, monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", address)
    begin = Start(Settings(stack="containers"), tmp_path, "x", Ports(), print)
    with pytest.raises(StartFailure) as caught:
        backend("containers").begin(begin)
    assert f"no Docker engine answers at {address} (" in str(caught.value)
    assert "use --stack embedded" in str(caught.value)


def test_an_engine_that_answers():
    with socket.create_server(("127.0.0.1", 0)) as engine:
        assert containers.refusal(f"tcp://127.0.0.1:{engine.getsockname()[1]}") is None


def test_every_backend_can_be_chosen_and_loaded():
    assert set(REGISTRY) == set(BACKENDS) - {"auto"}
    for name in REGISTRY:
        assert callable(backend(name).begin)
        assert choose(Settings(stack=name)) == (name, "")
    assert choose(Settings())[0] == "embedded"
