"""Ways to log a model and runs: each arrives, under its own name and with its own content."""

import threading
from concurrent.futures import ThreadPoolExecutor

import mlflow
import numpy as np
import pytest
from mlflow.exceptions import MlflowException
from sklearn.linear_model import Ridge

from fixtures.clients.doors import describe_bytes
from fixtures.clients.mlflow_errors import find_common_symptom, find_symptom
from fixtures.core.outcomes import Finding, Symptom, expect, shorten_text
from fixtures.workflow.train import train_model

TRAININGS = 6
SPELLINGS = ("name", "artifact_path")
PLAIN_MODEL = {"pip_requirements": ["scikit-learn"], "serialization_format": "cloudpickle"}  # nothing is inferred


@pytest.fixture
def differing(load):
    """differing(uri, trained) -> rows of the holdout for which the model at `uri` predicts something else."""

    def rows(uri, trained):
        seen = load("sklearn", uri).predict_proba(trained.holdout)
        return np.flatnonzero((seen != trained.model.predict_proba(trained.holdout)).any(axis=1)).tolist()

    return rows


@pytest.fixture(scope="module")
def twin(log_model, has_logged_models, trained, shared_experiment):
    """twin(argument) -> (trained, run id): a model of its own, logged as "twin" with this argument, once."""
    made = {}

    def log(argument):
        if argument not in made:
            one = trained if argument == SPELLINGS[0] else train_model(seed=8)
            with mlflow.start_run(experiment_id=shared_experiment) as run:
                if has_logged_models:
                    mlflow.sklearn.log_model(one.model, **{argument: "twin"}, **PLAIN_MODEL)
                else:
                    log_model(one.model, "twin", **PLAIN_MODEL)
            made[argument] = one, run.info.run_id
        return made[argument]

    return log


@pytest.mark.parametrize("argument", SPELLINGS)
def test_log_model_works_with_both_spellings(logged_models, differing, twin, argument):
    """Pipelines say log_model(name=) or, as the guide does, artifact_path=: both must store a model that loads.

    Remedy: read the exception; an answer 404 for logged-models comes from a server older than the client, or from a
    proxy that lets through only some paths under /api/2.0/mlflow.
    """
    one, run = twin(argument)
    uri = f"runs:/{run}/twin"
    expect(f"rows that {uri} predicts otherwise, logged with {argument}=", differing(uri, one), [])


@pytest.mark.known_issue("F36")
def test_file_beside_the_model_is_in_its_versions(logged_models, log_model, shared_experiment, unique, tmp_path):
    """Thresholds are logged beside the model under its name: a version made from that run must have them, too.

    Remedy: log such files to the model itself, MlflowClient.log_model_artifact(model_id, file), or load them from
    runs:/<run>/<name>: MLflow 3 registers what log_model stored and nothing that was added to the run.
    """
    (file := tmp_path / "thresholds.json").write_text('{"high_risk": 0.8}')
    name = unique("beside")
    with mlflow.start_run(experiment_id=shared_experiment) as run:
        log_model(Ridge().fit([[0.0], [1.0]], [0.0, 1.0]), "beside", **PLAIN_MODEL)
        mlflow.log_artifact(str(file), "beside")
    uris = [f"runs:/{run.info.run_id}/beside", f"models:/{name}/1"]
    mlflow.register_model(uris[0], name, await_registration_for=30)
    listed = [mlflow.artifacts.list_artifacts(artifact_uri=uri) for uri in uris]
    names = [[one.path.rpartition("/")[2] for one in found] for found in listed]
    seen = [sorted(name for name in found if name.endswith((".json", ".pkl"))) for found in names]
    symptom = Symptom.FILE_BESIDE_MODEL_IS_LOST if seen == [["model.pkl", "thresholds.json"], ["model.pkl"]] else None
    expect(f"files of {' and of '.join(uris)}", seen, [["model.pkl", "thresholds.json"]] * 2, symptom=symptom)


@pytest.mark.known_issue("F87")
def test_default_format_of_this_client_takes_a_random_forest(log_model, differing, shared_experiment):
    """The guide logs its forest without a word about formats: what this client does by default must work.

    Remedy: pass serialization_format="cloudpickle" to log_model, or skops_trusted_types=["sklearn.tree._tree.Tree"].
    """
    trained = train_model(trees=2)
    options = {"pip_requirements": ["scikit-learn"]}  # given, so that nothing is inferred
    with mlflow.start_run(experiment_id=shared_experiment) as run:
        try:
            log_model(trained.model, "default", **options)
        except MlflowException as error:
            what, symptom = "log_model(RandomForestClassifier) with this client's defaults", find_symptom(str(error))
            raise Finding(what, "stored", shorten_text(str(error), 300), symptom=symptom) from None
    expect("rows predicted otherwise", differing(f"runs:/{run.info.run_id}/default", trained), [])


