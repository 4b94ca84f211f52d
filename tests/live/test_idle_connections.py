"""Real proxies that keep idle connections to the server: for less than its 5 s they are well, for longer they race.

The race is a matter of milliseconds. Of ten runs on a busy machine with two cores, six found it behind nginx and
four behind HAProxy: so it is a note. A proxy that never looks is a finding (tests/sabotage/fronts.py).
"""

from contextlib import ExitStack

import pytest

from fixtures.config.access import Access
from fixtures.load.idle import take_idle_rounds
from fixtures.load.target import LoadTarget
from tests.live.authority import Authority
from tests.live.fronts import haproxy, nginx
from tests.live.runs import live
from tests.support.stacks import sqlite_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
CHECK = "suites/health/test_idle_connections.py"
POOL = "upstream kept {{ server {host}; keepalive 32; keepalive_timeout {seconds}s; }}"
PASS = """
    proxy_http_version 1.1;
    location / { proxy_pass http://kept; proxy_set_header Host $host; proxy_set_header Connection ""; }
"""
MOST_RUNS = 15


@pytest.fixture(scope="module")
def server(own_stack, server_starter):
    """Host and port of a server with two workers."""
    with sqlite_server(own_stack[1], server_starter, "idle", "--workers", "2", MLFLOW_SERVER_ALLOWED_HOSTS="*") as uri:
        yield uri.removeprefix("http://")


@pytest.fixture
def front(own_stack, server, tmp_path):
    """front(seconds) -> (URL, access) of nginx that keeps connections for so long."""
    begin, authority = own_stack[1], Authority(tmp_path)
    with ExitStack() as fronts:

        def start(seconds):
            pool, certificate = POOL.format(host=server, seconds=seconds), authority.issue("front", "localhost")
            found = nginx(begin.home, begin.ports, f"nginx-{seconds}", certificate, PASS, pool)
            return f"https://localhost:{fronts.enter_context(found).port}", Access(ca=str(authority.pem))

        yield start


def is_seen(uri, access=None):
    """Whether one of many runs sees the race."""
    target = LoadTarget.of(uri, (access or Access()).session())
    return any(take_idle_rounds(target, 30).errors for _ in range(MOST_RUNS))


def test_a_front_that_lets_go_in_time_is_ready(front, tmp_path):
    """The whole way: 20 connections a round, five pauses, no answer but 200."""
    uri, access = front(4)
    ended = live(tmp_path, uri, CHECK, env={"MLFLOW_TRACKING_SERVER_CERT_PATH": access.ca})
    (check,) = ended.document["checks"]
    assert (ended.code, check["status"], check["notes"]) == (0, "pass", []), ended.output[-2000:]
    assert check["requests"] > 150


def test_a_front_that_keeps_connections_too_long_is_seen(front):
    assert is_seen(*front(60))


def test_haproxy_that_reuses_connections_is_seen(own_stack, server):
    with haproxy(own_stack[1].home, own_stack[1].ports, "haproxy", server) as port:
        assert is_seen(f"http://127.0.0.1:{port}")
