"""Asynchronous logging with the real MLflow client, in a process of its own, with and without a flush."""

import pytest

from fixtures.core.outcomes import expect
from fixtures.load import payloads
from fixtures.load.assertions import expect_same_rows
from fixtures.load.async_script import start_async_script

POINTS = 60


def shown(rows):
    """Rows by run and step, as `expect_same_rows` takes them."""
    return [(run, f"{key} step {step}", *rest) for run, key, step, *rest in rows]


@pytest.fixture(scope="module")
def trained(stack, load, target, make_experiment, unique, tmp_path_factory):
    """(points by run, what was stored after the flush, what was stored in the end, error of the process)."""
    runs = payloads.make_load_runs(target, make_experiment(), [unique("flushed"), unique("left")])
    points = {run: [payloads.metric_point(run, "loss", step) for step in range(POINTS * load.scale)] for run in runs}
    with start_async_script(stack.mlflow_uri, *points.values(), tmp_path_factory.mktemp("async")) as script:
        script.flushed()
        flushed = payloads.fetch_history_rows(target, [(runs[0], "loss")])
        error = script.ended()
    return points, flushed, payloads.fetch_history_rows(target, [(runs[1], "loss")]), error


def test_asynchronous_logging_is_stored_after_a_flush(trained):
    """A script that calls mlflow.flush_async_logging() may read its metrics, or tell others of them, at once.

    Remedy: look in the server's log for log-batch requests that were refused while the script ran; the client gives
    up on those silently. A cache or a read replica between clients and the server shows old data; a proxy that answers
    on its own, or a trigger or rule on the table metrics, loses or changes it.
    """
    points, flushed, _, error = trained
    expect("errors of a script that logs asynchronously", error, "")
    first = next(iter(points.values()))
    expect_same_rows("metrics after a flush", {(row[0], row[1]): row for row in shown(first)}, shown(flushed))


def test_asynchronous_logging_without_a_flush_is_stored_when_the_run_ends(trained):
    """A script that logs asynchronously and ends its run without a flush must not lose its last metrics.

    Remedy: look in the server's log for log-batch requests that were refused while the script ran, and for a proxy that
    answers on its own or a trigger or rule on the table metrics. Scripts that just end, without the end of a run or
    mlflow.flush_async_logging(), do lose what is queued: a defect of MLflow's client.
    """
    points, _, stored, error = trained
    expect("errors of a script that logs asynchronously", error, "")
    last = [*points.values()][1]
    expect_same_rows("metrics without a flush", {(row[0], row[1]): row for row in shown(last)}, shown(stored))
