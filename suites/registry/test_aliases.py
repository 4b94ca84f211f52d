"""Aliases: what a deploy resolves when it asks for @champion."""

import pytest

from fixtures.core.outcomes import Symptom, expect

CONNECTIONS, FEWEST = 6, 4


@pytest.fixture
def connections(stack):
    """On how many connections an alias is asked for: fewer on a slow server."""
    return stack.speed.scale_count(CONNECTIONS, FEWEST)


def test_moved_alias_resolves_to_the_new_version_at_once(enter, registry, connections):
    """A deploy that reads @champion after a promotion gets the new version, whichever server worker answers.

    Remedy: look at table registered_model_aliases; if it is right and answers differ, look for a cache between,
    a read replica (MLFLOW_READ_REPLICA...) or servers on different databases behind one address.
    """
    model = enter(3)
    for number in (1, 3, 2):
        registry.move_alias(model.name, "champion", str(number))
        seen = [registry.at(model.name, "champion") for _ in range(connections)]
        expect(f"@champion of {model.name}, asked on {connections} connections", seen, [str(number)] * connections)
    model.aliases["champion"] = 2
    registry.shows(model)


def test_aliases_are_apart_from_each_other(enter, registry):
    """One version may carry several aliases, and other models the same ones: moving or deleting one moves no other.

    Remedy: compare table registered_model_aliases with what the API shows.
    """
    model, other = enter(2), enter(2)
    for name, alias, number in (
        (model.name, "champion", "2"),
        (other.name, "champion", "1"),
        (model.name, "blue", "2"),
        (model.name, "green", "2"),
        (model.name, "green", "1"),
    ):
        registry.move_alias(name, alias, number)
    registry.delete("registered-models/alias", model.name, alias="blue")
    model.aliases, other.aliases = {"champion": 2, "green": 1}, {"champion": 1}
    registry.shows(model)
    registry.shows(other)


@pytest.mark.known_issue("R24")
def test_searched_versions_show_their_aliases(probe, enter, registry):
    """A deploy that lists versions and looks for champion among their aliases must find it.

    Remedy: ask registered-models/alias or model-versions/get for aliases: a search of MLflow's does not fill them in.
    """
    model = enter(1)
    registry.move_alias(model.name, "champion", "1")
    version = probe.ask("model-versions/get", {"name": model.name, "version": "1"})["model_version"]
    expect(f"aliases of {model.name} version 1", version.get("aliases"), ["champion"])
    found = probe.ask("model-versions/search", {"filter": f"name = '{model.name}'"}).get("model_versions", [])
    seen = [one.get("aliases", []) for one in found]
    symptom = Symptom.ALIASES_NOT_SEARCHED if seen == [[]] else None
    expect(f"aliases of the versions of {model.name} that a search finds", seen, [["champion"]], symptom=symptom)


def test_deleted_alias_does_not_resolve(enter, registry, connections):
    """A deploy that asks for an alias that was taken away must fail, not get what it had before.

    Remedy: look at table registered_model_aliases, and for a cache between clients and server.
    """
    model = enter(1)
    registry.move_alias(model.name, "champion", "1")
    registry.delete("registered-models/alias", model.name, alias="champion")
    for _ in range(connections):
        registry.unresolved(model.name, "champion")
    registry.shows(model)


def test_reserved_alias_is_refused(enter, registry):
    """`latest` and `v1` mean something else in model URIs: an alias of that name would serve two models as one.

    Remedy: rename such aliases; look for them in table registered_model_aliases, and for a proxy that changes bodies.
    """
    model = enter(1)
    for alias in ("latest", "Latest", "v1", "V27"):
        body = {"name": model.name, "alias": alias, "version": "1"}
        registry.refuses("POST", "registered-models/alias", body, "INVALID_PARAMETER_VALUE")
    registry.shows(model)


def test_alias_of_a_missing_version_is_refused(enter, registry):
    """A promotion of a version that is not there must fail and leave the alias where it was.

    Remedy: look at table registered_model_aliases for aliases whose version is not in model_versions.
    """
    model = enter(2)
    registry.move_alias(model.name, "champion", "1")
    registry.delete("model-versions/delete", model.name, version="2")
    for version in ("2", "99"):
        body = {"name": model.name, "alias": "champion", "version": version}
        registry.refuses("POST", "registered-models/alias", body, "RESOURCE_DOES_NOT_EXIST")
    del model.versions[2]
    model.aliases["champion"] = 1
    registry.shows(model)
