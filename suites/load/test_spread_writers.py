"""Many clients, each logging batches of ten metrics to a run of its own (F05, F06)."""

import pytest

from fixtures.load import payloads
from fixtures.load.assertions import (
    expect_all_answered,
    expect_nothing_refused,
    expect_stored_once,
    require_known_outcomes,
    summarize_load,
)
from fixtures.load.latency import MeasuredLoad
from fixtures.load.load_charts import chart_latency, chart_throughput, describe_knee, find_knee

BATCHES = {1: 3, 4: 3, 16: 3, 40: 2}  # clients -> log-batch calls of each, times the scale; one on a slow server


@pytest.fixture(scope="module")
def levels():
    """Clients -> what their batches cost, filled by the checks."""
    return {}


@pytest.fixture(scope="module", params=BATCHES, ids="{}-clients".format)
def writers(request, load, target, make_experiment, unique):
    """(what, history, run ids) of so many clients that wrote at the same time."""
    runs = payloads.make_load_runs(target, make_experiment(), [unique("spread") for _ in range(request.param)])
    history = load.drive(payloads.spread_batches(runs, load.count(BATCHES[request.param], 1), 10))
    return f"{request.param} clients", history, runs


def test_writers_to_their_own_runs_are_not_refused(writers, stack):
    """Training jobs that log batches at the same time must all be served: MLflow's client does not repeat a 400.

    Remedy: look for the quoted message in the server's log; a limit in a proxy shows as 429, 502, 503 or 504 (nginx:
    limit_req, limit_conn, worker_connections), a crash of a worker as a connection that was reset.
    """
    what, history, _ = writers
    expect_nothing_refused(what, history, stack)


def test_writers_to_their_own_runs_are_all_answered(writers, levels, note, figure):
    """A training job whose request is never answered hangs for minutes and does not know what was stored.

    Remedy: look in the server's log for workers that ended ("Child process died": uvicorn kills one that is busy for
    5 s, see --uvicorn-opts "--timeout-worker-healthcheck 60"; "WORKER TIMEOUT" of gunicorn; out of memory), and at
    proxies that close connections before the server answers (nginx: proxy_read_timeout).
    """
    what, history, runs = writers
    levels[len(runs)] = found = MeasuredLoad.of(history)
    note(f"log-batch of {what}: {len(history.operations)} sent, {found.rate:.3g}/s")
    if len(levels) == len(BATCHES):
        rates = {clients: level.rate for clients, level in levels.items()}
        figure(chart_throughput("spread-throughput", "Batches of ten metrics by clients with a run each", rates))
        bent = find_knee(sorted(rates.items()))
        below = {f"{n} clients": level for n, level in levels.items() if bent is None or n <= bent[0]}
        figure(chart_latency("spread-latency", "Latency of log-batch up to the knee", below, open_loop=False))
        note(describe_knee(sorted(rates.items())))
        for name, level in below.items():  # above the knee a client waits for the others: only goodput means something
            note(summarize_load(f"log-batch of {name}", level))
    expect_all_answered(what, history)


def test_each_acknowledged_batch_is_stored_once(writers, load, target, doors):
    """A metric that the server acknowledged under load is in the run's history, once, with its value.

    Remedy: search the server's log for the run ids named here; look for proxies that answer or repeat requests on their
    own, for triggers and rules on the table metrics, and whether all workers use the same database.
    """
    what, history, runs = writers
    stored = payloads.fetch_history_rows(target, [(run, key) for run in runs for key in payloads.METRIC_KEYS])
    expect_stored_once(f"batches of {what}, read through the API", history, stored, load.ordered)
    if doors.sql is not None:
        expect_stored_once(f"batches of {what}, read through SQL", history, payloads.query_metrics(doors.sql, runs))
        doors.proof.add("sql")
    require_known_outcomes(what, history)
