"""A backup on the disk: what is whole is found whole, and each thing that is not as it was written is named."""

import json
import os

import pytest

from fixtures.config.readers import Usage
from fixtures.core.plain_data import to_plain
from fixtures.tools.recovery.backup import refuse_small_disk
from fixtures.tools.recovery.doors import read_doors
from fixtures.tools.recovery.manifest import (
    BackupDamaged,
    BackupManifest,
    ObjectEntry,
    RecoveryRefused,
    TableState,
    digest_text,
    find_damage,
    locate_object,
    measure_file,
    read_backup_manifest,
    write_manifest,
)


@pytest.fixture
def backup(tmp_path):
    """A backup of two objects."""
    entries = []
    for key, text in (("a/one", "first"), ("a/two#?é", "second")):
        place = locate_object(tmp_path, digest_text(text))
        place.parent.mkdir(parents=True)
        place.write_text(text)
        entries.append(ObjectEntry(key, len(text), digest_text(text), {}, {}))
    (tmp_path / "objects.jsonl").write_text("".join(json.dumps(to_plain(e)) + "\n" for e in entries))
    (tmp_path / "database.dump").write_text("a dump")
    manifest = BackupManifest(
        format=1,
        point="2026-01-01T00:00:00Z",
        finished="2026-01-01T00:00:01Z",
        postgres="18.6",
        pg_dump="18.6",
        database="mlflow",
        schema_revision="dc11669786a5",
        tables={"public.runs": TableState(2, "17")},
        dump=measure_file(tmp_path / "database.dump"),
        bucket="mlflow",
        prefix="a",
        objects=2,
        object_bytes=11,
        gone=0,
        index=measure_file(tmp_path / "objects.jsonl"),
    )
    write_manifest(tmp_path, manifest)
    return tmp_path


def damage(folder):
    return list(find_damage(folder, read_backup_manifest(folder)))


def test_a_backup_that_nobody_touched_is_whole(backup):
    assert damage(backup) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [("secon", "object a/two#?é: 5 bytes, not 6"), ("seconD", "object a/two#?é: other bytes than were backed up")],
    ids=["cut", "one-byte"],
)
def test_an_object_that_is_cut_or_changed_is_named(backup, text, told):
    locate_object(backup, digest_text("second")).write_text(text)
    assert damage(backup) == [told]


def test_an_object_that_is_gone_is_named(backup):
    locate_object(backup, digest_text("first")).unlink()
    assert damage(backup) == ["object a/one: cannot be read (No such file or directory)"]


def test_a_changed_dump_and_a_shorter_index_are_named(backup):
    (backup / "database.dump").write_text("A dump")
    (backup / "objects.jsonl").write_text((backup / "objects.jsonl").read_text().splitlines()[0])
    assert [line.partition(":")[0] for line in damage(backup)] == ["database.dump", "objects.jsonl", "objects.jsonl"]


def test_an_index_that_is_no_index_is_named(backup):
    (backup / "objects.jsonl").write_text("{}\n")
    assert any("line 1 cannot be read" in line for line in damage(backup))


def test_an_edited_manifest_is_refused(backup):
    text = (backup / "manifest.json").read_text()
    (backup / "manifest.json").write_text(text.replace('"rows": 2', '"rows": 3'))
    with pytest.raises(BackupDamaged, match="was edited"):
        read_backup_manifest(backup)


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"manifest": {}, "sha256": ""}'])
def test_what_has_no_manifest_is_no_backup(backup, text):
    (backup / "manifest.json").unlink()
    if text is not None:
        (backup / "manifest.json").write_text(text)
    with pytest.raises(BackupDamaged, match="no manifest.json" if text is None else "cannot be read"):
        read_backup_manifest(backup)


def test_a_disk_without_room_is_seen_before(tmp_path):
    refuse_small_disk(tmp_path, 1, 1)
    with pytest.raises(RecoveryRefused, match="MB are free"):
        refuse_small_disk(tmp_path, 10**18, 0)


def test_a_compose_deployment_is_found_by_its_env_file(tmp_path):
    """Ports are on loopback; what the file leaves out is as in docker/services.yml."""
    file = tmp_path / ".env.mlflow"
    file.write_text(
        "POSTGRES_PASSWORD=p@ss/word\nAWS_ACCESS_KEY_ID=key\nAWS_SECRET_ACCESS_KEY=secret\nMINIO_PORT=9100\n"
        "MLFLOW_S3_ENDPOINT_URL=http://localhost:${MINIO_PORT:-9000}\n"
        "MLFLOW_ARTIFACTS_DESTINATION=s3://fraud-scoring-models/mlflow-artifacts\n"
    )
    doors = read_doors({"database": "restored"}, file, {"POSTGRES_PORT": "6000"}, tmp_path)
    assert doors.db_uri == "postgresql://mlflow_user:p%40ss%2Fword@127.0.0.1:6000/restored"
    assert (doors.bucket.endpoint, doors.bucket.name) == ("http://localhost:9100", "fraud-scoring-models")
    assert (doors.bucket.prefix, doors.only, doors.bucket.access_key) == ("mlflow-artifacts", "", "key")
    assert {"p@ss/word", "secret"} <= set(doors.secrets)
    other = read_doors({"s3-bucket": "new"}, file, {}, tmp_path)
    assert (other.bucket.name, other.database) == ("new", "mlflow_db")


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({}, "no database was named"),
        ({"READINESS_DB_URI": "postgresql://h/d"}, "no bucket was named"),
        ({"READINESS_DB_URI": "mysql://h/d", "READINESS_S3_BUCKET": "b"}, "MySQL"),
    ],
)
def test_doors_that_were_not_declared(tmp_path, environ, told):
    with pytest.raises(Usage, match=told):
        read_doors({}, None, environ, tmp_path)
    with pytest.raises(Usage, match="no such file"):
        read_doors({}, tmp_path / "none", os.environ, tmp_path)
