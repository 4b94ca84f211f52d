"""Registered models: names, descriptions, tags, and what a rename or a deletion takes along."""

from dataclasses import replace

from mlflow.exceptions import MlflowException

from fixtures.core.outcomes import expect


def test_duplicate_model_name_is_refused(enter, registry):
    """Two teams that choose one name must be told: the second would otherwise write into the first's model.

    Remedy: look for two rows of this name in table registered_models and for the key registered_model_pk.
    """
    model = enter(1)
    registry.describe_model(model.name, "of the first team")
    body = {"name": model.name, "description": "of the second team"}
    registry.refuses("POST", "registered-models/create", body, "RESOURCE_ALREADY_EXISTS")
    model.description = "of the first team"
    registry.shows(model)


def test_description_and_tags_of_a_model_are_kept(enter, registry):
    """Owner and purpose are read from a model's tags and text: set, overwritten and deleted means just that.

    Remedy: compare tables registered_models and registered_model_tags with what the API shows; a difference between
    two reads means two servers on different databases, or a cache between.
    """
    model, other = enter(1), enter(0)
    for key, value in (("owner", "risk"), ("tier", "1"), ("gone", "soon"), ("owner", "fraud ✓ 'quoted' %s")):
        registry.tag_model(model.name, key, value)
    registry.tag_model(other.name, "owner", "somebody else")
    registry.delete("registered-models/delete-tag", model.name, key="gone")
    for description in ("first", "scores card payments\nüber Nacht"):
        registry.describe_model(model.name, description)
        model.description, model.tags = description, {"owner": "fraud ✓ 'quoted' %s", "tier": "1"}
        registry.shows(model)
    other.tags["owner"] = "somebody else"
    registry.shows(other)


def test_description_and_tags_of_a_version_are_kept(enter, registry):
    """Gates write their results on the version they judged: no other version may show them.

    Remedy: compare tables model_versions and model_version_tags with what the API shows.
    """
    model = enter(2)
    for version, key, value in (
        ("1", "gate", "open"),
        ("2", "gate", "passed"),
        ("1", "auc", "0.91"),
        ("1", "gate", "failed"),
    ):
        registry.tag_version(model.name, version, key, value)
    registry.tag_version(model.name, "2", "draft", "yes")
    registry.delete("model-versions/delete-tag", model.name, version="2", key="draft")
    registry.describe_version(model.name, "1", "too many alerts")
    registry.describe_version(model.name, "2", "draft")
    registry.describe_version(model.name, "2", "weniger Alarme – geprüft")
    first, second = model.versions[1], model.versions[2]
    first.tags, first.description = {"gate": "failed", "auc": "0.91"}, "too many alerts"
    second.tags, second.description = {"gate": "passed"}, "weniger Alarme – geprüft"
    registry.shows(model)


def test_deleted_model_leaves_nothing_to_its_successor(enter, mlflow_client, registry):
    """A name that is used again must start afresh: an alias or tag of the old model would serve the wrong thing.

    Remedy: look for rows of this name in the registry's five tables; foreign keys may be missing after a restore.
    """
    model = enter(2)
    registry.move_alias(model.name, "champion", "2")
    registry.tag_model(model.name, "owner", "old")
    registry.tag_version(model.name, "1", "gate", "old")
    mlflow_client.delete_registered_model(model.name)
    registry.gone(model.name)
    mlflow_client.create_registered_model(model.name)
    model.versions.clear()
    expect(f"number of the first version of the new {model.name}", registry.register(model, "new"), 1)
    registry.shows(model)


def test_renamed_model_keeps_versions_tags_and_aliases(enter, mlflow_client, registry, unique):
    """A rename must carry everything along, and the old name must be free.

    Remedy: look for rows of the old name in the registry's tables; the foreign keys need ON UPDATE CASCADE.
    """
    model, name = enter(2), unique("renamed")
    registry.move_alias(model.name, "champion", "1")
    registry.tag_model(model.name, "owner", "risk")
    registry.tag_version(model.name, "2", "gate", "passed")
    registry.stage(model, 2, "Staging")
    model.aliases, model.tags = {"champion": 1}, {"owner": "risk"}
    model.versions[2].tags, model.versions[2].stage = {"gate": "passed"}, "Staging"
    mlflow_client.rename_registered_model(model.name, name)
    registry.shows(replace(model, name=name))
    registry.gone(model.name)


def test_rename_onto_another_model_is_refused(enter, mlflow_client, registry):
    """A rename must not swallow another team's model.

    Remedy: look at table registered_models and its key registered_model_pk.
    """
    model, other = enter(1), enter(2)
    try:
        mlflow_client.rename_registered_model(model.name, other.name)
        refused = "not refused"
    except MlflowException as error:
        refused = error.error_code
    expect(f"rename of {model.name} to {other.name}", refused, "RESOURCE_ALREADY_EXISTS")
    registry.shows(model)
    registry.shows(other)
