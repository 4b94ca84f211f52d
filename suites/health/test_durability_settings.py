"""Whether the database keeps what it has acknowledged, after a crash of its machine too (F31)."""

import pytest

from fixtures.core.outcomes import expect_that
from fixtures.stack import THROWAWAY_SETTING

pytestmark = [pytest.mark.requires("sql"), pytest.mark.read_only]

SAFE = {"fsync": "on", "full_page_writes": "on"}  # synchronous_commit has several safe values
# What holds for the server: its role's and its database's own settings come before those of the whole database server.
CHANGED = """
SELECT coalesce(r.rolname, 'all roles') || ' in ' || coalesce(d.datname, 'all databases')
FROM pg_db_role_setting s
    LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase,
    unnest(s.setconfig) AS one
WHERE lower(one) IN ('synchronous_commit=off', 'synchronous_commit=false')
  AND (s.setdatabase = 0 OR d.datname = current_database())
  AND (s.setrole = 0 OR has_table_privilege(s.setrole, 'runs', 'INSERT') AND NOT r.rolsuper OR r.rolname = session_user)
ORDER BY 1
"""
# Their storage is not the server's own disk, so that these settings say nothing of it.
OWN_STORAGE = """
SELECT CASE WHEN EXISTS (SELECT FROM pg_proc WHERE proname = 'aurora_version') THEN 'Aurora'
    ELSE (SELECT split_part(min(name), '.', 1) FROM pg_settings WHERE name ~ '^(neon|alloydb)[.]') END
"""
UNLOGGED = """
SELECT relname::text FROM pg_class
WHERE relpersistence = 'u' AND relkind IN ('r', 'p')
  AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'runs'::regclass)
ORDER BY 1
"""
BEHIND = """
SELECT coalesce(application_name, ''), extract(epoch FROM replay_lag)::int FROM pg_stat_replication
WHERE replay_lag > interval '60 seconds' ORDER BY 1
"""


def test_database_keeps_what_it_acknowledged(stack, sql, note):
    """With these settings off a crash of the database's machine loses runs that clients were told are stored.

    Remedy: set fsync, synchronous_commit and full_page_writes to on (ALTER SYSTEM SET, ALTER ROLE ... RESET,
    then SELECT pg_reload_conf()). If the file system writes whole pages, as ZFS does, full_page_writes = off is safe:
    accept it with a waiver.
    """
    unsafe = {name: f"{name} = {seen}" for name, safe in SAFE.items() if (seen := sql.value(f"SHOW {name}")) != safe}
    if sql.value("SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit'") == "off":
        unsafe["synchronous_commit"] = "synchronous_commit = off"
    elif changed := [whose for (whose,) in sql.rows(CHANGED)]:
        unsafe["synchronous_commit"] = f"synchronous_commit = off for {', '.join(changed)}"
    for name, seconds in sql.rows(BEHIND):
        note(f"replica {name or 'without a name'} is {seconds} s behind: what it has not got, a failover loses")
    ours = stack.ours or sql.value("SELECT current_setting(%s, true)", THROWAWAY_SETTING) == "on"
    if not ours and sql.value("SHOW archive_mode") == "off":
        note("archive_mode = off: a restore brings back the last backup, and nothing that came after it")
    if unsafe and (ours or (storage := sql.value(OWN_STORAGE))):
        why = "a stack of this suite, not for keeps" if ours else f"the storage of {storage} is no disk of its own"
        note(f"{'; '.join(unsafe.values())}: {why}")
        return
    expect_that(not unsafe, "settings of the database", "all on", "; ".join(unsafe.values()), cases=unsafe)


def test_tables_survive_a_crash_of_the_database(sql):
    """Postgres empties an unlogged table after each crash, and gives a replica none of it.

    Remedy: ALTER TABLE ... SET LOGGED for each.
    """
    found = [name for (name,) in sql.rows(UNLOGGED)]
    expect_that(not found, "unlogged tables of MLflow's", "none", ", ".join(found), cases=found)
