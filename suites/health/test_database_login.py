"""The server's own login to the database lasts, and may do what MLflow asks of it."""

import pytest

from fixtures.core.outcomes import Lack, OutOfScope, expect_that

pytestmark = [pytest.mark.requires("sql"), pytest.mark.read_only]

# Who writes here: the roles of MLflow's sessions, and ours if it may write, since it is then likely the server's.
WRITERS = """
SELECT r.oid, r.rolname FROM pg_roles r
WHERE has_table_privilege(r.oid, 'runs', 'INSERT') AND (r.rolname = session_user OR r.rolname IN (
    SELECT usename FROM pg_stat_activity
    WHERE datname = current_database() AND application_name IS DISTINCT FROM 'mlflow-readiness'))
"""
# Members of these sign in by a token of their cloud (AWS, Google, Azure); the date of their password says nothing.
TOKEN_GROUPS = "('rds_iam', 'cloudsqliamuser', 'cloudsqliamserviceaccount', 'azure_ad_user')"
DAYS = 30
EXPIRING = f"""
SELECT w.rolname, to_char(r.rolvaliduntil, 'YYYY-MM-DD HH24:MI TZ'), r.rolvaliduntil < now()
FROM ({WRITERS}) w JOIN pg_roles r ON r.oid = w.oid
WHERE r.rolvaliduntil < now() + interval '{DAYS} days' AND NOT EXISTS (
    SELECT FROM pg_roles g WHERE g.rolname IN {TOKEN_GROUPS} AND pg_has_role(r.oid, g.oid, 'MEMBER'))
ORDER BY 1
"""
CANNOT_MIGRATE = f"""
SELECT w.rolname, pg_get_userbyid(t.relowner) FROM ({WRITERS}) w, pg_class t
WHERE t.oid = 'runs'::regclass
  AND NOT (pg_has_role(w.oid, t.relowner, 'MEMBER') AND has_schema_privilege(w.oid, t.relnamespace, 'CREATE'))
ORDER BY 1
"""
# What MLflow deletes by an ordinary request; rows of runs and experiments only `mlflow gc` deletes.
DELETED = """('tags', 'experiment_tags', 'registered_models', 'registered_model_tags', 'registered_model_aliases',
    'model_versions', 'model_version_tags')"""
WRITTEN = """('experiments', 'runs', 'metrics', 'latest_metrics', 'params', 'datasets', 'inputs', 'input_tags',
    'trace_info', 'trace_tags', 'trace_request_metadata', 'spans', 'assessments', 'logged_models',
    'logged_model_metrics', 'logged_model_params', 'logged_model_tags')"""
REFUSED = f"""
SELECT w.rolname, t.relname::text, string_agg(p.name, ', ' ORDER BY p.name)
FROM ({WRITERS}) w, pg_class t, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p(name)
WHERE t.relkind IN ('r', 'p') AND t.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'runs'::regclass)
  AND (t.relname IN {DELETED} OR t.relname IN {WRITTEN} AND p.name <> 'DELETE')
  AND NOT has_table_privilege(w.oid, t.oid, p.name)
GROUP BY w.rolname, t.relname
UNION ALL
SELECT w.rolname, s.oid::regclass::text, 'USAGE' FROM ({WRITERS}) w,
    LATERAL (SELECT pg_get_serial_sequence('experiments', 'experiment_id')::regclass AS oid) s
WHERE NOT (has_sequence_privilege(w.oid, s.oid, 'USAGE') OR has_sequence_privilege(w.oid, s.oid, 'UPDATE'))
ORDER BY 1, 2
"""


@pytest.fixture
def writers(sql):
    """Names of the roles that write MLflow's tables."""
    return [name for _, name in sql.rows(WRITERS)]


def test_database_password_does_not_run_out(sql, note):
    """On that day the pool's next connection is refused, and the server fails request by request.

    Remedy: ALTER ROLE ... VALID UNTIL 'infinity', or give the role a new password and the server the same in
    MLFLOW_BACKEND_STORE_URI before the day that is named.
    """
    for role, owner in sql.rows(CANNOT_MIGRATE):
        note(
            f"role {role} does not own MLflow's tables ({owner} does): the next `mlflow db upgrade` needs another role"
        )
    ending = [
        f"the password of role {role} {'was' if over else 'is'} valid until {day}"
        for role, day, over in sql.rows(EXPIRING)
    ]
    expect_that(not ending, "VALID UNTIL of the server's role", f"not within {DAYS} days", "; ".join(ending))


def test_server_role_may_write_every_table(sql, writers):
    """A grant that is missing on one table fails one kind of request only, months after the deploy.

    Remedy: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ... TO the role, USAGE ON ALL SEQUENCES, and
    the same by ALTER DEFAULT PRIVILEGES for tables of later upgrades.
    """
    if not writers:
        raise OutOfScope(Lack.SERVER_ROLE, "no session of a role that may write MLflow's tables")
    refused = [f"{role} has no {rights} on {table}" for role, table, rights in sql.rows(REFUSED)]
    expect_that(not refused, f"rights of role {', '.join(writers)}", "all that MLflow needs", "; ".join(refused))
