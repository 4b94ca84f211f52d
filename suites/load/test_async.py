"""Asynchronous logging with the real MLflow client, in a process of its own, with and without a flush."""

import pytest

from fixtures.load import messages
from fixtures.load.asynchronous import asynchronous
from fixtures.load.claims import same
from fixtures.outcomes import expect

POINTS = 60


def shown(rows):
    """Rows by run and step, as `same` takes them."""
    return [(run, f"{key} step {step}", *rest) for run, key, step, *rest in rows]


@pytest.fixture(scope="module")
def trained(stack, load, target, make_experiment, unique, tmp_path_factory):
    """(points by run, what was stored after the flush, what was stored in the end, error of the process)."""
    runs = messages.make_runs(target, make_experiment(), [unique("flushed"), unique("left")])
    points = {run: [messages.point(run, "loss", step) for step in range(POINTS * load.scale)] for run in runs}
    with asynchronous(stack.mlflow_uri, *points.values(), tmp_path_factory.mktemp("async")) as script:
        script.flushed()
        flushed = messages.history_rows(target, [(runs[0], "loss")])
        error = script.ended()
    return points, flushed, messages.history_rows(target, [(runs[1], "loss")]), error


def test_asynchronous_logging_is_stored_after_a_flush(trained):
    """A script that calls mlflow.flush_async_logging() may read its metrics, or tell others of them, at once.

    Remedy: look in the server's log for log-batch requests that were refused while the script ran; the client gives
    up on those silently. A cache or a read replica between clients and the server shows old data.
    """
    points, flushed, _, error = trained
    expect("errors of a script that logs asynchronously", error, "")
    first = next(iter(points.values()))
    same("metrics after a flush", {(row[0], row[1]): row for row in shown(first)}, shown(flushed))


def test_asynchronous_logging_without_a_flush_is_stored_at_the_end(trained):
    """A script that logs asynchronously and just ends must not lose its last metrics.

    Remedy: call mlflow.flush_async_logging() at the end of training, and look in the server's log for log-batch
    requests that were refused while the script ran; a client that is killed (kill -9, out of memory) loses its queue.
    """
    points, _, stored, error = trained
    expect("errors of a script that logs asynchronously", error, "")
    last = [*points.values()][1]
    same("metrics without a flush", {(row[0], row[1]): row for row in shown(last)}, shown(stored))
