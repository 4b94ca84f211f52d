"""Sabotages that the suite load must catch; `workers` is 1, so that its bursts are small."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fixtures.core.files import ROOT
from tests.sabotage.harness import FLOOR, Aim, Sabotage, Target, raid, trigger
from tests.sabotage.lies import after, api, has, ignored, in_list, lie, nth, only, refused
from tests.sabotage.rules import Action, Forward, Request, Response, Rule, answer, at, delay, drop, every_nth

BURST, CREATE, SAME, SPREAD, TEN, ASYNC, INPUTS, MIXED, STARVED = (
    f"load/test_{name}.py::test_"
    for name in (
        *("burst", "create", "same_run", "spread_writers", "ten_runs"),
        *("async", "inputs", "operations", "starvation"),
    )
)
SLO = f"--slo {ROOT}/tests/sabotage/slo.toml"
TOO_SMALL = "QueuePool limit.*MLFLOW_SQLALCHEMYSTORE_POOL_SIZE"
NO_CONNECTION = refused(
    400, "BAD_REQUEST", "QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00"
)
# `public` comes first in the search path then, and hides what Postgres itself has of that name.
FEW_CONNECTIONS = """
CREATE VIEW public.pg_settings AS
SELECT name, CASE name WHEN 'max_connections' THEN '6' ELSE setting END AS setting, reset_val
FROM pg_catalog.pg_settings
"""


@contextmanager
def forgotten_transaction(target: Target, aim: Aim) -> Iterator[None]:
    """Somebody begins a transaction in the middle of the burst and does not end it."""
    with target.database() as link, link.cursor() as cursor:

        def begin(request: Request, forward: Forward) -> Response:
            cursor.execute("BEGIN; SELECT 1")
            return forward(request)

        aim.rules.append(Rule("begin", api("runs/log-batch"), nth(9, begin)))
        yield


def twice(request: Request, forward: Forward) -> Response:
    """What a proxy does that repeats requests."""
    forward(request)
    return forward(request)


def cached() -> list[Rule]:
    """A cache in front: who reads a run again gets what was there the first time."""
    kept: dict[str, tuple[int, bytes]] = {}

    def act(request: Request, forward: Forward) -> Response:
        if request.query in kept:
            status, body = kept[request.query]
            return Response(status, body=body)
        found = forward(request)
        kept[request.query] = found.status, found.body
        found.untouched = True
        return found

    return [Rule("cache", api("runs/get"), act)]


def all_win(request: Request, forward: Forward) -> Response:
    """Whoever is refused a param is told that it was stored."""
    answered = forward(request)
    if answered.status != 400:
        answered.untouched = True
        return answered
    return Response(200, body=b"{}")


def two_of_a_name(found: list[Any]) -> None:
    found[:] = [
        copy for e in found for copy in (e, e | {"experiment_id": "0"} if "race" in e["name"] else None) if copy
    ]


def of_racers(action: Action) -> Action:
    return only(has("racer"), action)


RAIDS = (
    raid(
        "writes that are lost",
        Sabotage(
            "one metric in fifty is lost",
            {
                f"{BURST}full_burst_is_stored_once": r"lost: (loss|score) step \d+ of run",
                f"{SPREAD}each_acknowledged_batch_is_stored_once": r"lost: (loss|score) step \d+ of run",
                f"{SAME}metrics_of_a_shared_run_are_stored_once": r"lost: metric_\d+ step",
                f"{SAME}single_metrics_are_all_in_the_history": r"lost: loss step",
                f"{TEN}ten_concurrent_runs_keep_every_value": "metrics of run.*read through SQL",
                f"{ASYNC}asynchronous_logging_is_stored_after_a_flush": r"metrics after a flush.*[1-9] wrong: loss",
                f"{ASYNC}asynchronous_logging_without_a_flush_is_stored_when_the_run_ends": r"[1-9] wrong: loss step",
                f"{MIXED}metrics_of_a_mixed_load_are_stored_once": r"lost: (batch|single) step \d+ of run",
                "client/test_values.py::test_a_full_batch_is_stored_whole": "entries, among them",
            },
            **trigger("metrics", "IF count() % 50 = 0 THEN RETURN NULL; END IF; RETURN NEW;"),
        ),
        Sabotage(
            "the latest value stays the first",
            {
                f"{SAME}the_latest_value_of_a_shared_run_is_of_the_highest_step": r"wrong: metric_\d+ of run",
                f"{SAME}single_metrics_show_the_highest_step_as_latest": "wrong: loss of run",
            },
            **trigger("latest_metrics", "RETURN OLD;", "BEFORE UPDATE"),
        ),
        Sabotage(
            "all who set a param are told that they did",
            {
                f"{SAME}a_contested_param_has_one_winner": "'param_0': [2-8]",
                f"{SAME}a_contested_param_keeps_the_value_of_its_winner": "of client",
            },
            lie("all win", api("runs/log-parameter"), only(has("of client "), all_win)),
        ),
        Sabotage(
            "data sets are acknowledged and not kept",
            {f"{INPUTS}concurrent_inputs_are_stored_once": r"lost: data-\d step 0 of run"},
            lie("inputs", api("runs/log-inputs"), every_nth(8, ignored())),
        ),
        Sabotage(
            "runs do not end",
            {f"{TEN}ten_concurrent_runs_are_listed_once_and_finished": "RUNNING"},
            **trigger("runs", "NEW.status := 'RUNNING'; RETURN NEW;", "BEFORE UPDATE"),
        ),
        Sabotage(
            "a proxy repeats what it sends",
            {f"{CREATE}concurrent_runs_are_stored_once": "duplicated: rdy-.*created"},
            lie("twice", api("runs/create"), only(has("created"), every_nth(8, twice))),
        ),
        Sabotage(
            "reads come from a cache",
            {f"{BURST}a_small_read_is_answered_during_the_burst": "again after it.*[12] wrong: (loss|score) of run"},
            cached,
        ),
        Sabotage(
            "a proxy refuses slow searches",
            {},
            lie("limited", api("runs/search"), only(has('"max_results": 3}'), answer(429, "slow down"))),
        ),
        beside=f"{BURST}full_burst_is_not_refused {BURST}full_burst_is_answered "
        f"{STARVED}small_reads_beside_slow_searches_are_answered "
        f"{CREATE}concurrent_runs_are_all_created {SAME}writers_to_one_run_are_not_refused "
        f"{TEN}ten_concurrent_runs_log_without_an_error",
        workers=1,
        options=FLOOR,
    ),
    raid(
        "requests that are refused",
        Sabotage(
            "there are too few connections",
            {
                f"{BURST}full_burst_is_not_refused": TOO_SMALL,
                f"{SPREAD}writers_to_their_own_runs_are_not_refused": TOO_SMALL,
                f"{SAME}writers_to_one_run_are_not_refused": TOO_SMALL,
            },
            lie("pool", api("runs/log-batch"), every_nth(6, NO_CONNECTION)),
        ),
        Sabotage(
            "data sets and params find no connection",
            {
                f"{INPUTS}concurrent_inputs_are_not_refused": TOO_SMALL,
                f"{MIXED}operations_of_a_mixed_load_are_served": TOO_SMALL,
                f"{SAME}a_param_that_all_processes_log_alike_is_stored": TOO_SMALL,
            },
            lambda: [
                Rule("inputs", api("runs/log-inputs"), every_nth(6, NO_CONNECTION)),
                Rule("agreed", api("runs/log-parameter"), only(has("agreed_"), every_nth(6, NO_CONNECTION))),
            ],
        ),
        Sabotage(
            "one create in six finds no connection",
            {f"{CREATE}concurrent_runs_are_all_created": TOO_SMALL},
            lie("create", api("runs/create"), only(has("created"), every_nth(6, NO_CONNECTION))),
        ),
        Sabotage(
            "one param in ten finds no connection",
            {f"{TEN}ten_concurrent_runs_log_without_an_error": "QueuePool limit"},
            lie("param", api("runs/log-parameter"), every_nth(10, NO_CONNECTION)),
        ),
        Sabotage(
            "reads are limited",
            {f"{BURST}a_small_read_is_answered_during_the_burst": "run [0-9a-f]{32} read.*429"},
            lie("read", api("runs/get"), only(lambda r: "run_uuid" not in r.query, answer(429, "slow down"))),
        ),
        Sabotage(
            "a busy server has no /health",
            {f"{BURST}health_answers_during_the_burst": "/health beside.*503"},
            lie("health", at("/health$"), after(1, answer(503, "busy"))),
        ),
        Sabotage(
            "a transaction is left open",
            {f"{BURST}no_session_stays_in_a_transaction_after_the_burst": "BEGIN; SELECT 1"},
            breaks=forgotten_transaction,
        ),
        Sabotage(
            "the database takes few connections",
            {f"{BURST}connections_stay_under_the_limit_during_the_burst": "fewer than 3"},
            sql=(FEW_CONNECTIONS, "ALTER DATABASE mlflow SET search_path = public, pg_catalog"),
            mend=("ALTER DATABASE mlflow RESET search_path", "DROP VIEW public.pg_settings"),
        ),
        beside=f"{BURST}full_burst_is_answered {SPREAD}writers_to_their_own_runs_are_all_answered "
        "health/test_services.py::test_registry_answers",
        workers=1,
        options=FLOOR,
    ),
    raid(
        "limits of the operators",
        Sabotage(
            "reads are slow",
            {
                f"{MIXED}each_operation_keeps_the_limits_of_its_operators": "get-run under .*max .*[1-9].*not 1.00 s",
                f"{STARVED}small_reads_beside_slow_searches_keep_their_limit": "beside 40 .*max .*[1-9].*not 1.00 s",
            },
            lie("slow", api("runs/get"), delay(1.5)),
        ),
        Sabotage(
            "reads are limited beside searches",
            {f"{STARVED}small_reads_beside_slow_searches_are_answered": "beside 40 searches.*429"},
            lie("429", api("runs/get"), every_nth(9, answer(429, "slow down"))),
        ),
        beside=f"{SPREAD}writers_to_their_own_runs_are_not_refused {CREATE}concurrent_runs_are_all_created "
        f"{INPUTS}concurrent_inputs_are_not_refused",
        workers=1,
        options=f"{SLO} {FLOOR}",
    ),
    raid(
        "connections that break, and a race",
        Sabotage(
            "answers are lost",
            {
                f"{BURST}full_burst_is_answered": "without an answer",
                f"{SPREAD}writers_to_their_own_runs_are_all_answered": "without an answer",
            },
            lie("drop", api("runs/log-batch"), every_nth(5, drop(after_forwarding=True))),
        ),
        Sabotage(
            "a run cannot be started",
            {f"{CREATE}processes_that_set_a_new_experiment_log_to_it": "errors of the processes.*sabotage"},
            lie("racer", api("runs/create"), of_racers(refused(400, "BAD_REQUEST", "sabotage"))),
        ),
        Sabotage(
            "names of experiments are not unique",
            {f"{CREATE}a_race_makes_one_experiment": "experiments named rdy-.*race"},
            lie("race", api("experiments/search"), in_list("experiments", two_of_a_name)),
        ),
        beside="health/test_services.py::test_client_lists_experiments "
        "client/test_values.py::test_text_is_stored_as_it_was_sent",
        workers=1,
        options=FLOOR,
    ),
)
