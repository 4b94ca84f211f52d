"""The workflow's commands one after the other, as a pipeline runs them; and several pipelines at once."""

import hashlib

import numpy as np
import pytest

from fixtures.outcomes import expect, expect_that
from fixtures.workflow.export import verify

PIPELINES = 3


@pytest.mark.parametrize(("option", "place"), [("--alias", "champion"), ("--stage", "Production")])
def test_whole_path_ends_in_the_model_that_was_trained(
    step, load, trained, make_experiment, unique, made, tmp_path, option, place
):
    """Train, gates, register, promote, export, card: by alias or by stage, the last step has the model of the first.

    Remedy: run the step that the finding names by hand (docs/workflow.md) and read the server's log at that time.
    """
    name, experiment = unique("path"), unique("path")
    make_experiment(experiment)
    made.models.append(name)
    first = step("train", "--model", name, "--experiment", experiment, "--seed", 7).record
    expect(f"gates that {name} failed", step("validate", "--model", name, "--version", 1).failed, {})
    expect_that(step("promote", "--model", name, "--version", 1, "--to", place).passed, name, "promoted", "refused")
    uri = f"models:/{name}@{place}" if option == "--alias" else f"models:/{name}/{place}"
    seen = load("sklearn", uri).predict_proba(trained.holdout)
    wrong = np.flatnonzero((seen != trained.model.predict_proba(trained.holdout)).any(axis=1)).tolist()
    expect(f"rows that {uri} predicts otherwise", wrong, [])
    exported = step("export", "--model", name, option, place, "--out", tmp_path / "export").record
    origin = {key: exported[key] for key in ("run_id", "version", "metrics", "git_sha")}
    expect(f"manifest of {uri}", origin, {key: first[key] for key in origin})
    step("card", "--model", name, option, place, "--out", tmp_path / "card.md")
    target = f"@{place}" if option == "--alias" else place
    text = (tmp_path / "card.md").read_text()
    missing = [word for word in (first["run_id"], f"At its promotion to {target}") if word not in text]
    expect(f"what the card of {uri} does not say", missing, [])


def test_export_has_every_file_with_its_hash(published, step, report, mlflow_client, doors, tmp_path):
    """Who deploys an export checks it by its manifest: hash and size of each file must be those that were logged.

    Remedy: compare the object in the bucket with what the API serves; a gateway or cache that changes bodies gives the
    export other bytes than the training stored.
    """
    out, name = tmp_path / "export", ("--model", published.name, "--version", published.version)
    manifest = step("export", *name, "--out", out).record
    files = {f"model/{p.relative_to(published.saved).as_posix()}": p.read_bytes() for p in published.saved.rglob("*")}
    files["artifacts/reports/final/report.json"] = report
    files["model/MLmodel"] = (out / "model" / "MLmodel").read_bytes()  # it says when and by whom it was saved
    expected = {path: (hashlib.sha256(content).hexdigest(), len(content)) for path, content in files.items()}
    seen = {file["path"]: (file["sha256"], file["size"]) for file in manifest["files"]}
    wrong = {path: seen.get(path) for path in seen.keys() | expected if seen.get(path) != expected.get(path)}
    right = {path: expected.get(path) for path in wrong}
    expect(f"files in the manifest of {published.uris['models']}", wrong, right)
    expect(f"what in the export of {published.uris['models']} is not as its manifest says", verify(out), [])
    again = step("export", *name, "--out", out).record["unchanged"]
    expect(f"whether the export of {published.uris['models']} again gives the same bytes", again, True)
    location = mlflow_client.get_model_version_download_uri(published.name, published.version)
    for path in (path for path in files if path.startswith("model/")):
        doors.object_agrees(f"{path} of the export", location, path.removeprefix("model/"), files[path])


def test_model_card_says_what_run_and_registry_say(published, step, tmp_path):
    """Auditors read the card instead of the server: model, run, commit, data, params and each gate must be on it.

    Remedy: compare the card with `python -m fixtures.workflow validate` for the same version; a field that is "not
    recorded" was lost between the training and the registry.
    """
    name, out = ("--model", published.name, "--version", published.version), tmp_path / "card.md"
    step("card", *name, "--out", out)
    rows = [line.strip("| ").split(" | ") for line in out.read_text().splitlines() if line.startswith("|")]
    seen = {row[0]: row[1] for row in rows if len(row) == 2}
    values = {key: f"{value:.4f}" for key, value in published.trained.metrics.items()}
    expected = {"Model": published.name, "Version": published.version, **published.trained.params, **values}
    expected["Git commit"] = published.tags["mlflow.source.git.commit"]
    expected["Run"] = f"{published.run_id} ({published.run_name}, FINISHED)"
    expect(f"card of {published.uris['models']}", {key: seen.get(key) for key in expected}, expected)
    gates = {row[0]: row[1] for row in rows if len(row) == 4 and row[3] == "passed"}
    expect(f"gates on the card of {published.uris['models']} that passed", gates, values)


def test_pipelines_at_once_do_not_disturb_each_other(pipelines, probe, unique, made, mlflow_client, doors):
    """Several pipelines start in one new experiment at once: each run, version and alias must be its own pipeline's.

    Remedy: read what the process said; make the experiment before the pipelines start, and look in the server's log
    for refused connections (QueuePool), since each pipeline opens several.
    """
    experiment, names = unique("at-once"), [unique("at-once") for _ in range(PIPELINES)]
    made.models.extend(names)
    common = ("--experiment", experiment, "--alias", "champion")
    ended = pipelines([["train", "--model", name, *common] for name in names])
    found = mlflow_client.get_experiment_by_name(experiment)
    made.experiments.extend([found.experiment_id] if found else [])
    expect(f"pipelines in {experiment} that failed", [str(one) for one in ended if one.code], [])
    runs = probe.call("runs/search", {"experiment_ids": [found.experiment_id]}).get("runs", [])
    seen = sorted(run.get("info", {}).get("run_id") for run in runs)
    expect(f"runs of {experiment}", seen, sorted(one.record["run_id"] for one in ended))
    for name, one in zip(names, ended, strict=True):
        champion = probe.ask("registered-models/alias", {"name": name, "alias": "champion"}).get("model_version", {})
        key = (champion.get("version"), champion.get("run_id"))
        expect(f"@champion of {name}", key, ("1", one.record["run_id"]))
        run = mlflow_client.get_run(one.record["run_id"]).data
        expect(f"metrics of run {one.record['run_id']}", run.metrics, one.record["metrics"])
    query = "SELECT count(*) FROM experiments WHERE name = %s"
    doors.rows_agree(f"experiments of the name {experiment}", [(1,)], query, experiment)
