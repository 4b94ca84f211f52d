"""Experiments: made, listed, found, renamed, tagged, deleted, restored."""

import pytest

from fixtures.core.outcomes import expect

STAGE = "SELECT name, lifecycle_stage FROM experiments WHERE experiment_id = %s"
RUN_STAGES = "SELECT run_uuid, lifecycle_stage FROM runs WHERE experiment_id = %s ORDER BY run_uuid"
TAILS = {"plain": "x", "text": "ünï 日本語 😀 \"double\" 'single' 100% a_b back\\slash"}


def listed(api, name, view="ACTIVE_ONLY", comparator="="):
    """(id, name, stage) of the experiments that a search for `name` finds."""
    query = {"filter": f"name {comparator} '{name}'", "max_results": 100, "view_type": view}
    return [entry(e) for page in api.pages("experiments/search", query, "experiments") for e in page]


def entry(experiment):
    return experiment.get("experiment_id"), experiment.get("name"), experiment.get("lifecycle_stage")


@pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS)
def test_a_new_experiment_is_found_by_id_name_and_list(probe, api, make_experiment, unique, doors, tail):
    """Teams find their experiment again under the name that they gave it, whatever letters it has.

    Remedy: compare the row in table experiments with the answer of experiments/get; see the server log for the create
    call; if only special letters are lost, check that the database has ENCODING UTF8 (\\l in psql).
    """
    start = unique("found")
    name = f"{start} {tail}"
    made = make_experiment(name)
    wanted = (made, name, "active")
    by_id = probe.ask("experiments/get", {"experiment_id": made}).get("experiment", {})
    expect(f"experiments/get of {made}", entry(by_id), wanted)
    by_name = probe.ask("experiments/get-by-name", {"experiment_name": name}).get("experiment", {})
    expect(f"experiments/get-by-name of {name}", entry(by_name), wanted)
    expect(f"experiments/search for {name}", listed(api, f"{start} %", comparator="LIKE"), [wanted])
    doors.rows_agree(f"experiment {made}", [(name, "active")], STAGE, int(made))


def test_a_renamed_experiment_has_its_new_name_only(probe, make_experiment, unique, doors):
    """After a rename scripts that use the new name work, and the old name leads nowhere.

    Remedy: read the experiment's row (table experiments) and the server log for experiments/update; more than one
    server on different databases behind one address shows like this, too.
    """
    old, new = unique("old"), unique("new")
    made = make_experiment(old)
    for path, query in (("get", {"experiment_id": made}), ("get-by-name", {"experiment_name": old})):
        before = probe.ask(f"experiments/{path}", query).get("experiment", {})  # a cache would keep this
        expect(f"experiments/{path} of experiment {made}, new", entry(before), (made, old, "active"))
    probe.call("experiments/update", {"experiment_id": made, "new_name": new})
    for path, query in (("get", {"experiment_id": made}), ("get-by-name", {"experiment_name": new})):
        renamed = probe.ask(f"experiments/{path}", query).get("experiment", {})
        expect(f"experiments/{path} of experiment {made}, renamed to {new}", entry(renamed), (made, new, "active"))
    gone = probe.get("/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": old})
    expect(f"experiments/get-by-name of the old name {old}", gone.status_code, 404)
    doors.rows_agree(f"experiment {made}", [(new, "active")], STAGE, int(made))


def test_an_experiment_tag_holds_what_was_set_last(probe, api, make_experiment, doors):
    """Owner and cost-centre tags of an experiment are what was set last, and can be searched.

    Remedy: read table experiment_tags for the experiment and the server log for experiments/set-experiment-tag.
    """
    made = make_experiment()
    for key, value in (("owner", "first"), ("note", "stays"), ("owner", "risk 😀 'team'")):
        probe.call("experiments/set-experiment-tag", {"experiment_id": made, "key": key, "value": value})
    seen = probe.ask("experiments/get", {"experiment_id": made}).get("experiment", {})
    wanted = [("note", "stays"), ("owner", "risk 😀 'team'")]
    own = [(t.get("key"), t.get("value")) for t in seen.get("tags", []) if not str(t.get("key")).startswith("mlflow.")]
    expect(f"tags of experiment {made}", sorted(own), wanted)
    query = {"filter": f"name = '{seen.get('name')}' AND tags.note = 'stays'", "max_results": 10}
    hits = [e.get("experiment_id") for page in api.pages("experiments/search", query, "experiments") for e in page]
    expect(f"experiments/search by tag note of experiment {made}", hits, [made])
    tags = "SELECT key, value FROM experiment_tags WHERE experiment_id = %s AND key IN ('note', 'owner') ORDER BY key"
    doors.rows_agree(f"tags of experiment {made}", wanted, tags, int(made))


