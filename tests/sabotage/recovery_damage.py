"""pytest -p tests.sabotage.recovery_damage --recovery-damage WORDS: what goes wrong between a backup and its restore.

The drill starts its stack itself, so that nobody else can reach it.
"""

from __future__ import annotations

import re
from contextlib import closing
from functools import partial
from pathlib import Path

import psycopg2
import pytest

from fixtures.clients.s3 import S3Door, open_s3_client
from fixtures.drills import backup_drill, gc_drill
from fixtures.drills.backup_drill import BackupOutcome, FileWriter, RecoveryCommand
from fixtures.drills.drill_stack import DrillStack
from fixtures.drills.traffic import DrillTraffic
from fixtures.stack import Stack


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--recovery-damage", default="", help="words of tests/sabotage/recovery_damage.py, by commas")


def pytest_configure(config: pytest.Config) -> None:
    words = config.getoption("--recovery-damage").split(",")
    if "rows-and-files" in words:
        backup_drill.read_restored = read_damaged  # type: ignore[assignment]
    for word in GC_DAMAGES.keys() & set(words):
        gc_drill.call_gc = partial(call_damaged_gc, GC_DAMAGES[word])
    if "manifest" in words:
        backup_drill.call_recovery = call_with_edit  # type: ignore[assignment]


# What the database does to `mlflow gc`, and what somebody does meanwhile.
ALIVE = """
    IF (SELECT lifecycle_stage FROM experiments e WHERE e.experiment_id = OLD.experiment_id) = ''active'' THEN
        RETURN NULL;
    END IF;
    RETURN OLD;"""
STOP = "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {} END'"
STOPPED = "CREATE TRIGGER stop BEFORE DELETE ON runs FOR EACH ROW EXECUTE FUNCTION stop()"
GC_DAMAGES = {
    "gc-says": (STOP.format(ALIVE), STOPPED, "DELETE FROM tags WHERE key = 'team'"),
    "gc-fails": (STOP.format("RAISE EXCEPTION ''it stays'';"), STOPPED),
}


def call_damaged_gc(statements: tuple[str, ...], drill: DrillStack) -> tuple[int, str]:
    """`mlflow gc` on a database that keeps runs."""
    assert drill.stack.db_uri
    uri = re.sub(r"^postgresql\+\w+", "postgresql", drill.stack.db_uri)
    with closing(psycopg2.connect(uri)) as link, link, link.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    return call_gc(drill)


call_gc = gc_drill.call_gc
read_restored, call_recovery = backup_drill.read_restored, backup_drill.call_recovery


def read_damaged(
    drill: DrillStack, sent: DrillTraffic, writer: FileWriter, other: Stack, found: BackupOutcome
) -> BackupOutcome:
    """Rows: one of three of a batch is gone, another value stands. Files: expired, cut, one byte changed."""
    assert other.db_uri and other.s3
    uri = re.sub(r"^postgresql\+\w+", "postgresql", other.db_uri)
    with closing(psycopg2.connect(uri)) as link, link, link.cursor() as cursor:
        cursor.execute("DELETE FROM metrics WHERE step = 0 AND run_uuid = %s", (sent.runs[0],))
        cursor.execute("UPDATE metrics SET value = value + 1 WHERE step = 1 AND run_uuid = %s", (sent.runs[1],))
    client = open_s3_client(other.s3)
    door = S3Door(other.s3, "", client)
    keys = [door.key(f"{writer.root}/v{number}/model") for number in range(3)]
    whole = [door.read(key) for key in keys]
    client.delete_object(Bucket=door.bucket, Key=keys[0])
    client.put_object(Bucket=door.bucket, Key=keys[1], Body=whole[1][:-1])
    client.put_object(Bucket=door.bucket, Key=keys[2], Body=b"#" + whole[2][1:])
    return read_restored(drill, sent, writer, other, found)


def call_with_edit(drill: DrillStack, home: Path, name: str, folder: Path, stack: Stack) -> RecoveryCommand:
    """Somebody has edited the manifest before it is verified."""
    if name == "verify":
        manifest = folder / "manifest.json"
        manifest.write_text(re.sub(r'"rows": \d+', '"rows": 1', manifest.read_text()))
    return call_recovery(drill, home, name, folder, stack)
