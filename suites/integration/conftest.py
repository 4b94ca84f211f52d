"""What the integration checks share: one trained model, logged and registered once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from packaging.version import Version

from fixtures.checks.samples import reachable_root
from fixtures.core.outcomes import Finding, Lack, OutOfScope
from fixtures.workflow.train import TrainedModel, train_model

COMMIT = "4f9c0e1d5a3b7286e0c1d2f3a4b5968778695a4b"
DATA = "holdout"
REQUIREMENTS = [f"{name}=={version(name)}" for name in ("mlflow", "scikit-learn", "cloudpickle")]


@dataclass(frozen=True)
class Published:
    """A model that was trained, logged in a run and registered, with everything that was asked to be stored."""

    trained: TrainedModel
    run_id: str
    run_name: str
    experiment_id: str
    name: str
    version: str
    tags: dict[str, str]
    parent: str
    """The run of the pipeline, of which the training is a part."""
    saved: Path
    """The same model saved on this machine: what the stored files have to be."""
    window: tuple[int, int]
    """Milliseconds of this machine's clock before the run was started and after it was ended."""
    step: int = 3

    @property
    def uris(self) -> dict[str, str]:
        """The ways in which a consumer names this model."""
        return {"runs": f"runs:/{self.run_id}/model", "models": f"models:/{self.name}/{self.version}"}


@dataclass(frozen=True)
class Stored:
    """A run as the server shows it; pairs of key and value in order, so that a doubled one is seen."""

    what: str
    info: dict[str, Any]
    params: list[tuple[str, str]]
    metrics: list[tuple[str, float]]
    tags: list[tuple[str, str]]
    models: list[str]


@pytest.fixture(scope="session")
def trained() -> TrainedModel:
    """A random forest of 20 trees on 1000 transactions."""
    return train_model()


@pytest.fixture(scope="session")
def how_to_log(trained: TrainedModel) -> dict[str, Any]:
    """Arguments of log_model that need no guess of the client: format, signature, example, requirements."""
    risk = trained.model.predict_proba(trained.holdout)
    return {
        "signature": mlflow.models.infer_signature(trained.holdout, risk),
        "input_example": trained.holdout.head(5),
        "pip_requirements": REQUIREMENTS,
        "serialization_format": "cloudpickle",
        "pyfunc_predict_fn": "predict_proba",
    }


@pytest.fixture(scope="session")
def has_logged_models(stack) -> bool:
    """Whether the server knows logged models, which a client of MLflow 3 needs for log_model (F33)."""
    return Version(stack.versions["mlflow"]).major >= 3


@pytest.fixture
def logged_models(has_logged_models, stack) -> None:
    """For claims about log_model itself: out of scope if the server is too old for it."""
    if not has_logged_models:
        raise OutOfScope(
            Lack.CLIENT_SKEW,
            f"log_model of client {mlflow.__version__} needs a server of MLflow 3, this is {stack.versions['mlflow']}"
            " (mlflow issue 16215)",
        )


@pytest.fixture(scope="session")
def log_model(mlflow_client, has_logged_models, tmp_path_factory) -> Callable[..., None]:
    """log_model(model, name, **options) in the active run; as artifacts of the run on a server of MLflow 2."""

    def log(model: Any, name: str, **options: Any) -> None:
        if has_logged_models:
            mlflow.sklearn.log_model(model, name=name, **options)
            return
        folder = tmp_path_factory.mktemp("log-model") / name
        mlflow.sklearn.save_model(model, str(folder), **options)
        mlflow_client.log_artifacts(mlflow.active_run().info.run_id, str(folder), name)

    return log


@pytest.fixture(scope="session")
def published(
    mlflow_client, log_model, trained, how_to_log, report, shared_experiment, unique, tmp_path_factory
) -> Published:
    """The workflow once: train, log params, metrics, tags, an artifact and the model, register it."""
    saved, name, run_name = tmp_path_factory.mktemp("saved") / "model", unique("fraud"), unique("training")
    mlflow.sklearn.save_model(trained.model, str(saved), **how_to_log)
    tags = {"model_family": "fraud-detection", "environment": "readiness", "mlflow.source.git.commit": COMMIT}
    (file := tmp_path_factory.mktemp("report") / "report.json").write_bytes(report)
    begin, part = now(), {"experiment_id": shared_experiment, "nested": True}
    data = mlflow.data.from_pandas(trained.holdout, name=DATA)
    with (
        mlflow.start_run(experiment_id=shared_experiment) as parent,
        mlflow.start_run(run_name=run_name, tags=tags, **part) as run,
    ):
        mlflow.log_input(data, context="validation", tags={"version": trained.data_version})
        mlflow.log_params(trained.params)
        mlflow.log_metrics(trained.metrics, step=Published.step)
        reachable_root(run.info.artifact_uri)
        mlflow.log_artifact(str(file), "reports/final")
        log_model(trained.model, "model", **how_to_log)
    window, run_id = (begin, now()), run.info.run_id
    version = str(mlflow.register_model(f"runs:/{run_id}/model", name, await_registration_for=30).version)
    where = run_id, run_name, shared_experiment
    return Published(trained, *where, name, version, tags, parent.info.run_id, saved, window)


def now() -> int:
    """Milliseconds since 1970, as MLflow's clients take them."""
    return int(time.time() * 1000)


@pytest.fixture(scope="session")
def report() -> bytes:
    """The report that the training logs beside its model."""
    return '{"threshold": 0.5, "note": "Prüfung – 5 % fraud"}\n'.encode()


@pytest.fixture(scope="session")
def downloaded(mlflow_client, tmp_path_factory) -> Callable[[str], Path]:
    """downloaded(uri) -> the folder of a model that the Python client downloads.

    What stands behind the number of a version or a run does not change: it is fetched once.
    """
    kept: dict[str, Path] = {}

    def download(uri: str) -> Path:
        if uri in kept:
            return kept[uri]
        folder = tmp_path_factory.mktemp("downloaded")
        found = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder)))
        if uri.startswith("runs:/") or uri.rpartition("/")[2].isdecimal():
            kept[uri] = found
        return found

    return download


@pytest.fixture(scope="session")
def load(downloaded) -> Callable[[str, str], Any]:
    """load("sklearn", uri) -> the model; one whose files are damaged is a finding, whatever it raises."""

    def load_model(flavour: str, uri: str) -> Any:
        try:
            return getattr(mlflow, flavour).load_model(str(downloaded(uri)))
        except MlflowException:
            raise
        except Exception as error:  # noqa: BLE001 - a damaged pickle can raise anything
            seen = f"{type(error).__name__}: {error}"
            raise Finding(f"load of {uri} as {flavour}", "the model that was logged", seen) from None

    return load_model


@pytest.fixture
def stored(probe) -> Callable[[str], Stored]:
    """stored(run_id) -> the run as the server's JSON has it."""

    def get(run_id: str) -> Stored:
        run = probe.ask("runs/get", {"run_id": run_id}).get("run", {})
        data, outputs = run.get("data", {}), run.get("outputs", {}).get("model_outputs", [])
        pairs = {
            kind: sorted((d.get("key"), d.get("value")) for d in data.get(kind, []))
            for kind in ("params", "metrics", "tags")
        }
        return Stored(f"run {run_id}", run.get("info", {}), **pairs, models=[m.get("model_id") for m in outputs])

    return get


@pytest.fixture
def fetched(downloaded) -> Callable[[str], dict[str, bytes]]:
    """fetched(uri) -> {path: bytes} of all files that the Python client downloads from `uri`."""

    def fetch(uri: str) -> dict[str, bytes]:
        root = downloaded(uri)
        return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}

    return fetch
