"""Kept connections are slow on a server with several workers, and only there: said as an advice, with the remedy."""

import pytest

from fixtures.backends.recommended import DEFAULT_VARIABLES
from fixtures.config.access import Access
from fixtures.core.advice import Topic
from fixtures.preflight.kept_connections import advise_on_connections
from tests.live.authority import Authority
from tests.live.fronts import nginx
from tests.live.runs import live
from tests.sabotage.proxy import TamperProxy
from tests.sabotage.rules import Rule, at, delay
from tests.support.stacks import sqlite_server

pytestmark = pytest.mark.timeout(300)
KEPT = "upstream kept {{ server {host}; keepalive 8; }}"
FRONT = """
    proxy_http_version 1.1;
    location /kept/ {{ proxy_pass http://kept/; proxy_set_header Host {host}; proxy_set_header Connection ""; }}
    location /new/ {{ proxy_pass http://{host}/; proxy_set_header Host {host}; proxy_set_header Connection close; }}
"""


def start(begin, starter, workers):
    """The URL of a real MLflow server with so many workers, and without uvloop, as --mlflow-defaults."""
    name = f"defaults-{workers}"
    words = ["--workers", str(workers), "--artifacts-destination", str(begin.home / name)]
    return sqlite_server(begin, starter, name, *words, **DEFAULT_VARIABLES)


@pytest.fixture(scope="module")
def server(own_stack, server_starter):
    """The URL of a server with two workers."""
    with start(own_stack[1], server_starter, 2) as uri:
        yield uri


def topics(uri, access=None):
    return [advice.topic for advice in advise_on_connections(uri, access or Access())]


def test_several_workers_without_uvloop_are_advised(server, tmp_path):
    """Every report shows it, and the server is READY."""
    ended = live(tmp_path, server, "suites/health/test_services.py::test_health_answers_ok")
    assert ended.code == 0, ended.output[-2000:]
    (advice,) = ended.document["advices"]
    assert advice["topic"] == Topic.KEPT_CONNECTIONS
    assert "12 pairs" in advice["seen"] and "uvloop" in advice["remedy"]
    assert f"ADVICE: {advice['what'][:40]}" in ended.output


def test_a_front_is_advised_if_it_keeps_its_connections(own_stack, server, tmp_path):
    """Each client waits then, also on a new connection; what opens new ones to the server mends it.

    A machine that is busy with other tests hides the step from some looks: one of five must see it.
    """
    begin, host, authority = own_stack[1], server.removeprefix("http://"), Authority(tmp_path)
    certificate, more = authority.issue("front", "localhost"), KEPT.format(host=host)
    with nginx(begin.home, begin.ports, "nginx-kept", certificate, FRONT.format(host=host), more) as front:
        access = Access(ca=str(authority.pem))
        kept = [topics(f"https://localhost:{front.port}/kept", access) for _ in range(5)]
        new = [topics(f"https://localhost:{front.port}/new", access) for _ in range(5)]
    assert [Topic.KEPT_CONNECTIONS] in kept
    assert new == [[]] * 5


def test_a_slow_network_is_not_advised(server):
    """Answers take long on both kinds of connection."""
    slow = Rule("slow network", at("."), delay(0.06))
    with TamperProxy(server, [slow], host=server.removeprefix("http://")) as proxy:
        assert topics(proxy.url) == []
    assert slow.fired


def test_one_worker_is_not_advised(own_stack, server_starter):
    """One worker binds its socket itself."""
    with start(own_stack[1], server_starter, 1) as uri:
        assert topics(uri) == []


def test_a_stack_of_ours_is_not_advised(real_stack):
    """It has several workers, and uvloop."""
    assert real_stack.workers > 1
    assert topics(real_stack.mlflow_uri) == []
