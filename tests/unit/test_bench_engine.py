"""What `make bench-engine` demands, with plain data: it can fail, and names all that was not kept."""

import socket
import subprocess
import sys

import pytest

from tests.bench_engine import __main__ as command
from tests.bench_engine.judge import LOCUST, OURS, WRK, Block, Saturated, broken, ratio, table


def block(generator, rate, bad=0):
    return Block(generator, rate, bad, 1.0)


FAST = [block(OURS, 30_000), block(OURS, 33_000), block(LOCUST, 10_000), block(LOCUST, 10_000)]
IDLE = Saturated("log-metric", generator=0.5, stack=9.5, busy=0.9, done=100, bad=0)


def test_a_fast_engine_keeps_the_demands():
    assert broken(FAST, [IDLE]) == []
    assert ratio(FAST, LOCUST) == pytest.approx(3.15)


@pytest.mark.parametrize(
    ("blocks", "saturated", "said"),
    [
        ([block(OURS, 29_900), block(LOCUST, 10_000)], [IDLE], "2.99 times Locust's"),
        ([block(OURS, 29_900)], [IDLE], "nothing to compare"),
        ([*FAST, block(LOCUST, 0)], [IDLE], "locust: a block without a request"),
        ([*FAST, block(WRK, 9, bad=1)], [IDLE], "wrk: 1 of 10 requests"),
        (FAST, [], "MLflow was not loaded"),
        (FAST, [IDLE, Saturated("log-batch", 0.6, 9.4, 0.9, 100, 0)], "log-batch: the engine took 6.0%"),
        (FAST, [Saturated("log-metric", 0.1, 9.9, 0.5, 100, 0)], "busy for more than 50%"),
        (FAST, [Saturated("log-metric", 0.1, 9.9, 0.9, 99, 1)], "1 of 100 requests"),
    ],
)
def test_each_demand_can_fail(blocks, saturated, said):
    wrong = broken(blocks, saturated)
    assert len(wrong) == 1
    assert said in wrong[0]


def test_everything_wrong_is_listed():
    slow = [block(OURS, 10), block(LOCUST, 10)]
    assert len(broken(slow, [Saturated("log-metric", 5.0, 5.0, 0.2, 9, 1)])) == 4


def test_the_table_has_a_line_for_each_generator_and_kind():
    shown = table([*FAST, block(WRK, 90_000)], [IDLE])
    assert [line for line in shown.splitlines() if "3.15 ×" in line and "10,000" in line]
    assert [line for line in shown.splitlines() if "wrk" in line and "0.33 ×" in line]
    assert [line for line in shown.splitlines() if "log-metric" in line and "5.00%" in line]


def test_the_null_server_answers_a_request_once_it_is_whole():
    with subprocess.Popen(
        [sys.executable, "-P", "tests/bench_engine/null.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        port = int(server.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
            for request in (b"GET / HTTP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"):
                link.sendall(request[:-1])
                link.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    link.recv(1000)
                link.settimeout(10)
                link.sendall(request[-1:])
                assert link.recv(1000).endswith(b"\r\n\r\n{}")
        server.stdin.close()
        assert server.wait(10) == 0


def test_the_command_measures_both_demands():
    """It is run on demand only: what it is made of must at least be there."""
    assert command.ROUNDS % 2 == 1, "a median that was seen"
    assert set(command.EACH) == {"log-metric", "log-batch"}
