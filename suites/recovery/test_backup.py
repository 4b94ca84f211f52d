"""A backup is taken while people work, and restored: what it holds is what they were told (F31)."""

import pytest

from fixtures.core.outcomes import NotProven, expect, expect_that
from fixtures.drills.backup_drill import find_half_stored
from fixtures.load.assertions import expect_stored_once
from fixtures.load.judges import list_refusals

pytestmark = [pytest.mark.destructive, pytest.mark.requires("private")]


@pytest.fixture
def restored(backup_outcome):
    """What was restored, if anything was."""
    if backup_outcome.rows is None:
        raise NotProven("nothing was restored: see the check of the commands")
    return backup_outcome


def test_a_backup_taken_under_load_is_restored(backup_outcome, note):
    """A backup that nobody has restored is a hope: this one was taken while people worked, and MLflow serves it.

    Remedy: the last lines of the command say what went wrong; docs/recovery.md explains each step.
    """
    note("{} requests were acknowledged before the point, {} after it".format(*backup_outcome.before))
    ended = {command.name: command.code for command in backup_outcome.commands}
    last = backup_outcome.commands[-1]
    what = f"python -m fixtures.tools.recovery {last.name}: {' / '.join(last.said.splitlines()[-3:])}"
    expect(what, ended, {"backup": 0, "verify": 0, "restore": 0})


def test_rows_acknowledged_before_the_point_are_restored(restored):
    """Whoever was told that a run, metric or param is stored finds it after a restore, once and unchanged.

    Remedy: compare the manifest's rows with the dump; a backup must dump one snapshot of the database.
    """
    expect_stored_once("runs, metrics and params, read through SQL", restored.history, restored.rows)


def test_files_acknowledged_before_the_point_are_restored(restored):
    """Whoever was told that a file is stored finds these bytes after a restore.

    Remedy: the bucket must be copied after the database's snapshot, and nothing may expire or replace objects.
    """
    history = restored.file_history.of("artifact")
    expect_stored_once("files, read from the bucket", history, restored.files)


def test_what_came_after_the_point_is_whole_or_absent(restored):
    """A batch that was under way when the backup began is in it with all its rows, or with none.

    Remedy: a dump without --snapshot, or of several transactions, tears apart what was written in one.
    """
    half = find_half_stored(restored.history, restored.rows)
    seen = f"{len(half)}: {list_refusals([f'{o.kind} of run {o.meant[0][0]}' for o in half])}"
    expect_that(not half, "requests of which some rows were restored", 0, seen)


def test_restored_versions_have_their_files(restored):
    """Every version in the restored registry can be loaded: a bucket older than the dump lacks the newest files.

    Remedy: take the database first and the bucket after it, as docs/recovery.md says.
    """
    expect_stored_once("versions, read through SQL", restored.file_history.of("version"), restored.versions)
    there = {path.partition("/")[0] for _, path, *_ in restored.files}
    bare = sorted(name for _, name, _ in restored.versions if name not in there)
    expect_that(not bare, "restored versions without their file", 0, f"{len(bare)}: {list_refusals(bare)}")


def test_a_server_on_the_restored_data_shows_all_of_it(restored):
    """What the restored database and bucket hold is what clients see: runs, metric histories and files.

    Remedy: start MLflow on the restored database and bucket with the MLFLOW_ARTIFACTS_DESTINATION that restore prints.
    """
    expect_stored_once("metrics, read through the API", restored.history, restored.served_rows)
    files = restored.file_history.of("artifact")
    expect_stored_once("files, read through the API", files, restored.served_files)
