"""Somebody's data as MLflow stores it, and what happens to it behind MLflow's back, for the suite data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from mlflow import MlflowClient

from fixtures.clients.s3 import open_s3_client
from fixtures.stack import Stack
from fixtures.workflow.export import DIGEST_TAG, digest_files, list_files
from tests.sabotage.harness import Aim, Sabotage, Target, raid

CHECK = "data/test_stored_data.py::test"
MLMODEL = "flavors:\n  python_function:\n    data: model.bin\nmodel_size_bytes: 4000\n"
WEIGHTS = b"weights!" * 500
SPANS = {"spans": [{"name": "a"}, {"name": "b"}]}


@dataclass
class SomebodysData:
    """One run with a table and a trained model, its logged model, a version of it with an alias, and a trace."""

    stack: Stack
    name: str
    experiment: str
    run: str
    model: str
    trace: str

    @property
    def door(self) -> Any:
        assert self.stack.s3 is not None
        return open_s3_client(self.stack.s3)

    def key(self, *parts: str) -> str:
        """A key below the experiment's folder."""
        assert self.stack.s3 is not None
        return "/".join(filter(None, [self.stack.s3.prefix, self.experiment, *parts]))

    def model_key(self, name: str) -> str:
        return self.key("models", self.model, "artifacts", name)

    def put(self, key: str, content: bytes) -> None:
        assert self.stack.s3 is not None
        self.door.put_object(Bucket=self.stack.s3.name, Key=key, Body=content)

    def delete(self, *keys: str) -> None:
        assert self.stack.s3 is not None
        for key in keys:
            self.door.delete_object(Bucket=self.stack.s3.name, Key=key)


def store_data(target: Target) -> SomebodysData:
    """Make it, through the API but for the trace."""
    client, name = MlflowClient(target.stack.mlflow_uri), f"churn-{uuid4().hex[:8]}"
    experiment = client.create_experiment(name)
    run = client.create_run(experiment).info
    client.log_dict(run.run_id, {"columns": []}, "t.json")
    client.set_tag(run.run_id, "mlflow.loggedArtifacts", json.dumps([{"path": "t.json", "type": "table"}]))
    model = client.create_logged_model(experiment, name, source_run_id=run.run_id)
    with TemporaryDirectory() as folder:
        (Path(folder) / "MLmodel").write_text(MLMODEL)
        (Path(folder) / "model.bin").write_bytes(WEIGHTS)
        client.log_model_artifacts(model.model_id, folder)
        client.set_tag(run.run_id, DIGEST_TAG, digest_files(list_files(Path(folder))))
    client.finalize_logged_model(model.model_id, "READY")
    client.create_registered_model(name)
    client.create_model_version(name, f"models:/{model.model_id}", run_id=run.run_id, model_id=model.model_id)
    client.set_registered_model_alias(name, "champion", "1")
    client.set_terminated(run.run_id)
    found = SomebodysData(target.stack, name, experiment, run.run_id, model.model_id, f"tr-{uuid4().hex}")
    place = f"mlflow-artifacts:/{experiment}/traces/{found.trace}/artifacts"
    target.execute(
        "INSERT INTO trace_info (request_id, experiment_id, timestamp_ms, status) VALUES "
        f"('{found.trace}', {experiment}, 1, 'OK')",
        "INSERT INTO trace_tags (request_id, key, value) VALUES "
        f"('{found.trace}', 'mlflow.artifactLocation', '{place}')",
        "INSERT INTO trace_request_metadata (request_id, key, value) VALUES "
        f"""('{found.trace}', 'mlflow.trace.sizeStats', '{{"num_spans": 2}}')""",
    )
    found.put(found.key("traces", found.trace, "artifacts", "traces.json"), json.dumps(SPANS).encode())
    return found


def remove_data(target: Target, data: SomebodysData) -> None:
    """As a clean-up would: no row and no object is left."""
    client = MlflowClient(target.stack.mlflow_uri)
    client.delete_registered_model(data.name)
    client.delete_experiment(data.experiment)
    assert data.stack.s3 is not None
    listed = data.door.list_objects_v2(Bucket=data.stack.s3.name, Prefix=f"{data.key()}/")
    data.delete(*(item["Key"] for item in listed.get("Contents", [])))


