"""What is sampled of the database's sessions while a load runs, on a real Postgres."""

import re
import time

import psycopg2
import pytest

from fixtures.load.sessions import SessionSampler


@pytest.fixture
def link(real_stack):
    """A session of somebody else."""
    found = psycopg2.connect(re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", real_stack.db_uri))
    yield found
    found.close()


def test_a_session_that_idles_in_a_transaction_meanwhile_is_seen(real_stack, link):
    with SessionSampler(real_stack.db_uri) as sessions:
        link.cursor().execute("SELECT 1")
        time.sleep(1)
        link.rollback()
    most, longest = sessions.idle
    assert most == 1
    assert 0.5 < longest < 5


def test_one_whose_transaction_is_older_is_not_of_this_load(real_stack, link):
    link.cursor().execute("SELECT 1")
    with SessionSampler(real_stack.db_uri) as sessions:
        time.sleep(0.5)
    assert sessions.idle == (0, 0.0)
    assert sessions.peak >= 2
