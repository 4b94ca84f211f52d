"""The fraud workflow, once: what was trained, logged and registered is what a consumer gets."""

import json
from urllib.parse import quote  # noqa: F401

import mlflow
import numpy as np
import pytest
import yaml
from mlflow.exceptions import MlflowException

from fixtures.doors import digest
from fixtures.outcomes import Finding, expect, expect_that

FLAVOURS = {
    "pyfunc": lambda uri, rows: mlflow.pyfunc.load_model(uri).predict(rows),
    "sklearn": lambda uri, rows: mlflow.sklearn.load_model(uri).predict_proba(rows),
}
# Other in each save of one and the same model.
OF_ITS_OWN = ("artifact_path", "model_id", "model_uuid", "run_id", "utc_time_created")


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("door", ["runs", "models"])
def test_loaded_model_predicts_to_the_last_bit(published, door, flavour):
    """A service that loads the model from its run or from the registry must predict what the trainer saw.

    Remedy: compare the size of model.pkl in the bucket with the trainer's; look at proxies between client and
    server that cut or recode bodies, and at lifecycle rules of the bucket.
    """
    expected = published.trained.model.predict_proba(published.trained.holdout)
    seen = np.asarray(FLAVOURS[flavour](published.uris[door], published.trained.holdout))
    different = int((seen != expected).any(axis=1).sum()) if seen.shape == expected.shape else f"shape {seen.shape}"
    expect(f"rows that {published.uris[door]} predicts otherwise ({flavour})", different, 0)
