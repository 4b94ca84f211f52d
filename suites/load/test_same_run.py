"""Many clients and one run: distributed training, where every process logs to the same run (F39, F46)."""

import random

import pytest

from fixtures.core.outcomes import expect, expect_that
from fixtures.load import payloads
from fixtures.load.assertions import (
    expect_all_answered,
    expect_nothing_refused,
    expect_same_rows,
    expect_stored_once,
    require_known_outcomes,
)
from fixtures.load.judges import find_latest_rows, group_refusals, list_refusals, remedy_of_refusals

CLIENTS, BATCHES, KEYS = 8, 3, 50
STEPS, FEWEST_STEPS = 10, 7  # of each client's single metrics
PARAMS = 6


@pytest.fixture(scope="module")
def hot_run(load, make_run):
    """(history, run id): eight clients log the same fifty metrics, each batch in an order of its own."""
    run, dice = make_run(), random.Random(39)
    keys = [f"metric_{n:02}" for n in range(KEYS)]
    rows = [
        payloads.metric_point(run, key, step)
        for step in range(CLIENTS * BATCHES * load.scale)
        for key in dice.sample(keys, KEYS)
    ]
    batches = [payloads.batch_request(run, rows[at : at + KEYS]) for at in range(0, len(rows), KEYS)]
    return load.drive([batches[client::CLIENTS] for client in range(CLIENTS)]), run


@pytest.fixture(scope="module")
def single_metrics(load, target, make_experiment, unique):
    """(history, run ids): eight clients log some steps one by one, out of order, each to a run of its own."""
    runs = payloads.make_load_runs(target, make_experiment(), [unique("single") for _ in range(CLIENTS)])
    dice, steps = random.Random(5), range(load.count(STEPS, FEWEST_STEPS))
    scripts = [
        [payloads.metric_request(payloads.metric_point(r, "loss", s)) for s in dice.sample(steps, len(steps))]
        for r in runs
    ]
    return load.drive(scripts), runs


@pytest.fixture(scope="module")
def conflict(load, make_run):
    """(history, run id): eight clients set the same params at once, each to a value of its own."""
    run = make_run()
    scripts = [
        [payloads.param_request(run, f"param_{n}", f"of client {c}") for n in range(PARAMS)] for c in range(CLIENTS)
    ]
    return load.drive(scripts, troubles=10 * CLIENTS * PARAMS), run


@pytest.fixture(scope="module")
def agreed(load, make_run):
    """(history, run id): eight clients set the same params to the same values at once."""
    run = make_run()
    return load.drive(
        [[payloads.param_request(run, f"agreed_{n}", f"value {n}") for n in range(PARAMS)]] * CLIENTS
    ), run


@pytest.mark.known_issue("F39")
def test_writers_to_one_run_are_not_refused(hot_run, stack):
    """The processes of a distributed training log the same metrics to one run, in any order, without an error.

    Remedy: look for "deadlock detected" and "could not serialize" in the logs of Postgres and MLflow; upgrade MLflow to
    a version that locks the rows of latest_metrics in one order, or let one process log.
    """
    history, run = hot_run
    what = f"{CLIENTS} clients to run {run} of MLflow {stack.versions.get('mlflow', 'unknown')}"
    expect_nothing_refused(what, history, stack)
    expect_all_answered(what, history)


def test_metrics_of_a_shared_run_are_stored_once(hot_run, target, doors):
    """Of what several processes log to one run nothing may overwrite or displace another's points.

    Remedy: search the server's log for the run id named here; look for proxies that answer or repeat requests on their
    own, for triggers and rules on the table metrics, and whether all workers use the same database.
    """
    history, run = hot_run
    series = [(run, key) for key in sorted({row[1] for o in history.operations for row in o.meant})]
    expect_stored_once(
        "metrics of a shared run, read through the API", history, payloads.fetch_history_rows(target, series)
    )
    if doors.sql is not None:
        expect_stored_once(
            "metrics of a shared run, read through SQL", history, payloads.query_metrics(doors.sql, [run])
        )
        doors.proof.add("sql")
    require_known_outcomes(f"{CLIENTS} clients to run {run}", history)


