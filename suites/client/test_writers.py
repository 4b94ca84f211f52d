"""Clients that write to one run at the same moment, as the processes of one training do (R03, F39, F84)."""

from functools import partial

import pytest

from fixtures.clients.doors import describe_bytes
from fixtures.clients.mlflow_errors import find_common_symptom
from fixtures.clients.rest import read_acknowledged
from fixtures.core.at_once import run_at_once
from fixtures.core.outcomes import Lack, OutOfScope, Symptom, expect, expect_that, shorten_text

CLIENTS, TAGS, FEWEST_TAGS = 4, 6, 3  # a live server is sent four requests at a time
METRICS, ROUNDS, FEWEST_ROUNDS = 1000, 2, 1  # MLflow locks the rows of 500 keys, and then those of the rest


@pytest.mark.known_issue("R03")
def test_a_new_tag_that_clients_set_at_once_is_stored(probe, stack, make_run, doors):
    """The processes of one training set the same new tag of their run: none of them may be told that it failed.

    Remedy: send a runs/set-tag that was refused with a UniqueViolation again, or set tags in one process only, or by
    MLflow's log_batch, which the server repeats by itself.
    """
    run, acknowledged, refused = make_run(), {}, []
    tags = stack.speed.scale_count(TAGS, FEWEST_TAGS)
    for key in (f"new-{n}" for n in range(tags)):
        bodies = [{"run_id": run, "key": key, "value": f"of client {client}"} for client in range(CLIENTS)]
        answers = run_at_once([partial(probe.post, "/api/2.0/mlflow/runs/set-tag", json=body) for body in bodies])
        refused += [answer.text for answer in answers if answer.status_code != 200]
        acknowledged[key] = [b["value"] for b, a in zip(bodies, answers, strict=True) if a.status_code == 200]
    found = probe.ask("runs/get", {"run_id": run})["run"]["data"]["tags"]
    stored = {tag["key"]: tag["value"] for tag in found if tag["key"] in acknowledged}
    wrong = {key: stored.get(key) for key, values in acknowledged.items() if values and stored.get(key) not in values}
    expect(f"tags of run {run} that show no value which was acknowledged", wrong, {})
    query = "SELECT key, value FROM tags WHERE run_uuid = %s AND key LIKE 'new-%%' ORDER BY key"
    doors.rows_agree(f"tags of run {run}", sorted(stored.items()), query, run)
    what = f"refusals of {CLIENTS} clients that set {tags} new tags of run {run} at once"
    expect(what, [shorten_text(words, 200) for words in refused], [], symptom=find_common_symptom(refused))


@pytest.mark.known_issue("F39-order")
def test_writers_that_name_metrics_in_opposite_order_are_served(probe, stack, make_run, doors):
    """Processes of one training name the same metrics in an order of their own: none of them may end in a deadlock.

    Remedy: upgrade to MLflow 3.16 or newer, which locks the rows in one order and tries again. Until then log the
    metrics of a run in one order, or from one process.
    """
    run, acknowledged, refused = make_run(), [], []
    keys = [f"metric_{number:03}" for number in range(METRICS)]

    def log(step):
        ordered = keys[::-1] if step % 2 else keys
        points = [{"key": key, "value": float(step), "timestamp": step, "step": step} for key in ordered]
        return step, probe.post("/api/2.0/mlflow/runs/log-batch", json={"run_id": run, "metrics": points})

    read_acknowledged(log(0)[1], f"{METRICS} metrics of run {run}")
    for number in range(stack.speed.scale_count(ROUNDS, FEWEST_ROUNDS)):
        steps = range(1 + number * CLIENTS, 1 + (number + 1) * CLIENTS)
        answers = run_at_once([partial(log, step) for step in steps])
        refused += [answer.text for _, answer in answers if answer.status_code != 200]
        acknowledged += [step for step, answer in answers if answer.status_code == 200]
        if refused:
            break
    found = probe.ask("runs/get", {"run_id": run})["run"]["data"]["metrics"]
    behind = [m["key"] for m in found if int(m.get("step", 0)) < max(acknowledged, default=0)]
    expect(
        f"metrics of run {run} that show an older step than the last acknowledged", (len(found), behind), (METRICS, [])
    )
    query = "SELECT step, count(*) FROM metrics WHERE run_uuid = %s AND step = ANY(%s) GROUP BY step ORDER BY step"
    rows = [(step, METRICS) for step in sorted(acknowledged)]
    doors.rows_agree(f"points by step of run {run}", rows, query, run, acknowledged)
    common = find_common_symptom(refused)
    symptom = Symptom.KEYS_IN_OPPOSITE_ORDER if common is Symptom.DEADLOCK else common
    what = f"refusals of {CLIENTS} clients that log {METRICS} metrics of run {run} in opposite order"
    expect(what, [shorten_text(words, 200) for words in refused], [], symptom=symptom)


def test_files_that_clients_upload_at_once_are_kept_apart(probe, api, make_run, doors):
    """Jobs that upload at the same moment: each file has its own bytes, and one name has those of one of them, whole.

    Remedy: look for a temporary folder that the workers share under one name, and for a proxy that buffers bodies in
    files; the bucket's own log tells who wrote the key last.
    """
    run = make_run()
    if (route := api.artifact_route(run, "")) is None:
        raise OutOfScope(Lack.PROXIED_ARTIFACTS, f"clients keep artifacts in {api.artifact_uri(run)} themselves")
    contents = [f"of client {client}\n".encode() * 10_000 for client in range(CLIENTS)]
    own, shared = [f"own/{client}.bin" for client in range(CLIENTS)], "shared.bin"
    puts = [(name, content) for pair in zip(own, contents, strict=True) for name, content in (pair, (shared, pair[1]))]
    answers = run_at_once([partial(probe.put, f"{route}{name}", data=content) for name, content in puts])
    expect(
        f"statuses of {len(puts)} uploads at once for run {run}", [a.status_code for a in answers], [200] * len(puts)
    )
    for name, content in zip(own, contents, strict=True):
        seen = describe_bytes(probe.get(f"{route}{name}").content)
        expect(f"file {name} of run {run}", seen, describe_bytes(content))
        doors.object_agrees(f"file {name} of run {run}", api.artifact_uri(run), name, content)
    seen = describe_bytes(probe.get(f"{route}{shared}").content)
    expect_that(seen in map(describe_bytes, contents), f"file {shared} of run {run}", "the bytes of one client", seen)
