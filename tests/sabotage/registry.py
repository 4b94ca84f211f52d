"""Sabotages that the suite registry must catch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fixtures.clients.s3 import open_s3_client
from tests.sabotage.harness import Aim, Sabotage, Target, raid, trigger
from tests.sabotage.lies import api, asked, every, has, hears, hears_query, ignored, lie, lose_last, only, says
from tests.sabotage.rules import Forward, Request, Response, Rule, answer

ALIASES, MODELS, VERSIONS, STAGES, URIS, SEARCH, PROMOTION = (
    f"registry/test_{name}.py::test_"
    for name in ("aliases", "models", "versions", "stages", "uris", "search", "promotion")
)


def alias_of(version: str) -> Any:
    return lambda request: request.method == "POST" and asked(request).get("version") == version


def reserved(request: Request) -> bool:
    return request.method == "POST" and asked(request).get("alias") in ("Latest", "V27")


def to_staging(sent: dict[str, Any]) -> None:
    sent["stage"] = "Staging"


def third_is_fourth(made: dict[str, Any]) -> None:
    if made["model_version"]["version"] == "3":
        made["model_version"]["version"] = "4"


def first_condition(query: dict[str, list[str]]) -> None:
    query["filter"] = [query["filter"][0].rpartition(" AND ")[0]]


def without_token(answer: dict[str, Any]) -> None:
    answer.pop("next_page_token", None)


@contextmanager
def objects_go_with_versions(target: Target, aim: Aim) -> Iterator[None]:
    """Who deletes a version deletes its payload in the bucket."""
    bucket = target.stack.s3
    assert bucket
    client = open_s3_client(bucket)

    def remove(request: Request, forward: Forward) -> Response:
        sent = asked(request)
        with target.database() as link, link.cursor() as cursor:
            query = "SELECT source FROM model_versions WHERE name = %s AND version = %s"
            cursor.execute(query, (sent["name"], int(sent["version"])))
            source = cursor.fetchone()[0]
        key = f"{bucket.prefix}/{source.removeprefix('mlflow-artifacts:/')}/payload.bin"
        client.delete_object(Bucket=bucket.name, Key=key)
        return forward(request)

    aim.rules.append(Rule("objects", api("model-versions/delete"), only(lambda r: asked(r)["version"] == "1", remove)))
    yield


RAIDS = (
    raid(
        "aliases, tags and stages",
        Sabotage(
            "aliases do not move",
            {
                f"{ALIASES}moved_alias_resolves_to_the_new_version_at_once": "@champion of rdy-.*'3', '3'",
                f"{ALIASES}aliases_are_apart_from_each_other": "@green",
                f"{URIS}promotion_and_roll_back_reach_the_consumer": "@champion of rdy-.*step 1",
                f"{PROMOTION}consumer_sees_one_of_two_versions_while_they_change": "by alias.*expected 2.*seen 1",
                f"{PROMOTION}alias_under_race_reads_as_one_register": "@champion of rdy-.*expected [2-5].*seen 1",
            },
            **trigger("registered_model_aliases", "RETURN OLD;", "BEFORE UPDATE"),
        ),
        Sabotage(
            "aliases stay when they are deleted",
            {
                f"{ALIASES}deleted_alias_does_not_resolve": "registered-models/alias.*200",
            },
            **trigger("registered_model_aliases", "RETURN NULL;", "BEFORE DELETE"),
        ),
        Sabotage(
            "reserved aliases are taken",
            {f"{ALIASES}reserved_alias_is_refused": "'Latest'.*200"},
            lie("reserved", api("registered-models/alias"), only(reserved, ignored())),
        ),
        Sabotage(
            "aliases of versions that are not there are taken",
            {f"{ALIASES}alias_of_a_missing_version_is_refused": "'99'.*200"},
            lie("missing", api("registered-models/alias"), only(alias_of("99"), ignored())),
        ),
        Sabotage(
            "a second model of a name is taken",
            {f"{MODELS}duplicate_model_name_is_refused": "registered-models/create.*200"},
            lie("second", api("registered-models/create"), only(has("second team"), ignored())),
        ),
        Sabotage(
            "tags of models keep their first value",
            {f"{MODELS}description_and_tags_of_a_model_are_kept": "tag owner.*risk"},
            **trigger("registered_model_tags", "RETURN OLD;", "BEFORE UPDATE"),
        ),
        Sabotage(
            "tags of versions keep their first value",
            {f"{MODELS}description_and_tags_of_a_version_are_kept": "version 1 tag gate.*open"},
            **trigger("model_version_tags", "RETURN OLD;", "BEFORE UPDATE"),
        ),
        Sabotage(
            "archived versions go back to staging",
            {
                f"{STAGES}version_walks_through_the_stages": "seen latest in Staging = '1'",
                f"{STAGES}promotion_archives_the_old_ones_only_when_asked": "expected latest in Archived = '2'",
                f"{STAGES}latest_version_of_each_stage_is_found": "Archived",
            },
            **trigger(
                "model_versions",
                "NEW.current_stage := 'Staging'; RETURN NEW;",
                "BEFORE UPDATE",
                "NEW.current_stage = 'Archived'",
            ),
        ),
        Sabotage(
            "an unknown stage is taken for another",
            {f"{STAGES}unknown_stage_is_refused": "transition-stage.*200"},
            lie("stage", api("model-versions/transition-stage"), only(has("Prodcution"), hears(to_staging))),
        ),
        beside=f"{VERSIONS}versions_are_numbered_in_the_order_of_registration "
        f"{VERSIONS}number_of_a_deleted_version_is_not_given_again "
        f"{URIS}download_uri_of_each_version_is_its_own",
    ),
    raid(
        "versions",
        Sabotage(
            "versions lose their link",
            {f"{VERSIONS}version_keeps_what_it_was_registered_with": "run_link of version 2"},
            **trigger("model_versions", "NEW.run_link := NULL; RETURN NEW;"),
        ),
        Sabotage(
            "deleted versions leave no row",
            {f"{VERSIONS}number_of_a_deleted_version_is_not_given_again": "expected 3, seen 2"},
            **trigger(
                "model_versions",
                "DELETE FROM model_versions WHERE name = NEW.name AND version = NEW.version; RETURN NULL;",
                "AFTER UPDATE",
                "NEW.current_stage = 'Deleted_Internal'",
            ),
        ),
        Sabotage(
            "the aliases of all versions go with a deleted one",
            {
                f"{VERSIONS}deleting_a_version_leaves_the_others_alone": "expected @champion = '1'",
                f"{VERSIONS}aliases_of_a_deleted_version_are_gone": "expected @champion = '1'",
            },
            **trigger(
                "model_versions",
                "DELETE FROM registered_model_aliases WHERE name = NEW.name; RETURN NULL;",
                "AFTER UPDATE",
                "NEW.current_stage = 'Deleted_Internal'",
            ),
        ),
        Sabotage(
            "the objects of a deleted version are deleted",
            {f"{VERSIONS}deleting_a_version_keeps_the_artifacts_of_its_run": "v1/payload.bin|download_artifacts"},
            breaks=objects_go_with_versions,
        ),
        Sabotage(
            "registrations at the same moment get one number",
            {f"{VERSIONS}concurrent_registrations_get_a_number_each": "numbers given to 16"},
            lie(
                "client",
                api("model-versions/create"),
                only(has("/client-"), every('"version": *"[0-9]+"', '"version": "1"')),
            ),
        ),
        Sabotage(
            "deleted models stay",
            {f"{MODELS}deleted_model_leaves_nothing_to_its_successor": "registered-models/get.*200"},
            lie("delete", api("registered-models/delete"), ignored()),
        ),
        Sabotage(
            "renaming is acknowledged and not done",
            {
                f"{MODELS}renamed_model_keeps_versions_tags_and_aliases": "rdy-.*renamed",
                f"{MODELS}rename_onto_another_model_is_refused": "not refused",
            },
            lie("rename", api("registered-models/rename"), ignored({"registered_model": {}})),
        ),
        Sabotage(
            "one version is downloaded for another",
            {
                f"{URIS}model_uri_loads_the_bytes_of_its_version": "payload.bin of models:/rdy-.*/(2|Production)",
                f"{URIS}download_uri_of_each_version_is_its_own": "version 2 of.*/v1",
            },
            lie("uri", api("model-versions/get-download-uri"), every('/v2"', '/v1"')),
        ),
        beside=f"{ALIASES}deleted_alias_does_not_resolve {MODELS}description_and_tags_of_a_model_are_kept "
        f"{STAGES}unknown_stage_is_refused",
    ),
    raid(
        "deletions that are not done",
        Sabotage(
            "a version that was deleted stays",
            {f"{URIS}latest_falls_back_when_the_newest_is_deleted": "payload.bin of models:/rdy-.*/latest"},
            lie("delete", api("model-versions/delete"), ignored()),
        ),
        Sabotage(
            "a version gets the number after the next",
            {f"{VERSIONS}versions_are_numbered_in_the_order_of_registration": r"\[1, 2, 4\]"},
            lie("number", api("model-versions/create"), says(third_is_fourth)),
        ),
        Sabotage(
            "the last condition of a filter is ignored",
            {
                f"{SEARCH}models_are_found_by_filter": "models with name LIKE.*AND",
                f"{SEARCH}versions_are_found_by_filter": "versions with.*AND",
            },
            lie(
                "and",
                api("(registered-models|model-versions)/search"),
                only(has("+AND+"), hears_query(first_condition)),
            ),
        ),
        Sabotage(
            "a page lacks its last",
            {
                f"{SEARCH}paging_through_models_finds_each_once": "sizes of the pages.*9, 9",
                f"{SEARCH}paging_through_versions_finds_each_once": "sizes of the pages.*5, 5",
            },
            lambda: [
                Rule("models", api("registered-models/search"), says(lambda d: lose_last(d, "registered_models"))),
                Rule("versions", api("model-versions/search"), says(lambda d: lose_last(d, "model_versions"))),
            ],
        ),
        Sabotage(
            "there is nothing after the default page",
            {f"{SEARCH}models_past_the_default_page_are_reached": "models found without max_results"},
            lie(
                "default",
                api("registered-models/search"),
                only(lambda r: not has("max_results")(r), says(without_token)),
            ),
        ),
        Sabotage(
            "garbled tokens are taken for the end",
            {f"{SEARCH}bad_page_requests_are_refused": "garbage.*200"},
            lie("garbage", api("(registered-models|model-versions)/search"), only(has("garbage"), answer(200, {}))),
        ),
        beside=f"{MODELS}duplicate_model_name_is_refused {VERSIONS}version_keeps_what_it_was_registered_with "
        f"{ALIASES}aliases_are_apart_from_each_other",
    ),
)