def test_the_latest_value_of_a_shared_run_is_of_the_highest_step(hot_run, target):
    """Model selection reads the latest value of a metric: after a race of writers it is the one of the highest step.

    Remedy: compare the table latest_metrics with metrics for the run named here; rows that were updated without a lock
    come from a second MLflow version on the same database, or from a database in front that ignores FOR UPDATE.
    """
    history, run = hot_run
    require_known_outcomes(f"{CLIENTS} clients to run {run}", history)
    shown = payloads.fetch_latest_rows(target, [run])
    expect_same_rows(f"latest metrics of run {run}", find_latest_rows(history, shown), shown)


def test_single_metrics_are_all_in_the_history(single_metrics, stack, target, doors):
    """A training curve logged step by step beside other jobs has each of its points, once.

    Remedy: search the server's log for the run ids named here; look for proxies that answer or repeat requests on their
    own, and for triggers and rules on the table metrics.
    """
    history, runs = single_metrics
    expect_nothing_refused(f"{CLIENTS} clients", history, stack)
    expect_stored_once(
        "single metrics, read through the API",
        history,
        payloads.fetch_history_rows(target, [(r, "loss") for r in runs]),
    )
    if doors.sql is not None:
        expect_stored_once("single metrics, read through SQL", history, payloads.query_metrics(doors.sql, runs))
        doors.proof.add("sql")
    require_known_outcomes(f"{CLIENTS} clients", history)


def test_single_metrics_show_the_highest_step_as_latest(single_metrics, target):
    """Steps that arrive out of order must not make an early value look like the result of the training.

    Remedy: compare the table latest_metrics with metrics for the run named here; look for triggers on latest_metrics
    and for caches in a proxy that answer runs/get.
    """
    history, runs = single_metrics
    require_known_outcomes(f"{CLIENTS} clients", history)
    shown = payloads.fetch_latest_rows(target, runs)
    expect_same_rows("latest metrics of single logging", find_latest_rows(history, shown), shown)


def test_a_param_that_all_processes_log_alike_is_stored(agreed, stack, mlflow_client):
    """The processes of a distributed training log the same params: none of them may be told that it was wrong.

    Remedy: look for "Changing param values is not allowed" and UniqueViolation in the server's log; for triggers and
    rules on the table params; let only one process log params until the server is mended.
    """
    history, run = agreed
    expect_nothing_refused(f"{CLIENTS} clients with the same params for run {run}", history, stack)
    require_known_outcomes(f"params of run {run}", history)
    expected = {f"agreed_{n}": f"value {n}" for n in range(PARAMS)}
    expect(f"params of run {run}", mlflow_client.get_run(run).data.params, expected)


def test_a_contested_param_has_one_winner(conflict, stack):
    """Of processes that log different values for one param exactly one may be told that its value was stored.

    Remedy: look at the primary key of the table params (run_uuid, key), which decides the race, with `\\d params`; a
    restore or migration that lost it lets several values in: run `mlflow db upgrade` on a database restored whole.
    """
    history, run = conflict
    require_known_outcomes(f"params of run {run}", history)
    winners = {f"param_{n}": 0 for n in range(PARAMS)}
    for operation in history.ok:
        winners[operation.meant[0][1]] += 1
    strange = [g for g in group_refusals(history.refused) if g.status != 400 or "already logged" not in g.message]
    what = f"refusals other than 400 for the losers in run {run}"
    expect_that(
        not strange, what, "none", list_refusals(strange), remedy_of_refusals(strange, stack.workers, stack.pool)
    )
    expect(f"clients told that they set a param of run {run}", winners, dict.fromkeys(winners, 1))


def test_a_contested_param_keeps_the_value_of_its_winner(conflict, mlflow_client, doors):
    """The value that a run shows for a contested param is the one whose client was told that it was stored.

    Remedy: look for triggers and rules on the table params, and for a proxy that answers in the server's place.
    """
    history, run = conflict
    require_known_outcomes(f"params of run {run}", history)
    shown = [(run, key, 0, value) for key, value in mlflow_client.get_run(run).data.params.items()]
    expect_stored_once(f"params of run {run}, read through the API", history, shown)
    if doors.sql is not None:
        rows = doors.sql.rows("SELECT run_uuid, key, 0, value FROM params WHERE run_uuid = %s", run)
        expect_stored_once(f"params of run {run}, read through SQL", history, rows)
        doors.proof.add("sql")
