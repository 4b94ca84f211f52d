"""The fraud workflow, once: what was trained, logged and registered is what its users get."""

import difflib

import mlflow
import numpy as np
import pytest
from mlflow.exceptions import MlflowException

from fixtures.clients.doors import describe_bytes
from fixtures.clients.mlflow_errors import is_schema_refusal
from fixtures.core.outcomes import expect, expect_that

OF_ONE_SAVE = ("artifact_path:", "model_id:", "model_uuid:", "run_id:", "utc_time_created:")


@pytest.mark.parametrize("flavour", ["pyfunc", "sklearn"])
@pytest.mark.parametrize("door", ["runs", "models"])
def test_loaded_model_predicts_to_the_last_bit(published, load, door, flavour):
    """A service that loads a model from its run or from the registry predicts what the trainer saw.

    Remedy: compare the object model.pkl in the bucket with the trainer's file; look at what stands between client
    and server and recodes or cuts bodies, and at lifecycle rules of the bucket.
    """
    uri, rows = published.uris[door], published.trained.holdout
    loaded = load(flavour, uri)
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
    lines = difflib.ndiff(*(lines_of_every_save(files["MLmodel"]) for files in (expected, seen)))
    changed = [line for line in lines if line[0] in "-+"]
    expect(f"changed lines of MLmodel of {published.uris['models']}", changed, [])
    expected["MLmodel"] = seen["MLmodel"]
    location = mlflow_client.get_model_version_download_uri(published.name, published.version)
    for path, content in expected.items():
        expect(f"{path} of {published.uris['models']}", describe_bytes(seen[path]), describe_bytes(content))
        doors.object_agrees(f"{path} of {published.uris['models']}", location, path, content)


def lines_of_every_save(mlmodel):
    """The lines of an MLmodel file that say nothing of who saved it, where and when."""
    return [line for line in mlmodel.decode(errors="replace").splitlines() if not line.startswith(OF_ONE_SAVE)]


def test_signature_comes_back_and_is_enforced(published, load, how_to_log):
    """A request with a wrong column must be refused: a model that guesses scores nonsense.

    Remedy: read `signature` in the MLmodel file of the version; log the model again with signature=infer_signature().
    """
    model, rows = load("pyfunc", published.uris["models"]), published.trained.holdout
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
        return is_schema_refusal(error)
    return False


def test_input_example_comes_back_and_predicts(published, load, how_to_log):
    """The example is what the next team tries first: it must be the one that was logged, and work.

    Remedy: read input_example.json of the version; log the model again with input_example=.
    """
    model, expected = load("pyfunc", published.uris["models"]), how_to_log["input_example"]
    example = model.input_example
    expect(f"input example of {published.uris['models']}", example.to_dict("list"), expected.to_dict("list"))
    seen = model.predict(example).tolist()
    expect("predictions for it", seen, published.trained.model.predict_proba(expected).tolist())


def test_params_metrics_and_tags_of_the_training_read_back(published, stored, doors):
    """A model is judged by the figures of its run: each must come back exactly, through every door.

    Remedy: look for errors in the server's log at the time of the run; compare tables params, metrics and tags.
    """
    run, trained, ours = stored(published.run_id), published.trained, sorted(published.tags.items())
    expect(f"params of {run.what}", run.params, sorted(trained.params.items()))
    expect(f"metrics of {run.what}", run.metrics, sorted(trained.metrics.items()))
    expect(f"tags of {run.what}", [(key, value) for key, value in run.tags if key in published.tags], ours)
    mine = 'WHERE run_uuid = %s ORDER BY key COLLATE "C"'
    query = f"SELECT key, value FROM params {mine}"
    doors.rows_agree(f"params of {run.what}", sorted(trained.params.items()), query, published.run_id)
    rows = [(key, value, published.step, False) for key, value in sorted(trained.metrics.items())]
    for table in ("metrics", "latest_metrics"):
        query = f"SELECT key, value, step, is_nan FROM {table} {mine}"
        doors.rows_agree(f"{table} of {run.what}", rows, query, published.run_id)
    query = 'SELECT key, value FROM tags WHERE run_uuid = %s AND key = ANY(%s) ORDER BY key COLLATE "C"'
    doors.rows_agree(f"tags of {run.what}", ours, query, published.run_id, list(published.tags))


def test_report_logged_with_the_run_is_unchanged(published, report, mlflow_client, fetched, doors):
    """Reviewers read the report beside the model: its bytes must be those that the trainer wrote.

    Remedy: compare the object in the bucket with what the API serves, then look at proxies between them.
    """
    files = fetched(f"runs:/{published.run_id}/reports")
    expect(f"files under reports of run {published.run_id}", files, {"final/report.json": report})
    location = mlflow_client.get_run(published.run_id).info.artifact_uri
    doors.object_agrees("the report", location, "reports/final/report.json", report)


