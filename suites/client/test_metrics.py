"""Metrics: values to the last bit, whole histories, the right latest value, in the right run."""

import math

import pytest

from fixtures.clients.mlflow_errors import find_symptom
from fixtures.clients.rest import read_acknowledged
from fixtures.core.outcomes import Symptom, expect, expect_that

METRICS = """SELECT key, value, timestamp, step FROM metrics WHERE run_uuid = %s
    ORDER BY key COLLATE "C", step, timestamp, value"""
LATEST = 'SELECT key, value, timestamp, step FROM latest_metrics WHERE run_uuid = %s ORDER BY key COLLATE "C"'
KEYS = 2  # of each run that is written to in turns
LARGEST = 1.7976931348623157e308
FLOATS = (
    0.1,
    1 / 3,
    math.pi,
    1e-308,
    2.2250738585072014e-308,
    LARGEST,
    -LARGEST,
    -0.0,
    1e22,
    2.0**53,
    1e-7,
    123456789.123456789,
)


def point(key, value, timestamp=1, step=0):
    return {"key": key, "value": value, "timestamp": timestamp, "step": step}


def test_a_float_is_stored_to_the_last_bit(probe, api, mlflow_client, make_run, rows):
    """A rounded metric makes two models look alike that are not; thresholds near a gate flip.

    Remedy: check the type of metrics.value and latest_metrics.value (\\d metrics in psql): it must be double precision;
    look for a proxy that rewrites JSON.
    """
    run = make_run()
    sent = [(f"float{i:02}", value, 5, 1) for i, value in enumerate(FLOATS)]
    probe.call("runs/log-batch", {"run_id": run, "metrics": [point(*p) for p in sent]})
    api.agree(f"metrics of run {run}", api.metrics(run), sent)
    client = sorted(mlflow_client.get_run(run).data.metrics.items())
    api.agree(f"metrics of run {run}, read by the Python client", client, [p[:2] for p in sent])
    rows(f"table metrics of run {run}", sent, METRICS, run)
    rows(f"table latest_metrics of run {run}", sent, LATEST, run)


def test_metrics_that_are_not_finite_stay_what_they_are(mlflow_client, api, make_run, doors, note):
    """A loss that exploded (NaN, Infinity) must not read as a number that a gate would let pass.

    Remedy: read is_nan and value in table metrics; MLflow stores an infinity as the largest double of its sign.
    """
    run = make_run()
    for key, value in (("loss", math.nan), ("up", math.inf), ("down", -math.inf)):
        mlflow_client.log_metric(run, key, value, timestamp=5, step=1)
    seen = {key: value for key, value, _, _ in api.metrics(run)}
    expect(f"NaN metric of run {run}", seen.get("loss"), "NaN")
    expect_that(
        seen.get("up") in (math.inf, LARGEST), f"metric +Infinity of run {run}", f"inf or {LARGEST}", seen.get("up")
    )
    expect_that(
        seen.get("down") in (-math.inf, -LARGEST),
        f"metric -Infinity of run {run}",
        f"-inf or {-LARGEST}",
        seen.get("down"),
    )
    expect(f"history of the NaN metric of run {run}", api.history(run, "loss"), [("NaN", 5, 1)])
    query = "SELECT key, is_nan FROM metrics WHERE run_uuid = %s ORDER BY key"
    doors.rows_agree(f"is_nan of run {run}", [("down", False), ("loss", True), ("up", False)], query, run)
    if seen["up"] == LARGEST:
        note("MLflow stores an infinite metric as the largest double of its sign")


@pytest.mark.known_issue("F44")
def test_a_metric_sent_as_bare_nan_is_kept_or_refused(probe, api, make_run):
    """A client in another language may send a bare NaN in JSON; it must not become 0.0 in silence.

    Remedy: send not-a-number as the string "NaN", as MLflow's own clients do; log nothing if there is no number.
    """
    run = make_run()
    body = f'{{"run_id": "{run}", "key": "loss", "value": NaN, "timestamp": 5, "step": 1}}'
    headers = {"Content-Type": "application/json"}
    answer = probe.post("/api/2.0/mlflow/runs/log-metric", data=body, headers=headers)
    stored = api.metrics(run)
    ok = (
        stored == [("loss", "NaN", 5, 1)]
        if answer.status_code == 200
        else 400 <= answer.status_code < 500 and not stored
    )
    what = f"bare NaN as metric loss of run {run}"
    seen = f"status {answer.status_code}, stored {stored}"
    as_zero = answer.status_code == 200 and stored == [("loss", 0.0, 0, 0)]
    symptom = Symptom.NAN_STORED_AS_ZERO if as_zero else None
    expect_that(ok, what, "4xx and nothing stored, or NaN stored", seen, symptom=symptom)


