"""Each judge of an upgrade is shown what it must catch, on a real migration of MLflow's; what is sound is left alone.

FROM's database is made by the new version's own migrations, up to a revision of before: no other version is installed.
"""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from fixtures.backends.postgres import find_postgres_programs
from fixtures.backends.private import open_private_start
from fixtures.backends.site import open_site
from fixtures.clients.s3 import open_s3_client
from fixtures.tools.rehearse.client_frame import WORKS, WRONG
from fixtures.tools.rehearse.dump import choose_release, load_dump, read_dump
from fixtures.tools.rehearse.judges import judge_outcome
from fixtures.tools.rehearse.lab import OWNING_ROLE, REHEARSED_PREFIX, Lab, Release
from fixtures.tools.rehearse.outcome import Moment, Outcome
from fixtures.tools.rehearse.rehearsal import FRESH, LIVE, SEEDED, Rehearsal
from fixtures.tools.rehearse.rows import hold_rows
from fixtures.verdict.records import Status

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
BEFORE = "b7e2c1a4d9f3"  # of MLflow 3.16.1; what follows moves rows of traces
MAKE_OLD = f"""
import os
import sqlalchemy
from alembic import command
from mlflow.store.db.utils import _get_alembic_config
from mlflow.store.tracking.dbmodels.initial_models import Base
engine = sqlalchemy.create_engine(os.environ["SEED_URI"])
Base.metadata.create_all(engine)
config = _get_alembic_config(os.environ["SEED_URI"])
with engine.begin() as connection:
    config.attributes["connection"] = connection
    command.upgrade(config, "{BEFORE}")
"""
ROWS = (
    "INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (7, 'seven', 'active')",
    "INSERT INTO runs (run_uuid, status, lifecycle_stage, experiment_id) VALUES ('r', 'FAILED', 'active', 7)",
    "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) "
    "SELECT 'loss', n / 7.0, n, 'r', n, false FROM generate_series(1, 50) n",
    "INSERT INTO trace_info (request_id, experiment_id, timestamp_ms, status) VALUES ('t', 7, 1, 'OK')",
    "INSERT INTO trace_tags (key, value, request_id) VALUES ('mlflow.traceName', 'asked', 't'), ('who', 'ann', 't')",
)


@pytest.fixture(scope="module")
def lab():
    """Postgres and a bucket, a database of before with some rows, and a fresh one."""
    release = Release(metadata.version("mlflow"), Path(sys.executable))
    with open_private_start() as begin:
        lab = Lab(open_site(begin, 60, durable=False), Release("3.16.1", release.python), release)
        lab.make_roles()
        lab.make_database(SEEDED)
        lab.run_python(release, ["-c", MAKE_OLD], {"SEED_URI": lab.uri(SEEDED, OWNING_ROLE)}, "make-old", 120)
        for statement in ROWS:
            lab.site.execute(statement, database=SEEDED)
        open_s3_client(lab.site.s3).put_object(Bucket=lab.site.s3.name, Key=f"{REHEARSED_PREFIX}/a", Body=b"kept")
        lab.make_fresh(FRESH, release)
        yield lab


def begin(lab, moment=None, statement=""):
    """A rehearsal whose steps can be taken; at `moment` the statement strikes."""
    outcome = Outcome("3.16.1", lab.new.version, revision=BEFORE)

    def disturb(lab, now, database):
        if now is moment:
            lab.site.execute(statement, database=database)

    return Rehearsal(lab, outcome, lambda step: None, disturb)


@pytest.fixture(scope="module")
def upgraded(lab):
    """A rehearsal after its upgrade; its database is kept as `upgraded`."""
    rehearsal = begin(lab)
    rehearsal.upgrade()
    lab.clone(LIVE, "upgraded")
    return rehearsal


def judge(rehearsal, *steps):
    """Check -> its record, after these steps."""
    for step in steps:
        getattr(rehearsal, step)()
    return {record.id.rpartition("::")[2]: record for record in judge_outcome(rehearsal.outcome)}


def failed(records):
    return {name: record.seen for name, record in records.items() if record.status is Status.FAIL}


def test_a_sound_upgrade_passes(lab, upgraded):
    lab.clone("upgraded", LIVE)
    records = judge(upgraded, "compare", "upgrade_again", "try_kill", "try_writer")
    assert failed(records) == {}
    passed = {name for name, record in records.items() if record.status is Status.PASS}
    assert {
        "the_owner_of_the_tables_may_upgrade",
        "every_row_is_what_it_was",
        "every_object_is_what_it_was",
        "the_schema_is_that_of_a_fresh_database",
        "a_second_upgrade_changes_nothing",
        "a_killed_upgrade_leaves_nothing_half",
    } <= passed
    notes = records["every_row_is_what_it_was"].notes
    assert "the tag mlflow.traceName becomes trace_info.trace_name (1 rows)" in notes


