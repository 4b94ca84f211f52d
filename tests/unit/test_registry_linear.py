"""The judge of an alias's history: what one register can show, and what it cannot."""

import itertools
import math
import random
import threading

import pytest

from fixtures.core.outcomes import Finding
from fixtures.registry.concurrent import expect_possible, race_registry
from fixtures.registry.linearizability import RegistryOperation, judge_history


def w(value, start, end=math.inf):
    return RegistryOperation(True, value, start, end)


def r(value, start, end):
    return RegistryOperation(False, value, start, end)


@pytest.mark.parametrize(
    "history",
    [
        [],
        [r("1", 0, 1)],
        [w("2", 0, 1), r("2", 2, 3)],
        [w("2", 0, 10), r("1", 1, 2), r("2", 3, 4)],
        [w("2", 0, 10), r("2", 1, 2)],
        [w("2", 0, 1), r("1", 1, 2)],  # times that touch are concurrent
        [w("2", 0, 1), w("2", 4, 5), r("2", 2, 3), r("2", 6, 7)],
        [w("2", 0, 10), w("3", 0, 10), r("3", 1, 2), r("2", 3, 4), r("2", 11, 12)],
        [w("2", 0), r("1", 1, 2), r("2", 50, 51)],  # an unknown outcome: late
        [w("2", 0), r("1", 1, 2), r("1", 50, 51)],  # or never
        [w("2", 0, 1), w("1", 2, 3), r("1", 4, 5)],
    ],
)
def test_what_a_register_can_show(history):
    for order in itertools.permutations(history[:4]):
        assert judge_history([*order, *history[4:]], "1") is None


@pytest.mark.parametrize(
    ("history", "read", "allowed"),
    [
        ([r("2", 0, 1)], "2", ("1",)),
        ([w("2", 0, 1), r("1", 2, 3)], "1", ("2",)),  # stale
        ([w("2", 0, 10), r("2", 1, 2), r("1", 3, 4)], "1", ("2",)),  # back in time
        ([w("2", 0, 10), w("3", 0, 10), r("3", 1, 2), r("2", 3, 4), r("3", 5, 6)], "3", ("2",)),
        ([w("2", 0, 1), w("3", 2, 3), r("2", 4, 5)], "2", ("3",)),  # the second write was not stored
        ([w("2", 0, 10), w("3", 0, 10), r("1", 11, 12)], "1", ("2", "3")),
        ([w("2", 0, 1), w("3", 2), r("1", 4, 5)], "1", ("2", "3")),
        ([w("2", 0, 2), r("7", 1, 3)], "7", ("2",)),
    ],
)
def test_what_it_cannot_show(history, read, allowed):
    """The read that shows it, and what it could have shown."""
    found = judge_history(history, "1")
    assert (found.read.value, found.possible) == (read, allowed)


def explained(history, value):
    """The same by brute force: some order that respects the times, in which each read sees the last write."""
    if not history:
        return True
    for one in history:
        if any(other.end < one.start for other in history if other is not one):
            continue
        if one.writes or one.value == value:
            if explained([other for other in history if other is not one], one.value):
                return True
    return False


def test_it_agrees_with_brute_force():
    """On many small random histories, possible and impossible ones."""
    dice, verdicts = random.Random(7), []
    for _ in range(1500):
        history = []
        for _ in range(dice.randint(1, 6)):
            start = dice.randint(0, 8)
            end = start + dice.randint(0, 5) + 0.5
            history.append(RegistryOperation(dice.random() < 0.5, dice.choice("123"), start, end))
        verdicts.append(judge_history(history, "1") is None)
        assert verdicts[-1] == explained(history, "1"), history
    assert 200 < sum(verdicts) < 1300


def test_a_long_history_is_judged():
    """Thousands of operations of a handful of clients: the search looks only at what is under way."""
    history = [w(str(n), n, n + 0.9) for n in range(2000)] + [r(str(n), n + 0.1, n + 1.5) for n in range(2000)]
    assert judge_history(history, "none") is None
    assert judge_history([*history, r("1998", 2005, 2006)], "none").possible == ("1999",)


class Cell:
    """A register in memory that forgets, or not."""

    def __init__(self, forgets=()):
        self.value, self.forgets = "1", forgets

    def write(self, value):
        if value not in self.forgets:
            self.value = value


def test_a_race_on_a_register_is_possible():
    cell = Cell()
    history = race_registry([["2", "3"], ["4"]], cell.write, lambda: cell.value, readers=2)
    assert sorted(o.value for o in history if o.writes) == ["2", "3", "4"]
    assert sum(not o.writes for o in history) >= 2
    expect_possible("cell", history, "1")


def test_a_write_that_is_not_stored_is_found():
    cell = Cell(forgets=("3",))
    history = race_registry([["2", "3"]], cell.write, lambda: cell.value, readers=1)
    with pytest.raises(Finding, match=r"@x \(a read of \d+ ms\): expected 3, .* seen 2"):
        expect_possible("@x", history, "1")


def refuse(*value):
    raise Finding("alias", "200", "500")


@pytest.mark.parametrize(("write", "read"), [(refuse, lambda: "1"), (lambda value: None, refuse)])
def test_an_error_ends_the_race(write, read):
    """Of a writer or a reader: it is raised, and no thread is left."""
    with pytest.raises(Finding):
        race_registry([["2"], ["3"]], write, read, readers=2)
    assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]
