"""What a fleet of Locust workers has sent to this server, judged as our own load is (`--fleet-results FILE`)."""

import pytest

from fixtures.core.outcomes import NotProven
from fixtures.load import payloads
from fixtures.load.assertions import (
    expect_all_answered,
    expect_limits_kept,
    expect_nothing_refused,
    expect_stored_once,
    require_known_outcomes,
    summarize_load,
)
from fixtures.load.limits import LIMITED_OPERATIONS
from fixtures.load.load_charts import chart_latency
from fixtures.load.locust_results import read_fleet
from fixtures.load.operations import METRICS_A_BATCH

pytestmark = pytest.mark.fleet


@pytest.fixture(scope="module")
def fleet(load, stack):
    """The results in the file, of a fleet that sent to this very server."""
    found = read_fleet(load.fleet)
    if found.server.rstrip("/") != stack.mlflow_uri.rstrip("/"):
        raise NotProven(f"--fleet-results {load.fleet}: sent to {found.server}, and this is {stack.mlflow_uri}")
    return found


@pytest.fixture(scope="module")
def sent(fleet):
    """(what, history) of the fleet."""
    what = f"{fleet.users} users of {fleet.workers} Locust workers"
    if fleet.lost:
        raise NotProven(f"{what}: {fleet.lost} of the workers ended without their ledger; let the fleet run again")
    return what, fleet.history()


def test_a_fleet_is_not_refused(sent, stack):
    """A large deployment must serve a fleet of jobs without a refusal: clients do not repeat a 400.

    Remedy: look for the quoted message in the server's log; a limit in a proxy shows as 429, 502, 503 or 504 (nginx:
    limit_req, limit_conn, worker_connections), a full connection pool as "QueuePool limit".
    """
    what, history = sent
    expect_nothing_refused(what, history, stack)


def test_a_fleet_is_answered(sent, fleet, figure):
    """A job in a fleet whose request is never answered hangs and does not know what was stored.

    Remedy: look in the server's log for workers that ended (out of memory, "Child process died"), and at proxies that
    close connections before the server answers (nginx: proxy_read_timeout).
    """
    what, history = sent
    figure(chart_latency("fleet-latency", f"Latency under {what}", fleet.costs(), open_loop=False))
    expect_all_answered(what, history)


def test_metrics_of_a_fleet_are_stored_once(sent, fleet, load, target, doors):
    """Each metric that the server acknowledged to any machine of a fleet is stored, once, with its value.

    Remedy: search the servers' logs for the run ids named here; look for proxies that answer or repeat requests on
    their own, and whether all servers behind the address use the same database.
    """
    what, history = sent
    writes = history.of("runs/log-batch", "runs/log-metric")
    stored = payloads.fetch_history_rows(target, [(run, key) for run in fleet.runs for key in METRICS_A_BATCH])
    expect_stored_once(f"metrics of {what}, read through the API", writes, stored, load.ordered)
    if doors.sql is not None:
        expect_stored_once(
            f"metrics of {what}, read through SQL", writes, payloads.query_metrics(doors.sql, fleet.runs)
        )
        doors.proof.add("sql")
    require_known_outcomes(what, writes)


def test_params_and_data_sets_of_a_fleet_are_stored_once(sent, fleet, target):
    """What a model was trained with is lost if a server acknowledged a param or a data set and dropped it.

    Remedy: search the servers' logs for the run ids named here; look at the tables params and inputs for triggers and
    rules, and whether all servers behind the address use the same database.
    """
    what, history = sent
    writes = history.of("runs/log-parameter", "runs/log-inputs")
    stored = [*payloads.query_params(target, fleet.runs), *payloads.query_inputs(target, fleet.runs)]
    expect_stored_once(f"params and data sets of {what}", writes, stored)
    require_known_outcomes(what, writes)


def test_runs_of_a_fleet_are_stored_once(sent, fleet, mlflow_client):
    """Each run that a job of a fleet was given exists once, with its own name: none is lost or doubled.

    Remedy: a run that is there twice was created again by something that repeats requests, such as a proxy that retries
    POST (nginx: proxy_next_upstream non_idempotent); for a lost one search the servers' logs for its name.
    """
    what, history = sent
    stored, page = [], None
    while page is None or page.token:
        page = mlflow_client.search_runs([fleet.experiment], max_results=1000, page_token=page and page.token)
        stored += [(fleet.experiment, run.info.run_name, 0) for run in page]
    creations = history.of("runs/create")
    expect_stored_once(f"runs of {what}", creations, stored)
    require_known_outcomes(what, creations)


@pytest.mark.parametrize("operation", LIMITED_OPERATIONS)
def test_operations_of_a_fleet_keep_the_limits_of_their_operators(operation, fleet, load, note):
    """What the operators demand of an operation (--slo) is kept under a fleet's load; without demands it is reported.

    Remedy: see which resource is full at that time: the servers' CPU (more workers or machines), Postgres (slow
    statements, disk), the connection pool; or state a limit that this deployment can keep.
    """
    found = fleet.costs()[operation]
    note(summarize_load(f"{operation} of a fleet, closed loop", found))
    expect_limits_kept(f"{operation} under a fleet's load", found, load.limits.get(operation))
