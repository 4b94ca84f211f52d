"""The workflow's commands on a real stack: what a pipeline gets, and what the registry shows afterwards."""

import json
import os
import uuid
from pathlib import Path

import mlflow
import pytest

from fixtures.clients.s3 import open_s3_client
from fixtures.workflow import cli, versions
from fixtures.workflow.client import MLflowClient
from fixtures.workflow.provenance import read_commit
from fixtures.workflow.tracking_server import setup_mlflow_environment
from fixtures.workflow.train import train_model

pytestmark = [pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore:.*stage.*deprecated:FutureWarning")]
EXPERIMENT = f"workflow-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def server(real_stack):
    """The environment set up for the stack; put back at the end, since other tests share this process."""
    before = dict(os.environ)
    yield setup_mlflow_environment(real_stack.mlflow_uri)
    os.environ.clear()
    os.environ.update(before)
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)


@pytest.fixture(scope="module")
def registry(server):
    return mlflow.MlflowClient()


@pytest.fixture
def command(server, capsys):
    """command("train", ...) -> exit code, the JSON line (None without one), standard error."""

    def run(*argv):
        capsys.readouterr()
        code = cli.main([*map(str, argv), *([] if argv[0] == "verify" else ["--experiment", EXPERIMENT])])
        done = capsys.readouterr()
        assert "Traceback" not in done.err
        return code, json.loads(done.out) if done.out else None, done.err.strip()

    return run


@pytest.fixture
def model():
    return f"fraud-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def trained(command, model):
    """The good model as version 1 of a new registered model: the record of its training."""
    code, record, _ = command("train", "--model", model)
    assert code == 0
    return record


@pytest.fixture(scope="module")
def good_run(server):
    """One good training for many tests."""
    good = train_model()
    return MLflowClient(EXPERIMENT, server).log_training_run(
        good.model, good.params, good.metrics, tags=read_commit().tags, examples=good.holdout
    )


@pytest.fixture
def registered(good_run, model, registry):
    """`good_run` as version 1 of a new registered model."""
    found = versions.register_version(registry, good_run, model)
    assert found.number == "1"
    return found


def failed(record):
    return {gate["name"] for gate in record["gates"] if gate["passed"] is False}


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


def test_train(trained, registry):
    """The run has metrics, params, commit, data version, timings, data set and a model with a signature."""
    run = registry.get_run(trained["run_id"])
    assert run.data.metrics == trained["metrics"]
    assert {"fit_seconds", "data_seconds"} < run.data.metrics.keys()
    assert run.data.params["n_estimators"] == "20"
    assert run.data.tags["mlflow.source.git.commit"] == trained["git_sha"]
    assert run.data.tags["data_version"].startswith("sha256:")
    assert [data.dataset.name for data in run.inputs.dataset_inputs] == ["holdout"]
    assert mlflow.models.get_model_info(f"models:/{trained['model']}/1").signature.inputs.has_input_names()
    assert (trained["version"], trained["passed"], failed(trained)) == ("1", True, set())


def test_with_aliases(command, registered, model, registry):
    """Validate, challenger, champion; the next good one takes the alias over, and a rollback gives it back."""
    assert command("validate", "--run", registered.run_id)[0] == 0
    assert command("promote", "--model", model, "--run", registered.run_id, "--to", "challenger")[0] == 0
    code, record, _ = command("promote", "--model", model, "--alias", "challenger", "--to", "champion")
    assert (code, record["promoted"], record["aliases"]) == (0, True, ["challenger", "champion"])
    assert command("train", "--model", model, "--alias", "champion")[1]["version"] == "2"
    assert registry.get_model_version_by_alias(model, "champion").version == "2"
    assert command("promote", "--model", model, "--version", 1, "--to", "champion")[0] == 0
    assert registry.get_model_version_by_alias(model, "champion").version == "1"


def test_with_stages(command, registered, model, registry):
    """Staging, Production; the one before is archived, and no gate stops the way out of service."""
    assert command("promote", "--model", model, "--version", 1, "--stage", "Staging")[0] == 0
    assert command("promote", "--model", model, "--stage", "Staging", "--to", "Production")[0] == 0
    code, record, _ = command("train", "--model", model, "--stage", "Production")
    assert (code, record["stage"]) == (0, "Production")
    assert [registry.get_model_version(model, n).current_stage for n in (1, 2)] == ["Archived", "Production"]
    assert command("promote", "--model", model, "--version", 2, "--to", "Archived")[0] == 0


