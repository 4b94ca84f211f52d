"""A burst that fills every request thread of every worker, as a sweep that starts all at once does (F05, F13)."""

import contextlib

import pytest

from fixtures.core.outcomes import Lack, OutOfScope, expect, expect_that
from fixtures.load import payloads
from fixtures.load.assertions import (
    expect_all_answered,
    expect_nothing_refused,
    expect_same_rows,
    expect_stored_once,
    require_known_outcomes,
    summarize_load,
)
from fixtures.load.judges import DEFAULT_WORKERS, WORKER_THREADS, find_latest_rows
from fixtures.load.latency import MeasuredLoad
from fixtures.load.sessions import IDLE_SECONDS, SessionSampler, find_left_behind, sees_others

# Of all clients at once: if connections are short, whether the threads block each other is luck.
ROUNDS, FEWEST_ROUNDS = 4, 2
KEYS = payloads.METRIC_KEYS[:1]  # each metric of each run is one history to read afterwards
MOST = 320  # clients; a larger server is full as well when a few of its workers are


@pytest.fixture(scope="module")
def burst(stack, load, target, make_experiment, unique):
    """(what, history, run ids, sessions): forty clients a worker, with /health and a one-row read beside them."""
    clients = min((stack.workers or DEFAULT_WORKERS) * WORKER_THREADS, MOST)
    runs = payloads.make_load_runs(target, make_experiment(), [unique("burst") for _ in range(clients)])
    watch = [payloads.health_request(), payloads.get_request("runs/get", {"run_id": runs[0]})]
    with SessionSampler(stack.db_uri) if stack.db_uri else contextlib.nullcontext() as sessions:
        rounds = load.count(ROUNDS, FEWEST_ROUNDS)
        scripts = payloads.spread_batches(runs, batches=rounds, size=2, keys=KEYS)
        history = load.drive(scripts, watch=watch, greeting=payloads.health_request(), together=True)
    return f"{clients} clients at once, {rounds} times", history, runs, sessions


def test_full_burst_is_not_refused(burst, stack, note):
    """A sweep that fills every request thread must not lose metrics for lack of database connections.

    Remedy: look for the quoted message in the server's log; a limit in a proxy shows as 429, 502, 503 or 504 (nginx:
    limit_req, limit_conn, worker_connections), a crash of a worker as a connection that was reset.
    """
    what, history, *_ = burst
    note(f"{what}, {'as declared' if stack.workers else 'for 4 workers, as none were declared (--workers)'}")
    expect_nothing_refused(what, history.of("runs/log-batch"), stack)


def test_full_burst_is_answered(burst, note):
    """A job that starts together with many others must be answered, or it hangs and does not know what was stored.

    Remedy: look in the server's log for workers that ended ("Child process died": uvicorn kills one that is busy for
    5 s, see --uvicorn-opts "--timeout-worker-healthcheck 60"; "WORKER TIMEOUT" of gunicorn; out of memory), and at
    proxies that close connections before the server answers (nginx: proxy_read_timeout).
    """
    what, history, *_ = burst
    note(summarize_load("log-batch", MeasuredLoad.of(history.of("runs/log-batch"))))
    expect_all_answered(what, history.of("runs/log-batch"))


def test_full_burst_is_stored_once(burst, target, doors):
    """Each metric that the server acknowledged while all its threads were busy is stored, once, with its value.

    Remedy: search the server's log for the run ids named here; look for proxies that answer or repeat requests on their
    own, for triggers and rules on the table metrics, and whether all workers use the same database.
    """
    what, history, runs, _ = burst
    writes = history.of("runs/log-batch")
    stored = payloads.fetch_history_rows(target, [(run, key) for run in runs for key in KEYS])
    expect_stored_once(f"batches of {what}, read through the API", writes, stored)
    if doors.sql is not None:
        expect_stored_once(f"batches of {what}, read through SQL", writes, payloads.query_metrics(doors.sql, runs))
        doors.proof.add("sql")
    require_known_outcomes(what, writes)


