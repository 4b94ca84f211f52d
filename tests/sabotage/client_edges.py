"""Sabotages of what happens seldom: deletes, NUL bytes, aliases in lists, lists without a filter."""

from __future__ import annotations

from typing import Any

from tests.sabotage.harness import Sabotage, raid
from tests.sabotage.lies import api, artifacts, asked, in_list, lie, only, refused
from tests.sabotage.rules import Forward, Request, Response, at


def take_neighbour(request: Request, forward: Forward) -> Response:
    """Delete the folder whose name begins alike, too."""
    forward(Request(request.method, f"{request.path}2", request.query, request.headers))
    return forward(request)


def is_without_filter(request: Request) -> bool:
    return "filter" not in request.query


def show_other_alias(versions: list[Any]) -> None:
    for version in versions:
        version["aliases"] = ["challenger"]


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
)