def test_the_history_of_a_metric_keeps_every_point(probe, api, mlflow_client, make_run, rows):
    """Training curves: every point with its step and time, whatever order it came in, none lost or doubled.

    Remedy: count the rows of table metrics for run and key; check its primary key (key, timestamp, step, run, value,
    is_nan: \\d metrics in psql); see the server log for refused writes.
    """
    run = make_run()
    steps = (3, 0, 2**40, -5, 7, 7, 7, 1, 2)
    sent = [("curve", i * 0.25, 1_700_000_000_000 + (i * 7 % 5), step) for i, step in enumerate(steps)]
    for p in sent[:4]:
        probe.call("runs/log-metric", {"run_id": run, **point(*p)})
    first, wanted = (sorted((p[1:] for p in s), key=lambda p: (p[1], p[2], p[0])) for s in (sent[:4], sent))
    api.agree(f"history of metric curve of run {run}, its first points", api.history(run, "curve"), first)
    probe.call("runs/log-batch", {"run_id": run, "metrics": [point(*p) for p in sent[4:]]})
    api.agree(f"history of metric curve of run {run}", api.history(run, "curve"), wanted)
    client = [(m.value, m.timestamp, m.step) for m in mlflow_client.get_metric_history(run, "curve")]
    api.agree(f"history of metric curve of run {run}, read by the Python client", sorted(client), sorted(wanted))
    rows(f"table metrics of run {run}", sorted(sent, key=lambda p: (p[3], p[2], p[1])), METRICS, run)


@pytest.mark.known_issue("F50")
def test_the_history_of_a_metric_needs_no_page_size(probe, api, make_run):
    """Dashboards that ask for a metric's history without max_results get all of it.

    Remedy: send max_results with metrics/get-history, as MLflow's own client does, or upgrade the server.
    """
    run = make_run()
    probe.call("runs/log-batch", {"run_id": run, "metrics": [point("curve", i, i, i) for i in range(5)]})
    answer = probe.ask("metrics/get-history", {"run_id": run, "metric_key": "curve"})
    seen = sorted(m.get("value") for m in answer.get("metrics", []))
    expect(
        f"history of metric curve of run {run}, asked of MLflow {api.version} without max_results",
        seen,
        [0.0, 1.0, 2.0, 3.0, 4.0],
        symptom=None if seen else Symptom.HISTORY_IS_EMPTY,
    )


LATEST_RULE = {
    "steps out of order": ([(3.0, 100, 5), (9.0, 300, 2), (4.0, 200, 4)], (3.0, 100, 5)),
    "same step, later time": ([(1.0, 200, 1), (2.0, 100, 1)], (1.0, 200, 1)),
    "same step and time, greater value": ([(1.0, 100, 1), (7.0, 100, 1), (3.0, 100, 1)], (7.0, 100, 1)),
    "negative steps": ([(1.0, 100, -3), (2.0, 200, -7)], (1.0, 100, -3)),
    "a large step": ([(1.0, 100, 2**40), (2.0, 200, 2**40 - 1)], (1.0, 100, 2**40)),
}


@pytest.mark.parametrize("batch", [False, True], ids=["one by one", "in one batch"])
def test_the_latest_value_is_that_of_the_highest_step(probe, api, make_run, rows, batch):
    """Tables, comparisons and gates show a run's latest value: highest step, then time, then value, in any order sent.

    Remedy: compare table latest_metrics with table metrics for the run; rows that differ there come from writes past
    MLflow or from a restore of one table without the other.
    """
    run = make_run()
    sent = [(key, *p) for key, (points, _) in LATEST_RULE.items() for p in points]
    turns = [[(key, *p) for key, (points, _) in LATEST_RULE.items() for p in points[n : n + 1]] for n in range(3)]
    for metrics in [sent] if batch else turns:
        probe.call("runs/log-batch", {"run_id": run, "metrics": [point(k.replace(",", ""), *p) for k, *p in metrics]})
    wanted = sorted((key.replace(",", ""), *latest) for key, (_, latest) in LATEST_RULE.items())
    api.agree(f"latest metrics of run {run}", api.metrics(run), wanted)
    rows(f"table latest_metrics of run {run}", wanted, LATEST, run)


