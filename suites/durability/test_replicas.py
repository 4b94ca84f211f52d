"""Replicas: a rolling restart under traffic, and a Postgres whose standby takes over (F56)."""

import pytest

from fixtures.core.outcomes import expect_that
from fixtures.drills import replicas
from fixtures.drills.assertions import describe_drill, expect_recovery, expect_writes_kept
from fixtures.load.judges import group_refusals, list_refusals

pytestmark = [pytest.mark.destructive, pytest.mark.requires("private")]


@pytest.fixture(scope="module")
def rolled(drill_stack, keep_outcome, unique):
    """What came of traffic to two replicas that were restarted one after the other."""
    return keep_outcome("rolling-restart", replicas.roll_replicas(drill_stack, unique("rolled")))


def test_a_rolling_restart_loses_no_acknowledged_write(rolled, note):
    """Whoever rolls out a new image must find every write that was acknowledged meanwhile, once and unchanged.

    Remedy: give the server time to end (terminationGracePeriodSeconds, stop_grace_period) above its longest request.
    """
    note(describe_drill(rolled))
    expect_writes_kept(rolled)


def test_a_rolling_restart_refuses_nobody(rolled):
    """While one of two replicas restarts the other serves: no request may be refused, only be cut off and repeated.

    Remedy: take a replica out of service before it is stopped, and back only when it answers the API. Restart one at a
    time.
    """
    refused = rolled.history.refused
    seen = f"{len(refused)}: {list_refusals(group_refusals(refused))}"
    expect_that(not refused, f"{rolled.name}: requests that were refused", "none", seen)


@pytest.fixture(scope="module")
def failed_over(drill_stack, keep_outcome, unique):
    """What came of traffic while Postgres died and its synchronous standby took over."""
    return keep_outcome("postgres-failover", replicas.fail_over(drill_stack, unique("failover")))


def test_a_failover_of_postgres_loses_no_acknowledged_write(failed_over, note):
    """If Postgres' standby takes over, everything that the server acknowledged must be there, once and unchanged.

    Remedy: without synchronous_standby_names a failover loses the last commits; synchronous_commit must be on.
    """
    note(describe_drill(failed_over))
    expect_writes_kept(failed_over)


def test_the_server_follows_a_failover_of_postgres(failed_over):
    """The server must go over to the new primary by itself, without a restart.

    Remedy: let both be reached at one address that moves (a proxy, a virtual IP), and let it break off old connections.
    """
    expect_recovery(failed_over)
