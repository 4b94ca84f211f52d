"""What logging costs: single values, batches, and the client's asynchronous queue; each value is read back."""

import itertools

import mlflow
import pytest

from fixtures.core.outcomes import expect
from fixtures.load import payloads

KEYS = 10  # metrics of a training step; a larger batch holds several steps
ASYNC_POINTS = 50


def missing(what, meant, stored):
    """Raise `Finding` unless exactly the rows `meant` are stored."""
    lost, more = sorted(set(meant) - set(stored)), sorted(set(stored) - set(meant))
    expect(f"{what}: rows lost or changed, and rows never logged", (lost[:3], more[:3]), ([], []))
    expect(f"{what}: number of rows", len(stored), len(meant))


def seen_by_all(what, target, sql, run, meant):
    """The metric rows of `run` are those that were meant, by the API and, if it was declared, by SQL."""
    keys = sorted({row[1] for row in meant})
    missing(f"{what}, read through the API", meant, payloads.fetch_history_rows(target, [(run, key) for key in keys]))
    if sql is not None:
        missing(f"{what}, read through SQL", meant, payloads.query_metrics(sql, [run]))


@pytest.mark.parametrize("size", [1, 10, 100, 1000])
def test_a_logged_batch_is_stored_while_it_is_timed(size, measure, line, make_run, target, sql_door):
    """What a training step costs: a log-batch of so many points, ten metrics at most, each with its next step.

    Remedy: find the run's id in the server's log; look for proxies that answer by themselves.
    """
    run, meant, numbers = make_run(), [], itertools.count()

    def begin():
        first = next(numbers) * size
        rows = [payloads.metric_point(run, f"m{n % KEYS}", (first + n) // KEYS) for n in range(size)]
        rows = [payloads.metric_point(run, "m0", first)] if size == 1 else rows
        meant.extend(rows)
        request = payloads.batch_request(run, rows)
        return lambda: line(request)

    measure(
        begin, lambda: seen_by_all(f"batches of {size}", target, sql_door, run, meant), rounds=20 if size < 1000 else 8
    )


@pytest.mark.parametrize("kind", ["log_metric", "log_param"])
def test_a_logged_value_is_stored_while_it_is_timed(kind, measure, line, make_run, target, probe, sql_door):
    """What one call of log_metric or log_param costs, on a run that lives already.

    Remedy: find the run's id in the server's log; look for proxies that answer by themselves.
    """
    run, meant, numbers = make_run(), [], itertools.count()

    def begin():
        number = next(numbers)
        row = (
            payloads.metric_point(run, "loss", number)
            if kind == "log_metric"
            else (run, f"p{number:04}", 0, f"v{number}")
        )
        meant.append(row)
        request = payloads.metric_request(row) if kind == "log_metric" else payloads.param_request(run, row[1], row[3])
        return lambda: line(request)

    def holds():
        if kind == "log_metric":
            return seen_by_all("single metrics", target, sql_door, run, meant)
        params = probe.ask("runs/get", {"run_id": run})["run"]["data"].get("params", [])
        return missing("single params", meant, [(run, p["key"], 0, p["value"]) for p in params])

    measure(begin, holds)


@pytest.mark.parametrize("buffering", ["", "1"], ids=["each", "buffered"])
def test_asynchronous_points_are_stored_while_they_are_timed(
    buffering, measure, mlflow_client, make_run, target, sql_door, monkeypatch
):
    """What fifty log_metric calls cost that do not wait, up to the flush; buffering merges them into few requests.

    Remedy: look for log-batch requests in the server's log that were refused; the client gives up on those silently.
    """
    if buffering:
        monkeypatch.setenv("MLFLOW_ASYNC_LOGGING_BUFFERING_SECONDS", buffering)
    else:
        monkeypatch.delenv("MLFLOW_ASYNC_LOGGING_BUFFERING_SECONDS", raising=False)
    run, meant, numbers = make_run(), [], itertools.count()

    def begin():
        first = next(numbers) * ASYNC_POINTS
        rows = [payloads.metric_point(run, "queued", first + n) for n in range(ASYNC_POINTS)]
        meant.extend(rows)

        def operate():
            for _, key, step, value, timestamp in rows:
                mlflow_client.log_metric(run, key, value, timestamp, step, synchronous=False)
            mlflow.flush_async_logging()

        return operate

    measure(
        begin,
        lambda: seen_by_all("asynchronous points", target, sql_door, run, meant),
        rounds=5,
        warm=1,
        times=1,
        several=True,
    )
