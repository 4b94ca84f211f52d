"""The journal: whole from its birth, on disk before the deed, refused with its line where it does not parse."""

import fcntl
import json

import pytest

from fixtures.guardrails.journal import Journal, JournalEntry, read_journal

HEAD = {"run": "x", "prefix": "rdy-x-", "server": "http://mlflow.example"}


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journals" / "x.jsonl")


def test_what_was_added_is_read_back(journal):
    entries = (
        JournalEntry("experiment", "rdy-x-a"),
        JournalEntry("model", "rdy-x-ü"),
        JournalEntry("object", "k/rdy-x-1", "bucket"),
    )
    with journal.begun(**HEAD):
        for entry in entries:
            journal.add(entry)
    found = read_journal(journal.path)
    assert (found.run, found.prefix, found.server) == tuple(HEAD.values())
    assert found.entries == entries


def test_it_is_locked_from_the_moment_it_has_its_name(journal):
    with journal.begun(**HEAD), journal.path.open("rb") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with journal.path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert [path.name for path in journal.path.parent.iterdir()] == ["x.jsonl"]


def test_one_that_is_gone_is_not_begun_again_by_an_entry(journal):
    with journal.begun(**HEAD):
        journal.end()
        with pytest.raises(FileNotFoundError):
            journal.add(JournalEntry("model", "rdy-x-a"))


@pytest.mark.parametrize("torn", ['{"kind": "model", "na', '{"kind": "model", "name": "rdy-x-b"}'])
def test_a_last_line_without_its_end_is_left_out(journal, torn):
    with journal.begun(**HEAD):
        journal.add(JournalEntry("model", "rdy-x-a"))
    with journal.path.open("a") as file:
        file.write(torn)
    assert read_journal(journal.path).entries == (JournalEntry("model", "rdy-x-a"),)


@pytest.mark.parametrize(
    "line",
    [
        "garbage",
        "[]",
        "7",
        '"text"',
        "{}",
        '{"kind": "model"}',
        '{"kind": "volume", "name": "rdy-x-a"}',
        '{"kind": "model", "name": "nightly"}',
        '{"kind": "model", "name": "rdy-"}',
        '{"kind": "experiment", "name": "a/rdy-x-b"}',
        '{"kind": "object", "name": "artifacts/1/model.bin", "bucket": "b"}',
        '{"kind": "object", "name": "a-rdy-x-1", "bucket": "b"}',
    ],
)
def test_a_line_that_is_none_of_ours_is_named(journal, line):
    with journal.begun(**HEAD):
        journal.add(JournalEntry("model", "rdy-x-a"))
    with journal.path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match="line 3 "):
        read_journal(journal.path)


@pytest.mark.parametrize("head", ["", "\n", "garbage\n", "[]\n", '{"run": "x"}\n', json.dumps(HEAD)])
def test_a_first_line_that_does_not_say_whose_it_is_is_named(journal, head):
    journal.path.parent.mkdir()
    journal.path.write_text(head)
    with pytest.raises(ValueError, match="line 1 "):
        read_journal(journal.path)


@pytest.mark.parametrize("prefix", ["", "r", "rdy-"])
def test_a_prefix_that_fits_everybody_is_refused(journal, prefix):
    journal.path.parent.mkdir()
    journal.path.write_text(json.dumps(HEAD | {"prefix": prefix}) + "\n")
    with pytest.raises(ValueError, match="line 1 "):
        read_journal(journal.path)
