"""Starts that meet trouble: no Postgres yet, two replicas at once, and traffic that waits already (F11, F16, F17)."""

import pytest

from fixtures.core.outcomes import Finding, Symptom, expect_that
from fixtures.drills import starts
from fixtures.drills.assertions import expect_canary, expect_replicas, expect_started
from fixtures.drills.traffic import DrillTraffic
from fixtures.load.assertions import expect_nothing_refused, expect_stored_once
from fixtures.load.target import LoadTarget

pytestmark = [pytest.mark.destructive, pytest.mark.requires("private")]
EARLY_SECONDS = 10
COLD_PATIENCE = 300  # for an answer that MLflow 3.17 gives after 101 s


def test_a_server_that_starts_before_postgres_comes_up(drill_stack, unique, note):
    """After a power cut everything starts at once: MLflow must wait for Postgres and then come up by itself.

    Remedy: start the server after the database (depends_on with condition service_healthy), and restart it if it ends.
    """
    with starts.early_server(drill_stack, EARLY_SECONDS) as (server, found):
        what = f"a server that starts {EARLY_SECONDS} s before Postgres"
        expect_started(what, found)
        note(f"{what}: up {found.seconds:.1f} s after Postgres")
        expect_canary(what, server.url, unique("early"))


@pytest.mark.full_depth
@pytest.mark.parametrize("seconds", [90, 150])
def test_a_server_that_postgres_keeps_waiting_comes_up_or_ends(drill_stack, unique, note, seconds):
    """A server that gives up on Postgres must end with an exit code, so that its orchestrator starts it again.

    Remedy: let the orchestrator restart the server when it ends (restart: unless-stopped, restartPolicy: Always).
    """
    with starts.early_server(drill_stack, seconds) as (server, found):
        what = f"a server that starts {seconds} s before Postgres"
        note(f"{what}: {found.ended or 'up'} after {found.seconds:.1f} s")
        if found.ended is not None:
            expect_that(not found.ended.endswith("with 0"), what, "an exit code that is not 0", found.ended)
            server.part.start()
            server.part.await_ready()
        expect_canary(what, server.url, unique("early"))


@pytest.mark.full_depth
def test_workers_that_start_without_postgres_answer_in_the_end(drill_stack, unique, note):
    """A worker that starts while Postgres is down must answer with a 5xx, and serve once Postgres is back.

    Remedy: /health does not show it: let readiness probes ask the API, such as POST /api/2.0/mlflow/experiments/search.
    """
    found = starts.ask_cold_workers(drill_stack, COLD_PATIENCE)
    note(f"Postgres down, workers cold: /health {found.health}, the API {found.status} after {found.seconds:.1f} s")
    expect_that(found.status in range(500, 600), "the API without Postgres, asked of new workers", "5xx", found.status)
    expect_canary("new workers, once Postgres is back", drill_stack.stack.mlflow_uri, unique("cold"))


@pytest.mark.known_issue("F11-mappers")
def test_the_first_parallel_traffic_after_a_start_is_served(drill_stack, unique, note):
    """Clients that were waiting for a new server all come at once: each must be served, and its write stored once.

    Remedy: restart the server, and let a readiness probe search the registry, one request at a time, before others
    come. MLflow up to 3.8 migrates in each worker at its first request: upgrade.
    """
    stack = drill_stack.stack
    sent = DrillTraffic.make(LoadTarget.of(stack.mlflow_uri, speed=stack.speed), unique("first"))
    found = starts.send_first_traffic(drill_stack, sent)
    note(f"{len(found.history.operations)} requests at once to a server that has just started")
    expect_stored_once("the first writes to a new server", found.history, found.stored)
    if found.broke_registry:
        what, symptom = "searches of the registry after the first requests, by status", Symptom.WORKER_LOSES_REGISTRY
        raise Finding(what, "200 only", str(found.later), symptom=symptom)
    expect_nothing_refused("the first requests to a new server", found.history, stack)


@pytest.mark.known_issue("F11-replicas")
@pytest.mark.parametrize("old", [False, True], ids=["empty", "old"])
def test_replicas_that_start_at_once_come_up(drill_stack, unique, note, old):
    """Replicas that a rollout starts together migrate one database together: none may crash of it.

    Remedy: start one replica first, or run `mlflow db upgrade` in a job before the rollout.
    """
    what = f"{starts.REPLICAS} replicas that start at once on an {'old' if old else 'empty'} database"
    with starts.replicas_at_once(drill_stack, old) as found:
        for one in found:
            note(f"{what}: {one.first}{f', again: {one.again}' if one.again else ''}")
            if not (one.again or one.first).ended:
                expect_canary(what, one.server.url, unique("replica"))
        expect_replicas(what, found, starts.read_heads(drill_stack, found[0].server))
