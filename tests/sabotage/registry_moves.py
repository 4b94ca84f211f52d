"""Sabotages of promotions, copies, races and random walks that the suite registry must catch."""

from __future__ import annotations

from typing import Any

from tests.sabotage.harness import FLOOR, Sabotage, raid, trigger
from tests.sabotage.lies import api, has, hears_query, lie, only, says, stale

ALIASES, VERSIONS, URIS, PROMOTION = (
    f"registry/test_{name}.py::test_" for name in ("aliases", "versions", "uris", "promotion")
)
COPY = "registry/test_copies.py::test_copied_version_outlives_its_source"
WALK = "registry/test_any_order.py::test_random_operations_leave_what_they_should"


def recall_is_precision(answer: dict[str, Any]) -> None:
    metrics = {metric["key"]: metric for metric in answer["run"]["data"].get("metrics", [])}
    if {"recall", "precision"} <= metrics.keys():
        metrics["recall"]["value"] = metrics["precision"]["value"]


def of_the_champion(query: dict[str, list[str]]) -> None:
    query["alias"] = ["champion"]


RAIDS = (
    raid(
        "stale reads and skipped numbers",
        Sabotage(
            "aliases are read from a cache",
            {
                f"{PROMOTION}alias_under_race_reads_as_one_register": "@champion of rdy-.*expected [1-5].*seen [1-5]",
                f"{PROMOTION}consumer_sees_one_of_two_versions_while_they_change": "by alias.*expected [12].*seen [12]",
                f"{ALIASES}moved_alias_resolves_to_the_new_version_at_once": "@champion of rdy-.*expected .*'3'",
            },
            lie("cache", api("registered-models/alias", "GET"), stale()),
        ),
        Sabotage(
            "a version number is skipped",
            {f"{VERSIONS}concurrent_registrations_get_a_number_each": "numbers given to 8 registrations of rdy-"},
            **trigger(
                "model_versions",
                "NEW.version := NEW.version + 1; RETURN NEW;",
                when="NEW.version = 5 AND NEW.source LIKE '%/client-%'",
            ),
        ),
        beside=f"{VERSIONS}versions_are_numbered_in_the_order_of_registration "
        f"{VERSIONS}number_of_a_deleted_version_is_not_given_again",
        options=FLOOR,
    ),
    raid(
        "promotions, copies and walks",
        Sabotage(
            "a gate reads the wrong metric",
            {f"{PROMOTION}version_that_fails_a_gate_is_not_promoted": "versions 2, 3 and 4 of rdy-.*0.55.*seen"},
            lie("recall", api("runs/get", "GET"), says(recall_is_precision)),
        ),
        Sabotage(
            "copies go with their source",
            {COPY: "model-versions/get.*404"},
            **trigger(
                "registered_models",
                "DELETE FROM model_version_tags t USING model_versions v"
                " WHERE v.source LIKE 'models:/' || OLD.name || '/%'"
                " AND v.name = t.name AND v.version = t.version;"
                "DELETE FROM model_versions WHERE source LIKE 'models:/' || OLD.name || '/%'; RETURN NULL;",
                "AFTER DELETE",
            ),
        ),
        Sabotage(
            "an alias that is not there is that of the champion",
            {f"{URIS}uri_of_nothing_is_an_error": "models:/rdy-.*@nobody.*expected refused, seen .*sha256"},
            lie("nobody", api("registered-models/alias", "GET"), only(has("nobody"), hears_query(of_the_champion))),
        ),
        Sabotage(
            "versions fail with their run",
            {f"{VERSIONS}deleting_a_run_leaves_its_versions": "version 1 of rdy-.*was deleted.*FAILED"},
            **trigger(
                "runs",
                "UPDATE model_versions SET status = 'FAILED_REGISTRATION' WHERE run_id = NEW.run_uuid; RETURN NULL;",
                "AFTER UPDATE",
                "NEW.lifecycle_stage = 'deleted'",
            ),
        ),
        Sabotage(
            "what was archived does not come back to production",
            {WALK: "after [4-9] steps: create .*to Archived.*to Production.*Production.*seen .*Staging"},
            **trigger(
                "model_versions",
                "NEW.current_stage := 'Staging'; RETURN NEW;",
                "BEFORE UPDATE",
                "OLD.current_stage = 'Archived' AND NEW.current_stage = 'Production'",
            ),
        ),
        beside=f"{VERSIONS}deleting_a_version_keeps_the_artifacts_of_its_run "
        f"{ALIASES}aliases_are_apart_from_each_other {URIS}download_uri_of_each_version_is_its_own",
        options=FLOOR,
    ),
)
