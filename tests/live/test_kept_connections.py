"""Kept connections are slow on a server with several workers, and only there: said as an advice, with the remedy."""

from contextlib import contextmanager

import pytest

from fixtures.backends.server import ask_health
from fixtures.config.access import Access
from fixtures.core.advice import Topic
from fixtures.core.waiting import wait_for
from fixtures.preflight.kept_connections import advise_on_connections
from tests.live.runs import live
from tests.sabotage.proxy import TamperProxy
from tests.sabotage.rules import Rule, at, delay

pytestmark = pytest.mark.timeout(300)


@contextmanager
def start(begin, starter, workers, loop):
    """The URL of a real MLflow server on SQLite with so many workers on this loop of uvicorn's."""
    name, port = f"{loop}-{workers}", begin.ports.take()
    words = ["--host", "127.0.0.1", "--port", str(port), "--workers", str(workers), "--uvicorn-opts", f"--loop {loop}"]
    words += ["--backend-store-uri", f"sqlite:///{begin.home / name}.sqlite"]
    words += ["--artifacts-destination", str(begin.home / name)]
    child = starter.start_server(name, words, begin.home, {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"})
    try:
        wait_for(name, lambda: ask_health(port), 120, ended=child.ended, log=child.log)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.popen.terminate()
        child.popen.wait(20)


def topics(uri):
    return [advice.topic for advice in advise_on_connections(uri, Access())]


def test_several_workers_without_uvloop_are_advised(own_stack, server_starter, tmp_path):
    """Every report shows it and the server stays READY; what closes its connections to the server mends it."""
    slow = Rule("slow network", at("."), delay(0.06))
    with start(own_stack[1], server_starter, 2, "asyncio") as uri:
        ended = live(tmp_path, uri, "suites/health/test_services.py::test_health_answers_ok")
        with TamperProxy(uri, [slow], host=uri.removeprefix("http://")) as proxy:
            assert topics(proxy.url) == []
    assert ended.code == 0, ended.output[-2000:]
    (advice,) = ended.document["advices"]
    assert advice["topic"] == Topic.KEPT_CONNECTIONS
    assert "12 pairs" in advice["seen"] and "uvloop" in advice["remedy"]
    assert f"ADVICE: {advice['what'][:40]}" in ended.output
    assert slow.fired


def test_one_worker_is_not_advised(own_stack, server_starter):
    """One worker binds its socket itself."""
    with start(own_stack[1], server_starter, 1, "asyncio") as uri:
        assert topics(uri) == []


def test_a_stack_of_ours_is_not_advised(real_stack):
    """It has several workers, and uvloop."""
    assert real_stack.workers > 1
    assert topics(real_stack.mlflow_uri) == []
