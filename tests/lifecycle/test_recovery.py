"""Backup, verify and restore: what an operator calls, on a real database and a real bucket."""

import contextlib
import dataclasses
import json
import resource
import secrets
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from fixtures.backends.postgres import find_postgres_programs
from fixtures.clients.rest import RestClient
from fixtures.clients.s3 import open_s3_client
from fixtures.core.files import ROOT
from fixtures.core.waiting import NotYet, wait_for
from fixtures.tools.recovery.database import compare_tables
from fixtures.tools.recovery.manifest import measure_file, read_backup_manifest, read_index, write_manifest
from fixtures.tools.recovery.objects import compare_objects
from tests.lifecycle.support import open_folder
from tests.support.recovery import Deployment
from tests.support.stacks import configure_store

MANY = 300  # objects, so that there is time for a kill among them


@pytest.fixture(scope="module")
def filled(own_stack):
    """A stack with a run, a version and many small objects."""
    stack, _ = own_stack
    rest, s3 = RestClient(stack.mlflow_uri), open_s3_client(stack.s3)
    experiment = rest.call("experiments/create", {"name": f"recovery-{secrets.token_hex(4)}"})["experiment_id"]
    run = rest.call("runs/create", {"experiment_id": experiment})["run"]["info"]
    rest.call("runs/log-metric", {"run_id": run["run_id"], "key": "loss", "value": 0.1, "timestamp": 1, "step": 1})
    rest.put_artifact(run["artifact_uri"].removeprefix("mlflow-artifacts:/") + "/a%20file.txt", b"content")
    rest.call("registered-models/create", {"name": f"model-{experiment}"})
    body = {"name": f"model-{experiment}", "source": run["artifact_uri"], "run_id": run["run_id"]}
    rest.call("model-versions/create", body)
    keys = [f"{stack.s3.prefix}/many/{number}" for number in range(MANY)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket=stack.s3.name, Key=key, Body=key.encode() * 100), keys))
    yield stack
    for key in keys:
        s3.delete_object(Bucket=stack.s3.name, Key=key)


@pytest.fixture
def deployment(filled, scratch):
    found = Deployment(filled, scratch)
    yield found
    found.clear()


@pytest.fixture(scope="module")
def made_backup(filled):
    """A backup that is copied for each test."""
    with open_folder() as folder:
        found = Deployment(filled, folder)
        code, out = found.run("backup", found.folder)
        assert code == 0, out
        yield found.folder


@pytest.fixture
def backup(deployment, made_backup):
    """The deployment with a backup of it."""
    shutil.copytree(made_backup, deployment.folder)
    return deployment


def refused(outcome, code, told):
    """One line, which tells this."""
    got, out = outcome
    assert (got, [told in line for line in out.splitlines() if line.startswith("recovery: ")]) == (code, [True]), out


def test_a_backup_is_restored_compared_and_served(backup):
    """Into a new database and bucket; a second time it is refused, since they are not empty any more."""
    assert backup.run("verify", backup.folder)[0] == 0
    target = backup.target()
    code, out = backup.run("restore", backup.folder, *target)
    assert code == 0, out
    assert f"MLFLOW_ARTIFACTS_DESTINATION=s3://{target[1]}/{backup.stack.s3.prefix}" in out
    manifest = read_backup_manifest(backup.folder)
    assert manifest.objects > MANY
    assert compare_tables(backup.restored_uri(target[1]), manifest.tables) == []
    refused(backup.run("restore", backup.folder, *target), 1, "is not empty")
    refused(backup.run("restore", backup.folder, "--database", target[1]), 1, "is not empty")
    refused(backup.run("restore", backup.folder, "--s3-bucket", "other-bucket"), 1, "database mlflow: is not empty")
    assert target[1] in backup.databases() & backup.buckets()
    assert "other-bucket" not in backup.buckets()


def test_objects_that_the_store_lost_or_changed_are_named(backup):
    """As by a lifecycle rule that expires one, an upload that was cut, and a disk that turned a byte."""
    entries = [e for e in read_index(backup.folder) if "/many/" in e.key][:3]
    other = dataclasses.replace(backup.stack.s3, name=backup.target()[1])
    backup.client.create_bucket(Bucket=other.name)
    for entry, body in zip(entries[1:], (b"x" * (entries[1].size - 1), b"x" * entries[2].size), strict=True):
        backup.client.put_object(Bucket=other.name, Key=entry.key, Body=body)
    (backup.folder / "objects.jsonl").write_text(
        "".join(line for line in (backup.folder / "objects.jsonl").open() if json.loads(line)["key"] in str(entries))
    )
    told = list(compare_objects(backup.client, other, backup.folder, 3, print))
    said = ["is missing", f"{entries[1].size - 1} bytes, not {entries[1].size}", "other bytes than were backed up"]
    assert told == [f"object {e.key}: {words}" for e, words in zip(entries, said, strict=True)]


@pytest.mark.slow
def test_a_restore_that_misses_a_table_is_taken_back(backup):
    """The dump was replaced by another one, and the manifest made to fit: the rows tell."""
    dump = backup.folder / "database.dump"
    words = (f"--dbname={backup.uri}", "--format=custom", "--exclude-table=metrics", f"--file={dump}")
    subprocess.run([find_postgres_programs(ROOT, None) / "bin" / "pg_dump", *words], check=True)
    manifest = read_backup_manifest(backup.folder)
    write_manifest(backup.folder, dataclasses.replace(manifest, dump=measure_file(dump)))
    before = backup.databases(), backup.buckets()
    refused(backup.run("restore", backup.folder, *backup.target()), 1, "table public.metrics: is missing")
    assert (backup.databases(), backup.buckets()) == before


