"""How the same operation grows with the number of runs, copied in the database from one that the API wrote."""

import itertools

import pytest

from fixtures.bench.growth import GROWTH_START, GROWTH_STEPS, write_run
from fixtures.bench.seeding import RANK_METRIC, SEED_RUN_NAME
from fixtures.core.outcomes import expect
from fixtures.load import payloads

OPERATIONS = ("get_run", "log_metric", "history", "search_filter", "search_by_metric", "search_page")
SIZES = [10, 1000, 10_000, pytest.param(100_000, marks=pytest.mark.full_depth)]
OTHER = 4711
pytestmark = pytest.mark.requires("private", "sql")


def test_copied_runs_are_like_those_of_the_api(grown, probe):
    """Growth is measured on copied rows: they must be what the API would have written, column by column.

    Remedy: a new version of MLflow writes more than is copied: add its table to fixtures/bench/seeding.py.
    """
    grown.seeder.copy(OTHER, OTHER)
    ours, copy = write_run(probe, grown.experiment, OTHER), grown.seeder.id_of(OTHER)
    try:
        for table, rows in grown.seeder.rows(ours).items():
            expect(f"rows of {table} of the copied run {copy}", grown.seeder.rows(copy)[table], rows)
        seen = [str(probe.ask("runs/get", {"run_id": run})["run"]).replace(run, "RUN") for run in (copy, ours)]
        expect(f"copied run {copy}, read through the API", seen[0], seen[1])
    finally:
        grown.seeder.remove()


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("size", SIZES)
def test_an_operation_answers_right_as_the_server_fills(size, operation, grown, measure, line, figure, note):
    """What a server costs in its second year: the same operation at 10, 1,000 and 100,000 runs (10^6 metric points).

    Remedy: compare the indexes with a fresh MLflow database (\\d TABLE in psql), then VACUUM and ANALYZE.
    """
    grown.grow(size)
    run, numbers, answers = grown.seeder.id_of(5), itertools.count(), []
    here = {"experiment_ids": [grown.experiment], "max_results": 10}

    def request():
        if operation == "log_metric":
            return payloads.metric_request((run, f"at {size}", next(numbers), 0.5, GROWTH_START))
        if operation == "history":
            return payloads.get_request(
                "metrics/get-history", {"run_id": run, "metric_key": "loss", "max_results": "100"}
            )
        more = {
            "search_filter": {"filter": f"metrics.{RANK_METRIC} <= 10", "order_by": [f"metrics.{RANK_METRIC} ASC"]},
            "search_by_metric": {"order_by": [f"metrics.{RANK_METRIC} DESC"]},
        }
        return (
            payloads.read_run_request(run)
            if operation == "get_run"
            else payloads.post_request("runs/search", here | more.get(operation, {}))
        )

    def begin():
        asked = request()
        return lambda: answers.append(line(asked))

    def holds():
        if operation == "log_metric":
            sent = next(numbers)
            stored = line(
                payloads.get_request(
                    "metrics/get-history", {"run_id": run, "metric_key": f"at {size}", "max_results": "999"}
                )
            )
            expect(f"points of run {run} that were logged at {size} runs", len(stored.get("metrics", [])), sent)
            return
        top = [SEED_RUN_NAME % n for n in range(size, size - 10, -1)]
        expected = {
            "get_run": [SEED_RUN_NAME % 5],
            "history": [(s, 1 / (s + 2)) for s in range(GROWTH_STEPS)],
            "search_filter": [SEED_RUN_NAME % n for n in range(1, 11)],
            "search_by_metric": top,
            "search_page": top,
        }[operation]
        for answer in answers:
            expect(f"answer to {operation} at {size} runs", shown(operation, answer), expected)

    found = measure(begin, holds, rounds=15, warm=6)
    exponent = grown.keep(operation, found.samples)
    if exponent is not None:
        note(f"{operation} grows like {exponent} from {min(grown.samples[operation])} to {size} runs")
        figure(grown.figure(operation, exponent))


def shown(operation, answer):
    """What an answer says, as `expected` has it."""
    if operation == "history":
        return [(int(m.get("step", 0)), m["value"]) for m in answer["metrics"]]
    runs = [answer["run"]] if operation == "get_run" else answer.get("runs", [])
    return [run["info"]["run_name"] for run in runs]
