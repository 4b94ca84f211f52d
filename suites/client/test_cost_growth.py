"""Requests whose cost must not grow with what is already there (F41, F34)."""

import pytest

from fixtures.clients.rest import read_acknowledged
from fixtures.core.costs import CostGrowth, expect_straight_growth
from fixtures.core.outcomes import expect
from fixtures.core.traffic import TRAFFIC

PAGE, PAGES, FEWEST_PAGES = 1000, 4, 2  # points of a long history
VERSIONS, FEWEST_VERSIONS, MODELS = 16, 8, 2
TIMES = 3


@pytest.fixture
def time_call(probe):
    """time_call(path, body) -> the seconds until the answer to an accepted POST, without what our own limits take."""

    def measure(path, body):
        with TRAFFIC.measured() as samples:
            read_acknowledged(probe.post(f"/api/2.0/mlflow/{path}", json=body), f"POST {path}")
        return samples[-1][1]

    return measure


def test_a_repeated_point_costs_the_same_in_a_long_history(time_call, stack, make_run, doors, note):
    """A point that is sent again, since its answer was lost, must not read all that its metric has ever held.

    Remedy: upgrade to MLflow 3.16 or newer, which looks for the points of the batch only. Until then log fewer points
    under one key, and let clients wait longer for an answer.
    """
    run, points = make_run(), PAGE * stack.speed.scale_count(PAGES, FEWEST_PAGES)
    curve = [{"key": "curve", "value": n / 7, "timestamp": n, "step": n} for n in range(points)]

    def time_again(at):
        return [time_call("runs/log-batch", {"run_id": run, "metrics": [curve[at]]}) for _ in range(TIMES)]

    time_call("runs/log-batch", {"run_id": run, "metrics": curve[:10]})
    little = [time_again(at) for at in (0, 9)]
    for start in range(0, points, PAGE):
        time_call("runs/log-batch", {"run_id": run, "metrics": curve[start : start + PAGE]})
    much = [time_again(at) for at in (0, points - 1)]
    query = "SELECT count(*) FROM metrics WHERE run_uuid = %s"
    doors.rows_agree(f"points of run {run}", [(points,)], query, run)
    labels = ("the first point again", "the last point again")
    series = [CostGrowth.of(*one) for one in zip(labels, little, much, strict=True)]
    note(expect_straight_growth(f"a metric point sent again, with 10 and {points} points of its key", series))


def test_a_new_version_costs_the_same_for_a_model_of_many(time_call, stack, probe, make_run, run_roots, unique, note):
    """A pipeline that registers each night must not wait longer with every version that its model has.

    Remedy: upgrade to MLflow 3.12 or newer, which asks for the highest number only; delete versions that nobody uses.
    """
    run, count, series = make_run(), stack.speed.scale_count(VERSIONS, FEWEST_VERSIONS), []
    for _ in range(MODELS):
        name = unique("many")
        probe.call("registered-models/create", {"name": name})
        body = {"name": name, "source": f"{run_roots[run]}/m", "run_id": run}
        seconds = [time_call("model-versions/create", body) for _ in range(count)]
        found = probe.ask("registered-models/get", {"name": name})["registered_model"].get("latest_versions", [])
        expect(f"latest version of {name}", [one["version"] for one in found], [str(count)])
        series.append(CostGrowth.of(name, seconds[:TIMES], seconds[-TIMES:]))
    note(expect_straight_growth(f"a new version of a model, the first {TIMES} and after {count}", series))
