"""Model URIs: each way to name a version leads to the bytes of that version."""

from pathlib import Path

import mlflow
import pytest
from mlflow.exceptions import MlflowException

from fixtures.clients.doors import describe_bytes
from fixtures.clients.mlflow_errors import is_missing_version
from fixtures.core.outcomes import expect, shorten_text

WAYS = {"2": 2, "@champion": 1, "Staging": 3, "Production": 2, "latest": 4}


@pytest.fixture(scope="module")
def promoted(make_model, mlflow_client, probe):
    """A model of 4 versions: @champion is 1, Production 2, Staging 3."""
    model = make_model(versions=4)
    mlflow_client.set_registered_model_alias(model.name, "champion", "1")
    for number, stage in (("2", "Production"), ("3", "Staging")):
        body = {"name": model.name, "version": number, "stage": stage, "archive_existing_versions": False}
        probe.call("model-versions/transition-stage", body)
    return model


def payload(uri, folder):
    """The bytes of payload.bin that the Python client downloads from `uri`."""
    return (
        Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder))) / "payload.bin"
    ).read_bytes()


@pytest.mark.parametrize("way", WAYS)
def test_model_uri_loads_the_bytes_of_its_version(promoted, tmp_path, way):
    """Number, alias, stage and `latest` are how services load models: each must give its own version's bytes.

    Remedy: compare get-download-uri of the version with its source in table model_versions, then the objects there.
    """
    uri = f"models:/{promoted.name}{way}" if way.startswith("@") else f"models:/{promoted.name}/{way}"
    seen = payload(uri, tmp_path)
    expect(f"payload.bin of {uri}", describe_bytes(seen), describe_bytes(promoted.payload(WAYS[way])))


def test_download_uri_of_each_version_is_its_own(promoted, mlflow_client, probe, doors):
    """Exports and scoring jobs read where get-download-uri points: it must be the folder that was registered.

    Remedy: compare storage_location and source in table model_versions; a restore may have rewritten them.
    """
    root = mlflow_client.get_run(promoted.run_id).info.artifact_uri
    for number in promoted.versions:
        key = {"name": promoted.name, "version": str(number)}
        uri = probe.ask("model-versions/get-download-uri", key).get("artifact_uri", "")
        expect(f"download URI of version {number} of {promoted.name}", uri, f"{root}/v{number}")
        content = promoted.payload(number)
        doors.object_agrees(f"payload.bin of version {number} of {promoted.name}", uri, "payload.bin", content)


@pytest.fixture(scope="module")
def moved(make_model):
    """A model of 2 versions, whose alias and stage are moved."""
    return make_model(versions=2)


@pytest.mark.parametrize("way", ["@champion", "/Production"])
def test_promotion_and_roll_back_reach_the_consumer(moved, registry, tmp_path, way):
    """A consumer that loads @champion or Production sees each promotion and each roll-back with its next load.

    Remedy: look at tables registered_model_aliases and model_versions, then for caches between client and server.
    """
    model = moved
    for step, number in enumerate((1, 2, 1)):
        if way == "@champion":
            registry.move_alias(model.name, "champion", str(number))
        else:
            registry.stage(model, number, "Production", archive=True)
        (folder := tmp_path / str(step)).mkdir()
        seen = payload(f"models:/{model.name}{way}", folder)
        expect(
            f"payload.bin of {way} of {model.name}, step {step}",
            describe_bytes(seen),
            describe_bytes(model.payload(number)),
        )


def test_uri_of_nothing_is_an_error(promoted, tmp_path):
    """A deploy that asks for an alias, stage or number which is not there must stop, not get another version.

    Remedy: read what the server answers for this alias, stage or number; a proxy that turns errors into pages with
    status 200, or a default alias of some gateway, hides the mistake from the pipeline.
    """
    for way in ("@nobody", "/99", "/Archived"):
        uri, folder = f"models:/{promoted.name}{way}", tmp_path / way.strip("/@")
        folder.mkdir()
        try:
            seen = describe_bytes(payload(uri, folder))
        except MlflowException as error:
            seen = "refused" if is_missing_version(error) else shorten_text(str(error))
        expect(uri, seen, "refused")


def test_latest_falls_back_when_the_newest_is_deleted(make_model, mlflow_client, tmp_path):
    """`models:/name/latest` after the newest version was deleted is the one before, not an error.

    Remedy: compare registered-models/get-latest-versions with table model_versions.
    """
    model = make_model(versions=2)
    mlflow_client.delete_model_version(model.name, "2")
    seen = payload(f"models:/{model.name}/latest", tmp_path)
    expect(f"payload.bin of models:/{model.name}/latest", describe_bytes(seen), describe_bytes(model.payload(1)))
