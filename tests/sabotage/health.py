"""Sabotages of services, deep path and replicas that the suite health must catch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from tests.sabotage.client_costs import STANDING, TEXT
from tests.sabotage.harness import Aim, Sabotage, Target, raid, trigger
from tests.sabotage.lies import (
    HTML,
    NOT_THERE,
    api,
    artifacts,
    cut,
    has,
    in_list,
    lie,
    nth,
    only,
    per_target,
    refused,
    says,
    stale,
)
from tests.sabotage.rules import Forward, Request, Response, Rule, answer, at, delay, every_nth

RECONNECT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'mlflow' AND pid <> pg_backend_pid()"
)


@contextmanager
def read_only_in_the_end(target: Target, aim: Aim) -> Iterator[None]:
    """From the canary's last step on, before which the server may need new sessions itself."""

    def forbid(request: Request, forward: Forward) -> Response:
        answered = forward(request)
        target.execute("ALTER DATABASE mlflow SET default_transaction_read_only = on")
        return answered

    aim.rules.append(Rule("read-only", api("experiments/delete"), nth(2, forbid)))  # the first is the preflight's
    yield


def renamed(entries):
    """The first entry under a name that is not stored."""
    entries[0]["name"] += "-old"


def lose_params(found):
    """A run without what was logged to it."""
    found["run"]["data"].pop("params", None)


def inner_address(signed):
    """A URL for an address that only the server can reach."""
    signed["url"] = re.sub(r"^https?://[^/]+", "http://127.0.0.1:9", signed["url"])


READING = "health/test_reading.py::test"