def test_a_dump_that_cannot_be_read_changes_nothing(backup):
    (backup.folder / "database.dump").write_bytes(b"PGDMP no dump")
    before = backup.databases(), backup.buckets()
    refused(backup.run("restore", backup.folder, *backup.target()), 1, "database.dump: ")
    manifest = read_backup_manifest(backup.folder)
    write_manifest(backup.folder, dataclasses.replace(manifest, dump=measure_file(backup.folder / "database.dump")))
    refused(backup.run("restore", backup.folder, *backup.target()), 1, "pg_restore: ")
    refused(backup.run("verify", backup.folder), 1, "pg_restore: ")
    assert (backup.databases(), backup.buckets()) == before


@pytest.mark.slow
def test_an_empty_database_and_bucket_of_somebody_are_left_empty(backup):
    """They were there before; a restore that fails leaves them there, with nothing in them."""
    _, name, _, _ = target = backup.target()
    backup.execute(f'CREATE DATABASE "{name}"')
    backup.client.create_bucket(Bucket=name)
    manifest = read_backup_manifest(backup.folder)
    tables = {**manifest.tables, "public.one_more": next(iter(manifest.tables.values()))}
    write_manifest(backup.folder, dataclasses.replace(manifest, tables=tables))
    refused(backup.run("restore", backup.folder, *target), 1, "table public.one_more: is missing")
    assert compare_tables(backup.restored_uri(name), {}) == []
    assert "Contents" not in backup.client.list_objects_v2(Bucket=name)


@pytest.mark.parametrize(
    ("words", "changed", "code", "told"),
    [
        ((), {"READINESS_DB_URI": "postgresql://mlflow:wrong@127.0.0.1:9/mlflow"}, 7, "does not let us in"),
        ((), {"AWS_SECRET_ACCESS_KEY": "wrong"}, 1, "s3:ListBucket"),
        ((), {"READINESS_S3_BUCKET": "nobody-made-it"}, 1, "bucket nobody-made-it"),
        (("--database", "postgres"), {}, 1, "has no table alembic_version"),
        (("--colour", "red"), {}, 4, "No such option"),
        (("--env-file", "none"), {}, 4, "--env-file none: no such file"),
        (("--target", "none.toml"), {}, 4, "none.toml"),
    ],
)
def test_what_cannot_be_backed_up_is_one_line(deployment, words, changed, code, told):
    refused(deployment.run("backup", deployment.folder, *words, env=changed), code, told)
    assert list(deployment.scratch.glob("*backup*")) == []


def test_keys_that_may_not_list_are_one_line(deployment, own_stack):
    """They may write, and nothing else."""
    key, secret = "recovery-writer", "only-writes-here"
    configure_store(own_stack[1], f"-user w -access_key {key} -secret_key {secret} -actions Write", deployment.stack.s3)
    changed = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
    refused(deployment.run("backup", deployment.folder, env=changed), 1, "s3:ListBucket")
    assert list(deployment.scratch.glob("*backup*")) == []


def test_a_folder_that_is_there_is_not_touched(deployment):
    deployment.folder.mkdir()
    (deployment.folder / "mine").write_text("mine")
    refused(deployment.run("backup", deployment.folder), 4, "is there already")
    refused(deployment.run("backup", deployment.scratch / "no" / "folder"), 4, "no folder that can be written")
    refused(deployment.run("verify", deployment.folder), 1, "holds no manifest.json")
    refused(deployment.run("restore", deployment.folder, *deployment.target()), 1, "holds no manifest.json")
    assert [path.name for path in deployment.folder.iterdir()] == ["mine"]


@pytest.mark.slow
def test_a_disk_that_fills_up_leaves_nothing(deployment):
    """A limit on the size of files stands for it."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # noqa: E731
    refused(deployment.run("backup", deployment.folder, preexec_fn=limit), 1, "")
    assert list(deployment.scratch.glob("*backup*")) == []


def leave_alone(deployment, target):
    """Raise NotYet until a killed restore or backup has left nothing."""
    left = [str(path) for path in deployment.scratch.glob("*") if path.name != "backup"]
    left += sorted(({*target} & deployment.databases()) | ({*target} & deployment.buckets()))
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("HOME", "").startswith(str(deployment.scratch)):
                left.append(str(process))
    if left:
        raise NotYet(", ".join(left))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.slow
def test_a_backup_that_is_ended_leaves_nothing(deployment, number):
    process = deployment.begin("backup", deployment.folder)
    wait_for("the first objects", lambda: begun(deployment.scratch.glob(".backup.*.part/objects/*/*")), 60, pause=0.01)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == (2 if number != signal.SIGKILL else -9), out
    assert not deployment.folder.exists()
    wait_for("its end", lambda: leave_alone(deployment, ()), 30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("moment", ["bucket", "database"])
@pytest.mark.slow
def test_a_restore_that_is_ended_leaves_nothing(backup, number, moment):
    """Among the objects, and as soon as the database is there."""
    _, name, _, _ = target = backup.target()
    process = backup.begin("restore", backup.folder, *target)

    def look():
        if moment == "database":
            return begun({name} & backup.databases())
        found = backup.client.list_objects_v2(Bucket=name) if name in backup.buckets() else {}
        return begun(found.get("Contents", []))

    wait_for(moment, look, 60, pause=0.01, ended=lambda: process.poll() and "the restore has ended")
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == (2 if number != signal.SIGKILL else -9), out
    wait_for("its end", lambda: leave_alone(backup, target), 40)
    assert backup.run("verify", backup.folder)[0] == 0


def begun(found):
    if not list(found):
        raise NotYet("nothing is there yet")