def test_models_of_two_runs_are_not_mixed_up(twin, downloaded, unique, tmp_path):
    """Two trainings log a model of the same name: each run, and each version made from it, keeps its own.

    Remedy: compare storage_location in model_versions with the artifact location of each run; look for a cache or
    proxy that answers one path for another.
    """
    name, pickles = unique("twins"), {}
    for number, argument in enumerate(SPELLINGS, 1):
        one, run = twin(argument)
        mlflow.sklearn.save_model(one.model, str(tmp_path / str(number)), **PLAIN_MODEL)
        for uri in (f"runs:/{run}/twin", f"models:/{name}/{number}"):
            pickles[uri] = (tmp_path / str(number) / "model.pkl").read_bytes()
        version = mlflow.register_model(f"runs:/{run}/twin", name, await_registration_for=30).version
        expect(f"number of version {number} of {name}", str(version), str(number))
    for uri, content in pickles.items():
        seen = (downloaded(uri) / "model.pkl").read_bytes()
        expect(f"{uri}/model.pkl", describe_bytes(seen), describe_bytes(content))


@pytest.mark.known_issue("F88")
def test_runs_that_bring_one_new_data_set_at_once_keep_it(make_experiment, make_run, probe, doors):
    """Trainings that start together on the same data log it at the same moment: each run must have its data set.

    Remedy: if log-inputs is refused with a UniqueViolation, send it again, or log the data set in one run before the
    others start; nothing else of the run is lost.
    """
    experiment = make_experiment()
    runs, start = [make_run(experiment) for _ in range(TRAININGS)], threading.Barrier(TRAININGS)
    data = {"name": "transactions", "digest": "2024-05", "source_type": "local", "source": "{}"}

    def log(run):
        start.wait(30)
        return probe.post("/api/2.0/mlflow/runs/log-inputs", json={"run_id": run, "datasets": [{"dataset": data}]})

    with ThreadPoolExecutor(TRAININGS) as pool:
        answers = list(pool.map(log, runs))
    kept = [run for run, answer in zip(runs, answers, strict=True) if answer.status_code == 200]
    found = {run: probe.ask("runs/get", {"run_id": run})["run"].get("inputs", {}).get("dataset_inputs") for run in kept}
    lost = [run for run, inputs in found.items() if [one["dataset"]["digest"] for one in inputs or []] != ["2024-05"]]
    expect(f"runs of experiment {experiment} whose data set was acknowledged and is not there", lost, [])
    query = "SELECT count(*) FROM datasets WHERE experiment_id = %s"
    doors.rows_agree(f"data sets of experiment {experiment}", [(1,)], query, int(experiment))
    refused = [answer.text for answer in answers if answer.status_code != 200]
    what = f"refusals of {TRAININGS} runs that brought one data set to experiment {experiment}"
    expect(what, [shorten_text(words, 200) for words in refused], [], symptom=find_common_symptom(refused))


def test_nested_runs_lead_to_their_parent(mlflow_client, make_experiment, unique, probe, doors):
    """A search over hyper-parameters is read as a tree: each child run must know its one parent.

    Remedy: look at table tags, key mlflow.parentRunId; start children with start_run(nested=True).
    """
    experiment, children = make_experiment(), {}
    with mlflow.start_run(experiment_id=experiment, run_name=unique("search")) as parent:
        for depth in (3, 5, 7):
            with mlflow.start_run(experiment_id=experiment, nested=True) as child:
                mlflow.log_param("max_depth", depth)
                children[child.info.run_id] = str(depth)
    with mlflow.start_run(experiment_id=experiment):
        pass  # a stranger, who must not be counted among the children
    root = parent.info.run_id
    asked = {"experiment_ids": [experiment], "filter": f"tags.mlflow.parentRunId = '{root}'"}
    runs = probe.call("runs/search", asked).get("runs", [])
    seen = [(run.get("info", {}).get("run_id"), run.get("data", {}).get("params")) for run in runs]
    expected = [(child, [{"key": "max_depth", "value": depth}]) for child, depth in children.items()]
    expect(f"children of run {root}", sorted(seen, key=str), sorted(expected, key=str))
    query = (
        "SELECT run_uuid FROM tags WHERE key = 'mlflow.parentRunId' AND value = %s AND run_uuid = ANY(%s) ORDER BY 1"
    )
    doors.rows_agree(f"children of run {root}", [(c,) for c in sorted(children)], query, root, list(children))
