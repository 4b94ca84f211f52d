"""Params, tags and batches: text as it was sent, params that cannot be changed, whole batches."""

import pytest

from fixtures.core.outcomes import expect

PARAMS = 'SELECT key, value FROM params WHERE run_uuid = %s ORDER BY key COLLATE "C"'
TAGS = "SELECT key, value FROM tags WHERE run_uuid = %s AND key NOT LIKE 'mlflow.%%' ORDER BY key COLLATE \"C\""
METRICS = 'SELECT key, value, timestamp, step FROM metrics WHERE run_uuid = %s ORDER BY key COLLATE "C", step'
TEXTS = {
    "a/nested/key": '{"json": [1, "two", null]}',
    "dots.and-dashes_": "line\nbreak\r\nand\ttab",
    "ein schlüssel": "  spaces around  ",
    "日本/キー": "日本語 العربية Ω",
    "emoji": "😀👩‍👩‍👧 🇺🇳",
    "percent": "100% %s %(x)s {0} ${HOME}",
    "quotes": "'single' \"double\" `tick` \\ back\\\\slash",
    "sql": "'; DROP TABLE runs; --",
    "html": "<b>&amp;</b><script>let x = 1</script>",
    "code": "import os\nprint(os.environ['HOME'])",
    "template": "{{ question }} ${x} <%= y %>",
    "path": "../../data/train.csv",
    "combining": "e\u0301 is not \u00e9",
    "escapes": "\\n \\u00e9 \u200b\u2028",
    "empty": "",
    "number": "1e3",
}


@pytest.mark.parametrize("kind", ["params", "tags"])
def test_text_is_stored_as_it_was_sent(probe, api, mlflow_client, make_run, rows, kind):
    """Prompts, JSON settings and names in any language come back letter by letter, under their own key.

    Remedy: check that the database has ENCODING UTF8 (\\l in psql) and that no proxy in between rewrites bodies; read
    the tables params and tags for the run.
    """
    run, wanted = make_run(), sorted(TEXTS.items())
    probe.call("runs/log-batch", {"run_id": run, kind: [{"key": k, "value": v} for k, v in TEXTS.items()]})
    api.agree(f"{kind} of run {run}", api.pairs(run, kind), wanted)
    client = getattr(mlflow_client.get_run(run).data, kind)
    expect(f"{kind} of run {run}, read by the Python client", {k: client.get(k) for k in TEXTS}, TEXTS)
    rows(f"table {kind} of run {run}", wanted, PARAMS if kind == "params" else TAGS, run)


@pytest.mark.parametrize("way", ["runs/log-parameter", "runs/log-batch"])
def test_a_param_cannot_be_changed(probe, api, make_run, doors, way):
    """A run's params say how it was trained: a second value is refused, the first stays, nothing else is stored.

    Remedy: check the primary key of table params (key, run_uuid; \\d params in psql) and the server log for the write.
    """
    run = make_run()
    send = {"runs/log-parameter": single, "runs/log-batch": batched}[way]
    seen = [probe.post(f"/api/2.0/mlflow/{way}", json=send(run, value)).status_code for value in ("0.1", "0.1", "0.2")]
    expect(f"{way} of 0.1, 0.1 again and 0.2 as param rate of run {run}", seen, [200, 200, 400])
    shown = api.run(run)
    expect(f"params of run {run}", api.params(run, shown), [("rate", "0.1")])
    stored = [m[0] for m in api.metrics(run, shown)]
    expect(f"metrics of run {run}, the refused batch had one", stored, ["with0.1"] if way == "runs/log-batch" else [])
    doors.rows_agree(f"params of run {run}", [("rate", "0.1")], PARAMS, run)


def single(run, value):
    return {"run_id": run, "key": "rate", "value": value}


def batched(run, value):
    metric = {"key": f"with{value}", "value": 1, "timestamp": 1, "step": 0}
    return {"run_id": run, "params": [{"key": "rate", "value": value}], "metrics": [metric]}


LONG = {"params": 6000, "tags": 5000}  # with 200 such texts a batch is larger than nginx's usual limit of 1 MiB
BATCHES = {"1000 metrics": (1000, 0, 0), "800 metrics, 100 params, 100 tags": (800, 100, 100)}


@pytest.mark.parametrize("sizes", BATCHES.values(), ids=BATCHES)
def test_a_full_batch_is_stored_whole(probe, api, make_run, rows, sizes):
    """Autologging sends up to 1000 entries at once: all of them are stored, each once, each with its own value.

    Remedy: a 413 comes from a proxy (client_max_body_size in nginx); for lost entries see the server log and count the
    rows of the tables metrics, params and tags for the run.
    """
    run, (metrics, params, tags) = make_run(), sizes
    curves = {f"c{c}": [(float(c * 1000 + s) / 7, 50 + s, s) for s in range(metrics // 2)] for c in range(2)}
    points = [(key, *point) for key, points in curves.items() for point in points]
    pairs = {
        "params": [(f"p{i:03}", f"p{i * 3}".ljust(LONG["params"], "p")) for i in range(params)],
        "tags": [(f"t{i:03}", f"t{i * 7}".ljust(LONG["tags"], "t")) for i in range(tags)],
    }
    body = {kind: [{"key": k, "value": v} for k, v in entries] for kind, entries in pairs.items()}
    body["metrics"] = [{"key": k, "value": v, "timestamp": t, "step": s} for k, v, t, s in points]
    probe.call("runs/log-batch", {"run_id": run, **body})
    for key, curve in curves.items():
        api.agree(f"history of metric {key} of run {run}", api.history(run, key), curve)
    shown = api.run(run)
    api.agree(
        f"latest metrics of run {run}", api.metrics(run, shown), [(key, *curve[-1]) for key, curve in curves.items()]
    )
    for kind, query in (("params", PARAMS), ("tags", TAGS)):
        api.agree(f"{kind} of run {run}", api.pairs(run, kind, shown), pairs[kind])
        rows(f"table {kind} of run {run}", pairs[kind], query, run)
    rows(f"table metrics of run {run}", points, METRICS, run)
