"""The load engine in several processes."""

import pytest

from fixtures.core.outcomes import NotProven
from fixtures.load.arrivals import Arrivals, space_evenly
from fixtures.load.engine import LoadTarget
from fixtures.load.judges import account_rows, check_conservation
from fixtures.load.sharded import drive_in_processes
from tests.unit.told_server import OK, refusal, serving, writes


@pytest.fixture(scope="module")
def together():
    """(history, costs, server) of three clients and an open loop, in two processes."""
    with serving() as server:
        arrivals = Arrivals(writes(40, 9), space_evenly(100.0, 40))
        yield (
            *drive_in_processes(LoadTarget.of(server.uri), [writes(5, c) for c in range(3)], arrivals=[arrivals]),
            server,
        )


def test_every_request_is_sent_once_and_stands_in_one_history(together):
    history, _, server = together
    assert len(server.heads) == len(history.ok) == 55
    assert check_conservation(history) == []
    assert account_rows(history, [row for o in history.operations for row in o.meant]).clean
    assert {row[0] for o in history.operations for row in o.meant} == {0, 1, 2, 9}


def test_histograms_of_all_processes_are_merged(together):
    history, costs, _ = together
    found = costs["write"]
    assert (found.done, len(found.latency), len(found.lag)) == (55, 55, 55)
    assert found.latency.maximum == pytest.approx(max(o.latency for o in history.operations), rel=0.01, abs=1e-5)
    assert found.first == min(o.end for o in history.ok)


def test_processes_start_at_the_same_instant(together):
    starts = {o.client % 2: o.planned for o in together[0].operations if o.sequence == 0}
    assert abs(starts[0] - starts[1]) < 2  # seconds; coming up takes each process its own time


def test_the_fleet_stops_after_too_many_refusals():
    with serving(lambda number, head: OK if number < 2 else refusal(503, "no")) as server:
        history, costs = drive_in_processes(LoadTarget.of(server.uri), [writes(200, c) for c in range(4)], troubles=10)
    assert 10 <= len(history.refused) < 40
    assert history.not_sent == 800 - len(history.operations)
    assert costs["write"].failed == len(history.refused)


def test_a_process_that_fails_is_told():
    with serving() as server, pytest.raises(NotProven, match="engine failed: TypeError"):
        drive_in_processes(LoadTarget.of(server.uri), [writes(1)], no_such_option=1)
