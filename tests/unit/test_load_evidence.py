"""The history of a load as a file: what was sent, what became of it, and all that a judge found wrong."""

import json
from dataclasses import replace

import pytest

from fixtures.core.outcomes import Finding
from fixtures.load import history_file
from fixtures.load.assertions import expect_nothing_refused, expect_stored_once
from fixtures.load.history import History, LoadOperation, RequestOutcome
from fixtures.stack import Stack

ROWS = [(f"run-{n}", "loss", n, float(n), 1000 + n) for n in range(9)]


def done(n, **changed):
    sent = LoadOperation(n, 0, "runs/log-batch", (ROWS[n],), 50.0, 50.1, 50.25, RequestOutcome.OK, 200, "", b"{}")
    return sent._replace(**changed)


@pytest.fixture
def kept(tmp_path):
    """A history of nine requests, one of them refused, with its file."""
    refused = done(8, outcome=RequestOutcome.REFUSED, status=400, message="the password is s3cretword")
    history = History((*map(done, range(8)), refused), {"runs/log-batch": 10})
    return replace(history, file=history_file.write_history(history, tmp_path / "report", "burst", ["s3cretword"]))


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_operation_is_a_line_with_what_it_meant(kept):
    first, *operations = lines(kept.file)
    assert first == {"load": "burst", "offered": {"runs/log-batch": 10}}
    assert [tuple(o["meant"][0]) for o in operations] == ROWS
    assert operations[0] == {
        "client": 0, "sequence": 0, "kind": "runs/log-batch", "outcome": "ok", "planned": 0.0, "start": 0.1,
        "end": 0.25, "status": 200, "meant": [list(ROWS[0])],
    }  # fmt: skip


def test_what_a_server_said_is_free_of_secrets(kept):
    last = lines(kept.file)[-1]
    assert (last["outcome"], last["status"]) == ("refused", 400)
    assert last["message"] == "the password is ***"


def test_a_finding_names_the_file_and_the_file_lists_everything(kept):
    with pytest.raises(Finding) as found:
        expect_stored_once("batches", kept, [])
    assert "8 lost: " in found.value.seen and found.value.seen.endswith("(each in history-burst-1.jsonl)")
    judged = lines(kept.file)[-1]
    assert judged["judged"] == "batches" and [tuple(row) for row in judged["lost"]] == ROWS[:8]


def test_a_refusal_names_the_file_too(kept):
    stack = Stack(
        backend="external", ours=False, mlflow_uri="http://127.0.0.1:1", versions={}, capabilities=frozenset()
    )
    with pytest.raises(Finding, match=r"1 of 10 refused \(each in history-burst-1.jsonl\): 1 × 400"):
        expect_nothing_refused("one client", kept, stack)


def test_a_second_load_of_the_same_checks_has_a_file_of_its_own(kept, tmp_path):
    second = history_file.write_history(kept, tmp_path / "report", "burst")
    assert [kept.file.name, second.name] == ["history-burst-1.jsonl", "history-burst-2.jsonl"]


def test_what_is_right_adds_nothing(kept):
    before = kept.file.read_text()
    expect_stored_once("batches", kept, ROWS[:8])
    assert kept.file.read_text() == before
