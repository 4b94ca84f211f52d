"""Copies of a version in another model: how teams promote between environments (F37)."""

from pathlib import Path

import mlflow

from fixtures.clients.doors import describe_bytes
from fixtures.core.outcomes import expect


def test_copied_version_outlives_its_source(make_model, mlflow_client, probe, unique, tmp_path, doors):
    """Promotion from a staging model to a production model copies a version: it must load when the source is gone.

    Remedy: compare source and storage_location in table model_versions; a copy keeps no files of its own, so never
    delete the run that a version came from. Copies of MLflow before 2.8 need a newer server.
    """
    model, name = make_model(versions=2), unique("production")
    mlflow_client.set_model_version_tag(model.name, "2", "gate", "passed")
    copy = mlflow_client.copy_model_version(f"models:/{model.name}/2", name)
    expect(f"number of the copy in {name}", str(copy.version), "1")
    mlflow_client.delete_registered_model(model.name)
    key = {"name": name, "version": "1"}
    seen = probe.ask("model-versions/get", key).get("model_version", {})
    kept = {field: seen.get(field) for field in ("run_id", "source", "status", "tags")}
    source = f"models:/{model.name}/2"
    tags = [{"key": "gate", "value": "passed"}]
    expected = {"run_id": model.run_id, "source": source, "status": "READY", "tags": tags}
    expect(f"version 1 of {name}, copied from {source}", kept, expected)
    folder = mlflow.artifacts.download_artifacts(artifact_uri=f"models:/{name}/1", dst_path=str(tmp_path))
    content = (Path(folder) / "payload.bin").read_bytes()
    expect(f"payload.bin of models:/{name}/1", describe_bytes(content), describe_bytes(model.payload(2)))
    location = mlflow_client.get_model_version_download_uri(name, "1")
    doors.object_agrees(f"payload.bin of models:/{name}/1", location, "payload.bin", model.payload(2))
