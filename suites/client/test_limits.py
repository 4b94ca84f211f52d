"""Limits: at the limit stored whole, one beyond refused or, as documented, cut to the limit; never anything else."""

import pytest
from packaging.version import Version

from fixtures.core.outcomes import expect, expect_that

LENGTHS = {"params": 6000, "tags": 8000}
OLD_TAGS = 5000  # before schema f5a4f2784254 of MLflow 2.17
PATHS = {"params": "runs/log-parameter", "tags": "runs/set-tag", "metrics": "runs/log-metric"}
KEY = 250
COUNTS = {"metrics": 1000, "params": 100, "tags": 100}
TOO_MUCH = {
    **{kind: {kind: most + 1} for kind, most in COUNTS.items()},
    "1001 entries": {"metrics": 901, "params": 100},
}


def text(length):
    """A text of this many characters in which every place is different enough to tell a cut from another."""
    return "".join(f"{i:05}ü" for i in range(length // 6 + 1))[:length]


def limit_of(api, kind):
    """How many characters a value may have on this server."""
    return OLD_TAGS if kind == "tags" and api.version < Version("2.17") else LENGTHS[kind]


def same_text(what, seen, value):
    """Finding unless `seen` is [("long", value)]; it shows where the texts part, not thousands of characters."""
    kept = "".join(text for key, text in seen if key == "long")
    alike = next((i for i, (a, b) in enumerate(zip(kept, value, strict=False)) if a != b), min(len(kept), len(value)))
    shown = f"{len(seen)} entries, of which 'long' has {len(kept)} characters, equal up to number {alike}"
    expect_that(seen == [("long", value)], what, f"one entry of {len(value)} characters, as sent", shown)


def write(run, kind, key, value):
    return {"run_id": run, "key": key, "value": value, **({"timestamp": 1, "step": 0} if kind == "metrics" else {})}


def stored(api, run, kind, shown=None):
    """(key, value) of what the run holds; `shown` is the run if it was read already."""
    return [m[:2] for m in api.metrics(run, shown)] if kind == "metrics" else api.pairs(run, kind, shown)


@pytest.mark.parametrize("kind", LENGTHS)
def test_a_value_at_the_limit_is_stored_whole(probe, api, make_run, doors, kind):
    """A param of 6000 and a tag of 8000 characters, as MLflow documents them, are stored to the last character.

    Remedy: check the length of params.value and tags.value (\\d params in psql: 8000 characters) and run
    `mlflow db upgrade` if it is less; look for a proxy that rewrites bodies.
    """
    run, value = make_run(), text(limit_of(api, kind))
    probe.call(PATHS[kind], write(run, kind, "long", value))
    same_text(f"{kind} of run {run}", api.pairs(run, kind), value)
    if doors.sql is not None:
        query = f"SELECT key, value FROM {kind} WHERE run_uuid = %s AND key = 'long'"
        same_text(f"table {kind} of run {run}", doors.sql.rows(query, run), value)
        doors.proof.add("sql")


@pytest.mark.parametrize("kind", LENGTHS)
def test_a_value_beyond_the_limit_is_refused_or_cut_there(probe, api, make_run, note, kind):
    """One character too many is refused with the limit's name, or cut exactly there: never lost, never a 500.

    Remedy: set MLFLOW_TRUNCATE_LONG_VALUES=false on the server and its clients if a refusal is better than a cut.
    """
    run, limit = make_run(), limit_of(api, kind)
    value = text(limit + 1)
    answer = probe.post(f"/api/2.0/mlflow/{PATHS[kind]}", json=write(run, kind, "long", value))
    what = f"{kind[:-1]} of {limit + 1} characters for run {run}"
    seen = stored(api, run, kind)
    if answer.status_code == 200:
        same_text(f"{what}, acknowledged", seen, value[:limit])
        note(f"{kind} longer than {limit} characters are cut there (MLFLOW_TRUNCATE_LONG_VALUES)")
    else:
        refused(answer, what, limit)
        expect(f"{what}, refused", seen, [])


@pytest.mark.parametrize("kind", PATHS)
def test_a_key_at_the_limit_is_stored_and_one_beyond_refused(probe, api, make_run, kind):
    """Keys of generated names grow long: 250 characters are stored, 251 refused with the limit's name, not cut.

    Remedy: check the length of the column key (250 characters) in the tables params, metrics, latest_metrics and tags,
    and the server log for the write.
    """
    run, key = make_run(), text(KEY)
    value = 0.5 if kind == "metrics" else "v"
    probe.call(PATHS[kind], write(run, kind, key, value))
    expect(f"{kind} of run {run} with a key of {KEY} characters", stored(api, run, kind), [(key, value)])
    answer = probe.post(f"/api/2.0/mlflow/{PATHS[kind]}", json=write(run, kind, text(KEY + 1), value))
    refused(answer, f"key of {KEY + 1} characters among {kind} of run {run}", KEY)
    expect(f"{kind} of run {run} after the refusal", stored(api, run, kind), [(key, value)])


@pytest.mark.parametrize("sizes", TOO_MUCH.values(), ids=TOO_MUCH)
def test_a_batch_beyond_the_limit_is_refused_whole(probe, api, make_run, doors, sizes):
    """A batch with one entry too many is refused with the limit's name, and no part of it is stored.

    Remedy: see the server log for runs/log-batch; look for a proxy that splits or rewrites requests.
    """
    run = make_run()
    body = {kind: [write(run, kind, f"k{i}", "1") for i in range(size)] for kind, size in sizes.items()}
    answer = probe.post("/api/2.0/mlflow/runs/log-batch", json={"run_id": run, **body})
    limit = COUNTS[next(iter(sizes))]
    refused(answer, f"batch of {sizes} for run {run}", limit)
    shown = api.run(run)
    left = {kind: len(stored(api, run, kind, shown)) for kind in COUNTS}
    expect(f"entries of the refused batch for run {run}", left, dict.fromkeys(COUNTS, 0))
    for table in COUNTS:
        count = f"SELECT count(*) FROM {table} WHERE run_uuid = %s AND key LIKE 'k%%'"
        doors.rows_agree(f"entries of the refused batch for run {run} in {table}", [(0,)], count, run)


def refused(answer, what, limit):
    """Finding unless the answer is a 4xx whose message names the limit."""
    ok = 400 <= answer.status_code < 500 and str(limit) in answer.text
    expect_that(ok, what, f"status 4xx that names the limit {limit}", f"{answer.status_code} {answer.text[:200]}")