def test_health_answers_during_the_burst(burst, stack, note):
    """An orchestrator that gets no /health from a busy server restarts it, and with it every upload under way.

    Remedy: /health needs no database: look for a proxy limit (nginx: limit_conn, worker_connections), for gunicorn's
    sync workers (MLFLOW_GUNICORN_OPTS; uvicorn answers it without a request thread), and for a worker that died.
    """
    what, history, *_ = burst
    looks = history.of("/health")
    expect_all_answered(f"/health beside {what}", looks)
    expect_nothing_refused(f"/health beside {what}", looks, stack)
    expect("answers of /health", {bytes(look.answer).strip() for look in looks.ok}, {b"OK"})
    note(f"{len(looks.ok)} looks, the slowest took {max(o.end - o.start for o in looks.operations):.1f} s")


def test_a_small_read_is_answered_during_the_burst(burst, stack, target, note):
    """Someone who opens a run while a sweep writes must get it, be it late, and afterwards with all that was logged.

    Remedy: look for the quoted message in the server's log, and for limits in a proxy (429, 502, 503, 504); old metrics
    come from a cache (nginx: proxy_cache; a CDN) or a read replica, which the API must not have in front of it.
    """
    what, history, runs, _ = burst
    reads = history.of("runs/get")
    expect_all_answered(f"run {runs[0]} read beside {what}", reads)
    expect_nothing_refused(f"run {runs[0]} read beside {what}", reads, stack)
    expect("the run read", {payloads.run_id_of(read.answer) for read in reads.ok}, {runs[0]})
    note(f"{len(reads.ok)} reads, the slowest took {max(o.end - o.start for o in reads.operations):.1f} s")
    writes = history.of("runs/log-batch")
    shown = payloads.fetch_latest_rows(target, runs[:1])
    expected = {at: row for at, row in find_latest_rows(writes, shown).items() if at[0] == runs[0]}
    if all(o.meant[0][0] != runs[0] for o in writes.unknown):
        expect_same_rows(f"latest metrics of run {runs[0]}, read during the burst and again after it", expected, shown)


@pytest.mark.requires("sql")
def test_no_session_stays_in_a_transaction_after_the_burst(burst, sql, note):
    """A session that stays in a transaction keeps its locks and one connection of the pool, and stops vacuum.

    Remedy: if connections of the pool ran out, fix that first. See pg_stat_activity for what the session ran last;
    upgrade MLflow, look at middleware that kills requests, and set idle_in_transaction_session_timeout in Postgres as a
    last resort.
    """
    what, *_, sessions = burst
    if not sees_others(sql):
        raise OutOfScope(Lack.PG_MONITOR, "the door's role may not see others' sessions; GRANT pg_read_all_stats TO it")
    most, longest = sessions.idle
    note(f"meanwhile at most {most} at once, the longest for {longest:.2g} s, in {len(sessions.looks())} looks")
    expect(f"sessions left in a transaction by {what}", find_left_behind(sql, sessions), [])
    expect_that(
        longest <= IDLE_SECONDS, f"the longest idle in a transaction beside {what}", f"≤ {IDLE_SECONDS} s", longest
    )


@pytest.mark.requires("sql")
def test_connections_stay_under_the_limit_during_the_burst(burst, sql, note):
    """A burst that takes Postgres' last connection locks out every other client of it, backups included.

    Remedy: raise max_connections in Postgres to workers × 2 × (MLFLOW_SQLALCHEMYSTORE_POOL_SIZE +
    MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW) and some to spare, or lower workers or pool size.
    """
    what, *_, sessions = burst
    room = f"{sessions.limit} (max_connections less the reserved ones)"
    note(f"at most {sessions.peak} of {room} connections in {len(sessions.looks())} looks")
    expect_that(sessions.peak < sessions.limit, f"connections beside {what}", f"fewer than {room}", sessions.peak)
