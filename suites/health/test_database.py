"""The database answers and takes writes: step 2 of the guide's pre-deployment checklist."""

import pytest

from fixtures.core.outcomes import CauseId, expect, expect_that
from fixtures.preflight.canary import must_answer

# Our own door sets itself read-only, so what other sessions get is put together from where it can be set. A role that
# may not write, of a report or a monitor, is no role of the server.
READ_ONLY = """
SELECT CASE WHEN s.setdatabase <> 0 THEN 'database ' || current_database() ELSE 'every database' END
       || ', ' || coalesce('role ' || r.rolname, 'every role')
FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) AS setting
WHERE setting ~* '^default_transaction_read_only=(on|true|yes|1)$'
  AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
  AND (s.setrole = 0 OR r.rolname IN (
      SELECT usename FROM pg_stat_activity
      WHERE datname = current_database() AND application_name IS DISTINCT FROM 'mlflow-readiness'
        AND has_table_privilege(usesysid, 'runs', 'INSERT')))
"""
# The value a new session of ours would have got; if our own role or database sets it, it tells nothing of others.
READ_ONLY_EVERYWHERE = """
SELECT reset_val = 'on' AND NOT EXISTS (
    SELECT FROM pg_db_role_setting s, unnest(s.setconfig) AS setting
    WHERE setting ~* '^default_transaction_read_only='
      AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
      AND s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = session_user)))
FROM pg_settings WHERE name = 'default_transaction_read_only'
"""


def test_database_answers_through_the_api(probe, new_experiment, unique, doors):
    """/health never asks the database; this search must, and finds what was stored a moment before.

    Remedy: look at the server's log for the database's error; check MLFLOW_BACKEND_STORE_URI and pg_isready.
    """
    name = unique("database")
    with must_answer("experiments/create and experiments/search"):
        experiment = new_experiment(name)
        body = {"filter": f"name = '{name}'", "max_results": 10}
        found = probe.call("experiments/search", body).get("experiments", [])
    seen = [(e.get("experiment_id"), e.get("name"), e.get("lifecycle_stage")) for e in found]
    expect(f"experiments named {name}", seen, [(experiment, name, "active")])
    doors.rows_agree(
        f"experiment {name}", [(int(experiment),)], "SELECT experiment_id FROM experiments WHERE name = %s", name
    )


@pytest.mark.read_only
@pytest.mark.requires("sql")
def test_database_is_no_standby(sql):
    """A standby answers every read and refuses every write: runs are lost from the first log call on.

    Remedy: name the primary in MLFLOW_BACKEND_STORE_URI (libpq: target_session_attrs=read-write), or promote this one.
    """
    expect("SELECT 1", sql.value("SELECT 1"), 1)
    standby = sql.value("SELECT pg_is_in_recovery()")
    expect("pg_is_in_recovery()", standby, False, cause=CauseId.DATABASE_READ_ONLY)


@pytest.mark.read_only
@pytest.mark.requires("sql")
def test_database_lets_new_sessions_write(sql):
    """A read-only default bites when the server's pool opens its next connection, not before.

    Remedy: ALTER DATABASE ... RESET default_transaction_read_only (ALTER ROLE, or postgresql.conf, as shown).
    """
    where = [row[0] for row in sql.rows(READ_ONLY)]
    if sql.value(READ_ONLY_EVERYWHERE):
        where.append("the whole server (postgresql.conf)")
    what, cause = "default_transaction_read_only of the server's sessions", CauseId.DATABASE_READ_ONLY
    expect_that(not where, what, "off", f"on for {where}", cause=cause)
