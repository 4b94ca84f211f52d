"""Runs: name, status and times, tags, datasets, deletion and its undoing."""

import pytest
from mlflow.entities import Dataset, DatasetInput, InputTag

from fixtures.core.outcomes import expect

START, END = 1_700_000_000_123, 1_700_000_777_456
INFO = ("run_name", "status", "start_time", "end_time", "lifecycle_stage")
ROW = "SELECT name, status, start_time, end_time, lifecycle_stage FROM runs WHERE run_uuid = %s"
TAGS = "SELECT key, value FROM tags WHERE run_uuid = %s AND key NOT LIKE 'mlflow.%%' ORDER BY key COLLATE \"C\""


def info(api, run_id):
    """What runs/get says in `info`, numbers as numbers."""
    found = api.run(run_id).get("info", {})
    return tuple(int(found.get(k, -1)) if k.endswith("time") else found.get(k) for k in INFO)


def searched(api, experiment, view):
    return sorted(api.found([experiment], run_view_type=view))


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED"])
def test_a_run_keeps_its_name_status_and_times(probe, api, shared_experiment, unique, doors, status):
    """Whether a training run finished, and how long it took, is what it reported.

    Remedy: read the run's row in table runs and the server log for runs/create and runs/update.
    """
    name = unique(f"run ü {status}")
    asked = {"experiment_id": shared_experiment, "run_name": name, "start_time": START}
    run = probe.call("runs/create", asked).get("run", {}).get("info", {}).get("run_id", "")
    doors.rows_agree(f"new run {run}", [(name, "RUNNING", START, None, "active")], ROW, run)
    probe.call("runs/update", {"run_id": run, "status": status, "end_time": END})
    wanted = (name, status, START, END, "active")
    expect(f"{', '.join(INFO)} of run {run}", info(api, run), wanted)
    doors.rows_agree(f"run {run}", [wanted], ROW, run)


@pytest.mark.parametrize("way", ["runs/update", "runs/set-tag"])
def test_a_renamed_run_has_its_new_name_everywhere(probe, api, make_run, unique, doors, way):
    """The name in the run's page, in its tag mlflow.runName and in a search by name is one and the same.

    Remedy: compare table runs (name) with table tags (mlflow.runName) for the run; see the server log for the update.
    """
    run, name = make_run(), unique("renamed 日本")
    body = {"run_name": name} if way == "runs/update" else {"key": "mlflow.runName", "value": name}
    probe.call(way, {"run_id": run, **body})
    seen = api.run(run)
    tag = [t.get("value") for t in seen.get("data", {}).get("tags", []) if t.get("key") == "mlflow.runName"]
    expect(f"name and tag mlflow.runName of run {run}", [seen["info"].get("run_name"), *tag], [name, name])
    experiment = seen["info"].get("experiment_id")
    found = api.found([experiment], filter=f"attributes.run_name = '{name}'")
    expect(f"runs found by the name {name}", found, [run])
    doors.rows_agree(f"name of run {run}", [(name,)], "SELECT name FROM runs WHERE run_uuid = %s", run)


def test_a_tag_holds_what_was_set_last_until_it_is_deleted(probe, api, make_run, doors):
    """Pipelines mark runs with tags (approved, owner): the last value counts, and a deleted tag is gone.

    Remedy: read table tags for the run and the server log for runs/set-tag and runs/delete-tag.
    """
    run, other = make_run(), make_run()
    for key, value in (("state", "new"), ("owner", "a"), ("state", "approved"), ("scratch", "x")):
        probe.call("runs/set-tag", {"run_id": run, "key": key, "value": value})
    probe.call("runs/set-tag", {"run_id": other, "key": "scratch", "value": "stays"})
    probe.call("runs/delete-tag", {"run_id": run, "key": "scratch"})
    wanted = [("owner", "a"), ("state", "approved")]
    expect(f"tags of run {run}", api.tags(run), wanted)
    expect(f"tags of run {other}, of which none was deleted", api.tags(other), [("scratch", "stays")])
    doors.rows_agree(f"tags of run {run}", wanted, TAGS, run)


