"""Whether slow requests starve small ones (F55): MLflow's request threads, 40 a worker, serve both."""

import pytest

from fixtures.core.outcomes import NotProven, expect
from fixtures.load import payloads
from fixtures.load.arrivals import Arrivals, space_evenly
from fixtures.load.assertions import expect_all_answered, expect_limits_kept, expect_nothing_refused, summarize_load
from fixtures.load.engine import MOST_TROUBLES
from fixtures.load.judges import DEFAULT_WORKERS, WORKER_THREADS, group_refusals, list_refusals
from fixtures.load.latency import MeasuredLoad
from fixtures.load.limits import READ_DURING_SEARCHES, LoadLimits

MOST = 320  # clients; a larger server is full as well when a few of its workers are
RUNS, METRICS = 3, 250  # what makes a search slow: every metric of each run it finds
RATE, SECONDS = 20.0, 1.0


@pytest.fixture(scope="module")
def beside(stack, load, target, make_experiment, unique):
    """(reads alone, reads beside searches, clients): small reads at a constant rate, then again while searches run."""
    experiment = make_experiment()
    runs = payloads.make_load_runs(target, experiment, [unique("wide") for _ in range(RUNS)])
    wide = [
        [payloads.batch_request(run, [payloads.metric_point(run, f"metric_{n}", 0) for n in range(METRICS)])]
        for run in runs
    ]
    payloads.require_done(load.drive(wide))
    small = payloads.make_load_runs(target, make_experiment(), [unique("small")])[0]
    count = max(round(RATE * SECONDS * load.scale), load.limits.get(READ_DURING_SEARCHES, LoadLimits()).needed)
    reads = Arrivals([payloads.read_run_request(small)] * count, space_evenly(load.rate(RATE), count))
    clients = min((stack.workers or DEFAULT_WORKERS) * WORKER_THREADS, MOST)
    searches = [[payloads.search_request(experiment, RUNS)] * load.scale] * clients
    alone = load.drive(arrivals=[reads])
    # A proxy that limits searches refuses most of them: the reads go on.
    patient = MOST_TROUBLES + clients * load.scale
    both = load.drive(searches, arrivals=[reads], greeting=payloads.health_request(), troubles=patient)
    return alone, both, clients, small


def test_small_reads_beside_slow_searches_are_answered(beside, stack):
    """Someone who opens a run while dashboards search must get that run, be it late, and not an error.

    Remedy: look for the quoted message in the server's log, and for limits in a proxy (429, 502, 503, 504).
    """
    _, both, clients, small = beside
    what = f"run {small} read beside {clients} searches"
    reads = both.of("runs/get")
    expect_nothing_refused(what, reads, stack)
    expect_all_answered(what, reads)
    if not reads.ok:
        raise NotProven(f"{what}: none was sent")
    expect("the run read", {payloads.run_id_of(read.answer) for read in reads.ok}, {small})


def test_small_reads_beside_slow_searches_keep_their_limit(beside, load, note):
    """How long a small read waits while searches keep every request thread: reported, and judged by --slo only.

    Remedy: plain MLflow serves both with the same 40 threads of a worker: give searches a server of their own on the
    same database, limit them in the proxy (nginx: limit_conn for runs/search), or run more workers.
    """
    alone, both, clients, _ = beside
    before, found = MeasuredLoad.of(alone.of("runs/get")), MeasuredLoad.of(both.of("runs/get"))
    note(summarize_load("get-run alone", before))
    note(summarize_load(f"get-run beside {clients} searches", found))
    searches = both.of("runs/search")
    note(summarize_load("search-runs", MeasuredLoad.of(searches)))
    if searches.refused:
        note(f"of {len(searches.operations)} searches were refused {list_refusals(group_refusals(searches.refused))}")
    expect_limits_kept(f"get-run beside {clients} searches", found, load.limits.get(READ_DURING_SEARCHES))
