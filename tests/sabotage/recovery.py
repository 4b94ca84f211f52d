"""What must not happen to a backup, done on purpose: the drill must see it."""

from __future__ import annotations

from tests.sabotage.harness import Sabotage, raid

BACKUP = "recovery/test_backup.py::test_"
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
        "a manifest that somebody edited",
        Sabotage("another number of rows in the manifest", {TAKEN: "manifest.json: was edited"}),
        beside="health/test_services.py::test_health_answers_ok",
        options=damage("manifest"),
        ours=True,
    ),
)
