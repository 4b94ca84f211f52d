"""A mixed open loop, as a fleet of jobs and people makes it: requests come when they come, whoever waits (`--slo`)."""

import pytest

from fixtures.load import payloads
from fixtures.load.arrivals import Arrivals, space_by_chance, space_evenly
from fixtures.load.assertions import (
    expect_all_answered,
    expect_limits_kept,
    expect_nothing_refused,
    expect_stored_once,
    require_known_outcomes,
    summarize_load,
)
from fixtures.load.latency import MeasuredLoad
from fixtures.load.limits import LIMITED_OPERATIONS, LoadLimits
from fixtures.load.load_charts import chart_latency
from fixtures.load.operations import DEFAULT_RATES, METRICS_A_BATCH, operation_request

SECONDS, RUNS, SEED = 3.0, 8, 55


def requests(operation, count, runs, experiment, unique):
    """So many requests of one kind, spread over `runs`."""
    name = (lambda: unique("mixed")) if operation == "create-run" else str
    return [operation_request(operation, n, runs[n % len(runs)], experiment, name()) for n in range(count)]


@pytest.fixture(scope="module")
def mixed(load, target, make_experiment, unique):
    """(history, run ids): every operation at its own rate at the same time."""
    experiment = make_experiment()
    runs = payloads.make_load_runs(target, experiment, [unique("mixed") for _ in range(RUNS)])
    arrivals = []
    for number, (operation, usual) in enumerate(DEFAULT_RATES.items()):
        limits = load.limits.get(operation, LoadLimits())
        rate = limits.rate or load.rate(usual, usual / sum(DEFAULT_RATES.values()))
        count = max(2, round(rate * SECONDS * load.scale), limits.needed)
        due = space_evenly(rate, count) if limits.rate else space_by_chance(rate, count, SEED + number)
        arrivals.append(Arrivals(requests(operation, count, runs, experiment, unique), due))
    return load.drive(arrivals=arrivals), runs


def test_operations_of_a_mixed_load_are_served(mixed, stack, figure):
    """Jobs that log and people that look at runs use a server at the same time: it must serve them all.

    Remedy: look for the quoted message in the server's log; a limit in a proxy shows as 429, 502, 503 or 504 (nginx:
    limit_req, limit_conn, worker_connections), a crash of a worker as a connection that was reset.
    """
    history, _ = mixed
    costs = {operation: MeasuredLoad.of(history.of(kind)) for operation, kind in LIMITED_OPERATIONS.items()}
    figure(chart_latency("mixed-latency", "Latency of a mixed load, an open loop", costs, open_loop=True))
    expect_nothing_refused("a mixed load", history, stack)
    expect_all_answered("a mixed load", history)


def test_metrics_of_a_mixed_load_are_stored_once(mixed, load, target, doors):
    """What was logged while others read, searched and made runs is stored, once, with its value.

    Remedy: search the server's log for the run ids named here; look for proxies that answer or repeat requests on their
    own, for triggers and rules on the table metrics, and whether all workers use the same database.
    """
    history, runs = mixed
    writes = history.of("runs/log-batch", "runs/log-metric")
    stored = payloads.fetch_history_rows(target, [(run, key) for run in runs for key in METRICS_A_BATCH])
    expect_stored_once("metrics of a mixed load, read through the API", writes, stored, load.ordered)
    if doors.sql is not None:
        expect_stored_once("metrics of a mixed load, read through SQL", writes, payloads.query_metrics(doors.sql, runs))
        doors.proof.add("sql")
    require_known_outcomes("a mixed load", writes)


@pytest.mark.parametrize("operation", LIMITED_OPERATIONS)
def test_each_operation_keeps_the_limits_of_its_operators(operation, mixed, load, note):
    """What the operators demand of an operation (--slo) is kept under a mixed load; without demands it is reported.

    Remedy: see which resource is full at that time: the server's CPU (more workers or machines), Postgres (slow
    statements, disk), the connection pool; or state a limit that this deployment can keep.
    """
    history, _ = mixed
    found = MeasuredLoad.of(history.of(LIMITED_OPERATIONS[operation]))
    note(summarize_load(operation, found))
    expect_limits_kept(f"{operation} under a mixed load", found, load.limits.get(operation))