def test_a_repeated_metric_point_is_stored_once(probe, api, make_run, doors):
    """Clients send a write again when its answer was lost: the same point must not count twice, nor be an error.

    Remedy: check the primary key of table metrics (\\d metrics in psql): key, timestamp, step, run_uuid, value, is_nan.
    """
    run = make_run()
    for _ in range(2):
        probe.call("runs/log-metric", {"run_id": run, **point("once", 0.5, 9, 3)})
        probe.call("runs/log-batch", {"run_id": run, "metrics": [point("once", 0.5, 9, 3), point("new", 1.0, 9, 3)]})
    expect(f"history of metric once of run {run}", api.history(run, "once"), [(0.5, 9, 3)])
    doors.rows_agree(f"metrics of run {run}", [("new", 1.0, 9, 3), ("once", 0.5, 9, 3)], METRICS, run)


@pytest.mark.known_issue("F41-refused")
def test_a_repeated_batch_of_many_metrics_is_stored_once(probe, make_run, doors):
    """A batch is sent again when its answer was lost: with more than a hundred metrics it must not be an error either.

    Remedy: upgrade to MLflow 3.10 or newer; until then log at most a hundred metrics in one batch.
    """
    run, count = make_run(), 150
    body = {"run_id": run, "metrics": [point(f"many_{n:03}", n / 7, 9, 3) for n in range(count)]}
    probe.call("runs/log-batch", body)
    answer = probe.post("/api/2.0/mlflow/runs/log-batch", json=body)
    symptom = find_symptom(answer.text)
    symptom = Symptom.BATCH_NOT_REPEATED if symptom is Symptom.NAN_NOT_REPEATED else symptom
    read_acknowledged(answer, f"{count} metrics of run {run}, sent again", symptom)
    query = "SELECT count(*), count(DISTINCT key) FROM metrics WHERE run_uuid = %s"
    doors.rows_agree(f"metrics of run {run}", [(count, count)], query, run)


@pytest.mark.known_issue("R18")
def test_a_repeated_nan_point_is_stored_once(probe, api, make_run, doors):
    """A loss that has become NaN is sent again like any other: an error would end the training job.

    Remedy: upgrade to MLflow 3.16 or newer; else check the primary key of table metrics (\\d metrics in psql).
    """
    run, body = make_run(), point("loss", "NaN", 9, 3)
    probe.call("runs/log-metric", {"run_id": run, **body})
    answer = probe.post("/api/2.0/mlflow/runs/log-batch", json={"run_id": run, "metrics": [body]})
    read_acknowledged(answer, f"NaN of metric loss of run {run}, sent again", find_symptom(answer.text))
    expect(f"history of metric loss of run {run}", api.history(run, "loss"), [("NaN", 9, 3)])
    count = "SELECT count(*) FROM metrics WHERE run_uuid = %s AND is_nan"
    doors.rows_agree(f"NaN in table metrics for run {run}", [(1,)], count, run)


def test_values_stay_with_their_run_and_key(probe, api, mlflow_client, make_experiment, make_run, rows):
    """With several jobs logging in turns each value is found in its own run, under its own key.

    Remedy: read the tables metrics, params and tags for the runs named; suspect a proxy that shares or caches answers,
    or a connection pooler in front of Postgres that mixes sessions.
    """
    experiments = [make_experiment(), make_experiment()]
    runs = [make_run(experiments[i % 2]) for i in range(4)]
    for k in range(KEYS):
        for r, run in enumerate(runs):
            mlflow_client.log_metric(run, f"m{k}", r + k / 10, timestamp=k, step=r)
            body = {"params": [{"key": f"p{k}", "value": f"{r}/{k}"}], "tags": [{"key": f"t{k}", "value": f"{k}/{r}"}]}
            probe.call("runs/log-batch", {"run_id": run, **body})
    for r, run in enumerate(runs):
        wanted, shown = [(f"m{k}", r + k / 10, k, r) for k in range(KEYS)], api.run(run)
        api.agree(f"metrics of run {run}", api.metrics(run, shown), wanted)
        api.agree(f"params of run {run}", api.params(run, shown), [(f"p{k}", f"{r}/{k}") for k in range(KEYS)])
        api.agree(f"tags of run {run}", api.tags(run, shown), [(f"t{k}", f"{k}/{r}") for k in range(KEYS)])
        rows(f"table metrics of run {run}", wanted, METRICS, run)
        expect(f"experiment of run {run}", shown["info"].get("experiment_id"), experiments[r % 2])