@pytest.mark.parametrize(
    ("quality", "gates"),
    [
        ("poor", {"auc_roc", "precision", "recall", "f1_score", "alert_rate", "stability"}),
        ("poor-stability", {"stability"}),
    ],
)
def test_a_poor_model_stays_out(quality, gates, command, registered, model, registry):
    """It trains with 0; validate and promote, to a stage and to an alias, end with 1 and change nothing."""
    assert command("promote", "--model", model, "--version", 1, "--to", "champion")[0] == 0
    assert command("train", "--model", model, "--quality", quality)[0] == 0
    assert command("validate", "--model", model)[0] == 1
    for target in ("champion", "Production"):
        code, record, err = command("promote", "--model", model, "--version", 2, "--to", target)
        assert (code, record["promoted"], failed(record)) == (1, False, gates)
        assert "a gate failed" in err
    assert command("train", "--model", model, "--quality", quality, "--alias", "champion")[0] == 1
    assert registry.get_model_version_by_alias(model, "champion").version == "1"
    assert [registry.get_model_version(model, n).current_stage for n in (2, 3)] == ["None", "None"]
    assert registry.get_model_version(model, 2).tags == {}


def test_export(command, registered, model, registry, tmp_path):
    """Twice the same bytes, which are the server's; a folder with anything else is refused; a change is noticed."""
    assert command("promote", "--model", model, "--version", 1, "--to", "Production")[0] == 0
    for out in ("one", "two"):
        assert command("export", "--model", model, "--stage", "Production", "--out", tmp_path / out)[0] == 0
    assert command("export", "--model", model, "--out", tmp_path / "two")[1]["unchanged"]
    exported = files(tmp_path / "one")
    assert exported == files(tmp_path / "two")
    source = registry.get_model_version_download_uri(model, "1")
    served = files(mlflow.artifacts.download_artifacts(artifact_uri=source, dst_path=str(tmp_path / "served")))
    assert {p.removeprefix("model/"): c for p, c in exported.items() if p != "manifest.json"} == served
    manifest = json.loads(exported["manifest.json"])
    run = registry.get_run(registered.run_id).data
    assert (manifest["stage"], manifest["run_id"], manifest["git_sha"]) == (
        "Production",
        registered.run_id,
        read_commit().sha,
    )
    assert (manifest["params"], manifest["metrics"]) == (run.params, run.metrics)
    assert command("verify", "--out", tmp_path / "one")[0] == 0
    (tmp_path / "one" / "model" / "model.pkl").write_bytes(b"other")
    assert command("verify", "--out", tmp_path / "one")[1]["changes"][0].startswith("model/model.pkl was changed")
    assert command("export", "--model", model, "--out", tmp_path / "one")[0] == 4