def test_run_says_when_and_from_what_it_was_made(published, stored, doors):
    """An audit goes from the model to commit, times and state of the run that made it.

    Remedy: set mlflow.source.git.commit in the pipeline; look at table runs for a status that stayed RUNNING.
    """
    run, (begin, end) = stored(published.run_id), published.window
    expected = {"status": "FINISHED", "run_name": published.run_name, "experiment_id": published.experiment_id}
    expect(run.what, {key: run.info.get(key) for key in expected}, expected)
    commits = [value for key, value in run.tags if key == "mlflow.source.git.commit"]
    expect(f"commit of {run.what}", commits, [published.tags["mlflow.source.git.commit"]])
    times = tuple(int(run.info.get(key, 0)) for key in ("start_time", "end_time"))
    ordered = begin <= times[0] <= times[1] <= end
    expect_that(ordered, f"times of {run.what}", f"{begin} <= start <= end <= {end}, as the client sent them", times)
    query = "SELECT name, status, start_time, end_time, lifecycle_stage FROM runs WHERE run_uuid = %s"
    doors.rows_agree(run.what, [(published.run_name, "FINISHED", *times, "active")], query, published.run_id)


def test_registered_version_leads_back_to_its_run(published, probe, doors):
    """From a model in production one must find the run that made it, and from the run its versions.

    Remedy: register with mlflow.register_model("runs:/<run>/<name>") so that run_id is stored; see model_versions.
    """
    key = {"name": published.name, "version": published.version}
    version = probe.ask("model-versions/get", key).get("model_version", {})
    expect(f"run of {published.uris['models']}", version.get("run_id"), published.run_id)
    expect(f"status of {published.uris['models']}", version.get("status"), "READY")
    found = probe.ask("model-versions/search", {"filter": f"run_id = '{published.run_id}'"}).get("model_versions", [])
    seen = [(v.get("name"), v.get("version")) for v in found]
    expect(f"versions made from run {published.run_id}", seen, [(published.name, published.version)])
    query = "SELECT version, run_id, status FROM model_versions WHERE name = %s"
    doors.rows_agree(published.name, [(int(published.version), published.run_id, "READY")], query, published.name)


def test_logged_model_and_run_know_each_other(published, logged_models, stored, probe, doors):
    """MLflow 3 shows a model on its run's page, and the run on the model's, by two links that must agree.

    Remedy: compare tables logged_models and inputs; a client that ended in mid-upload leaves a model PENDING.
    """
    run = stored(published.run_id)
    expect(f"number of models that {run.what} says it made", len(run.models), 1)
    info = probe.ask(f"logged-models/{run.models[0]}", {}).get("model", {}).get("info", {})
    expected = {"source_run_id": published.run_id, "experiment_id": published.experiment_id, "name": "model"}
    expected["status"] = "LOGGED_MODEL_READY"
    expect(f"logged model {run.models[0]}", {key: info.get(key) for key in expected}, expected)
    query = "SELECT model_id, name FROM logged_models WHERE experiment_id = %s AND source_run_id = %s"
    where = int(published.experiment_id), published.run_id
    doors.rows_agree(f"logged models of {run.what}", [(run.models[0], "model")], query, *where)


def test_served_model_leads_to_its_data_and_its_pipeline(published, stored, probe, doors):
    """From a version one must find the data that it was judged on and the pipeline's run: reviewers ask for both.

    Remedy: log the data with mlflow.log_input and start trainings with nested=True; look at tables datasets, inputs and
    input_tags, and for the tag mlflow.parentRunId.
    """
    key = {"name": published.name, "version": published.version}
    run = probe.ask("model-versions/get", key).get("model_version", {}).get("run_id", "")
    inputs = probe.ask("runs/get", {"run_id": run}).get("run", {}).get("inputs", {}).get("dataset_inputs", [])
    digest = mlflow.data.from_pandas(published.trained.holdout, name="holdout").digest
    tags = [("mlflow.data.context", "validation"), ("version", published.trained.data_version)]
    found = [(i["dataset"].get("name"), i["dataset"].get("digest"), tags_of(i)) for i in inputs]
    expect(f"data sets of {published.uris['models']}, by its run {run}", found, [("holdout", digest, tags)])
    parents = [value for key, value in stored(run).tags if key == "mlflow.parentRunId"]
    expect(f"parent of {published.uris['models']}, by its run {run}", parents, [published.parent])
    query = (
        "SELECT d.name, d.digest, t.name, t.value FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id"
        " JOIN input_tags t ON t.input_uuid = i.input_uuid"
        " WHERE i.destination_id = %s AND i.source_type = 'DATASET' ORDER BY t.name"
    )
    doors.rows_agree(f"data sets of run {run}", [("holdout", digest, *tag) for tag in tags], query, run)


def tags_of(dataset_input):
    return sorted((tag.get("key"), tag.get("value")) for tag in dataset_input.get("tags", []))