def test_a_deleted_run_is_hidden_and_comes_back_whole(probe, api, make_experiment, make_run, doors):
    """A deleted run leaves lists and comparisons, its neighbours stay, and restoring brings it back with its data.

    Remedy: read lifecycle_stage in table runs and the server log for runs/delete and runs/restore.
    """
    experiment = make_experiment()
    run, neighbour = make_run(experiment), make_run(experiment)
    probe.call("runs/log-batch", {"run_id": run, "params": [{"key": "kept", "value": "1"}]})
    probe.call("runs/delete", {"run_id": run})
    views = {view: searched(api, experiment, view) for view in ("ACTIVE_ONLY", "DELETED_ONLY", "ALL")}
    wanted = {"ACTIVE_ONLY": [neighbour], "DELETED_ONLY": [run], "ALL": sorted([run, neighbour])}
    expect(f"runs of experiment {experiment} after deleting {run}", views, wanted)
    doors.rows_agree(f"run {run}", [("deleted",)], "SELECT lifecycle_stage FROM runs WHERE run_uuid = %s", run)
    probe.call("runs/restore", {"run_id": run})
    active = searched(api, experiment, "ACTIVE_ONLY")
    expect(f"active runs of experiment {experiment} after restoring {run}", active, sorted([run, neighbour]))
    expect(f"params of run {run} after restoring it", api.params(run), [("kept", "1")])


def test_a_deleted_run_takes_no_writes(probe, api, make_run, doors):
    """A job that still logs to a run which someone deleted is told so, instead of writing into the void.

    Remedy: read table runs (lifecycle_stage) and the server log for the write that was answered with 200.
    """
    run = make_run()
    probe.call("runs/delete", {"run_id": run})
    point = {"key": "late", "value": 1, "timestamp": 1, "step": 0}
    writes = {
        "runs/log-metric": point,
        "runs/log-parameter": {"key": "late", "value": "1"},
        "runs/set-tag": {"key": "late", "value": "1"},
        "runs/log-batch": {"metrics": [point]},
        "runs/update": {"status": "FAILED"},
    }
    seen = {
        path: probe.post(f"/api/2.0/mlflow/{path}", json={"run_id": run, **b}).status_code for path, b in writes.items()
    }
    expect(f"status of writes to deleted run {run}", seen, dict.fromkeys(writes, 400))
    shown = api.run(run)
    left = (api.metrics(run, shown), api.params(run, shown), api.tags(run, shown), shown["info"].get("status"))
    expect(f"metrics, params, tags, status of deleted run {run}", left, ([], [], [], "RUNNING"))
    count = "SELECT count(*) FROM metrics WHERE run_uuid = %s"
    doors.rows_agree(f"number of metrics of deleted run {run}", [(0,)], count, run)


def test_the_datasets_of_a_run_are_read_back(mlflow_client, make_run, doors):
    """Which data a model was trained on (name, digest, source, context) is kept with the run: audits rely on it.

    Remedy: read the tables datasets, inputs and input_tags, and the server log for runs/log-inputs.
    """
    run = make_run()
    sets = {"train": "a1" * 4, "eval ü": "b2" * 4}
    logged = [dataset(name, digest) for name, digest in sets.items()]
    mlflow_client.log_inputs(run, datasets=logged)
    inputs = mlflow_client.get_run(run).inputs.dataset_inputs
    expect(f"datasets of run {run}", sorted(map(described, inputs)), sorted(map(described, logged)))
    query = """SELECT d.name, d.digest, t.value FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id
        JOIN input_tags t ON t.input_uuid = i.input_uuid WHERE i.destination_id = %s ORDER BY d.digest"""
    doors.rows_agree(f"datasets of run {run}", [(n, d, f"for {n}") for n, d in sets.items()], query, run)


def dataset(name, digest):
    source = Dataset(name, digest, "local", '{"uri": "/data/x.csv"}', schema='{"cols": ["ü"]}', profile='{"rows": 3}')
    return DatasetInput(source, tags=[InputTag("mlflow.data.context", f"for {name}")])


def described(entry):
    d = entry.dataset
    tags = sorted((t.key, t.value) for t in entry.tags)
    return d.name, d.digest, d.source_type, d.source, d.schema, d.profile, tags
