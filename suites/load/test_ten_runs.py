"""The guide's concurrent-logging test: ten runs at once, ten metrics and five params each, the real MLflow client."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import mlflow
import pytest

from fixtures.clients.exceptions import is_late
from fixtures.core.outcomes import NotProven, Reason, expect, expect_that, shorten_text


@dataclass
class Logged:
    """What one thread logged, and the error that stopped it."""

    name: str
    metrics: dict
    params: dict
    run_id: str = ""
    error: str = ""
    late: bool = False


def log_run(experiment, plan):
    """Log `plan` with the fluent API, as a training script does."""
    try:
        with mlflow.start_run(experiment_id=experiment, run_name=plan.name) as run:
            plan.run_id = run.info.run_id
            for name, value in plan.metrics.items():
                mlflow.log_metric(name, value)
            for name, value in plan.params.items():
                mlflow.log_param(name, value)
    except mlflow.exceptions.MlflowException as error:
        plan.error, plan.late = shorten_text(str(error), 200), is_late(error)
    return plan


@pytest.fixture(scope="module")
def experiment(make_experiment):
    return make_experiment()


@pytest.fixture(scope="module")
def ten_runs(mlflow_client, experiment, unique):
    """Ten runs, logged at the same time; mlflow_client aims the fluent API at the stack."""
    dice = random.Random(7)
    plans = [
        Logged(
            name=unique("perf-test"),
            metrics={f"metric_{i}": dice.random() for i in range(10)},
            params={f"param_{i}": str(dice.randint(1, 10**6)) for i in range(5)},
        )
        for _ in range(10)
    ]
    with ThreadPoolExecutor(10) as pool:
        return list(pool.map(lambda plan: log_run(experiment, plan), plans))


def test_ten_concurrent_runs_log_without_an_error(ten_runs):
    """Ten training jobs that log at the same time must not see an error from the server.

    Remedy: read the error and the server's log at that time; a QueuePool error means that
    MLFLOW_SQLALCHEMYSTORE_POOL_SIZE is too small (45 is above a worker's 40 request threads), "too many clients" that
    Postgres' max_connections is.
    """
    errors = [f"{plan.name}: {plan.error}" for plan in ten_runs if plan.error]
    if errors and all(plan.late for plan in ten_runs if plan.error):
        raise NotProven(f"{len(errors)} of 10 runs got no answer in time: {errors[0]}", Reason.SILENT)
    expect("errors of ten concurrent runs", errors, [])


def test_ten_concurrent_runs_keep_every_value(ten_runs, mlflow_client, doors):
    """Every metric and param that ten concurrent runs logged is read back exactly, in its own run.

    Remedy: a value that is missing or stands in another run was acknowledged and not kept: look at the server's log and
    the proxies in front of it for answers that the server did not give, and at the database for triggers or rules.
    """
    for plan in (plan for plan in ten_runs if not plan.error):
        data = mlflow_client.get_run(plan.run_id).data
        expect(f"metrics of run {plan.run_id} ({plan.name})", data.metrics, plan.metrics)
        expect(f"params of run {plan.run_id} ({plan.name})", data.params, plan.params)
        rows = [*plan.metrics.items()]
        by_key = "SELECT key, value FROM {} WHERE run_uuid = %s ORDER BY key"
        doors.rows_agree(f"metrics of run {plan.run_id}", rows, by_key.format("metrics"), plan.run_id)
        doors.rows_agree(f"params of run {plan.run_id}", [*plan.params.items()], by_key.format("params"), plan.run_id)
    expect_that(any(not plan.error for plan in ten_runs), "ten concurrent runs", "runs to read", "every run failed")


def test_ten_concurrent_runs_are_listed_once_and_finished(ten_runs, experiment, mlflow_client):
    """A team that opens the experiment sees each of ten concurrent runs once, and as finished.

    Remedy: compare with `SELECT run_uuid, name, status FROM runs WHERE experiment_id = ...`; a run that is there twice
    was made again by something that repeats requests, such as a proxy that retries POST (nginx: proxy_next_upstream).
    """
    seen = sorted((r.info.run_id, r.info.run_name, r.info.status) for r in mlflow_client.search_runs([experiment]))
    expected = sorted((plan.run_id, plan.name, "FAILED" if plan.error else "FINISHED") for plan in ten_runs)
    expect(f"runs of experiment {experiment}", seen, expected)
