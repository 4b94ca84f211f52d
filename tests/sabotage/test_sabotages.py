"""Each sabotage is caught by the checks that it names, in their call phase, and by no other."""

from contextlib import contextmanager

import pytest

from tests.sabotage.harness import EXCUSED, Sabotage, attack, caught, raid
from tests.sabotage.lies import lie
from tests.sabotage.raids import RAIDS
from tests.sabotage.rules import at, edit
from tests.sabotage.stored import somebodys_models


@contextmanager
def reporting_role(target, aim):
    """A dashboard reads the same database, with a role that may do no more."""
    target.execute(
        "CREATE ROLE dashboard LOGIN PASSWORD 'dashboard'",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO dashboard",
        "ALTER ROLE dashboard SET default_transaction_read_only = on",
    )
    try:
        with target.database(user="dashboard", password="dashboard"):
            yield
    finally:
        target.execute("DROP OWNED BY dashboard", "DROP ROLE dashboard")


HONEST = Sabotage("a proxy that tells the truth", {}, lie("version", at("/version$"), edit()))
CONTROLS = (
    raid("through a proxy", HONEST, beside="client integration registry", workers=1),
    raid("directly", beside="health load security", workers=1),
    raid(
        "beside others",
        Sabotage("a dashboard", {}, breaks=reporting_role),
        Sabotage("somebody's models", {}, breaks=somebodys_models),
        beside="health",
    ),
)
pytestmark = pytest.mark.timeout(300)


SLOW = ("through a proxy", "directly")  # three whole suites each


@pytest.mark.parametrize(
    "raid",
    [pytest.param(c, id=c.name, marks=[pytest.mark.slow] if c.name in SLOW else []) for c in CONTROLS],
)
def test_a_whole_stack_is_found_ready(raid, target, tmp_path):
    """Without sabotage the suites find nothing in the same stack, directly and through the proxy."""
    outcome = attack(target, raid, tmp_path)
    assert outcome.fallen == {}
    assert (outcome.code, outcome.report["verdict"]["word"]) == (0, "READY"), outcome.output[-2000:]
    assert {check["status"] for check in outcome.checks.values()} <= set(EXCUSED)


SLOW_RAIDS = {  # more than ten seconds of CPU each; others of their suites take less
    "faults after which the server stays down",
    "replicas that lose writes, and a balancer that knows one of two",
    "a database that forgets points of clients, and doubles runs",
    "a disk that is filled, and a server that does not get over it",
    "starts that go wrong",
    "starts that take long, and go wrong",
    "a gc that fails",
    "a gc that takes files alone, and tags of neighbours",
    "a manifest that somebody edited",
    "a restore that lacks rows, and a bucket older than the dump",
    "inputs and requirements that are lost",
    "limits of the operators",
    "paging",
    "pipelines, exports and cards",
    "promotions, copies and walks",
    "requests that are refused",
    "users who may do what their permissions do not say",
}


@pytest.mark.parametrize(
    "raid", [pytest.param(r, id=r.name, marks=[pytest.mark.slow] if r.name in SLOW_RAIDS else []) for r in RAIDS]
)
def test_a_broken_stack_is_found_broken(raid, target, tmp_path):
    """NOT READY, exit code 1, the right findings, and what lies beside stays green."""
    caught(raid, attack(target, raid, tmp_path))
