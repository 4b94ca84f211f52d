"""`mlflow gc` on rich data: it takes what was deleted, all of it, and nothing else (F42, F43)."""

import re

import pytest

from fixtures.core.outcomes import Symptom, expect, expect_that, shorten_text
from fixtures.load.judges import list_refusals

pytestmark = [pytest.mark.destructive, pytest.mark.requires("private")]


def test_gc_ends_well_on_rich_data(gc_outcome):
    """A clean-up that fails at the first data set or logged model never ends, and the disk fills up.

    Remedy: the error is MLflow's own. Upgrade MLflow: older versions fail at foreign keys of rich data.
    """
    lines = gc_outcome.said.strip().splitlines() or [""]
    error = next(
        (line for line in reversed(lines) if re.match(r"[\w.]+(Error|Exception|Violation)\b", line)), lines[-1]
    )
    expect(f"exit code of mlflow gc, {shorten_text(error, 200)}", gc_outcome.code, 0)


@pytest.mark.known_issue("F42-inputs")
def test_gc_removes_the_rows_of_what_was_deleted(gc_outcome):
    """What was deleted for good must be gone from the database, as data protection asks.

    Remedy: run mlflow gc again with --run-ids or --experiment-ids of the rows that are named; upgrade MLflow.
    """
    left = gc_outcome.left_rows
    tables = {row.partition(":")[0] for row in left}
    symptom = Symptom.GC_LEAVES_INPUTS if tables == {"inputs"} else None
    seen = f"{len(left)}: {list_refusals(left)}"
    expect_that(not left, "rows of deleted data after mlflow gc", 0, seen, symptom=symptom)


def test_gc_removes_the_objects_of_what_was_deleted(gc_outcome):
    """Objects without a row are paid for month by month, and nobody finds them.

    Remedy: set MLFLOW_TRACKING_URI for mlflow gc if the server proxies artifacts, and the bucket's keys if it does not;
    make verify-data lists what has no row.
    """
    left = gc_outcome.left_keys
    expect_that(not left, "objects of deleted data after mlflow gc", 0, f"{len(left)}: {list_refusals(left)}")


@pytest.mark.known_issue("F42-models")
def test_gc_removes_the_files_of_logged_models(gc_outcome):
    """Models are the largest files: those of a deleted experiment are paid for month by month.

    Remedy: delete the logged models before their experiment, and give mlflow gc their ids; make verify-data lists what
    has no row.
    """
    left = gc_outcome.left_model_keys
    symptom = Symptom.GC_LEAVES_MODEL_FILES if gc_outcome.took_experiment else None
    what, seen = "files of deleted logged models after mlflow gc", f"{len(left)}: {list_refusals(left)}"
    expect_that(not left, what, 0, seen, symptom=symptom)


def test_gc_takes_nothing_of_a_neighbour(gc_outcome):
    """A clean-up of one team's runs must not lose a row or a file of another's.

    Remedy: restore what is named from a backup (docs/recovery.md), and do not run this version's mlflow gc.
    """
    lost = [*gc_outcome.lost_rows, *gc_outcome.lost_keys]
    expect_that(not lost, "rows and objects of neighbours lost to mlflow gc", 0, f"{len(lost)}: {list_refusals(lost)}")


@pytest.mark.known_issue("F43")
def test_gc_spares_the_files_of_a_registered_version(gc_outcome):
    """A version in production loses its files when somebody deletes its run and mlflow gc runs that night.

    Remedy: before mlflow gc ask the database which deleted runs have versions, and restore those runs: SELECT v.name,
    v.version, v.run_id FROM model_versions v JOIN runs r ON r.run_uuid = v.run_id WHERE r.lifecycle_stage = 'deleted'
    AND v.current_stage <> 'Deleted_Internal'.
    """
    there = len(gc_outcome.version_keys)
    what = f"files of version {gc_outcome.version}, whose run was deleted, after mlflow gc"
    symptom = None if gc_outcome.version_rows else Symptom.GC_IGNORES_REGISTRY
    seen = f"{there} left, {len(gc_outcome.version_rows)} rows of the run"
    expect_that(there > 0, what, "still there", seen, symptom=symptom)