RAIDS = (
    raid(
        "two databases at one address",
        Sabotage(
            "every second answer is another database's",
            {
                "health/test_replicas.py::test_new_experiment_is_seen_by_every_worker": "6 of 12 answers",
                "health/test_reading.py::test_oldest_experiment_is_the_same_at_every_look": "no such thing.*6",
            },
            lie("experiment", api("experiments/get"), per_target(2, NOT_THERE)),
        ),
        beside="""health/test_services.py::test_health_answers_ok
            health/test_services.py::test_version_is_one_and_the_same_on_every_answer""",
    ),
    raid(
        "what is read is not what is stored",
        Sabotage(
            "a search shows other names",
            {
                f"{READING}_experiments_are_found_as_they_are_stored": "experiments/search.*rdy-.*-old",
                f"{READING}_models_are_found_as_they_are_stored": "RESOURCE_DOES_NOT_EXIST",
            },
            lambda: [
                Rule("experiments", api("experiments/search"), only(has("name = "), in_list("experiments", renamed))),
                Rule(
                    "models", api("registered-models/search"), only(has("found"), in_list("registered_models", renamed))
                ),
            ],
        ),
        Sabotage(
            "runs lose their params",
            {f"{READING}_newest_run_reads_back_as_it_is_stored": "params of run .*newest"},
            lie("params", api("runs/get"), says(lose_params)),
        ),
        Sabotage(
            "artifacts are cut",
            {f"{READING}_newest_artifact_can_be_fetched": r"newest.txt.*\(200, 32\), seen \(200, 31\)"},
            lie("cut", artifacts("GET", path="newest.txt"), cut()),
        ),
        beside="""health/test_services.py::test_health_answers_ok
            health/test_services.py::test_version_is_one_and_the_same_on_every_answer""",
    ),
    raid(
        "signed URLs that lead nowhere",
        Sabotage(
            "the object store's address is an inner one",
            {"health/test_presigned.py::test_presigned_downloads_reach_the_object_store": "127.0.0.1:9/"},
            lie("signed", at("/mlflow-artifacts/presigned/", "GET"), says(inner_address)),
        ),
        Sabotage(
            "one worker cannot read the secrets of webhooks",
            {"health/test_services.py::test_webhooks_are_listed_by_every_worker": "2 of 8 failed, such as 500.*Token"},
            lie("webhooks", api("webhooks"), every_nth(4, refused(500, "INTERNAL_ERROR", "InvalidToken"))),
        ),
        Sabotage(
            "the counts of /metrics stand still",
            {"health/test_prometheus.py::test_exposed_metrics_count_requests": r"more than 7, seen \[7"},
            lie("standing", at("/metrics$"), answer(200, STANDING, TEXT)),
        ),
        Sabotage(
            "a replica is not ready when the first users come",
            {"health/test_services.py::test_the_first_requests_of_a_run_are_answered": "12 small.*1 failed.*502 wait"},
            lie("first", api("registered-models/search", "GET"), nth(2, answer(502, "wait"))),
        ),
        beside="""health/test_canary.py::test_canary_run_passes_the_whole_deep_path
            client/test_artifacts.py::test_a_folder_comes_back_whole""",
    ),
    raid(
        "replicas that differ",
        Sabotage(
            "one replica has another version",
            {"health/test_services.py::test_version_is_one_and_the_same_on_every_answer": "200 3.9.9"},
            lie("version", at("/version$"), every_nth(2, answer(200, "3.9.9"))),
        ),
        Sabotage(
            "one replica has another database",
            {
                "health/test_replicas.py::test_new_experiment_is_seen_by_every_worker": "no such thing on this replica",
            },
            lie("experiment", api("experiments/get"), per_target(15, NOT_THERE)),  # the preflight asks 12 times
        ),
        Sabotage(
            "one replica has stale runs",
            {"health/test_replicas.py::test_update_is_seen_by_every_worker": "round=two.*'one'"},
            lie("run", api("runs/get"), stale()),
        ),
        Sabotage(
            "one replica keeps artifacts on its own disk",
            {"health/test_replicas.py::test_artifact_is_read_by_every_worker": "shared.txt in 10 reads.*404"},
            lie("artifact", artifacts("GET"), per_target(2, NOT_THERE)),
        ),
        Sabotage(
            "model descriptions are lost",
            {"health/test_services.py::test_registry_answers": "model rdy-.*None"},
            **trigger("registered_models", "NEW.description := NULL; RETURN NEW;"),
        ),
        Sabotage(
            "versions lose their run",
            {"health/test_services.py::test_registry_and_tracking_share_one_server": "run of rdy-.* version 1"},
            **trigger("model_versions", "NEW.run_id := repeat('0', 32); RETURN NEW;"),
        ),
        Sabotage(
            "the bucket holds other bytes than the server serves",
            {"health/test_canary.py::test_canary_artifact_lies_in_the_declared_bucket": "200002 bytes"},
            store_lies=lie("cut", at("canary.bin", "GET"), cut()),
        ),
        beside="""health/test_canary.py::test_canary_run_passes_the_whole_deep_path
            health/test_canary.py::test_health_does_not_hide_a_broken_deep_path
            health/test_services.py::test_client_lists_experiments
            health/test_database.py::test_database_answers_through_the_api""",
    ),
    raid(
        "a broken deep path",
        Sabotage(
            "metrics are rounded",
            {
                "health/test_canary.py::test_canary_run_passes_the_whole_deep_path": "step 'read them back'.*0.30000",
                "health/test_canary.py::test_health_does_not_hide_a_broken_deep_path": "/health says OK but the canary",
                "health/test_services.py::test_client_logs_the_guides_test_run": "0.95.*1.0",
            },
            **trigger("latest_metrics", "NEW.value := round(NEW.value); RETURN NEW;"),
        ),
        Sabotage(
            "searches find nothing",
            {
                "health/test_services.py::test_client_lists_experiments": r"search_experiments\(\).*none",
                "health/test_database.py::test_database_answers_through_the_api": r"experiments named rdy-.*\[\]",
            },
            lie("search", api("experiments/search"), in_list("experiments", list.clear)),
        ),
        beside="""health/test_services.py::test_registry_answers health/test_services.py::test_health_answers_ok
            health/test_replicas.py::test_new_experiment_is_seen_by_every_worker""",
    ),
    raid(
        "a proxy that holds requests",
        Sabotage(
            "5 % of all requests are held for 2 s",
            {"health/test_tail.py::test_small_reads_do_not_stall": r"4 of \d+ reads.*longest 2\..*once more: 4 of"},
            lie("held", at("."), every_nth(20, delay(2))),
        ),
        beside="health/test_services.py::test_health_answers_ok",
    ),
    raid(
        "a standby behind a dead /health",
        Sabotage(
            "/health is a page of HTML",
            {
                "health/test_services.py::test_health_answers_ok": "Welcome",
                "health/test_canary.py::test_health_does_not_hide_a_broken_deep_path": "OK, as the deep path works",
            },
            lie("health", at("/health$"), HTML),
        ),
        Sabotage(
            "the database is a standby",
            {"health/test_database.py::test_database_is_no_standby": r"pg_is_in_recovery\(\).*True"},
            sql=(
                "CREATE FUNCTION public.pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS 'SELECT true'",
                "ALTER DATABASE mlflow SET search_path = public, pg_catalog",
            ),
            mend=("ALTER DATABASE mlflow RESET search_path", "DROP FUNCTION public.pg_is_in_recovery()", RECONNECT),
        ),
        Sabotage(
            "new sessions are read-only",
            {"health/test_database.py::test_database_lets_new_sessions_write": "on for .*database mlflow"},
            breaks=read_only_in_the_end,
            mend=(
                "SET default_transaction_read_only = off",
                "ALTER DATABASE mlflow RESET default_transaction_read_only",
                RECONNECT,
            ),
        ),
        beside="""health/test_canary.py::test_canary_run_passes_the_whole_deep_path
            health/test_services.py::test_client_lists_experiments""",
    ),
)
