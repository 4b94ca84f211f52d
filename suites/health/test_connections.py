"""The database's connections are enough for what the server's workers may ask for (F05, F12, F13)."""

import re

import psycopg2
import pytest

from fixtures.core.outcomes import Finding, Lack, OutOfScope, expect_that, shorten_text

THREADS = 40  # request threads of one uvicorn worker (anyio's default)
ENGINES = 2  # tracking store and registry store each keep a pool
# MLflow works with blocking drivers only.
DRIVERS = ("psycopg2", "psycopg", "psycopg2cffi", "pg8000")
# Each limit that new sessions of the server run into: its name, its value, sessions that count, those of others.
LIMITS = """
WITH sessions AS (
    SELECT datname, usename FROM pg_stat_activity
    WHERE datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
      AND application_name IS DISTINCT FROM 'mlflow-readiness')
SELECT 'max_connections less the reserved', current_setting('max_connections')::int
       - current_setting('superuser_reserved_connections')::int
       - coalesce(current_setting('reserved_connections', true), '0')::int,
       count(*), count(*) FILTER (WHERE datname IS DISTINCT FROM current_database())
FROM sessions
UNION ALL
SELECT 'CONNECTION LIMIT of database ' || d.datname, d.datconnlimit, count(s.datname), 0
FROM pg_database d LEFT JOIN sessions s ON s.datname = d.datname
WHERE d.datname = current_database() AND d.datconnlimit >= 0 GROUP BY d.datname, d.datconnlimit
UNION ALL
SELECT 'CONNECTION LIMIT of role ' || r.rolname, r.rolconnlimit, count(s.usename),
       count(*) FILTER (WHERE s.datname IS DISTINCT FROM current_database())
FROM pg_roles r JOIN sessions s ON s.usename = r.rolname
WHERE r.rolconnlimit >= 0 AND NOT r.rolsuper GROUP BY r.rolname, r.rolconnlimit
HAVING count(*) FILTER (WHERE s.datname = current_database()) > 0
"""
IDLE = """
SELECT pid, usename, date_trunc('second', now() - state_change)::text, left(query, 60) FROM pg_stat_activity
WHERE datname = current_database() AND application_name IS DISTINCT FROM 'mlflow-readiness'
  AND state LIKE 'idle in transaction%' AND now() - state_change > interval '10 s' ORDER BY pid
"""
HIDDEN = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND query = '<insufficient privilege>'
"""


def limits(sql):
    """The rows of LIMITS; a database that has no slot left for this very question is a finding."""
    try:
        return sql.rows(LIMITS)
    except psycopg2.OperationalError as error:
        raise Finding("a session of the database", "a free slot", shorten_text(str(error), 200)) from None


@pytest.mark.read_only
@pytest.mark.requires("sql")
def test_free_connection_slots_remain(sql):
    """At the limit the server's next request fails with "remaining connection slots are reserved".

    Remedy: see who holds them (SELECT usename, datname, count(*) FROM pg_stat_activity GROUP BY 1, 2), then raise
    max_connections or the CONNECTION LIMIT that is named.
    """
    full = [f"{used} of {limit} used ({what})" for what, limit, used, _ in limits(sql) if used >= limit]
    expect_that(not full, "connection slots of the database", "free ones under every limit", "; ".join(full))


@pytest.mark.read_only
@pytest.mark.requires("sql", "workers", "pool")
def test_workers_cannot_ask_for_more_connections_than_there_are(stack, sql):
    """Under load each worker fills its pools; what does not fit is refused in the middle of a training run.

    Remedy: raise max_connections, or lower MLFLOW_SQLALCHEMYSTORE_POOL_SIZE, MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW or
    MLFLOW_WORKERS.
    """
    need = stack.workers * ENGINES * stack.pool
    if stack.pooler is not None:
        if stack.pooler.most_clients is None:
            raise OutOfScope(Lack.POOLER_LIMITS, "a pooler hands out the connections, and its limits do not show")
        what = f"max_client_conn of the pooler, for {stack.workers} workers x {ENGINES} engines x {stack.pool}"
        remedy = f"raise max_client_conn of the pooler to at least {need}, or lower the workers or their pools"
        expect_that(stack.pooler.most_clients >= need, what, f"at least {need}", stack.pooler.most_clients, remedy)
        return
    short = {what: limit - others for what, limit, _, others in limits(sql) if limit - others < need}
    seen = "; ".join(f"{room} by {what}" for what, room in short.items())
    remedy = (
        f"raise the limit so that {need} connections are free for MLflow (max_connections of at least "
        f"{need + 10} plus what else uses this server), or lower MLFLOW_WORKERS (now {stack.workers}) or "
        f"MLFLOW_SQLALCHEMYSTORE_POOL_SIZE + MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW (now {stack.pool} together)"
    )
    what = f"connections for {stack.workers} workers x {ENGINES} engines x {stack.pool}"
    expect_that(not short, what, f"at least {need}", seen, remedy)


@pytest.mark.read_only
@pytest.mark.requires("workers", "pool")
def test_pool_has_a_connection_for_every_request_thread(stack, probe):
    """A log-batch holds two connections at once: with fewer than threads they wait for each other and are refused.

    Remedy: set MLFLOW_SQLALCHEMYSTORE_POOL_SIZE=45 (above the 40 request threads of a worker) on the server.
    """
    answer = probe.get("/health")
    kind = f"{answer.headers.get('Server', '')} {answer.headers.get('Content-Type', '')}"
    if not re.search("uvicorn|text/plain", kind):  # Flask's own /health, under gunicorn or waitress, is text/html
        raise OutOfScope(Lack.REQUEST_THREADS, f"not seen to run under uvicorn ({kind.strip()}): threads unknown")
    need = stack.workers * ENGINES * (THREADS + 5)
    remedy = (
        f"set MLFLOW_SQLALCHEMYSTORE_POOL_SIZE={THREADS + 5} on the server; with {stack.workers} workers and MLflow's "
        f"MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW of 10 that needs max_connections of {need + stack.workers * 20 + 10}"
    )
    what = f"pool + overflow of each worker, against its {THREADS} request threads"
    expect_that(stack.pool > THREADS, what, f"above {THREADS}", stack.pool, remedy)


@pytest.mark.read_only
@pytest.mark.requires("sql")
def test_no_session_sits_idle_in_a_transaction(sql):
    """An open transaction that nobody drives holds locks and stops vacuum from cleaning up.

    Remedy: end it with SELECT pg_terminate_backend(PID); set idle_in_transaction_session_timeout for the server's role.
    """
    idle = [f"pid {pid} ({user}) for {age}: {query}" for pid, user, age, query in sql.rows(IDLE)]
    expect_that(not idle, "sessions idle in a transaction for more than 10 s", "none", "; ".join(idle))
    if hidden := sql.value(HIDDEN):
        raise OutOfScope(
            Lack.PG_MONITOR, f"{hidden} sessions of other roles are hidden; GRANT pg_monitor to the door's role"
        )


@pytest.mark.read_only
@pytest.mark.requires("sql")
def test_database_uri_names_its_driver(stack):
    """With SQLAlchemy 2.1 a bare postgresql:// means psycopg 3, which MLflow's image may not have: no start.

    Remedy: write MLFLOW_BACKEND_STORE_URI=postgresql+psycopg2://... (or +psycopg if psycopg 3 is installed).
    """
    scheme = stack.db_uri.partition("://")[0]
    driver = scheme.partition("+")[2]
    if not driver and not stack.ours:
        raise OutOfScope(Lack.BACKEND_URI, f"the server's own URI is not known; that of our door is bare ({scheme}://)")
    expect_that(driver in DRIVERS, f"driver of {scheme}://", f"one of {', '.join(DRIVERS)}", driver or "none named")
