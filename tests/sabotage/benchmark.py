"""Sabotages that benchmarks must catch by reading back what they wrote; few sizes, since each costs time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.sabotage.harness import Aim, Sabotage, Target, raid, trigger
from tests.sabotage.lies import api, artifacts, has, hears, ignored, lie, nth, only, refused, says
from tests.sabotage.rules import Request, Response, at, edit, every_nth

ARTIFACTS, GROWTH, LOGGING, REGISTRY, RUNS, SERVER, WORKFLOW = (
    f"benchmark/test_{name}.py::test_"
    for name in ("artifacts", "growth", "logging", "registry", "runs", "server", "workflow")
)
LIGHT = " or ".join(
    ("timed[1]", "timed[log_param]", "buffered", "search_filter", "created", "register", "1KiB-down", "workflow")
)


def flipped(answer: Response) -> None:
    """The same length, another last byte."""
    answer.body = answer.body[:-1] + bytes([answer.body[-1] ^ 1]) if answer.body else b""


def of_query(word: str) -> Any:
    """Whether the query holds `word`."""
    return lambda request: word in request.query


def shortened(found: dict[str, Any]) -> None:
    found["runs"] = found.get("runs", [])[1:]


def renamed(body: dict[str, Any]) -> None:
    body["run_name"] += "-x"


def stranger(found: dict[str, Any]) -> None:
    found["registered_model"]["name"] += "-x"


@contextmanager
def somebody_asks(target: Target, aim: Aim) -> Iterator[None]:
    """A dashboard that looks at the database twenty times a second."""
    end = threading.Event()
    with target.database() as link, link.cursor() as cursor:

        def ask() -> None:
            while not end.wait(0.05):
                cursor.execute("SELECT count(*) FROM runs")

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()


def ranked(request: Request) -> bool:
    return b"rank" in request.body


RAIDS = (
    raid(
        "benchmarks of a server that lies",
        Sabotage(
            "batches are lost",
            {f"{LOGGING}a_logged_batch_is_stored_while_it_is_timed": "batches of 1.*lost"},
            lie("batch", api("runs/log-batch"), only(has('"m0"'), nth(7, ignored()))),
        ),
        Sabotage(
            "params are lost",
            {f"{LOGGING}a_logged_value_is_stored_while_it_is_timed": "params.*lost"},
            lie("param", api("runs/log-parameter"), only(has('"p0'), every_nth(9, ignored()))),
        ),
        Sabotage(
            "asynchronous batches are lost",
            {f"{LOGGING}asynchronous_points_are_stored_while_they_are_timed": "asynchronous points.*lost"},
            lie("queued", api("runs/log-batch"), only(has("queued"), nth(2, ignored()))),
        ),
        Sabotage(
            "runs get other names",
            {f"{RUNS}created_runs_are_there_after_they_were_timed": "names of created runs"},
            lie("name", api("runs/create"), only(has("created"), hears(renamed))),
        ),
        Sabotage(
            "searches lack their best run",
            {f"{RUNS}reads_answer_the_same_each_time_they_are_timed": "answer to search_filter"},
            lie("search", api("runs/search"), only(ranked, says(shortened))),
        ),
        Sabotage(
            "downloads are changed",
            {f"{ARTIFACTS}proxied_artifacts_are_whole_after_they_were_timed": "sha256 of 1024 bytes"},
            lie("flip", artifacts("GET", path=r"/\d+\.bin"), edit(response=flipped)),
        ),
        Sabotage(
            "the bucket changes objects",
            {f"{ARTIFACTS}direct_artifacts_are_whole_after_they_were_timed": "direct-"},
            store_lies=lie("flip", at("direct-", "GET"), edit(response=flipped)),
        ),
        Sabotage(
            "a model has another name",
            {f"{REGISTRY}registry_changes_are_seen_after_they_were_timed": "registered models"},
            lie("model", api("registered-models/get"), only(of_query("registered"), says(stranger))),
        ),
        Sabotage(
            "a model cannot be promoted",
            {f"{WORKFLOW}the_workflow_ends_in_its_own_model_while_it_is_timed": "step.*promote.*sabotage"},
            lie("promote", api("registered-models/alias", "POST"), only(has("fraud"), refused(400, "BAD", "sabotage"))),
        ),
        beside="health/test_services.py::test_client_lists_experiments",
        workers=1,
        options=f"-k '{LIGHT} or experiments'",
    ),
    raid(
        "benchmarks of a stack of ours that is broken",
        Sabotage(
            "the schema is that of another version",
            {f"{SERVER}a_further_server_serves_what_is_stored_once_it_has_started": "further MLflow.*exited"},
            sql=("UPDATE alembic_version SET version_num = 'x' || version_num",),
            mend=("UPDATE alembic_version SET version_num = substr(version_num, 2)",),
        ),
        Sabotage(
            "somebody asks the database all the time",
            {f"{SERVER}an_idle_server_leaves_its_database_alone": "statements in 3 s without a request"},
            breaks=somebody_asks,
        ),
        Sabotage(
            "params change when they are stored",
            {f"{GROWTH}copied_runs_are_like_those_of_the_api": "rows of params of the copied run"},
            **trigger("params", "NEW.value := NEW.value || '!'; RETURN NEW;", when="NEW.key = 'param_3'"),
        ),
        Sabotage(
            "the best run is missing",
            {f"{GROWTH}an_operation_answers_right_as_the_server_fills": "answer to search_by_metric at 10 runs"},
            lie("best", api("runs/search"), only(ranked, says(shortened))),
        ),
        beside="health/test_services.py::test_client_lists_experiments",
        options="-k 'copied or further or idle or 10-search_by_metric or experiments'",
        ours=True,
    ),
)
