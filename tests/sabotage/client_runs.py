"""Sabotages of experiments, runs, texts and errors that the suite client must catch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.sabotage.harness import Aim, Sabotage, Target, raid, trigger
from tests.sabotage.lies import HTML, api, artifacts, asked, hears, ignored, lie, only
from tests.sabotage.rules import Forward, Request, Response, Rule, at, edit


@contextmanager
def last_param_wins(target: Target, aim: Aim) -> Iterator[None]:
    """A param that is sent again takes the place of the old one."""

    def forget(request: Request, forward: Forward) -> Response:
        sent = asked(request)
        keys = [p["key"] for p in sent.get("params", [sent] if "key" in sent else [])]
        with target.database() as link, link.cursor() as cursor:
            cursor.execute("DELETE FROM params WHERE run_uuid = %s AND key = ANY(%s)", (sent["run_id"], keys))
        return forward(request)

    aim.rules.append(Rule("last wins", api("runs/(log-parameter|log-batch)", "POST"), forget))
    yield


def cut_to_limits(sent: dict[str, Any]) -> None:
    """What is too much for one batch is left out."""
    for kind, most in (("params", 100), ("tags", 100), ("metrics", 1000 - len(sent.get("params", [])))):
        sent[kind] = sent.get(kind, [])[:most]


def shown_as_page(response: Response) -> None:
    """What a proxy makes of errors that it was told to intercept."""
    response.untouched = response.status < 400
    if response.status >= 400:
        response.body = b"<!doctype html><title>Something went wrong</title>"
        response.headers.replace_header("Content-Type", "text/html")


RAIDS = (
    raid(
        "experiments",
        Sabotage(
            "names lose what is not ASCII",
            {"client/test_experiments.py::test_a_new_experiment_is_found_by_id_name_and_list": r"n\? \?\?\?"},
            **trigger("experiments", "NEW.name := regexp_replace(NEW.name, '[^ -~]', '?', 'g'); RETURN NEW;"),
        ),
        Sabotage(
            "renaming is acknowledged and not done",
            {"client/test_experiments.py::test_a_renamed_experiment_has_its_new_name_only": "renamed to rdy-.*-new-"},
            lie("rename", api("experiments/update"), ignored()),
        ),
        Sabotage(
            "an experiment's tag keeps its first value",
            {"client/test_experiments.py::test_an_experiment_tag_holds_what_was_set_last": "'owner', 'first'"},
            **trigger("experiment_tags", "RETURN OLD;", "BEFORE UPDATE"),
        ),
        Sabotage(
            "deleted runs stay active",
            {
                "client/test_experiments.py::test_a_deleted_experiment_is_among_the_deleted_only": "active runs of del",
                "client/test_runs.py::test_a_deleted_run_is_hidden_and_comes_back_whole": "ACTIVE_ONLY",
                "client/test_runs.py::test_a_deleted_run_takes_no_writes": "'runs/log-metric': 200",
            },
            **trigger("runs", "RETURN OLD;", "BEFORE UPDATE", "NEW.lifecycle_stage = 'deleted'"),
        ),
        Sabotage(
            "restoring is acknowledged and not done",
            {"client/test_experiments.py::test_a_restored_experiment_has_its_runs_and_their_data": "rdy-.*seen \\[\\]"},
            lie("restore", api("experiments/restore"), ignored()),
        ),
        Sabotage(
            "names of experiments are no longer unique",
            {"client/test_experiments.py::test_a_second_experiment_of_the_same_name_is_refused": r"\(200, False\)"},
            sql=("ALTER TABLE experiments DROP CONSTRAINT uq_experiments_workspace_name",),
            mend=(
                "UPDATE experiments e SET name = name || '-' || experiment_id WHERE EXISTS "
                "(SELECT FROM experiments f WHERE f.name = e.name AND f.experiment_id < e.experiment_id)",
                "ALTER TABLE experiments ADD CONSTRAINT uq_experiments_workspace_name UNIQUE (workspace, name)",
            ),
        ),
        Sabotage(
            "runs lose their end",
            {"client/test_runs.py::test_a_run_keeps_its_name_status_and_times": "-1, 'active'"},
            **trigger("runs", "NEW.end_time := NULL; RETURN NEW;", "BEFORE UPDATE"),
        ),
        Sabotage(
            "a run's tag keeps its first value",
            {
                "client/test_runs.py::test_a_renamed_run_has_its_new_name_everywhere": "mlflow.runName",
                "client/test_runs.py::test_a_tag_holds_what_was_set_last_until_it_is_deleted": "'state', 'new'",
            },
            **trigger("tags", "RETURN OLD;", "BEFORE UPDATE"),
        ),
        Sabotage(
            "the context of datasets is lost",
            {"client/test_runs.py::test_the_datasets_of_a_run_are_read_back": "datasets of run"},
            **trigger("input_tags", "NEW.value := 'training'; RETURN NEW;"),
        ),
        beside="""client/test_values.py::test_text_is_stored_as_it_was_sent
            client/test_metrics.py::test_a_float_is_stored_to_the_last_bit
            client/test_errors.py::test_what_does_not_exist_is_said_to_be_missing
            client/test_limits.py::test_a_key_at_the_limit_is_stored_and_one_beyond_refused""",
    ),
    raid(
        "params, tags and errors",
        Sabotage(
            "params lose their case",
            {
                "client/test_guide.py::test_the_guides_run_is_read_back_exactly": "lightgbm",
                "client/test_values.py::test_text_is_stored_as_it_was_sent": "\\$\\{home\\}|spaces around",
            },
            **trigger("params", "NEW.value := lower(NEW.value); RETURN NEW;"),
        ),
        Sabotage(
            "a param can be overwritten",
            {"client/test_values.py::test_a_param_cannot_be_changed": r"\[200, 200, 200\]"},
            breaks=last_param_wins,
        ),
        Sabotage(
            "values are cut below the limit",
            {
                "client/test_limits.py::test_a_value_at_the_limit_is_stored_whole": "tags of run|params of run",
                "client/test_limits.py::test_a_value_beyond_the_limit_is_refused_or_cut_there": "acknowledged",
            },
            **trigger("tags", "NEW.value := left(NEW.value, 5000); RETURN NEW;"),
        ),
        Sabotage(
            "keys are cut below the limit",
            {
                "client/test_limits.py::test_a_key_at_the_limit_is_stored_and_one_beyond_refused": "key of 250 char",
            },
            **trigger("params", "NEW.key := left(NEW.key, 200); RETURN NEW;"),
        ),
        Sabotage(
            "a proxy cuts batches",
            {"client/test_limits.py::test_a_batch_beyond_the_limit_is_refused_whole": "batch of.*200 {}"},
            lie("batch", api("runs/log-batch"), hears(cut_to_limits)),
        ),
        Sabotage(
            "errors become pages of HTML",
            {
                "client/test_errors.py::test_what_does_not_exist_is_said_to_be_missing": "404, 'text/html'",
                "client/test_errors.py::test_the_python_client_names_what_is_missing": "'run': 'ENDPOINT_NOT_FOUND'",
            },
            lie("page", api("(runs/get|experiments/get|runs/delete-tag)"), edit(response=shown_as_page)),
        ),
        Sabotage(
            "wrong requests are taken for right",
            {"client/test_errors.py::test_a_wrong_request_is_refused_with_its_reason": "loss.*200"},
            lie(
                "lenient",
                api("runs/log-metric"),
                only(lambda r: not isinstance(asked(r).get("value"), float), ignored()),
            ),
        ),
        Sabotage(
            "a catch-all answers for unknown paths",
            {"client/test_errors.py::test_an_unknown_endpoint_is_a_404": "200 text/html"},
            lie("catch-all", at("/readiness/"), HTML),
        ),
        Sabotage(
            "a page stands in for missing artifacts",
            {"client/test_errors.py::test_a_missing_artifact_is_a_404": r"\(200, 'text/html'\)"},
            lie("none.txt", artifacts("GET", path="none.txt"), HTML),
        ),
        beside="""client/test_experiments.py::test_a_new_experiment_is_found_by_id_name_and_list
            client/test_runs.py::test_a_run_keeps_its_name_status_and_times
            client/test_values.py::test_a_full_batch_is_stored_whole""",
    ),
)
