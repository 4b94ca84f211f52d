"""The drill's own rules on plain data: what counts as acknowledged before the point, and what is half there."""

import time

import pytest

from fixtures.drills.backup_drill import find_half_stored, read_point, see_as_of
from fixtures.load.history import History, LoadOperation, RequestOutcome
from fixtures.load.judges import account_rows

ROWS = [("run", "loss", step, float(step)) for step in range(4)]


def operation(sequence, end, *rows, outcome=RequestOutcome.OK):
    return LoadOperation(0, sequence, "runs/log-batch", rows, end - 1, end - 1, end, outcome, 200)


HISTORY = History((operation(0, 5.0, *ROWS[:2]), operation(1, 7.0, *ROWS[2:])), {"runs/log-batch": 2})


@pytest.mark.parametrize("stored", [ROWS, ROWS[:2], ROWS[:3]])
def test_what_came_after_the_point_may_be_there_or_not(stored):
    assert account_rows(see_as_of(HISTORY, 6.0), stored).clean


@pytest.mark.parametrize("stored", [ROWS[1:], [*ROWS, ROWS[3]], [*ROWS[:3], ("run", "loss", 3, 9.0)]])
def test_what_is_lost_doubled_or_changed_is_not_excused(stored):
    assert not account_rows(see_as_of(HISTORY, 6.0), stored).clean


def test_without_a_point_before_it_nothing_is_sure():
    assert see_as_of(HISTORY, 1.0).ok == []
    assert len(see_as_of(HISTORY, 9.0).ok) == 2


def test_a_request_with_some_of_its_rows_is_half_there():
    assert [find_half_stored(HISTORY, ROWS[:n]) == [] for n in range(5)] == [True, False, True, False, True]


def test_the_point_is_read_as_the_clock_of_the_history():
    now = time.time()
    said = time.strftime(
        "b: a whole backup of what was acknowledged before %Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(now)
    )
    point = read_point(said)
    assert point is not None
    assert abs(point - (time.monotonic() - (now - int(now)))) < 1
    assert read_point("no backup") is None
