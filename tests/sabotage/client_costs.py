"""Sabotages of costs that grow with what is already there, and a healthy /metrics."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter

from tests.sabotage.harness import Sabotage, raid
from tests.sabotage.lies import after, api, artifacts, asked, has, larger_than, lie, only
from tests.sabotage.rules import Forward, Request, Response, Rule, answer, at, delay, edit

COUNTS = itertools.count(1000, 3)
HELP = "# HELP mlflow_http_request_total Requests\n# TYPE mlflow_http_request_total counter\n"
TEXT = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}


def show_count(request: Request) -> str:
    return f'{HELP}mlflow_http_request_total{{method="GET",status="200"}} {next(COUNTS)}\n'


STANDING = f'{HELP}mlflow_http_request_total{{method="GET",status="200"}} 7\n'


def say_thanks(response: Response) -> None:
    response.body = b"thank you"
    response.headers.replace_header("Content-Type", "application/x-protobuf")


class LastVersions:
    """True for the versions of a model after its first 21."""

    def __init__(self) -> None:
        self.made: Counter[str] = Counter()
        self.lock = threading.Lock()

    def __call__(self, request: Request) -> bool:
        name = str(asked(request)["name"])
        with self.lock:
            self.made[name] += 1
            return "many-" in name and self.made[name] > 13


class SlowDownloads:
    """Small files come back 20 times as slowly as they went."""

    def __init__(self) -> None:
        self.up = 0.0

    def __call__(self, request: Request, forward: Forward) -> Response:
        begun = time.monotonic()
        response = forward(request)
        if request.method == "PUT":
            self.up = max(self.up, time.monotonic() - begun)
        else:
            time.sleep(0.5 + 20 * self.up)
        return response


def is_one_point(request: Request) -> bool:
    return has("curve")(request) and len(request.body) < 300


RAIDS = (
    raid(
        "costs that grow",
        Sabotage(
            "a point that is sent again reads a history",
            {
                "client/test_cost_growth.py::test_a_repeated_point_costs_the_same_in_a_long_history": "with 10 and "
                r"4000.*first point again: \d+ ms, then [12]\d{3} ms"
            },
            lie("history", api("runs/log-batch"), only(is_one_point, after(6, delay(1.5)))),
        ),
        Sabotage(
            "a new version reads all others",
            {
                "client/test_cost_growth.py::test_a_new_version_costs_the_same_for_a_model_of_many": "after 16: "
                r".*many-.*then [12]\d{3} ms"
            },
            lambda: lie("versions", api("model-versions/create"), only(LastVersions(), delay(1.5)))(),
        ),
        Sabotage(
            "a large upload is copied again and again",
            {"client/test_sizes.py::test_the_largest_file_is_stored": "an upload of 4.0 MB.*from 1.0 MB.*times"},
            lie("copied", artifacts("PUT", path="large.bin"), larger_than(3_500_000, delay(12))),
        ),
        Sabotage(
            "a front answers spans in words of its own",
            {"client/test_spans.py::test_the_answer_to_spans_can_be_read": "as protobuf.*x-protobuf"},
            lie("thanks", at("/v1/traces$"), edit(response=say_thanks)),
        ),
        Sabotage(
            "a server that counts its requests", {}, lie("counted", at("/metrics$"), answer(200, show_count, TEXT))
        ),
        beside="health/test_prometheus.py::test_exposed_metrics_count_requests "
        "client/test_values.py::test_text_is_stored_as_it_was_sent",
        options="--largest-file 4MB",
    ),
    raid(
        "downloads line by line",
        Sabotage(
            "small files come back slowly",
            {
                "client/test_sizes.py::test_the_largest_file_is_stored": "downloads through the server.*at least 5 MB/s"
                ".*1.0 MB, .*3.1 MB, .*MLflow 3.8"
            },
            lambda: [Rule("slow", artifacts("GET", "PUT", path="/small/"), SlowDownloads())],
        ),
        beside="client/test_cost_growth.py::test_a_new_version_costs_the_same_for_a_model_of_many",
        options="--largest-file 4MB",
    ),
)
