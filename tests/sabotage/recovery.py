"""What must not happen to a backup, done on purpose: the drill must see it."""

from __future__ import annotations

from tests.sabotage.harness import Sabotage, raid

BACKUP = "recovery/test_backup.py::test_"
GC = "recovery/test_gc.py::test_gc_"
TAKEN = f"{BACKUP}a_backup_taken_under_load_is_restored"


def damage(word: str) -> str:
    """Options of a run whose drill has an accident."""
    return f"-p tests.sabotage.recovery_damage --recovery-damage {word}"


RAIDS = (
    raid(
        "a restore that lacks rows, and a bucket older than the dump",
        Sabotage(
            "one of three points of a batch is gone, another is changed",
            {
                f"{BACKUP}rows_acknowledged_before_the_point_are_restored": "1 lost.*1 changed",
                f"{BACKUP}what_came_after_the_point_is_whole_or_absent": "expected 0, seen 2: runs/log-batch",
                f"{BACKUP}a_server_on_the_restored_data_shows_all_of_it": "1 lost.*1 changed",
            },
        ),
        Sabotage(
            "a file is expired, another cut, a third has one other byte",
            {
                f"{BACKUP}files_acknowledged_before_the_point_are_restored": "1 lost.*2 changed",
                f"{BACKUP}restored_versions_have_their_files": "expected 0, seen 1: v0",
            },
        ),
        beside=TAKEN,
        options=damage("rows-and-files"),
        ours=True,
    ),
    raid(
        "a gc that takes files alone, and tags of neighbours",
        Sabotage(
            "the database keeps runs of living experiments, and loses tags",
            {
                f"{GC}removes_the_rows_of_what_was_deleted": "seen .*not the symptom of known issue F42-inputs",
                f"{GC}takes_nothing_of_a_neighbour": "lost to mlflow gc.*tags: ",
                f"{GC}spares_the_files_of_a_registered_version": "expected still there, seen 0 left, 1 rows",
            },
        ),
        beside=f"{GC}ends_well_on_rich_data {GC}removes_the_objects_of_what_was_deleted",
        options=damage("gc-says"),
        ours=True,
    ),
    raid(
        "a gc that fails",
        Sabotage(
            "the database refuses to delete a run",
            {
                f"{GC}ends_well_on_rich_data": "it stays.*expected 0, seen 1",
                f"{GC}removes_the_rows_of_what_was_deleted": "experiments: ",
                f"{GC}removes_the_objects_of_what_was_deleted": "folder/file.txt",
                f"{GC}removes_the_files_of_logged_models": "MLmodel",
            },
        ),
        beside=f"{GC}takes_nothing_of_a_neighbour",
        options=damage("gc-fails"),
        ours=True,
    ),
    raid(
        "a manifest that somebody edited",
        Sabotage("another number of rows in the manifest", {TAKEN: "manifest.json: was edited"}),
        beside="health/test_services.py::test_health_answers_ok",
        options=damage("manifest"),
        ours=True,
    ),
)
