"""Sabotages of artifacts that the suite client must catch."""

from __future__ import annotations

from typing import Any

from tests.sabotage.harness import Sabotage, raid
from tests.sabotage.lies import api, artifacts, cut, larger_than, lie, says, stale
from tests.sabotage.rules import Forward, Request, Response, Rule, answer, at, edit


def plus_is_space(request: Request) -> None:
    """What a proxy does that takes a path for a query."""
    request.path = request.path.replace("+", "%20").replace("%2B", "%20")


def ascii_only(request: Request) -> None:
    request.path = request.path.replace("%C3%BC", "u")


def dos_ends(request: Request) -> None:
    request.body = request.body.replace(b"\n", b"\r\n")


def stored_and_refused(request: Request, forward: Forward) -> Response:
    """Do the work, and say that it failed."""
    forward(request)
    return Response(500)


def without_file_03(listing: dict[str, Any]) -> None:
    listing["files"] = [f for f in listing.get("files", []) if "file03" not in f["path"]]


def through_the_server(info: dict[str, Any]) -> None:
    """Clients from 3.17 on fetch from the bucket by presigned URLs where the server offers it."""
    info["multipart_downloads_enabled"] = False


RAIDS = (
    raid(
        "artifacts",
        Sabotage(
            "a proxy refuses uploads of more than a megabyte",
            {
                "client/test_artifacts.py::test_a_file_of_any_size_comes_back": "413",
                "client/test_artifacts.py::test_a_large_file_comes_back": "413",
            },
            lie("413", artifacts("PUT"), larger_than(1 << 20, answer(413, "<h1>413 Request Entity Too Large</h1>"))),
        ),
        Sabotage(
            "a listing lacks a file",
            {"client/test_artifacts.py::test_a_folder_comes_back_whole": "file03.bin"},
            lie("list", at("/mlflow-artifacts/artifacts$", "GET"), says(without_file_03)),
        ),
        Sabotage(
            "a proxy takes + for a space",
            {"client/test_artifacts.py::test_a_file_keeps_its_name": r"such as \('a\+b.txt'"},
            lie("plus", artifacts("PUT", "GET", path=r"(\+|%2B)"), edit(plus_is_space)),
        ),
        Sabotage(
            "a proxy knows ASCII only",
            {"client/test_artifacts.py::test_a_file_keeps_a_name_of_any_language": r"'u.txt'"},
            lie("ascii", artifacts("PUT", path="%C3%BC"), edit(ascii_only)),
        ),
        Sabotage(
            "an upload is stored and called refused",
            {"client/test_artifacts.py::test_a_file_with_url_signs_in_its_name_is_kept_or_refused": "was refused"},
            lie("500", artifacts("PUT", path="/a(%23b.txt)?$"), stored_and_refused),
        ),
        Sabotage(
            "a cache serves an old file",
            {"client/test_artifacts.py::test_a_file_logged_again_has_its_new_content": "written again.*5000 bytes"},
            lie("cache", artifacts("GET", path="last.bin"), stale()),
        ),
        Sabotage(
            "a cache knows files by their name only",
            {"client/test_artifacts.py::test_files_of_one_name_stay_with_their_runs": "model.bin of run"},
            lambda: [
                Rule("downloads", at("/server-info$"), says(through_the_server)),
                Rule("name", artifacts("GET", path="artifacts/model.bin$"), stale(lambda request: "model.bin")),
            ],
        ),
        Sabotage(
            "a proxy changes the ends of lines",
            {"client/test_artifacts.py::test_text_and_json_are_logged_as_written": "Bericht"},
            lie("crlf", artifacts("PUT", path=".md$"), edit(dos_ends)),
        ),
        beside="""client/test_values.py::test_text_is_stored_as_it_was_sent
            client/test_runs.py::test_a_tag_holds_what_was_set_last_until_it_is_deleted""",
    ),
    raid(
        "caches and limits",
        Sabotage(
            "a cache keeps experiments",
            {
                "client/test_experiments.py::test_a_renamed_experiment_has_its_new_name_only": "renamed to.*-old-",
                "client/test_experiments.py::test_a_deleted_experiment_is_among_the_deleted_only": "active experiments",
            },
            lie("experiments", api("experiments/(get|get-by-name|search)"), stale()),
        ),
        Sabotage(
            "a cache keeps histories",
            {"client/test_metrics.py::test_the_history_of_a_metric_keeps_every_point": "9 entries, among them 5"},
            lie("history", api("metrics/get-history"), stale()),
        ),
        Sabotage(
            "a cache keeps listings",
            {
                "client/test_artifacts.py::test_a_file_logged_again_has_its_new_content": "listed.*3000.*5000",
                "health/test_canary.py::test_canary_run_passes_the_whole_deep_path": r"'list the artifacts'.*seen \[\]",
            },
            lie("list", at("/(mlflow-artifacts/artifacts|mlflow/artifacts/list)$", "GET"), stale()),
        ),
        Sabotage(
            "a cache keeps the latest versions",
            {"registry/test_stages.py::test_latest_version_of_each_stage_is_found": r"Production'\].*seen \[\]"},
            lie("latest", api("registered-models/get-latest-versions"), stale()),
        ),
        Sabotage(
            "a proxy cuts downloads of more than a megabyte",
            {"client/test_artifacts.py::test_a_file_of_any_size_comes_back": "downloaded from the server"},
            lie("cut", artifacts("GET", path=r"data-\d+.bin$"), cut(above=1 << 20)),
        ),
        Sabotage(
            "a proxy refuses requests of more than 128 KiB",
            {"client/test_values.py::test_a_full_batch_is_stored_whole": "413"},
            lie(
                "413",
                at("/api/2.0/mlflow/"),
                larger_than(1 << 17, answer(413, "<h1>413 Request Entity Too Large</h1>")),
            ),
        ),
        beside="""client/test_runs.py::test_a_deleted_run_is_hidden_and_comes_back_whole
            registry/test_aliases.py::test_moved_alias_resolves_to_the_new_version_at_once
            client/test_artifacts.py::test_text_and_json_are_logged_as_written""",
    ),
)
