"""What the door sql leaves in the session that it uses: behind a pooler the server has that session next."""

import dataclasses

import pytest

from fixtures.bench.database import CountedDatabase
from fixtures.clients.sql import SqlDoor
from fixtures.core.speed import SILENT_SECONDS

SET = "SELECT name, setting FROM pg_settings WHERE source = 'session' AND name NOT LIKE 'transaction_%'"


@pytest.fixture
def door(real_stack):
    found = SqlDoor(real_stack.db_uri)
    yield found
    found.close()


def test_its_transactions_are_read_only_and_end(door):
    assert "read-only" in door.refusal("INSERT INTO alembic_version VALUES ('readiness')")
    assert door.value("SHOW transaction_read_only") == "on"
    assert door.value("SHOW statement_timeout") == f"{SILENT_SECONDS:.0f}s"


def test_nothing_stays_set_in_the_session(door):
    assert door.value("SELECT 1") == 1
    with door.open().cursor() as cursor:
        cursor.execute(SET)
        assert cursor.fetchall() == []


def test_nothing_stays_set_where_benchmarks_look(real_stack):
    database = CountedDatabase.of(dataclasses.replace(real_stack, ours=False))
    assert database.rows("SHOW transaction_read_only") == [("on",)]
    assert database.rows(SET) == []
    database.close()
