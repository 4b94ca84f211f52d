"""The gates of a saved baseline: exact counters, tolerances, intervals of times, and files that do not fit."""

import json
import random

import pytest

from fixtures.bench import baseline
from fixtures.bench.counters import MeasuredOperation
from fixtures.bench.plugin import open_baseline_gate
from fixtures.config.settings import Settings

COUNTERS = {"statements": 6, "nested": 1, "commits": 1, "pages": 100, "wal_bytes": 1000, "connections": 1}
SAVED = {"counters": COUNTERS, "texts": {"SELECT a": 6}, "runs": []}
HERE = {"cpu": "x", "cores": 2, "kernel": "linux 6"}


def measured(samples=(), texts=None, left_out=None, **changed):
    counters = {name: value for name, value in (COUNTERS | changed).items() if value is not None}
    return MeasuredOperation("log_metric", tuple(samples), counters, left_out or {}, texts or {"SELECT a": 6})


def rounds(dice, middle, count=20, spread=0.1):
    return [middle * dice.lognormvariate(0, spread) for _ in range(count)]


def test_an_equal_run_breaks_nothing():
    assert baseline.judge_gates(measured(), SAVED) == []


@pytest.mark.parametrize("counter", ["statements", "nested", "commits"])
@pytest.mark.parametrize("more", [1, -1, 0.25])
def test_exact_counters_are_exact(counter, more):
    (one,) = baseline.judge_gates(measured(**{counter: COUNTERS[counter] + more}), SAVED)
    assert (one.benchmark, one.counter, one.expected) == ("log_metric", counter, f"{COUNTERS[counter]}")
    assert one.seen.startswith(f"{COUNTERS[counter] + more:g}") and one.remedy


@pytest.mark.parametrize(
    ("counter", "within", "beyond"), [("wal_bytes", 1255, 1260), ("pages", 132, 133), ("connections", 2, 3)]
)
def test_others_have_a_tolerance(counter, within, beyond):
    assert baseline.judge_gates(measured(**{counter: within}), SAVED) == []
    (one,) = baseline.judge_gates(measured(**{counter: beyond}), SAVED)
    assert one.counter == counter and "±" in one.expected


def test_every_broken_counter_is_listed_with_the_statements_that_changed():
    found = measured(statements=7, commits=2, texts={"SELECT a": 6, "INSERT INTO audit": 1})
    statements, commits = baseline.judge_gates(found, SAVED)
    assert (statements.counter, commits.counter) == ("statements", "commits")
    assert "0 -> 1 × INSERT INTO audit" in statements.seen


def test_a_counter_that_could_not_be_measured_is_owed():
    found = measured(commits=None, left_out={"commits": "no door"})
    assert baseline.find_unmeasured(found, SAVED) == {"commits": "no door"}
    assert baseline.judge_gates(found, SAVED) == []


def test_a_time_is_judged_by_an_interval_only_and_not_by_two_runs():
    dice = random.Random(1)
    runs = [rounds(dice, 0.01) for _ in range(5)]
    words = {factor: baseline.judge_counters(rounds(dice, 0.01 * factor), runs).word for factor in (0.5, 1.0, 2.0)}
    assert words[0.5] == "faster" and words[2.0] == "slower"
    assert words[1.0] in ("same", "inconclusive")
    assert "2 of 3 runs" in baseline.judge_counters(rounds(dice, 0.02), runs[:2]).word
    assert baseline.judge_counters([], runs) is None and baseline.judge_counters([0.1], []) is None


def test_restarts_that_differ_widen_the_interval():
    """Runs of 8 to 16 ms leave a run of 16 ms inconclusive, however close its rounds lie together."""
    dice = random.Random(2)
    runs = [rounds(dice, middle, spread=0.01) for middle in (0.008, 0.010, 0.012, 0.016)]
    found = baseline.judge_counters(rounds(dice, 0.016, spread=0.01), runs)
    assert found.word == "inconclusive"
    assert baseline.judge_time(measured(), found) == []


def test_equal_servers_are_seldom_called_slower():
    """100 pairs without a difference, restarts that differ by 10 %: at most one false alarm."""
    dice = random.Random(3)
    alarms = 0
    for _ in range(100):
        runs = [rounds(dice, 0.01 * dice.lognormvariate(0, 0.1)) for _ in range(5)]
        now = rounds(dice, 0.01 * dice.lognormvariate(0, 0.1))
        alarms += bool(baseline.judge_time(measured(), baseline.judge_counters(now, runs)))
    assert alarms <= 1


def test_a_file_comes_back_and_gathers_runs_of_equal_work(tmp_path):
    file = tmp_path / "b.json"
    baseline.write_baseline(file, baseline.merge_baseline(None, HERE, {}, [measured([0.1, 0.2])]))
    baseline.write_baseline(file, baseline.merge_baseline(baseline.read_baseline(file), HERE, {}, [measured([0.3])]))
    assert baseline.read_baseline(file)["benchmarks"]["log_metric"]["runs"] == [[0.1, 0.2], [0.3]]
    baseline.write_baseline(
        file, baseline.merge_baseline(baseline.read_baseline(file), HERE, {}, [measured([0.4], statements=9)])
    )
    assert baseline.read_baseline(file)["benchmarks"]["log_metric"]["runs"] == [[0.4]]
    assert [p.name for p in tmp_path.iterdir()] == ["b.json"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        ("no json", "no JSON"),
        ("[]", "is no baseline"),
        ('{"readiness_baseline": 99}', "format 99"),
        ('{"readiness_baseline": 1}', "damaged"),
        (
            '{"readiness_baseline": 1, "machine": {}, "stack": {}, "benchmarks": {"x": {"counters": {"a": "b"}}}}',
            "damag",
        ),
    ],
)
def test_a_bad_file_is_one_line(tmp_path, content, words):
    file = tmp_path / "b.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(pytest.UsageError, match=f"--baseline: .*{words}") as caught:
        open_baseline_gate(Settings(baseline=file))
    assert "\n" not in str(caught.value)


def test_another_machine_is_refused_unless_only_counters_are_judged(tmp_path):
    file = tmp_path / "b.json"
    baseline.write_baseline(file, baseline.merge_baseline(None, HERE, {}, [measured()]))
    with pytest.raises(pytest.UsageError, match=r"another machine .cpu: x, here .*--baseline-judge counters"):
        open_baseline_gate(Settings(baseline=file))
    with pytest.raises(pytest.UsageError, match=r"--baseline-save .*another machine.*name another file"):
        open_baseline_gate(Settings(baseline_save=file))
    gate = open_baseline_gate(Settings(baseline=file, baseline_judge="counters"))
    assert not gate.times and gate.judged == json.loads(file.read_text())


def test_what_differs_is_named():
    assert baseline.find_misfit("stack", {"schema": "a"}, {"schema": "a"}) == ""
    assert baseline.find_misfit("stack", {"schema": "a"}, {"schema": "b"}) == "from another stack (schema: a, here b)"