def test_a_model_that_was_changed_in_the_bucket_is_not_exported(
    command, trained, model, registry, real_stack, tmp_path
):
    """One byte in the artifact store differs from what the training stored: code 1, and no folder."""
    path = registry.get_model_version_download_uri(model, "1").partition(":")[2].strip("/")
    key, s3 = f"{real_stack.s3.prefix or 'artifacts'}/{path}/model.pkl", open_s3_client(real_stack.s3)
    content = bytearray(s3.get_object(Bucket=real_stack.s3.name, Key=key)["Body"].read())
    content[len(content) // 2] ^= 1
    s3.put_object(Bucket=real_stack.s3.name, Key=key, Body=bytes(content))
    code, _, err = command("export", "--model", model, "--version", 1, "--out", tmp_path / "out")
    assert (code, "are not those that its training stored" in err) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_card(command, registered, model, tmp_path):
    """Rendered from the registry, with the gates of the promotion; in place of the one before."""
    assert command("promote", "--model", model, "--version", 1, "--to", "champion")[0] == 0
    for _ in range(2):
        assert command("card", "--model", model, "--alias", "champion", "--out", tmp_path)[0] == 0
    (card,) = tmp_path.iterdir()
    assert card.name == f"MODEL_CARD_{model}_champion.md"
    text = card.read_text()
    assert f"| auc_roc | {train_model().metrics['auc_roc']:.4f} | &gt;= 0.8 | passed |" in text
    assert "At its promotion to @champion" in text
    assert "not checked: this version is @champion itself" in text


def test_watch(command, registered, model):
    """By the training, by a drifted evaluation, by a good one after it; the JSON says which run was looked at."""
    assert command("promote", "--model", model, "--version", 1, "--to", "champion")[0] == 0
    code, record, _ = command("watch", "--model", model)
    assert (code, record["measured_run_id"]) == (0, registered.run_id)
    code, drifted, _ = command("watch", "--model", model, "--drift", 0.8)
    assert (code, failed(drifted) >= {"auc_roc", "recall"}) == (1, True)
    assert command("watch", "--model", model)[1]["measured_run_id"] == drifted["measured_run_id"]
    assert command("watch", "--model", model, "--evaluate")[0] == 0


def test_check(command, real_stack):
    code, record, _ = command("check")
    assert (code, record["s3"], record["mlflow_uri"]) == (0, True, real_stack.mlflow_uri)


def test_bad_input(command, registry, model, server, tmp_path):
    """Each ends with 4 and one line, prints no JSON and leaves nothing behind."""
    registry.create_registered_model(model)
    run = registry.create_run(MLflowClient(EXPERIMENT, server).experiment_id()).info.run_id
    out = tmp_path / "out"
    for argv, says in [
        (["validate", "--run", "0" * 32], "Run with id"),
        (["validate", "--model", f"{model}-x"], "not found"),
        (["validate", "--model", model], "no versions"),
        (["export", "--model", model, "--out", out], "no versions"),
        (["export", "--model", model, "--alias", "champion", "--out", out], "no versions"),
        (["card", "--model", model, "--version", "7", "--out", out], "not found"),
        (["watch", "--model", model], "in production"),
        (["promote", "--model", model, "--version", "1", "--to", "champion"], "not found"),
        (["promote", "--model", f"{model}-x", "--run", run, "--to", "Archived"], "has no model"),
        (["train", "--model", "a/b"], "Invalid"),
    ]:
        code, record, err = command(*argv)
        assert (code, record, says in err) == (4, None, True), f"{argv}: {code} {err}"
        assert "\n" not in err.removeprefix("no gate is asked for Archived\n")
    assert list(tmp_path.iterdir()) == []
    assert [m.name for m in registry.search_registered_models(f"name LIKE '{model}%'")] == [model]


def test_a_run_without_metrics_is_not_promoted(command, registry, model, server):
    """A missing metric fails its gate; no model is made on the way."""
    run = registry.create_run(MLflowClient(EXPERIMENT, server).experiment_id()).info.run_id
    registry.log_metric(run, "auc_roc", 0.9)
    code, record, _ = command("promote", "--model", model, "--run", run, "--to", "champion")
    assert (code, failed(record)) == (1, {"precision", "recall", "f1_score", "alert_rate"})
    assert registry.search_registered_models(f"name = '{model}'") == []


def test_the_guides_client(server, model, registry, tmp_path):
    """The guide's calls by their names: log with artifacts, register in a stage, export, look around."""
    client, good = MLflowClient(EXPERIMENT, server), train_model()
    (tmp_path / "thresholds.json").write_text('{"high": 0.8}')
    logged = {"thresholds": tmp_path / "thresholds.json"}
    run_id = client.log_training_run(
        good.model, {"depth": 6}, good.metrics, logged, {"model_type": "forest"}, "by-hand"
    )
    assert registry.get_run(run_id).info.run_name == "by-hand"
    assert client.register_model(run_id, model, stage="Staging") == "1"
    assert client.register_model(run_id, model, alias="champion") == "2"
    manifest = client.export_production_artifacts(model, alias="champion", output_dir=tmp_path / "out")
    assert (tmp_path / "out" / "artifacts" / "thresholds" / "thresholds.json").read_text() == '{"high": 0.8}'
    assert (manifest["version"], manifest["params"]) == ("2", {"depth": "6"})
    assert client.check_s3_connectivity()
    assert EXPERIMENT in [experiment.name for experiment in client.list_experiments()]
    with pytest.raises(Exception, match="there is no"):
        client.log_training_run(good.model, {}, {}, {"x": tmp_path / "none"})


def test_no_key_reaches_what_a_training_logs(command, registry, model, monkeypatch, tmp_path):
    """Whoever may read a run would read the keys of those who trained it: in params, tags, files, the model's own."""
    names = (
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "PGPASSWORD",
        "GITHUB_TOKEN",
        "MLFLOW_FLASK_SERVER_SECRET_KEY",
    )
    canaries = {name: f"canary{uuid.uuid4().hex}" for name in names}
    for name, value in canaries.items():
        monkeypatch.setenv(name, value)
    code, record, _ = command("train", "--model", model)
    assert code == 0
    run = registry.get_run(record["run_id"])
    version = registry.get_model_version(model, "1")
    registry.download_artifacts(record["run_id"], "", str(tmp_path))
    mlflow.artifacts.download_artifacts(f"models:/{model}/1", dst_path=str(tmp_path / "model"))
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) > 3
    told = [repr((run.to_dictionary(), dict(version)))] + [file.read_bytes().decode(errors="replace") for file in files]
    assert [name for name, value in canaries.items() if any(value in text for text in told)] == []