@pytest.mark.parametrize(
    ("statement", "check", "words"),
    [
        ("UPDATE metrics SET value = 3 WHERE step = 8", "every_row_is_what_it_was", "metrics: 1 rows .* in value"),
        ("DELETE FROM trace_tags WHERE key = 'who'", "every_row_is_what_it_was", "trace_tags: 1 rows"),
        ("UPDATE trace_info SET trace_name = 'ask'", "every_row_is_what_it_was", "trace_tags: 1 rows"),
        (
            "DROP INDEX index_trace_info_experiment_id_session_id",
            "the_schema_is_that_of_a_fresh_database",
            "missing: index",
        ),
        ("ALTER TABLE metrics ALTER step DROP DEFAULT", "the_schema_is_that_of_a_fresh_database", "column step"),
        ("ALTER TABLE params DROP CONSTRAINT param_pk", "the_schema_is_that_of_a_fresh_database", "param_pk"),
        (lambda lab: put_object(lab, b"lost"), "every_object_is_what_it_was", f"{REHEARSED_PREFIX}/a"),
    ],
    ids=["a row", "a row gone", "a name cut off", "an index", "a default", "a key", "an object"],
)
def test_what_an_upgrade_breaks_is_found(lab, upgraded, statement, check, words):
    lab.clone("upgraded", LIVE)
    statement(lab) if callable(statement) else lab.site.execute(statement, database=LIVE)
    found = failed(judge(upgraded, "compare"))
    put_object(lab, b"kept")
    assert list(found) == [check]
    assert re.search(words, found[check])


def put_object(lab, body):
    open_s3_client(lab.site.s3).put_object(Bucket=lab.site.s3.name, Key=f"{REHEARSED_PREFIX}/a", Body=body)


def test_a_role_that_does_not_own_a_table_may_not_upgrade(lab):
    statement = "ALTER TABLE trace_info OWNER TO mlflow"
    found = failed(judge(begin(lab, Moment.BEFORE_UPGRADE, statement), "upgrade", "compare"))
    assert list(found) == ["the_owner_of_the_tables_may_upgrade"]
    assert re.search("InsufficientPrivilege.* trace_info; a superuser may", *found.values())


def test_what_a_second_upgrade_changes_is_found(lab, upgraded):
    lab.clone("upgraded", LIVE)
    again = begin(lab, Moment.AFTER_SECOND, "DELETE FROM metrics WHERE step = 3")
    again.outcome.migration = upgraded.outcome.migration
    assert list(failed(judge(again, "upgrade_again"))) == ["a_second_upgrade_changes_nothing"]


def test_what_a_killed_upgrade_leaves_is_found(lab, upgraded):
    killed = begin(lab, Moment.AFTER_KILL, "ALTER TABLE trace_info ADD COLUMN trace_name varchar(4096)")
    killed.outcome.migration = upgraded.outcome.migration
    found = failed(judge(killed, "try_kill"))
    assert list(found) == ["a_killed_upgrade_leaves_nothing_half"]
    assert "trace_name" in found["a_killed_upgrade_leaves_nothing_half"]


def test_a_server_that_loses_metrics_in_silence_is_wrong(lab):
    """One operation is wrong, though no answer says so; the others work."""
    name = lab.make_fresh("lossy", lab.new)
    for line in (
        "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER lose BEFORE INSERT ON params FOR EACH ROW WHEN (NEW.key = 'depth') EXECUTE FUNCTION lose()",
    ):
        lab.site.execute(line, database=name)
    with lab.serve(lab.new, name) as (uri, _):
        run = lab.try_client(lab.new, uri, name, "lossy")
    outcomes = {op.name: op.outcome for op in run.operations}
    assert [op for op, outcome in outcomes.items() if outcome == WRONG] == ["log params and tags, delete a tag"]
    assert {outcome for op, outcome in outcomes.items() if outcome != WRONG} == {WORKS}


@pytest.mark.parametrize("form", ["custom", "plain"])
def test_an_operators_dump_is_loaded_with_its_owners(lab, tmp_path, form):
    """The role that owns alembic_version becomes ours; a table of another role stays that role's, and is told."""
    lab.clone(SEEDED, "theirs")
    for line in (
        "ALTER SCHEMA public RENAME TO tracking",
        "CREATE ROLE other",
        "ALTER TABLE tracking.trace_info OWNER TO other",
        "GRANT SELECT ON tracking.runs TO other",
    ):
        lab.site.execute(line, database="theirs")
    file = tmp_path / "dump"
    program = find_postgres_programs(lab.home, None) / "bin" / "pg_dump"
    subprocess.run([program, f"--format={form}", "-f", file, lab.dsn("theirs")], check=True)
    for line in ("DROP DATABASE theirs", "DROP ROLE other"):
        lab.site.execute(line)
    dump = read_dump(file)
    assert (dump.revision, choose_release(dump, None, lab.new.version)) == (BEFORE, "3.16.1")
    lab.make_database("copy")
    try:
        assert set(load_dump(lab, dump, "copy")) == {OWNING_ROLE, "other"}
        assert lab.schema == "tracking"
        assert hold_rows(lab.site, "copy") > 50
        (rows,) = lab.site.execute("SELECT count(*) FROM tracking.metrics", database="copy")[0]
        assert rows == 50
    finally:
        lab.choose_schema("public")
        lab.drop("copy")
        lab.site.execute("DROP ROLE other")
