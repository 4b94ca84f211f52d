"""Autologging: what scikit-learn learns is in the run, without a line of logging in the training."""

import importlib.metadata

import mlflow
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from fixtures.clients.doors import describe_bytes
from fixtures.core.outcomes import expect, expect_that


@pytest.fixture
def autolog(mlflow_client):
    """autolog(...) switches it on as mlflow.sklearn.autolog does; off again at the end."""
    yield lambda **options: mlflow.sklearn.autolog(silent=True, **options)
    mlflow.sklearn.autolog(disable=True, silent=True)


def regression(trained):
    """A regressor and its data: unlike a classifier's, its autologging draws no figures."""
    data = trained.holdout.drop(columns="amount")
    return Ridge(alpha=0.25), data, trained.holdout["amount"]


def test_autologged_training_is_stored_whole(autolog, trained, stored, shared_experiment, probe, doors):
    """Teams rely on autologging: params, figures and data of the training must be in its run, as they were.

    Remedy: look in the server's log for refused log-batch and log-inputs calls: the client reports a failed autolog
    as a warning only, and the training goes on.
    """
    model, data, amounts = regression(trained)
    autolog(log_models=False)
    with mlflow.start_run(experiment_id=shared_experiment) as run:
        model.fit(data, amounts)
    found = stored(run.info.run_id)
    expected = sorted((key, str(value)) for key, value in model.get_params().items())
    expect(f"params of {found.what}, autologged", found.params, expected)
    scores = dict(found.metrics)
    expect(f"training_score of {found.what}", scores.get("training_score"), model.score(data, amounts))
    kinds = {"training_mean_absolute_error", "training_mean_squared_error", "training_r2_score", "training_score"}
    expect_that(
        kinds <= set(scores), f"autologged metrics of {found.what}", f"at least {sorted(kinds)}", sorted(scores)
    )
    inputs = probe.ask("runs/get", {"run_id": run.info.run_id})["run"].get("inputs", {}).get("dataset_inputs", [])
    contexts = [tag.get("value") for one in inputs for tag in one.get("tags", [])]
    expect(f"data sets of {found.what}, by context", contexts, ["train"])
    query = 'SELECT key, value FROM params WHERE run_uuid = %s ORDER BY key COLLATE "C"'
    doors.rows_agree(f"params of {found.what}", expected, query, run.info.run_id)


@pytest.mark.full_depth
def test_autologged_model_says_what_it_needs(autolog, logged_models, trained, load, fetched, shared_experiment):
    """A model logged without requirements gets them inferred: they must name what it was trained with.

    Remedy: read the client's warnings; if inference fails, MLflow writes guesses: pass pip_requirements.
    """
    model, data, amounts = regression(trained)
    autolog(log_models=True)
    with mlflow.start_run(experiment_id=shared_experiment) as run:
        model.fit(data, amounts)
    uri = f"runs:/{run.info.run_id}/model"
    lines = fetched(uri).get("requirements.txt", b"").decode().split()
    wanted = f"scikit-learn=={importlib.metadata.version('scikit-learn')}"
    expect_that(wanted in lines, f"requirements.txt of {uri}", wanted, lines)
    seen = np.asarray(load("pyfunc", uri).predict(data))
    expect(f"predictions of {uri}", describe_bytes(seen.tobytes()), describe_bytes(model.predict(data).tobytes()))
