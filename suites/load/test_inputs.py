"""Data sets that many clients log at the same moment: log-inputs needs two connections at a time (F05)."""

import pytest

from fixtures.load import payloads
from fixtures.load.assertions import (
    expect_all_answered,
    expect_nothing_refused,
    expect_stored_once,
    require_known_outcomes,
)

CLIENTS, INPUTS = 16, 2
SQL_INPUTS = """
    SELECT i.destination_id, d.name, 0, d.digest FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id
    WHERE i.source_type = 'DATASET' AND i.destination_type = 'RUN' AND i.destination_id = ANY(%s)
"""


@pytest.fixture(scope="module")
def logged(load, target, make_experiment, unique):
    """(history, run ids): sixteen clients in two processes that log data sets, each to a run of its own."""
    runs = payloads.make_load_runs(target, make_experiment(), [unique("inputs") for _ in range(CLIENTS)])
    count = INPUTS * load.scale
    scripts = [
        [payloads.inputs_request(run, f"data-{n}", f"{client}-{n}") for n in range(count)]
        for client, run in enumerate(runs)
    ]
    return load.drive_in_processes(scripts), runs


def test_concurrent_inputs_are_not_refused(logged, stack):
    """A sweep that logs its data sets at once must not lose the record of what a model was trained on.

    Remedy: look for the quoted message in the server's log; a QueuePool error means that
    MLFLOW_SQLALCHEMYSTORE_POOL_SIZE is too small, a 429, 502, 503 or 504 comes from a proxy's limit.
    """
    history, _ = logged
    expect_nothing_refused(f"{CLIENTS} clients", history, stack)
    expect_all_answered(f"{CLIENTS} clients", history)


def test_concurrent_inputs_are_stored_once(logged, target, doors):
    """Each data set that the server acknowledged stands with its run, once, and with no other run.

    Remedy: compare the tables inputs and datasets for the run ids named here; look for proxies that answer or repeat
    requests on their own, and for triggers and rules on these tables.
    """
    history, runs = logged
    expect_stored_once("data sets, read through the API", history, payloads.query_inputs(target, runs))
    if doors.sql is not None:
        expect_stored_once("data sets, read through SQL", history, doors.sql.rows(SQL_INPUTS, runs))
        doors.proof.add("sql")
    require_known_outcomes(f"{CLIENTS} clients", history)