def test_a_deleted_experiment_is_among_the_deleted_only(probe, api, make_experiment, make_run, unique, doors):
    """A deleted experiment and its runs leave the lists that people work with, and stay to be restored.

    Remedy: read lifecycle_stage in the tables experiments and runs, and the server log for experiments/delete.
    """
    name = unique("deleted")
    made = make_experiment(name)
    runs = sorted([make_run(made), make_run(made)])
    expect(f"active experiments named {name}, new", listed(api, name), [(made, name, "active")])
    probe.call("experiments/delete", {"experiment_id": made})
    expect(f"active experiments named {name}", listed(api, name), [])
    expect(f"deleted experiments named {name}", listed(api, name, "DELETED_ONLY"), [(made, name, "deleted")])
    expect(f"active runs of deleted experiment {made}", api.found([made], run_view_type="ACTIVE_ONLY"), [])
    gone = sorted(api.found([made], run_view_type="DELETED_ONLY"))
    expect(f"deleted runs of deleted experiment {made}", gone, runs)
    doors.rows_agree(f"experiment {made}", [(name, "deleted")], STAGE, int(made))
    doors.rows_agree(f"runs of experiment {made}", [(r, "deleted") for r in runs], RUN_STAGES, int(made))


def test_a_restored_experiment_has_its_runs_and_their_data(probe, api, make_experiment, make_run, unique, doors):
    """Someone who deleted the wrong experiment gets it back whole: the name, the runs, their numbers.

    Remedy: read lifecycle_stage in the tables experiments and runs; keep `mlflow gc` away from what may be restored.
    """
    name = unique("restored")
    made = make_experiment(name)
    runs = sorted([make_run(made), make_run(made)])
    for place, run in enumerate(runs):
        probe.call("runs/log-metric", {"run_id": run, "key": "kept", "value": place, "timestamp": 7, "step": 1})
    probe.call("experiments/delete", {"experiment_id": made})
    probe.call("experiments/restore", {"experiment_id": made})
    expect(f"active experiments named {name}", listed(api, name), [(made, name, "active")])
    expect(f"active runs of restored experiment {made}", sorted(api.found([made])), runs)
    for place, run in enumerate(runs):
        expect(f"metrics of run {run} after the restore", api.metrics(run), [("kept", float(place), 7, 1)])
    doors.rows_agree(f"runs of experiment {made}", [(r, "active") for r in runs], RUN_STAGES, int(made))


@pytest.mark.parametrize("stage", ["active", "deleted"])
def test_a_second_experiment_of_the_same_name_is_refused(probe, make_experiment, unique, doors, stage):
    """Two experiments of one name would split a team's runs; scripts rely on RESOURCE_ALREADY_EXISTS to go on.

    Remedy: look for the unique constraint on experiments (name, in newer versions with workspace; \\d experiments in
    psql); a restore that lost its constraints is mended by restoring the schema, too.
    """
    name = unique("twice")
    made = make_experiment(name)
    if stage == "deleted":
        probe.call("experiments/delete", {"experiment_id": made})
    second = probe.post("/api/2.0/mlflow/experiments/create", json={"name": name})
    seen = (second.status_code, "RESOURCE_ALREADY_EXISTS" in second.text)
    expect(f"second create of {name} ({stage}): status, named RESOURCE_ALREADY_EXISTS", seen, (400, True))
    query = "SELECT experiment_id FROM experiments WHERE name = %s"
    doors.rows_agree(f"experiments named {name}", [(int(made),)], query, name)
