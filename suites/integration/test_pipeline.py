"""The workflow's commands one after the other, as a pipeline runs them; and several pipelines at once."""

import hashlib

import mlflow
import numpy as np

from fixtures.core.outcomes import expect
from fixtures.workflow.export import verify_export

WAYS = (("--alias", "champion"), ("--stage", "Production"))


def path(name, experiment, out, way):
    """The steps of a pipeline from training to card; `way` is how it promotes."""
    one, serving = ("--model", name, "--version", "1"), ("--model", name, *way)
    yield "train", "--model", name, "--experiment", experiment
    yield "validate", *one
    yield "promote", *one, "--to", way[1]
    yield "export", *serving, "--out", str(out / name)
    yield "verify", "--out", str(out / name)
    yield "card", *serving, "--out", str(out / f"{name}.md")


def test_pipelines_at_once_end_in_what_they_trained(pipelines, mlflow_client, trained, unique, tmp_path):
    """Two pipelines, by alias and by stage, go from training to card at once: each must end in its own model.

    Remedy: run the step that the finding names by hand (docs/workflow.md) and read the server's log at that time; look
    for refused connections (QueuePool), since each pipeline opens several.
    """
    experiment, names = unique("at-once"), [unique("path") for _ in WAYS]
    both = pipelines([list(path(name, experiment, tmp_path, way)) for name, way in zip(names, WAYS, strict=True)])
    found = mlflow_client.get_experiment_by_name(experiment)
    failed = [str(one) for steps in both for one in steps if one.code]
    expect(f"steps of pipelines in {experiment} that failed", failed, [])
    runs = sorted(run.info.run_id for run in mlflow_client.search_runs([found.experiment_id]))
    expect(f"runs of {experiment}", runs, sorted(steps[0].record["run_id"] for steps in both))
    expected = trained.model.predict_proba(trained.holdout)
    for name, way, (first, *_, exported, _, _) in zip(names, WAYS, both, strict=True):
        uri = f"models:/{name}@{way[1]}" if way[0] == "--alias" else f"models:/{name}/{way[1]}"
        seen = mlflow.sklearn.load_model(str(tmp_path / name / "model")).predict_proba(trained.holdout)
        expect(
            f"rows that the export of {uri} predicts otherwise",
            np.flatnonzero((seen != expected).any(axis=1)).tolist(),
            [],
        )
        origin = {key: first.record[key] for key in ("run_id", "version", "metrics", "git_sha")}
        expect(f"origin in the manifest of {uri}", {key: exported.record[key] for key in origin}, origin)
        card = (tmp_path / f"{name}.md").read_text()
        target = f"@{way[1]}" if way[0] == "--alias" else way[1]
        wanted = (first.record["run_id"], f"At its promotion to {target}")
        expect(f"what the card of {uri} does not say", [word for word in wanted if word not in card], [])


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
    expect(f"what in the export of {published.uris['models']} is not as its manifest says", verify_export(out), [])
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
