"""The gates: the guide's thresholds, each by its own metric, at both ends, and what is no number."""

import math

import pytest

from fixtures.workflow import gates
from fixtures.workflow.errors import WorkflowError
from fixtures.workflow.gates import (
    MetricLimit,
    StabilityRule,
    all_gates_passed,
    judge_metrics,
    judge_stability,
    load_thresholds,
)

GOOD = {"auc_roc": 0.9, "precision": 0.8, "recall": 0.7, "f1_score": 0.75, "alert_rate": 0.05}
FAILING = {"auc_roc": 0.79, "precision": 0.74, "recall": 0.59, "f1_score": 0.66, "alert_rate": 0.11}
RULE = StabilityRule("auc_roc", 0.05)


def failed(outcomes):
    return [outcome.name for outcome in outcomes if outcome.passed is False]


@pytest.fixture(scope="module")
def shipped():
    return load_thresholds()


def test_shipped_thresholds_are_the_guides(shipped):
    """The file that is shipped says what the guide says."""
    assert shipped.limits == {
        "auc_roc": MetricLimit(0.80),
        "precision": MetricLimit(0.75),
        "recall": MetricLimit(0.60),
        "f1_score": MetricLimit(0.67),
        "alert_rate": MetricLimit(0.01, 0.10),
    }
    assert (shipped.stability.metric, shipped.stability.max_drop) == ("auc_roc", 0.05)
    assert {"Production", "@champion"} <= set(shipped.production)


def test_good_metrics_pass_all(shipped):
    assert failed(judge_metrics(GOOD, shipped)) == []
    assert all_gates_passed(judge_metrics(GOOD, shipped))


@pytest.mark.parametrize("name", GOOD)
def test_each_gate_reads_its_own_metric(name, shipped):
    """One bad metric fails the gate of that name and no other."""
    assert failed(judge_metrics(GOOD | {name: FAILING[name]}, shipped)) == [name]


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_missing_or_no_number_fails(name, value, shipped):
    """A metric that is missing, NaN or infinite fails its gate, it does not warn."""
    metrics = {k: v for k, v in GOOD.items() if k != name} | ({} if value is None else {name: value})
    assert failed(judge_metrics(metrics, shipped)) == [name]


@pytest.mark.parametrize("value", [0.01, 0.10, 0.05])
def test_the_ends_belong_to_the_range(value, shipped):
    assert failed(judge_metrics(GOOD | {"alert_rate": value}, shipped)) == []


@pytest.mark.parametrize("value", [0.0099, 0.1001, 0.0])
def test_outside_of_the_range_fails(value, shipped):
    assert failed(judge_metrics(GOOD | {"alert_rate": value}, shipped)) == ["alert_rate"]


@pytest.mark.parametrize(("now", "value", "ok"), [(0.93, 0.88, True), (0.93, 0.8799, False), (0.8, 0.95, True)])
def test_stability(now, value, ok):
    """At most 0.05 lower than production, that difference included."""
    (outcome,) = judge_stability({"auc_roc": value}, {"version 1": {"auc_roc": now}}, RULE)
    assert outcome.passed is ok
    assert "version 1" in outcome.required


@pytest.mark.parametrize("serving", [{}, {"auc_roc": math.nan}])
def test_production_without_the_metric_fails(serving):
    """What cannot be compared with is no proof of stability."""
    assert failed(judge_stability({"auc_roc": 0.9}, {"version 1": serving}, RULE)) == ["stability"]


def test_every_version_that_serves_is_compared():
    """Where stage and alias name different versions, the candidate has to stand against both."""
    serving = {"version 1": {"auc_roc": 0.85}, "version 2": {"auc_roc": 0.99}}
    assert [o.passed for o in judge_stability({"auc_roc": 0.9}, serving, RULE)] == [True, False]


def test_without_production_stability_is_not_checked():
    """It says so, and neither passes nor fails."""
    (outcome,) = judge_stability(GOOD, {}, RULE)
    assert (outcome.passed, outcome.word, outcome.why) == (None, "not checked", "no version is in production")
    assert judge_stability(GOOD, {}, None) == []


def test_nothing_checked_is_not_passed():
    assert not all_gates_passed([])
    assert not all_gates_passed(judge_stability(GOOD, {}, RULE))


def test_a_team_changes_the_file(tmp_path):
    """Another file, other gates: a maximum alone, no stability."""
    (file := tmp_path / "own.toml").write_text("[metrics]\nfalse_positive_rate = { max = 0.02 }\n")
    own = load_thresholds(file)
    assert (own.stability, failed(judge_metrics({"false_positive_rate": 0.03}, own))) == (None, ["false_positive_rate"])
    assert own.production == StabilityRule().production


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"\[metrics\] is missing"),
        ("metrics = 3", r"\[metrics\] is missing"),
        ("[metrics", "Expected"),
        ("[metrics]\nauc = 0.8", "auc: expected"),
        ("[metrics]\nauc = { minimum = 0.8 }", "auc: expected"),
        ("[metrics]\nauc = { min = '0.8' }", "'0.8' is not a number"),
        ("[metrics]\nauc = { min = nan }", "not a number"),
        ("[metrics]\nauc = { min = true }", "not a number"),
        ("[metrics]\nauc = { min = 0.9, max = 0.1 }", "above max"),
        ("[metrics]\nauc = { min = 0.9 }\n[metric]\n", "unknown: metric"),
        ("[metrics]\nauc = { min = 0.9 }\n[stability]\nmax_drop = -1", "max_drop is 0 or more"),
        ("[metrics]\nauc = { min = 0.9 }\n[stability]\ndrop = 1", "expected metric"),
        ("[metrics]\nauc = { min = 0.9 }\n[stability]\nproduction = []", "production"),
    ],
)
def test_a_wrong_file_is_refused(text, says, tmp_path):
    """One line with the file and what is wrong; nothing is taken for a threshold that is none."""
    (file := tmp_path / "own.toml").write_text(text)
    with pytest.raises(WorkflowError, match=says) as refused:
        load_thresholds(file)
    assert str(file) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unreadable_file_is_refused(tmp_path):
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    for path in (tmp_path, tmp_path / "none.toml", tmp_path / "binary.toml"):
        with pytest.raises(WorkflowError, match="cannot be read"):
            gates.load_thresholds(path)