def harmed(harm: Callable[[Target, SomebodysData], object]) -> Callable[[Target, Aim], Any]:
    """`breaks` of a sabotage that harms data of its own."""

    @contextmanager
    def breaks(target: Target, aim: Aim) -> Iterator[None]:
        data = store_data(target)
        try:
            harm(target, data)
            yield
        finally:
            remove_data(target, data)

    return breaks


def delete_run_row(target: Target, data: SomebodysData) -> None:
    for table in ("tags", "runs"):
        target.execute(f"DELETE FROM {table} WHERE run_uuid = '{data.run}'")


def move_away(target: Target, data: SomebodysData) -> None:
    target.execute(f"UPDATE runs SET artifact_uri = 's3://last-year/a/b' WHERE run_uuid = '{data.run}'")


def change_byte(target: Target, data: SomebodysData) -> None:
    data.put(data.model_key("model.bin"), WEIGHTS[:-1] + b"?")


RAIDS = (
    raid(
        "bucket and database were parted",
        Sabotage(
            "a table of a run is expired by a lifecycle rule",
            {f"{CHECK}_runs_have_the_files_that_they_name": "run [0-9a-f]{32} at .*: (no object|t.json is missing)"},
            breaks=harmed(lambda t, d: d.delete(d.key(d.run, "artifacts", "t.json"))),
        ),
        Sabotage(
            "all files of a model are deleted",
            {
                f"{CHECK}_logged_models_have_their_files": "logged model m-.*: no object",
                f"{CHECK}_model_versions_have_their_files": r"model version \S+ \d+ .*at .*: no object",
            },
            breaks=harmed(lambda t, d: d.delete(d.model_key("MLmodel"), d.model_key("model.bin"))),
        ),
        Sabotage(
            "the file of a trace is cut to nothing",
            {f"{CHECK}_traces_have_their_spans": "trace tr-.* at .*: traces.json is empty"},
            breaks=harmed(lambda t, d: d.put(d.key("traces", d.trace, "artifacts", "traces.json"), b"")),
        ),
        Sabotage(
            "the row of a version is deleted",
            {f"{CHECK}_aliases_name_versions_that_exist": r"churn-\w+@champion -> 1"},
            breaks=harmed(lambda t, d: t.execute(f"DELETE FROM model_versions WHERE name = '{d.name}'")),
        ),
        Sabotage(
            "the row of a run is deleted",
            {f"{CHECK}_objects_belong_to_a_row": "without, .* bytes: experiment .*under a day.*artifacts"},
            breaks=harmed(delete_run_row),
        ),
        Sabotage(
            "a run's location leads to another bucket",
            {f"{CHECK}_locations_lead_to_the_bucket": "s3://last-year: 1 runs of .* such as s3://last-year/a/b"},
            breaks=harmed(
                lambda t, d: t.execute(
                    f"UPDATE runs SET artifact_uri = 's3://last-year/a/b' WHERE run_uuid = '{d.run}'"
                )
            ),
        ),
        Sabotage(
            "a file of a model is cut",
            {f"{CHECK}_a_sample_of_files_is_what_was_stored": "10 bytes in 2 files, MLmodel says at least 4000"},
            breaks=harmed(lambda t, d: d.put(d.model_key("model.bin"), WEIGHTS[:10])),
        ),
        options="--verify-sample 5000",
        beside="health/test_services.py::test_health_answers_ok",
    ),
    raid(
        "one byte of a model is changed",
        Sabotage(
            "a byte of a model's weights",
            {f"{CHECK}_a_sample_of_files_is_what_was_stored": "have the SHA-256 .* when it was trained"},
            breaks=harmed(change_byte),
        ),
        options="--verify-sample 5000",
        beside=f"{CHECK}_logged_models_have_their_files {CHECK}_model_versions_have_their_files",
    ),
)
