"""The judges of drills on plain data, and the proxy between two parts on an echo."""

import contextlib
import socket
import socketserver
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.core.outcomes import Finding, NotProven
from fixtures.drills.assertions import describe_drill, expect_honest_errors, expect_recovery, expect_writes_kept
from fixtures.drills.judges import find_failures_outside, find_misleading_answers, measure_recovery
from fixtures.drills.starts import REGISTRY_SEARCH, FirstTraffic
from fixtures.drills.tcp_proxy import TcpProxy
from fixtures.drills.traffic import DrillOutcome
from fixtures.load.history import History, LoadOperation, RequestOutcome

OK, REFUSED, UNKNOWN = RequestOutcome.OK, RequestOutcome.REFUSED, RequestOutcome.UNKNOWN
ROWS = [("run", "loss", step, step / 7, 100 + step) for step in range(6)]


def sent(number, outcome=OK, status=200, answer=b"{}"):
    """Request `number`, sent at that second, which meant to store that row."""
    return LoadOperation(
        0, number, "runs/log-batch", (ROWS[number],), number, number, number + 0.5, outcome, status, "", answer
    )


def drilled(operations, stored, canary=4.0, restarted=None):
    """A fault from second 2 to second 3."""
    history = History(tuple(operations), {"runs/log-batch": len(operations)})
    return DrillOutcome("fault", history, 2.0, 3.0, canary, restarted, 40.0, tuple(stored), tuple(stored))


HEALTHY = [sent(0), sent(1), sent(2, REFUSED, 503), sent(3, UNKNOWN, None, b""), sent(4), sent(5)]
THERE = [ROWS[n] for n in (0, 1, 3, 4, 5)]


def test_a_fault_that_costs_nothing_is_let_pass():
    """Refused and unanswered requests of the fault may be stored or not."""
    for stored in (THERE, [row for row in THERE if row is not ROWS[3]], [*THERE, ROWS[2]]):
        found = drilled(HEALTHY, stored)
        expect_writes_kept(found)
        expect_honest_errors(found)
        expect_recovery(found)
    assert "4 acknowledged, 1 refused with 503, 1 without an answer" in describe_drill(found)


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (THERE[3:], "2 lost"),
        ([*THERE, ROWS[0]], "1 duplicated"),
        ([("run", "loss", 0, 9.0, 100), *THERE[1:]], "1 changed"),
        ([*THERE, ("run", "loss", 9, 1.0, 1)], "1 unexpected"),
    ],
)
def test_what_was_acknowledged_must_be_there_once(stored, words):
    with pytest.raises(Finding, match=words):
        expect_writes_kept(drilled(HEALTHY, stored))


@pytest.mark.parametrize("wrong", [sent(2, REFUSED, 400), sent(2, answer=b"<html>"), sent(2, REFUSED, 404)])
def test_an_answer_that_misleads_is_found(wrong):
    operations = [*HEALTHY[:2], wrong, *HEALTHY[3:]]
    assert find_misleading_answers(drilled(operations, []).history) == [wrong]
    with pytest.raises(Finding, match="status 5xx, or no answer"):
        expect_honest_errors(drilled(operations, []))


def test_a_recovery_that_needs_a_restart_is_found():
    with pytest.raises(Finding, match="done after a restart of MLflow"):
        expect_recovery(drilled(HEALTHY, THERE, canary=None, restarted=True))
    with pytest.raises(NotProven, match="not after a restart"):
        expect_recovery(drilled(HEALTHY, THERE, canary=None, restarted=False))


def test_failures_after_the_recovery_are_found():
    late = [*HEALTHY[:5], sent(5, REFUSED, 503)]
    assert find_failures_outside(drilled(late, []).history, 2.0, 4.0) == [late[5]]
    with pytest.raises(Finding, match="1: 1 × 503"):
        expect_recovery(drilled(late, THERE))


def test_recovery_is_measured_from_the_end_of_the_fault():
    assert measure_recovery(drilled(HEALTHY, []).history, 3.0, 6.0) == 1.5  # second 4.5, before the canary
    assert measure_recovery(drilled(HEALTHY, []).history, 3.0, 3.2) == pytest.approx(0.2)


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        with contextlib.suppress(ConnectionError):
            while data := self.request.recv(1000):
                self.request.sendall(data)


@pytest.fixture
def proxy():
    """A proxy before an echo, and before an address where nobody listens."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server, socket.socket() as nobody:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        nobody.bind(("127.0.0.1", 0))
        with TcpProxy([nobody.getsockname(), server.server_address]) as found:
            yield found
        server.shutdown()


def echo(link, text=b"hello", seconds=10):
    link.settimeout(seconds)
    link.sendall(text)
    return link.recv(1000)


def test_the_proxy_passes_bytes_on_to_whoever_is_there(proxy):
    for _ in range(3):
        with socket.create_connection(proxy.address) as link:
            assert echo(link) == b"hello"


def test_connections_at_once_all_find_who_is_there(proxy):
    """Each tries every upstream, whoever else takes a turn meanwhile."""

    def send(number):
        with socket.create_connection(proxy.address) as link:
            return echo(link, b"%d" % number) == b"%d" % number

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(send, range(64)))


def test_the_proxy_cuts_and_refuses_meanwhile(proxy):
    with socket.create_connection(proxy.address) as link:
        assert echo(link) == b"hello"
        with proxy.cut():
            with pytest.raises(ConnectionError):
                assert echo(link)
            with socket.create_connection(proxy.address) as late, pytest.raises(ConnectionError):
                assert echo(late)
    with socket.create_connection(proxy.address) as link:
        assert echo(link) == b"hello"


def test_what_the_black_hole_swallowed_arrives_late(proxy):
    with socket.create_connection(proxy.address) as link:
        with proxy.black_hole(), pytest.raises(TimeoutError):
            echo(link, seconds=0.1)
        link.settimeout(10)
        assert link.recv(1000) == b"hello"


def test_the_proxy_delays_and_limits(proxy):
    with socket.create_connection(proxy.address) as link, proxy.slowed(delay=0.05, rate=1000):
        begin = time.monotonic()
        assert echo(link, b"x" * 100) == b"x" * 100
        assert time.monotonic() - begin >= 2 * (0.05 + 0.1)  # there and back


def test_an_answer_is_lost_once(proxy):
    proxy.answers_to_lose = 1
    with socket.create_connection(proxy.address) as link, pytest.raises(ConnectionError):
        assert echo(link)
    with socket.create_connection(proxy.address) as link:
        assert echo(link) == b"hello"


@pytest.mark.parametrize(
    ("kinds", "status", "later", "broke"),
    [
        ([REGISTRY_SEARCH], 500, {200: 9, 500: 7}, True),
        ([REGISTRY_SEARCH], 500, {200: 16}, False),
        ([REGISTRY_SEARCH, "runs/create"], 500, {500: 16}, False),
        ([REGISTRY_SEARCH], 503, {500: 16}, False),
        ([], 500, {500: 16}, False),
    ],
)
def test_a_worker_without_its_registry_is_told_by_kind_status_and_what_comes_later(kinds, status, later, broke):
    refused = [sent(n, REFUSED, status)._replace(kind=kind) for n, kind in enumerate(kinds)]
    history = History(tuple(refused), dict.fromkeys(kinds, 1))
    assert FirstTraffic(history, [], later).broke_registry is broke
