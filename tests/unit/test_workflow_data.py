"""The synthetic transactions: seeded, 5 % fraud to the row, learnable; and the training on them."""

import pandas as pd
import pytest

from fixtures.workflow.data import FEATURES, make_transactions
from fixtures.workflow.train import train_model


@pytest.mark.parametrize("rows", [20, 1000, 1003])
def test_fraud_has_its_exact_share(rows):
    """Gates count alerts: the share may not wander with the seed."""
    for seed in range(5):
        features, fraud = make_transactions(rows, seed)
        assert len(features) == len(fraud) == rows
        assert fraud.sum() == round(rows * 0.05)


def test_equal_arguments_give_equal_data():
    """A finding must be reproducible from the seed."""
    for first, again in zip(make_transactions(200, 3), make_transactions(200, 3), strict=True):
        assert first.equals(again)
    assert not make_transactions(200, 3)[0].equals(make_transactions(200, 4)[0])


def test_features_are_named_and_complete():
    """The signature is taken from names and types; a gap would make it optional."""
    features, fraud = make_transactions(500)
    assert tuple(features.columns) == FEATURES
    assert set(features.dtypes.astype(str)) == {"float64"}
    assert not features.isna().any().any()
    assert isinstance(fraud, pd.Series) and set(fraud) == {0, 1}


@pytest.mark.parametrize(("rows", "share"), [(5, 0.05), (100, 0.0), (100, 1.0)])
def test_data_of_one_kind_only_is_refused(rows, share):
    """A forest cannot be trained on one kind, and its AUC is not defined."""
    with pytest.raises(ValueError, match="leave one kind without a row"):
        make_transactions(rows, fraud_share=share)


@pytest.mark.parametrize("seed", range(5))
def test_small_forest_learns_it(seed):
    """What the integration suite logs must be a model that has learned something."""
    metrics = train_model(seed=seed).metrics
    assert metrics["auc_roc"] > 0.9
    assert set(metrics) == {"auc_roc", "precision", "recall", "f1_score", "alert_rate"}


def test_no_single_feature_gives_fraud_away():
    """Were one column enough, a model that lost the others would look healthy."""
    features, fraud = make_transactions(2000)
    ranks = features.rank().corrwith(fraud.astype(float)).abs()
    assert ranks.max() < 0.5


def test_training_is_deterministic():
    """Two trainings with one seed predict the same to the last bit."""
    first, again = train_model(rows=400, trees=5), train_model(rows=400, trees=5)
    assert (first.model.predict_proba(first.holdout) == again.model.predict_proba(again.holdout)).all()
    assert first.params == again.params and first.metrics == again.metrics
