"""The fraud workflow, once: what was trained, logged and registered is what its users get."""

import mlflow
import numpy as np
import pytest
import yaml
from mlflow.exceptions import MlflowException

from fixtures.doors import digest
from fixtures.outcomes import expect, expect_that

# What differs between two saves of one model: who saved it, where and when.
OF_ONE_SAVE = ("artifact_path", "model_id", "model_uuid", "run_id", "utc_time_created")


@pytest.mark.parametrize("flavour", ["pyfunc", "sklearn"])
@pytest.mark.parametrize("door", ["runs", "models"])
def test_loaded_model_predicts_to_the_last_bit(published, door, flavour):
    """A service that loads a model from its run or from the registry predicts what the trainer saw.

    Remedy: compare the object model.pkl in the bucket with the trainer's file; look at what stands between client
    and server and recodes or cuts bodies, and at lifecycle rules of the bucket.
    """
    uri, rows = published.uris[door], published.trained.holdout
    loaded = getattr(mlflow, flavour).load_model(uri)
    seen = np.asarray(loaded.predict(rows) if flavour == "pyfunc" else loaded.predict_proba(rows))
    expected = published.trained.model.predict_proba(rows)
    expect(f"shape of the {flavour} predictions of {uri}", seen.shape, expected.shape)
    expect(
        f"rows that {uri} predicts otherwise ({flavour})", np.flatnonzero((seen != expected).any(axis=1)).tolist(), []
    )


def test_model_files_are_complete_and_unchanged(published, mlflow_client, fetched, doors):
    """A model that lost or changed one of its files fails when it is deployed, not when it is logged.

    Remedy: look in the server's log and the object store's log for uploads that were cut; check body size limits
    of proxies (client_max_body_size) and free space on the server's /tmp and in the bucket.
    """
    expected = {p.relative_to(published.saved).as_posix(): p.read_bytes() for p in published.saved.rglob("*")}
    seen = fetched(published.uris["models"])
    seen.pop("registered_model_meta", None)  # the client adds it on its way
    expect(f"files of {published.uris['models']}", sorted(seen), sorted(expected))
    about = {name: yaml.safe_load(files["MLmodel"]) for name, files in (("seen", seen), ("expected", expected))}
    for mlmodel in about.values():
        for key in OF_ONE_SAVE:
            mlmodel.pop(key, None)
    expect(f"MLmodel of {published.uris['models']}", about["seen"], about["expected"])
    expected["MLmodel"] = seen["MLmodel"]
    location = mlflow_client.get_model_version_download_uri(published.name, published.version)
    for path, content in expected.items():
        expect(f"{path} of {published.uris['models']}", digest(seen[path]), digest(content))
        doors.object_agrees(f"{path} of {published.uris['models']}", location, path, content)


def test_signature_comes_back_and_is_enforced(published, how_to_log):
    """A request with a wrong column must be refused: a model that guesses scores nonsense.

    Remedy: read `signature` in the MLmodel file of the version; log the model again with signature=infer_signature().
    """
    model, rows = mlflow.pyfunc.load_model(published.uris["models"]), published.trained.holdout
    expect(f"signature of {published.uris['models']}", model.metadata.signature, how_to_log["signature"])
    wrong = {
        "a column renamed": rows.rename(columns={"amount": "amuont"}),
        "a column missing": rows.drop(columns="merchant_risk"),
        "text for a number": rows.assign(hour="noon"),
    }
    accepted = {what: model.predict(bad)[:1].tolist() for what, bad in wrong.items() if not refuses(model, bad)}
    expect(f"requests that {published.uris['models']} answers although they do not fit", accepted, {})


def refuses(model, request):
    """Whether the model refuses `request` because of its signature."""
    try:
        model.predict(request)
    except MlflowException as error:
        return "Failed to enforce schema" in str(error)
    return False


def test_input_example_comes_back_and_predicts(published, how_to_log):
    """The example is what the next team tries first: it must be the one that was logged, and work.

    Remedy: read input_example.json of the version; log the model again with input_example=.
    """
    model, expected = mlflow.pyfunc.load_model(published.uris["models"]), how_to_log["input_example"]
    example = model.input_example
    expect(f"input example of {published.uris['models']}", example.to_dict("list"), expected.to_dict("list"))
    seen = model.predict(example).tolist()
    expect("predictions for it", seen, published.trained.model.predict_proba(expected).tolist())


