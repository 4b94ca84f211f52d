"""Sabotages of what happens seldom: deletes, NUL bytes, aliases in lists, lists without a filter."""

from __future__ import annotations

import itertools
from typing import Any

from tests.sabotage.client_search import without
from tests.sabotage.harness import FLOOR, Sabotage, raid, trigger
from tests.sabotage.lies import HTML, api, artifacts, asked, has, in_list, lie, nth, only, refused, says
from tests.sabotage.rules import Action, Forward, Request, Response, Rule, answer, at


def take_neighbour(request: Request, forward: Forward) -> Response:
    """Delete the folder whose name begins alike, too."""
    forward(Request(request.method, f"{request.path}2", request.query, request.headers))
    return forward(request)


def delete_a_page() -> list[Rule]:
    """Of a folder of many files, which are not stored here, some are there after it was deleted."""
    left = itertools.chain([1005], itertools.repeat(5))

    def show(request: Request) -> object:
        return {"files": [{"path": f"d/{number:04}.txt", "is_dir": False} for number in range(next(left))]}

    return [
        Rule("many", artifacts("PUT", path=r"/d/\d{4}\.txt$"), answer(200)),
        Rule("page", api("artifacts/list"), only(has("path=d"), answer(200, show))),
    ]


def is_without_filter(request: Request) -> bool:
    return "filter" not in request.query


def first_body() -> Action:
    """What a shared temporary file does: all are stored as the first was."""
    kept: list[bytes] = []

    def act(request: Request, forward: Forward) -> Response:
        kept.append(request.body)
        request.body = kept[0]
        return forward(request)

    return act


def is_nan_of_model(request: Request) -> bool:
    return has('"NaN"')(request) and has("model_id")(request)


def show_other_alias(versions: list[Any]) -> None:
    for version in versions:
        version["aliases"] = ["challenger"]


DEADLOCK = refused(503, "TEMPORARILY_UNAVAILABLE", "(psycopg2.errors.DeadlockDetected) deadlock detected")
NOT_AGAIN = refused(400, "BAD_REQUEST", "duplicate key value violates unique constraint metric_pk")
RAIDS = (
    raid(
        "deletes, NUL bytes and lists",
        Sabotage(
            "a deleted folder takes its neighbour along",
            {
                "client/test_deleting.py::test_a_deleted_folder_leaves_its_neighbours": r"after folder d was deleted: "
                r"expected \['d.txt', 'd2/x.txt'\], seen \['d.txt'\]"
            },
            lie("neighbour", artifacts("DELETE", path="/d$"), take_neighbour),
        ),
        Sabotage(
            "a NUL byte breaks the session of a worker",
            {"client/test_errors.py::test_a_nul_byte_is_refused_and_nothing_stays": "runs/set-tag.*500 .*rolled back"},
            lie(
                "session",
                at("/runs/set-tag$"),
                only(
                    lambda request: asked(request)["key"] == "after",
                    refused(500, "INTERNAL_ERROR", "the transaction is rolled back"),
                ),
            ),
        ),
        Sabotage(
            "a search shows other aliases",
            {"registry/test_aliases.py::test_searched_versions_show_their_aliases": "a search finds.*challenger"},
            lie("aliases", api("model-versions/search"), in_list("model_versions", show_other_alias)),
        ),
        Sabotage(
            "lists without a filter are empty",
            {"registry/test_search.py::test_models_are_listed_without_a_filter": "expected 1, seen 0"},
            lie(
                "list",
                api("registered-models/search"),
                only(is_without_filter, in_list("registered_models", list.clear)),
            ),
        ),
        beside="""client/test_metrics.py::test_a_repeated_metric_point_is_stored_once
            registry/test_aliases.py::test_aliases_are_apart_from_each_other""",
    ),
    raid(
        "writers of one run",
        Sabotage(
            "a tag that several clients set has the value of none",
            {"client/test_writers.py::test_a_new_tag_that_clients_set_at_once_is_stored": "no value which.*nobody"},
            **trigger("tags", "NEW.value := 'nobody'; RETURN NEW;", "BEFORE INSERT OR UPDATE", "NEW.key LIKE 'new-%'"),
        ),
        Sabotage(
            "one of several writers is refused",
            {
                "client/test_writers.py::test_writers_that_name_metrics_in_opposite_order_are_served": "opposite order"
                ".*deadlock detected"
            },
            lie("deadlock", api("runs/log-batch"), only(has("metric_000"), nth(3, DEADLOCK))),
        ),
        Sabotage(
            "a batch cannot be sent again",
            {"client/test_metrics.py::test_a_repeated_batch_of_many_metrics_is_stored_once": "sent again.*metric_pk"},
            lie("again", api("runs/log-batch"), only(has("many_000"), nth(2, NOT_AGAIN))),
        ),
        Sabotage(
            "files that come at once get the bytes of the first",
            {"client/test_writers.py::test_files_that_clients_upload_at_once_are_kept_apart": "file own/.*sha256"},
            lambda: lie("mixed", artifacts("PUT", path="own/"), first_body())(),
        ),
        Sabotage(
            "a folder is shown as a page",
            {"client/test_errors.py::test_a_folder_is_not_sent_as_a_file": "GET of folder of run.*200.*text/html"},
            lie("folder", artifacts("GET", path="/folder$"), HTML),
        ),
        Sabotage(
            "a model cannot have a NaN",
            {"client/test_logged_models.py::test_a_model_takes_the_nan_of_its_run": "NaN of run.*metric_pk"},
            lie("nan", api("runs/log-batch"), only(is_nan_of_model, NOT_AGAIN)),
        ),
        Sabotage(
            "a search for the best model ends early",
            {"client/test_logged_models.py::test_the_search_for_the_best_model_finds_each_once": "page by page.*'m-"},
            lie("best", api("logged-models/search"), only(has("order_by"), says(without("next_page_token")))),
        ),
        beside="""client/test_runs.py::test_a_tag_holds_what_was_set_last_until_it_is_deleted
            client/test_metrics.py::test_a_repeated_metric_point_is_stored_once""",
        options=FLOOR,
    ),
    raid(
        "a folder of many files",
        Sabotage(
            "the first page of it is deleted",
            {
                "client/test_deleting.py::test_a_deleted_folder_takes_all_of_its_files": "folder of 1005 was deleted: "
                "expected none, seen 5 files"
            },
            delete_a_page,
        ),
        beside="client/test_values.py::test_a_param_cannot_be_changed",
        full=True,
    ),
)
