"""Model versions: their numbers, what they were registered with, and what a deletion takes along."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from mlflow.exceptions import MlflowException

from fixtures.clients.doors import describe_bytes
from fixtures.core.outcomes import Finding, expect, shorten_text

REGISTRATIONS, FEWEST_REGISTRATIONS = 16, 8  # at the same moment


def test_versions_are_numbered_in_the_order_of_registration(enter, registry):
    """A pipeline knows its model by name and number: versions count 1, 2, 3, each with its own run and source.

    Remedy: look at table model_versions of this model; two registries behind one address would interleave numbers.
    """
    model = enter(3)
    expect(f"version numbers given for {model.name}", list(model.versions), [1, 2, 3])
    registry.shows(model)


def test_version_keeps_what_it_was_registered_with(enter, mlflow_client, registry, probe, doors):
    """Description, tags and the link to the run, given in the one call that registers, are what reviewers read.

    Remedy: look for the version in table model_versions and in the server's log at that time.
    """
    model, link = enter(1), "https://ci.example.org/fraud/17?try=2#log"
    tags, note = {"data_version": "2024-05", "geprüft von": "Zoë 👍", "empty": ""}, "AUC 0.93\nsecond line"
    one = model.versions[1]
    made = mlflow_client.create_model_version(model.name, one.source, model.run_id, tags, link, note)
    model.versions[int(made.version)] = replace(one, description=note, tags=tags)
    expect(f"number of the second version of {model.name}", int(made.version), 2)
    registry.shows(model)
    seen = probe.ask("model-versions/get", {"name": model.name, "version": "2"}).get("model_version", {})
    expect(f"run_link of version 2 of {model.name}", seen.get("run_link"), link)
    query = "SELECT run_link FROM model_versions WHERE name = %s AND version = 2"
    doors.rows_agree(f"run_link of version 2 of {model.name}", [(link,)], query, model.name)


def test_number_of_a_deleted_version_is_not_given_again(enter, registry):
    """Who noted "version 2" must never find another model under that number, also when 2 was deleted.

    Remedy: look at table model_versions: deleted rows stay there with current_stage Deleted_Internal; a clean-up
    script that removes them makes MLflow count from there again.
    """
    model = enter(2)
    registry.delete("model-versions/delete", model.name, version="2")
    del model.versions[2]
    number = registry.register(model, "v3")
    expect(f"number of the version of {model.name} after 2 was deleted", number, 3)
    registry.shows(model)
    gone = {"name": model.name, "version": "2"}
    registry.refuses("GET", "model-versions/get", gone, "RESOURCE_DOES_NOT_EXIST")


def test_deleting_a_version_leaves_the_others_alone(enter, registry):
    """A bad version is deleted while the others serve: they keep number, stage, tags and aliases.

    Remedy: compare tables model_versions and registered_model_aliases with what the API shows.
    """
    model = enter(3)
    registry.move_alias(model.name, "champion", "1")
    registry.tag_version(model.name, "3", "gate", "passed")
    registry.stage(model, 1, "Production")
    registry.delete("model-versions/delete", model.name, version="2")
    del model.versions[2]
    model.aliases, model.versions[1].stage = {"champion": 1}, "Production"
    model.versions[3].tags = {"gate": "passed"}
    registry.shows(model)


@pytest.mark.known_issue("F35")
def test_aliases_of_a_deleted_version_are_gone(enter, registry):
    """After a version is deleted no alias may lead to it: a deploy would ask for a model that is not there.

    Remedy: delete the aliases of a version before the version; old MLflow servers leave them in table
    registered_model_aliases. Upgrade MLflow.
    """
    model = enter(2)
    for alias, number in {"champion": "1", "challenger": "2", "candidate": "2"}.items():
        registry.move_alias(model.name, alias, number)
    registry.delete("model-versions/delete", model.name, version="2")
    for alias in ("challenger", "candidate"):
        registry.unresolved(model.name, alias)
    del model.versions[2]
    model.aliases["champion"] = 1
    registry.shows(model)


def test_deleting_a_version_keeps_the_artifacts_of_its_run(make_model, mlflow_client, tmp_path, doors, registry):
    """A version is only a pointer: the run that made the model keeps its files when the version is deleted.

    Remedy: look for lifecycle rules of the bucket and for jobs that delete objects on registry webhooks.
    """
    model = make_model(versions=2)
    registry.delete("model-versions/delete", model.name, version="1")
    root = mlflow_client.get_run(model.run_id).info.artifact_uri
    for number in model.versions:
        path = f"v{number}/payload.bin"
        what = f"artifact {path} of run {model.run_id}, after version 1 made from it was deleted"
        try:
            content = Path(mlflow_client.download_artifacts(model.run_id, path, str(tmp_path))).read_bytes()
        except MlflowException as error:
            raise Finding(what, describe_bytes(model.payload(number)), shorten_text(str(error))) from None
        expect(what, describe_bytes(content), describe_bytes(model.payload(number)))
        doors.object_agrees(what, root, path, model.payload(number))


def test_deleting_a_run_leaves_its_versions(make_model, mlflow_client, probe, tmp_path):
    """Someone tidies up runs while their models serve: a version must still load when its run is deleted.

    Remedy: restore the run (`MlflowClient.restore_run`) before `mlflow gc` runs: gc looks at no registry and takes the
    files away; look for jobs that remove the objects of deleted runs.
    """
    model = make_model(versions=1)
    mlflow_client.delete_run(model.run_id)
    stage = mlflow_client.get_run(model.run_id).info.lifecycle_stage
    expect(f"lifecycle stage of run {model.run_id}", stage, "deleted")
    seen = probe.ask("model-versions/get", {"name": model.name, "version": "1"}).get("model_version", {})
    what = f"version 1 of {model.name}, whose run {model.run_id} was deleted"
    expect(what, (seen.get("run_id"), seen.get("status")), (model.run_id, "READY"))
    folder = mlflow.artifacts.download_artifacts(artifact_uri=f"models:/{model.name}/1", dst_path=str(tmp_path))
    expect(
        f"payload.bin of {what}",
        describe_bytes((Path(folder) / "payload.bin").read_bytes()),
        describe_bytes(model.payload(1)),
    )


@pytest.mark.known_issue("F34")
def test_concurrent_registrations_get_a_number_each(enter, registry, stack):
    """Pipelines register at the same moment: acknowledged versions are numbers 1, 2, 3, each its caller's own.

    Remedy: "Giving up after 3 attempts" comes from MLflow servers that let registrations collide: upgrade, or
    register from one pipeline at a time.
    """
    model, clients = enter(0), stack.speed.scale_count(REGISTRATIONS, FEWEST_REGISTRATIONS)
    start = threading.Barrier(clients)

    def register(client):
        start.wait(30)
        return registry.register(model, f"client-{client}"), f"{model.root}/client-{client}"

    with ThreadPoolExecutor(clients) as pool:
        acknowledged = sorted(pool.map(register, range(clients)))
    numbers = [number for number, _ in acknowledged]
    expect(f"numbers given to {clients} registrations of {model.name}", numbers, list(range(1, clients + 1)))
    registry.shows(model)
