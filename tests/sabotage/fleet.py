"""Sabotages of what a fleet of Locust workers has sent: its ledger says more than the server keeps."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from fixtures.core.files import ROOT
from fixtures.load import payloads
from fixtures.load.engine import drive_load
from fixtures.load.history import RequestOutcome
from fixtures.load.locust_results import FLEET_START_KIND, FleetBook, FleetRun, name_extra_run
from fixtures.load.operations import DEFAULT_RATES, operation_request
from fixtures.load.target import LoadTarget as Load
from tests.sabotage.harness import Aim, Sabotage, Target, raid

CHECK = "load/test_fleet.py::test_"
PREFIX, EACH = "rdy-sabotage-", 2
POOL = "BAD_REQUEST: QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00"
SLOW = 1.5  # seconds, which the limits of operators in slo.toml do not allow


@contextmanager
def liars(target: Target, aim: Aim) -> Iterator[None]:
    """A fleet that was told of a metric, a param and a run which are not there, was refused once and hung up once."""
    to, book = Load.of(target.stack.mlflow_uri), FleetBook()
    body = {"name": f"{PREFIX}fleet"}
    made = requests.post(f"{to.uri}{payloads.API_PREFIX}experiments/create", json=body, timeout=60)
    experiment = made.json()["experiment_id"]
    name = f"{PREFIX}user"
    (run,) = payloads.make_load_runs(to, experiment, [name])
    book.enter(name, FLEET_START_KIND, RequestOutcome.OK, SLOW, 1.0, 200, "")
    for operation in DEFAULT_RATES:
        for number in range(EACH):
            one = operation_request(operation, number, run, experiment, name_extra_run(PREFIX, run, number))
            payloads.require_done(drive_load(to, [[one]]))
            book.enter(run, operation, RequestOutcome.OK, SLOW, 2.0 + number, 200, "")
    for operation in ("log-metric", "log-param", "create-run"):
        book.enter(run, operation, RequestOutcome.OK, SLOW, 9.0, 200, "")  # and nothing was sent
    book.enter(run, "log-batch", RequestOutcome.REFUSED, SLOW, 9.0, 400, POOL)
    book.enter(run, "health", RequestOutcome.UNKNOWN, SLOW, 9.0, None, "no whole answer: ConnectionResetError")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "fleet.json")
        FleetRun(to.uri, experiment, PREFIX, 2, 0, 1, book).save(file)
        aim.options += ["--fleet-results", str(file)]
        yield
    requests.post(f"{to.uri}{payloads.API_PREFIX}experiments/delete", json={"experiment_id": experiment}, timeout=60)
    target.execute(f"UPDATE experiments SET name = name || experiment_id WHERE experiment_id = {int(experiment)}")


RAIDS = (
    raid(
        "what a fleet was told",
        Sabotage(
            "a server that does not keep what it acknowledges to a fleet",
            {
                f"{CHECK}a_fleet_is_not_refused": "QueuePool limit.*MLFLOW_SQLALCHEMYSTORE_POOL_SIZE",
                f"{CHECK}a_fleet_is_answered": "1 of 22 without an answer",
                f"{CHECK}metrics_of_a_fleet_are_stored_once": "1 lost: single step 2 of run",
                f"{CHECK}params_and_data_sets_of_a_fleet_are_stored_once": "1 lost: param_2 step 0",
                f"{CHECK}runs_of_a_fleet_are_stored_once": f"1 lost: {PREFIX}beside",
                f"{CHECK}operations_of_a_fleet_keep_the_limits_of_their_operators": r"max 1\.50 s, not 1.00 s",
            },
            breaks=liars,
        ),
        beside="load/test_create.py::test_concurrent_runs_are_all_created",
        workers=1,
        options=f"--slo {ROOT}/tests/sabotage/slo.toml",
    ),
)
