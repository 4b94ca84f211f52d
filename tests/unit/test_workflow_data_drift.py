"""Data on demand: seeded, drifting, named; and a model of each quality."""

import pytest

from fixtures.workflow.data import make_transactions, name_data_version
from fixtures.workflow.gates import judge_metrics, judge_stability, load_thresholds
from fixtures.workflow.quality import QUALITIES
from fixtures.workflow.train import judge_model, train_model

# Which gates a quality fails, with the default rows and seed, against the good model in production.
FAILS = {
    "good": set(),
    "poor": {"auc_roc", "precision", "recall", "f1_score", "alert_rate", "stability"},
    "poor-auc_roc": {"auc_roc", "precision", "f1_score", "stability"},
    "poor-precision": {"precision"},
    "poor-recall": {"recall"},
    "poor-f1_score": {"recall", "f1_score"},
    "poor-alert_rate": {"alert_rate"},
    "poor-stability": {"stability"},
}


@pytest.fixture(scope="module")
def good():
    return train_model()


@pytest.mark.parametrize("quality", QUALITIES)
def test_each_quality_fails_its_gates(quality, good):
    """A good model passes all gates; a poor one fails each in turn."""
    trained, thresholds = train_model(quality=quality), load_thresholds()
    outcomes = judge_metrics(trained.metrics, thresholds)
    outcomes += judge_stability(trained.metrics, {"the good one": good.metrics}, thresholds.stability)
    assert {outcome.name for outcome in outcomes if not outcome.passed} == FAILS[quality]


def test_every_gate_has_a_quality_that_fails_it():
    assert {f"poor-{name}" for name in [*load_thresholds().limits, "stability"]} < set(QUALITIES)


def test_training_is_repeatable(good):
    """The same rows, seed and quality give the same model to the last bit."""
    again = train_model()
    assert again.metrics == good.metrics
    assert (again.model.predict_proba(good.holdout) == good.model.predict_proba(good.holdout)).all()
    assert again.data_version == good.data_version


def test_without_drift_the_data_is_as_before():
    """No drift is the default, and drift changes fraud only."""
    (plain, fraud), (same, _) = make_transactions(), make_transactions(drift=0.0)
    assert plain.equals(same)
    drifted, labels = make_transactions(drift=0.5)
    assert labels.equals(fraud)
    assert not drifted.equals(plain)


def test_drift_degrades_a_model_that_was_good(good):
    """Fraud that has learnt to look genuine is found less and less, and the gates say so."""
    aucs = [judge_model(good.model, *make_transactions(seed=8, drift=drift))["auc_roc"] for drift in (0.0, 0.5, 0.8)]
    assert aucs == sorted(aucs, reverse=True)
    degraded = judge_metrics(judge_model(good.model, *make_transactions(seed=8, drift=0.8)), load_thresholds())
    assert {outcome.name for outcome in degraded if not outcome.passed} >= {"auc_roc", "recall"}


@pytest.mark.parametrize("drift", [-0.1, 1.1, float("nan")])
def test_impossible_drift_is_refused(drift):
    with pytest.raises(ValueError, match="not between 0 and 1"):
        make_transactions(drift=drift)


def test_the_data_version_names_the_rows():
    """Another seed, value, label or column name is other data."""
    features, fraud = make_transactions()
    name = name_data_version(features, fraud)
    changed = features.copy()
    changed.iloc[500, 0] += 0.01
    others = [
        name_data_version(*make_transactions(seed=8)),
        name_data_version(changed, fraud),
        name_data_version(features, 1 - fraud),
        name_data_version(features.rename(columns={"amount": "sum"}), fraud),
    ]
    assert name == name_data_version(*make_transactions())
    assert len({name, *others}) == 5
