"""Servers that lie about what they stored: the judge names each lie, over real connections."""

import json
import random

import pytest

from fixtures.core.outcomes import Finding
from fixtures.load.assertions import expect_same_rows, expect_stored_once
from fixtures.load.engine import LoadTarget, drive_load
from fixtures.load.history import LoadRequest
from fixtures.load.judges import account_rows, find_latest_rows
from tests.unit.told_server import OK, serving

CLIENTS, EACH = 4, 6


def row(client, step):
    return f"r{client}", "loss", step, step / 7, 1000 + step


class Store:
    """Keeps rows as `keep(number, row)` says: the list of rows to store in place of the one that was sent."""

    def __init__(self, keep):
        self.keep, self.rows = keep, []

    def answer(self, number, head):
        """The row stands in the path: bodies are read after the head."""
        sent = tuple(json.loads(bytes.fromhex(head.split()[1][1:])))
        self.rows += self.keep(number, sent)
        return OK


def load(keep):
    """(history, rows in the order of storing) of clients that write to a server which keeps rows like this."""
    store = Store(keep)
    rows = [[row(client, step) for step in range(EACH)] for client in range(CLIENTS)]
    scripts = [
        [LoadRequest("write", "POST", "/" + json.dumps(r).encode().hex(), meant=(r,)) for r in one] for one in rows
    ]
    with serving(store.answer) as server:
        return drive_load(LoadTarget.of(server.uri), scripts), store.rows


def every(n, lie):
    return lambda number, sent: lie(sent) if number % n == n - 1 else [sent]


def test_an_honest_server_is_believed():
    history, stored = load(lambda number, sent: [sent])
    assert len(history.ok) == CLIENTS * EACH
    expect_stored_once("rows", history, sorted(stored), ordered=True)


@pytest.mark.parametrize(
    ("lie", "named"),
    [
        (lambda sent: [], "lost"),
        (lambda sent: [sent, sent], "duplicated"),
        (lambda sent: [(*sent[:3], sent[3] + 1e-9, sent[4])], "changed"),
        (lambda sent: [sent, (*sent[:2], sent[2] + 100, 0.5, 0)], "unexpected"),
    ],
    ids=["answers 200 without storing", "doubles", "changes", "invents"],
)
def test_each_lie_is_named_and_counted(lie, named):
    history, stored = load(every(4, lie))
    found = account_rows(history, sorted(stored))
    assert {name for name, rows in vars(found).items() if rows} == {named}
    assert len(getattr(found, named)) == CLIENTS * EACH // 4
    with pytest.raises(Finding, match=f"6 {named}: loss step"):
        expect_stored_once("rows", history, stored)


def test_a_server_that_drops_everything_is_named():
    history, stored = load(lambda number, sent: [])
    assert len(account_rows(history, stored).lost) == CLIENTS * EACH


def test_a_server_that_mixes_up_the_steps_is_named():
    """What was sent for one step stands at another."""
    history, stored = load(lambda number, sent: [(*sent[:2], EACH - 1 - sent[2], *sent[3:])])
    found = account_rows(history, stored)
    assert len(found.swapped) == CLIENTS * EACH
    assert not found.lost + found.unexpected + found.changed
    assert "24 out of order: loss step 0 of run r0 (0.7142857142857143, 1005)" in str(
        account_rows(history, sorted(stored))
    )


def test_a_server_that_gives_the_history_in_another_order_is_named():
    history, stored = load(lambda number, sent: [sent])
    random.Random(3).shuffle(stored)
    assert account_rows(history, stored).clean
    with pytest.raises(Finding, match="read out of order: loss step"):
        expect_stored_once("rows", history, stored, ordered=True)


def test_a_server_that_takes_the_last_for_the_latest_is_named():
    history, stored = load(lambda number, sent: [sent])
    assert find_latest_rows(history) == {(f"r{c}", "loss"): row(c, EACH - 1) for c in range(CLIENTS)}
    expect_same_rows("latest", find_latest_rows(history), stored)
    with pytest.raises(Finding, match="4 wrong: loss of run r0"):
        expect_same_rows("latest", find_latest_rows(history), stored[::-1])


def test_several_lies_are_all_listed():
    def keep(number, sent):
        return {0: [], 1: [sent, sent], 2: [(*sent[:3], 9.0, 9)]}.get(number, [sent])

    history, stored = load(keep)
    said = str(account_rows(history, stored))
    assert [word for word in ("1 lost", "1 changed", "1 duplicated") if word not in said] == []
