"""Sabotages of metrics, search, paging and traces that the suite client must catch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.sabotage.harness import Sabotage, raid, trigger
from tests.sabotage.lies import api, asked, has, hears, lie, lose_last, only, says
from tests.sabotage.rules import Action, Rule, edit, every_nth


def on_both(body: str) -> dict[str, tuple[str, ...]]:
    """A trigger on metrics and one on latest_metrics."""
    first, second = trigger("metrics", body), trigger("latest_metrics", body, "BEFORE INSERT OR UPDATE")
    return {part: first[part] + second[part] for part in first}


def misattributed() -> list[Rule]:
    """Every fifth metric m0, m1, ... goes to the run of the one before it."""
    last = [""]

    def move(sent: dict[str, Any]) -> None:
        sent["run_id"], last[0] = last[0] or sent["run_id"], sent["run_id"]

    def remember(sent: dict[str, Any]) -> None:
        last[0] = sent["run_id"]

    def act(n: int) -> Action:
        moved = every_nth(n, hears(move))
        return lambda request, forward: moved(request, lambda r: (remember(asked(r)), forward(r))[1])

    return [Rule("misattributed", api("runs/log-metric"), only(has('"key": "m'), act(5)))]


def first_condition(sent: dict[str, Any]) -> None:
    """What comes after the first AND is not looked at."""
    sent["filter"] = sent.get("filter", "").split(" AND ")[0]


def fewer_ids(sent: dict[str, Any]) -> None:
    head, comma, _ = sent.get("filter", "").rpartition(", '")
    if " IN (" in head and comma:
        sent["filter"] = f"{head})"


def one_experiment(sent: dict[str, Any]) -> None:
    sent["experiment_ids"] = sent["experiment_ids"][:1]


def without(name: str) -> Callable[[dict[str, Any]], None]:
    def drop(document: dict[str, Any]) -> None:
        document.pop(name, None)

    return drop


def repeat_first(answer: dict[str, Any]) -> None:
    """The last run of a page is its first once more."""
    answer["runs"][-1:] = answer["runs"][:1]


def some_points(answer: dict[str, Any]) -> None:
    answer["metrics"] = [{"key": "curve", "value": i, "timestamp": i, "step": i} for i in range(4)]


def one_and_half(body: bytes) -> bytes:
    return body.replace(b": NaN", b": 1.5")


RAIDS = (
    raid(
        "metrics",
        Sabotage(
            "metrics are rounded to nine digits",
            {
                "client/test_metrics.py::test_a_float_is_stored_to_the_last_bit": "metrics of run.*1e-308",
                "client/test_paging.py::test_pages_list_every_point_of_a_metric_once": "metric curve of run.*142857143",
            },
            **on_both("IF abs(NEW.value) < 1e300 THEN NEW.value := round(NEW.value::numeric, 9); END IF; RETURN NEW;"),
        ),
        Sabotage(
            "NaN is stored as a number",
            {
                "client/test_metrics.py::test_metrics_that_are_not_finite_stay_what_they_are": "NaN metric of run.*0.0",
                "client/test_metrics.py::test_a_repeated_nan_point_is_stored_once": "metric loss of run.*NaN.*0.0",
            },
            **on_both("NEW.is_nan := false; RETURN NEW;"),
        ),
        Sabotage(
            "steps have 32 bits",
            {
                "client/test_metrics.py::test_the_history_of_a_metric_keeps_every_point": "2147483647",
                "client/test_metrics.py::test_the_latest_value_is_that_of_the_highest_step": "2147483647",
            },
            **on_both("NEW.step := LEAST(NEW.step, 2147483647); RETURN NEW;"),
        ),
        Sabotage(
            "metrics land in another run",
            {"client/test_metrics.py::test_values_stay_with_their_run_and_key": "metrics of run"},
            misattributed,
        ),
        Sabotage(
            "the table of metrics has lost its key",
            {"client/test_metrics.py::test_a_repeated_metric_point_is_stored_once": "of run.*once.*once"},
            sql=("ALTER TABLE metrics DROP CONSTRAINT metric_pk",),
            mend=(
                "DELETE FROM metrics m USING metrics n WHERE m.ctid > n.ctid AND (m.key, m.timestamp, m.step, "
                "m.run_uuid, m.value, m.is_nan) = (n.key, n.timestamp, n.step, n.run_uuid, n.value, n.is_nan)",
                "ALTER TABLE metrics ADD CONSTRAINT metric_pk "
                "PRIMARY KEY (key, timestamp, step, run_uuid, value, is_nan)",
            ),
        ),
        Sabotage(
            "a bare NaN is taken for a number",
            {"client/test_metrics.py::test_a_metric_sent_as_bare_nan_is_kept_or_refused": "stored .*1.5"},
            lie(
                "bare",
                api("runs/log-metric"),
                only(has(": NaN"), edit(lambda r: setattr(r, "body", one_and_half(r.body)))),
            ),
        ),
        Sabotage(
            "a history asked for whole lacks a point",
            {"client/test_metrics.py::test_the_history_of_a_metric_needs_no_page_size": r"seen \[0(.0)?, 1[^4]*\]"},
            lie("history", api("metrics/get-history"), only(lambda r: not has("max_results")(r), says(some_points))),
        ),
        Sabotage(
            "what a span holds is changed",
            {"client/test_traces.py::test_a_trace_is_found_with_its_spans": "spans of trace.*unknown"},
            **trigger("spans", "NEW.content := replace(NEW.content, 'because', 'unknown'); RETURN NEW;"),
        ),
        beside="""client/test_values.py::test_text_is_stored_as_it_was_sent
            client/test_runs.py::test_a_run_keeps_its_name_status_and_times
            client/test_paging.py::test_pages_list_every_experiment_once""",
    ),
    raid(
        "search",
        Sabotage(
            "only the first condition of a filter counts",
            {"client/test_search.py::test_a_filter_finds_exactly_the_runs_that_match": "AND .*expected"},
            lie("and", api("runs/search"), only(has(" AND "), hears(first_condition))),
        ),
        Sabotage(
            "a list of ids loses its last",
            {"client/test_search.py::test_a_filter_finds_runs_by_their_id": "runs found by three ids"},
            lie("ids", api("runs/search"), only(has(" IN ("), hears(fewer_ids))),
        ),
        Sabotage(
            "only the first of several experiments is searched",
            {"client/test_search.py::test_a_search_stays_within_its_experiments": "runs of experiments"},
            lie(
                "experiments",
                api("runs/search"),
                only(lambda r: len(asked(r)["experiment_ids"]) > 1, hears(one_experiment)),
            ),
        ),
        Sabotage(
            "an order is ignored",
            {"client/test_search.py::test_runs_come_in_the_order_asked_for": "ordered by"},
            lie("order", api("runs/search"), only(has("order_by"), hears(without("order_by")))),
        ),
        beside="""client/test_experiments.py::test_a_renamed_experiment_has_its_new_name_only
            client/test_paging.py::test_pages_list_every_experiment_once
            client/test_runs.py::test_a_deleted_run_is_hidden_and_comes_back_whole""",
    ),
    raid(
        "paging",
        Sabotage(
            "a page shows one run twice",
            {"client/test_paging.py::test_pages_list_every_run_once": "runs of experiment.*over 3 pages"},
            lie("twice", api("runs/search"), only(has('"max_results": 3'), says(repeat_first))),
        ),
        Sabotage(
            "a page of experiments lacks its last",
            {"client/test_paging.py::test_pages_list_every_experiment_once": "page sizes of exp"},
            lie("last", api("experiments/search"), only(has("paged"), says(lambda d: lose_last(d, "experiments")))),
        ),
        Sabotage(
            "a page of a history lacks its last point",
            {"client/test_paging.py::test_pages_list_every_point_of_a_metric_once": "1110 entries, among them 3 such"},
            lie("points", api("metrics/get-history"), says(lambda d: lose_last(d, "metrics"))),
        ),
        Sabotage(
            "there is nothing after the default page",
            {
                "client/test_paging.py::test_runs_past_the_default_page_are_listed": r"page sizes.*seen \[1000\]",
            },
            lie(
                "token",
                api("runs/search"),
                only(lambda r: not has("max_results")(r), says(without("next_page_token"))),
            ),
        ),
        beside="""client/test_search.py::test_a_filter_finds_runs_by_their_id
            client/test_metrics.py::test_the_history_of_a_metric_keeps_every_point""",
        full=True,
    ),
)
