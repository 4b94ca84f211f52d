"""What a fault in the middle of traffic does to writes, to errors, and to the server afterwards (F15, F18, F57)."""

import pytest

from fixtures.drills.assertions import (
    describe_drill,
    expect_honest_errors,
    expect_metrics_flow,
    expect_recovery,
    expect_writes_kept,
)
from fixtures.drills.faults import FAULTS, STORE_FAULTS

pytestmark = pytest.mark.destructive


@pytest.fixture(scope="module", params=FAULTS + STORE_FAULTS, ids=str)
def outcome(request, run_drill):
    """What came of bursts of batches, params, new runs and uploads that a fault met."""
    return run_drill(request.param)


def test_every_acknowledged_write_outlives_the_fault(outcome, note):
    """What the server acknowledged must be stored once and unchanged, whatever was restarted or killed meanwhile.

    Remedy: see SHOW fsync, synchronous_commit and full_page_writes in Postgres; all of them must be on. The history
    beside the report has every write, by run, metric and step: search the server's log for them.
    """
    note(describe_drill(outcome))
    expect_writes_kept(outcome)


def test_errors_during_the_fault_do_not_blame_the_client(outcome):
    """A client repeats a 503 and gives up at a 400: a fault of the database must not end every training.

    Remedy: see what answered so: MLflow's own answers are JSON with an error_code. A proxy must pass a 5xx on, and must
    not answer with a page and status 200. If it is MLflow itself, upgrade it.
    """
    expect_honest_errors(outcome)


def test_the_server_recovers_by_itself(outcome):
    """After the fault is over an experiment, a run and an artifact can be written, without a restart of the server.

    Remedy: until MLflow recovers by itself, let the orchestrator restart it: a liveness probe must ask the database,
    such as POST /api/2.0/mlflow/experiments/search, since /health does not.
    """
    expect_recovery(outcome)


@pytest.mark.parametrize("fault", STORE_FAULTS, ids=str)
def test_metrics_flow_while_the_object_store_is_down(fault, run_drill):
    """Uploads fail while the object store is down; metrics, params and new runs must not fail with them.

    Remedy: give the server threads and workers enough (MLFLOW_WORKERS): uploads that wait for the store hold them. Let
    no proxy in front take the server out of service because some of its answers are a 500.
    """
    expect_metrics_flow(run_drill(fault))
