"""Which version is meant, where it goes, and that a move which was not stored is no promotion."""

from argparse import Namespace
from types import SimpleNamespace

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

from fixtures.workflow import versions
from fixtures.workflow.errors import StoredDiffers, WorkflowError
from fixtures.workflow.gates import load_thresholds
from fixtures.workflow.version_choice import choose_destination, choose_or_production, choose_source, choose_version_of
from fixtures.workflow.versions import StageOrAlias


def entry(number, run="", stage="None", aliases=()):
    """A version as MLflow's client gives it."""
    return SimpleNamespace(
        name="m",
        version=str(number),
        run_id=run,
        current_stage=stage,
        aliases=list(aliases),
        creation_timestamp=1,
        tags={},
        source="",
    )


class FakeRegistry:
    """As much of MLflow's client as the selection asks, on plain data."""

    def __init__(self, *entries):
        self.entries = {e.version: e for e in entries}
        self.moved = []

    def get_run(self, run_id):
        return run_id

    def get_registered_model(self, name):
        aliases = {a: e.version for e in self.entries.values() for a in e.aliases}
        latest = {e.current_stage: e for e in self.entries.values()}
        return SimpleNamespace(name=name, aliases=aliases, latest_versions=list(latest.values()))

    def get_model_version(self, name, number):
        return self.entries[str(number)]

    def search_model_versions(self, text, max_results=0, order_by=None):
        field, _, value = text.partition(" = ")
        found = [e for e in self.entries.values() if field == "name" or e.run_id == value.strip("'")]
        return sorted(found, key=lambda e: -int(e.version))[:max_results]

    def set_registered_model_alias(self, name, alias, number):
        self.moved.append((alias, number))  # acknowledged, and not stored

    def set_model_version_tag(self, *args):
        self.moved.append(args)


TWO = (entry(1, "r1", "Production", ["champion"]), entry(2, "r2", "Staging", ["challenger"]))


def given(**options):
    base = dict.fromkeys(("version", "run", "stage", "alias", "to"))
    return Namespace(**{**base, "command": "promote", "model": "m", **options})


@pytest.mark.parametrize(
    ("options", "target"),
    [
        ({"to": "Production"}, StageOrAlias("stage", "Production")),
        ({"to": "champion"}, StageOrAlias("alias", "champion")),
        ({"to": "@Production", "stage": "Staging"}, StageOrAlias("alias", "Production")),
        ({"stage": "production", "version": "1"}, StageOrAlias("stage", "Production")),
        ({"alias": "@champion", "version": "1"}, StageOrAlias("alias", "champion")),
    ],
)
def test_where_a_promotion_goes(options, target):
    """--to wins; a stage by its exact name, anything else is an alias."""
    assert choose_destination(given(**options)) == target


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"to": "production"},
        {"to": "latest"},
        {"to": "v1"},
        {"alias": "a b"},
        {"stage": "Live"},
        {"stage": "None", "alias": "a"},
    ],
)
def test_a_place_that_is_none_is_refused(options):
    with pytest.raises(WorkflowError):
        choose_destination(given(**options))


@pytest.mark.parametrize(
    ("options", "number"),
    [
        ({"version": "2"}, "2"),
        ({"run": "r1"}, "1"),
        ({"run": "r9"}, None),
        ({"to": "champion", "alias": "challenger"}, "2"),
        ({"to": "Production", "stage": "staging"}, "2"),
        ({"version": "2", "run": "r2"}, "2"),
        ({"to": "Production", "version": "2", "stage": "Staging"}, "2"),
    ],
)
def test_what_a_promotion_moves(options, number):
    found = choose_source(given(**options), FakeRegistry(*TWO))
    assert (found and found.number) == number


@pytest.mark.parametrize(
    "options",
    [
        {"to": "champion"},
        {"version": "1", "run": "r2"},
        {"version": "one"},
        {"to": "Production", "version": "1", "stage": "Staging"},
        {"to": "Production", "alias": "nobody"},
    ],
)
def test_a_promotion_of_nothing_or_of_two_is_refused(options):
    """Options that mean different versions are never settled by a guess."""
    with pytest.raises(WorkflowError):
        choose_source(given(**options), FakeRegistry(*TWO))


def test_export_takes_what_is_in_production():
    """Unless another version is named; by version and alias only when both mean the same."""
    fake, thresholds = FakeRegistry(*TWO), load_thresholds()
    version, target = choose_or_production(given(command="export"), fake, thresholds)
    assert (version.number, str(target)) == ("1", "Production")
    assert choose_or_production(given(command="export", version="2"), fake, thresholds)[0].number == "2"
    with pytest.raises(WorkflowError, match="say which"):
        choose_version_of(given(command="export", version="2", alias="champion"), fake)


def test_production_is_not_guessed():
    """Where stage and alias name different versions, or nothing is in production."""
    names = load_thresholds().production
    with pytest.raises(WorkflowError, match="several versions"):
        versions.find_production(FakeRegistry(entry(1, stage="Production"), entry(2, aliases=["champion"])), "m", names)
    with pytest.raises(WorkflowError, match="it has version 1"):
        versions.find_production(FakeRegistry(entry(1)), "m", names)
    with pytest.raises(WorkflowError, match="it has no versions"):
        versions.find_production(FakeRegistry(), "m", names)


def test_a_move_that_is_not_stored_is_no_promotion():
    """Acknowledged is not enough: the registry has to show it."""
    fake = FakeRegistry(*TWO)
    with pytest.raises(StoredDiffers, match="is not there"):
        versions.move_version(fake, versions.find_by_number(fake, "m", "2"), StageOrAlias("alias", "champion"), [])
    assert fake.moved == [("champion", "2")]


@pytest.mark.parametrize(
    ("refusal", "there"),
    [
        (MlflowException("no such model", error_code=RESOURCE_DOES_NOT_EXIST), False),
        (MlflowException("failed with error code 403 != 200. Response body: 'Permission denied'"), False),
        (MlflowException("failed with error code 500 != 200"), None),
    ],
)
def test_what_basic_auth_conceals_is_not_there(refusal, there):
    """MLflow's basic auth says of every model that an ordinary user has yet to make that it is denied."""

    class Server:
        def get_registered_model(self, name):
            raise refusal

    if there is None:
        with pytest.raises(MlflowException):
            versions.find_model(Server(), "m")
    else:
        assert (versions.find_model(Server(), "m") is not None) is there