def test_params_metrics_and_tags_of_the_training_read_back(published, probe, doors):
    """A model is judged by the figures of its run: each must come back exactly, through every door.

    Remedy: look for errors in the server's log at the time of the run; compare tables params, metrics and tags.
    """
    run, name = probe.ask("runs/get", {"run_id": published.run_id})["run"], f"run {published.run_id}"
    data = {kind: {d["key"]: d["value"] for d in run["data"].get(kind, [])} for kind in ("params", "metrics", "tags")}
    trained = published.trained
    expect(f"params of {name}", data["params"], trained.params)
    expect(f"metrics of {name}", data["metrics"], trained.metrics)
    expect(f"tags of {name}", {k: data["tags"].get(k) for k in published.tags}, published.tags)
    mine = 'WHERE run_uuid = %s ORDER BY key COLLATE "C"'
    rows = sorted(trained.params.items())
    doors.rows_agree(f"params of {name}", rows, f"SELECT key, value FROM params {mine}", published.run_id)
    rows = [(key, value, 3, False) for key, value in sorted(trained.metrics.items())]
    for table in ("metrics", "latest_metrics"):
        query = f"SELECT key, value, step, is_nan FROM {table} {mine}"
        doors.rows_agree(f"{table} of {name}", rows, query, published.run_id)
    query = 'SELECT key, value FROM tags WHERE run_uuid = %s AND key = ANY(%s) ORDER BY key COLLATE "C"'
    doors.rows_agree(f"tags of {name}", sorted(published.tags.items()), query, published.run_id, list(published.tags))


def test_report_logged_with_the_run_is_unchanged(published, report, mlflow_client, fetched, doors):
    """Reviewers read the report beside the model: its bytes must be those that the trainer wrote.

    Remedy: compare the object in the bucket with what the API serves, then look at proxies between them.
    """
    files = fetched(f"runs:/{published.run_id}/reports")
    expect(f"files under reports of run {published.run_id}", files, {"final/report.json": report})
    location = mlflow_client.get_run(published.run_id).info.artifact_uri
    doors.object_agrees("the report", location, "reports/final/report.json", report)


def test_run_says_when_by_whom_and_from_what_it_was_made(published, probe, doors):
    """An audit goes from the model to commit, times and state of the run that made it.

    Remedy: set mlflow.source.git.commit in the pipeline; look at table runs for a status that stayed RUNNING.
    """
    run, name = probe.ask("runs/get", {"run_id": published.run_id})["run"], f"run {published.run_id}"
    info, tags = run["info"], {t["key"]: t["value"] for t in run["data"]["tags"]}
    begin, end = published.window
    expect(f"status of {name}", info.get("status"), "FINISHED")
    expect(f"name of {name}", info.get("run_name"), published.run_name)
    expect(f"commit of {name}", tags.get("mlflow.source.git.commit"), published.tags["mlflow.source.git.commit"])
    expect(f"experiment of {name}", info.get("experiment_id"), published.experiment_id)
    times = (int(info.get("start_time", 0)), int(info.get("end_time", 0)))
    ordered = begin <= times[0] <= times[1] <= end
    expect_that(
        ordered, f"start and end of {name}", f"{begin} <= start <= end <= {end}, as the client sent them", times
    )
    query = "SELECT name, status, start_time, end_time, lifecycle_stage FROM runs WHERE run_uuid = %s"
    doors.rows_agree(name, [(published.run_name, "FINISHED", *times, "active")], query, published.run_id)


def test_registered_version_leads_back_to_its_run(published, probe, doors):
    """From a model in production one must find the run that made it, and from the run its versions.

    Remedy: register with mlflow.register_model("runs:/<run>/<name>") so that run_id is stored; see model_versions.
    """
    key = {"name": published.name, "version": published.version}
    version = probe.ask("model-versions/get", key)["model_version"]
    expect(f"run of {published.uris['models']}", version.get("run_id"), published.run_id)
    expect(f"status of {published.uris['models']}", version.get("status"), "READY")
    found = probe.ask("model-versions/search", {"filter": f"run_id = '{published.run_id}'"}).get("model_versions", [])
    seen = [(v["name"], v["version"]) for v in found]
    expect(f"versions made from run {published.run_id}", seen, [(published.name, published.version)])
    query = "SELECT version, run_id, status FROM model_versions WHERE name = %s"
    doors.rows_agree(published.name, [(int(published.version), published.run_id, "READY")], query, published.name)


def test_logged_model_and_run_know_each_other(published, logged_models, probe, doors):
    """MLflow 3 shows a model on its run's page, and the run on the model's, by two links that must agree.

    Remedy: compare tables logged_models and inputs; a client that ended in mid-upload leaves a model PENDING.
    """
    run, name = probe.ask("runs/get", {"run_id": published.run_id})["run"], f"run {published.run_id}"
    linked = [m["model_id"] for m in run.get("outputs", {}).get("model_outputs", [])]
    expect(f"number of models that {name} says it made", len(linked), 1)
    model = probe.ask(f"logged-models/{linked[0]}", {})["model"]
    seen = {key: model["info"].get(key) for key in ("source_run_id", "experiment_id", "name", "status")}
    made = {"source_run_id": published.run_id, "experiment_id": published.experiment_id, "name": "model"}
    expect(f"logged model {linked[0]}", seen, made | {"status": "LOGGED_MODEL_READY"})
    query = "SELECT model_id, name FROM logged_models WHERE experiment_id = %s AND source_run_id = %s"
    doors.rows_agree(
        f"logged models of {name}", [(linked[0], "model")], query, int(published.experiment_id), published.run_id
    )
