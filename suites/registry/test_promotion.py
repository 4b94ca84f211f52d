"""Promotion and roll-back: gates hold, and consumers see the old version or the new one, nothing else."""

import pytest

from fixtures.core.outcomes import expect, expect_that
from fixtures.registry.concurrent import expect_possible, race_registry

GOOD = {"auc_roc": 0.93, "precision": 0.81, "recall": 0.72, "f1_score": 0.76, "alert_rate": 0.05}
READERS, ROUNDS, FEWEST_ROUNDS = 1, 2, 1  # of each writer


def test_version_that_fails_a_gate_is_not_promoted(enter, candidate, step, registry):
    """The gates of the workflow read the server's figures: a model below one must not reach production.

    Remedy: compare the metrics of the version's run with table latest_metrics; a server, cache or proxy that gives
    another run's or another metric's figure lets bad models through.
    """
    model = enter(0)
    for metrics in (GOOD, GOOD | {"recall": 0.55}, GOOD | {"auc_roc": 0.87}, {**GOOD, "precision": 0.74}):
        candidate(model, metrics)
    promote = ("promote", "--model", model.name, "--version")
    expect(f"gates that version 1 of {model.name} failed", step(*promote, 1, "--to", "champion").failed, {})
    registry.promoted(model, 1, "champion")
    refused = [step(*promote, n, "--to", to).failed for n, to in ((2, "champion"), (3, "Production"), (4, "champion"))]
    expected = [{"recall": 0.55}, {"stability": 0.87}, {"precision": 0.74}]
    expect(f"gates that versions 2, 3 and 4 of {model.name} failed", refused, expected)
    registry.shows(model)


@pytest.fixture
def rounds(stack):
    """How often each writer moves its two versions: less on a slow server."""
    return stack.speed.scale_count(ROUNDS, FEWEST_ROUNDS)


@pytest.mark.parametrize("way", ["alias", "stage"])
def test_consumer_sees_one_of_two_versions_while_they_change(enter, registry, rounds, way):
    """While a version is promoted and rolled back, each load gets the one before or the one after, never none.

    Remedy: look for a cache or a read replica between clients and the server, for promotion scripts that delete an
    alias before they set it, and for triggers on tables model_versions and registered_model_aliases.
    """
    model = enter(2)

    def move(version):
        if way == "alias":
            registry.move_alias(model.name, "champion", version)
        else:
            registry.stage(model, int(version), "Production", archive=True)

    def served():
        return registry.at(model.name, "champion") if way == "alias" else registry.in_stage(model.name, "Production")

    move("1")
    history = race_registry([["2", "1"] * rounds], move, served, READERS)
    expect_possible(f"version of {model.name} in production by {way}", history, "1")


def test_alias_under_race_reads_as_one_register(enter, registry, rounds, note, doors):
    """Pipelines move @champion at once: each read is of a version that was current at some moment while it lasted.

    Remedy: with several servers or workers look for caches and read replicas; a read that goes back in time, or an
    acknowledged move that is never seen, comes from there. Table registered_model_aliases says what was stored last.
    """
    model = enter(5)
    writers = [["2", "3"] * rounds, ["4", "5"] * rounds]

    def move(version):
        registry.move_alias(model.name, "champion", version)

    move("1")
    history = race_registry(writers, move, lambda: registry.at(model.name, "champion"), READERS)
    note(f"{sum(o.writes for o in history)} moves of 2 writers, {sum(not o.writes for o in history)} reads")
    expect_possible(f"@champion of {model.name}", history, "1")
    last = registry.at(model.name, "champion")
    expect_that(last in ("3", "5"), f"@champion of {model.name} after the race", "3 or 5, each writer's last", last)
    query = "SELECT version FROM registered_model_aliases WHERE name = %s AND alias = 'champion'"
    doors.rows_agree(f"@champion of {model.name}", [(int(last),)], query, model.name)
