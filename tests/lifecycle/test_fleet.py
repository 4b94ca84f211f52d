"""A fleet of Locust workers, small and short: what it sent is judged by the suite load, and then deleted."""

import json
import os
import subprocess
import sys
import time

import pytest

from fixtures.clients.sql import SqlDoor
from fixtures.core.files import ROOT
from fixtures.core.waiting import NotYet, wait_for
from fixtures.load import fleet_process
from fixtures.load.locust_results import FLEET_START_KIND, read_fleet
from fixtures.processes.ports import Ports
from tests.sabotage import forked
from tests.sabotage.harness import clean_environment

USERS, EACH, SECONDS = 4, 40, 8  # enough for a percentile
pytestmark = pytest.mark.timeout(240)


def locust(folder, uri, *arguments):
    """One process of the fleet, which writes to a log."""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "READINESS_REPORT_DIR": str(folder / "reports")}
    with (folder / f"locust-{len([*folder.glob('locust-*')])}.log").open("w") as log:
        argv = [sys.executable, "-m", "fixtures.load.fleet_process", *arguments]
        return subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)


def ours(folder, stack, *arguments):
    """A run of pytest against the stack; its exit code and output."""
    argv = [*arguments, "-q", "--stack=external", f"--mlflow-uri={stack.mlflow_uri}", f"--report-dir={folder}/reports"]
    output = folder / "output"
    code = forked.run(argv, clean_environment(), ROOT, output, 120)
    return code, output.read_text()


def send(folder, stack, seconds, kill_after=None):
    """One master and two workers send; one may be killed so many seconds after all users were there. Exit codes."""
    assert fleet_process.has_locust(), fleet_process.LOCUST_MISSING
    ports, uri = Ports(), stack.mlflow_uri
    port = str(ports.take())
    bounds = ["-u", str(USERS), "-r", str(USERS), "-t", f"{seconds}s", "--each", str(EACH)]
    where = ["--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", "2"]
    fleet = [
        locust(folder, uri, "--master", *where, *bounds, "--fleet-results", str(folder / "fleet.json")),
        *(locust(folder, uri, "--worker", "--master-port", port, "--each", str(EACH)) for _ in "ab"),
    ]
    try:
        if kill_after is not None:
            wait_for("all users", lambda: spawned(folder / "locust-0.log"), 60)
            time.sleep(kill_after)
            fleet[-1].kill()
        return [one.wait(120) for one in fleet]
    finally:
        for one in fleet:
            one.kill()
        ports.release()


def spawned(log):
    if "All users spawned" not in log.read_text():
        raise NotYet("no word of it in the master's log")


@pytest.fixture(scope="module")
def fleet(real_stack, tmp_path_factory):
    """(folder, stack) after one master and two workers have sent to it."""
    folder = tmp_path_factory.mktemp("fleet")
    codes = send(folder, real_stack, SECONDS)
    assert codes == [0, 0, 0], "\n".join(log.read_text()[-2000:] for log in folder.glob("*.log"))
    return folder, real_stack


def test_each_worker_hands_in_what_it_sent(fleet):
    found = read_fleet(fleet[0] / "fleet.json")
    history = found.history()
    assert (found.workers, found.lost) == (2, 0)
    assert len(found.runs) == USERS
    assert len(history.ok) == len(history.operations) >= USERS * EACH
    assert all(
        name.startswith(found.prefix) for name, kinds in found.book.outcomes.items() if FLEET_START_KIND in kinds
    )
    assert sum(cost.done for cost in found.costs().values()) + USERS == len(history.ok)


def test_what_a_fleet_sent_lands_in_the_same_report_and_is_then_deleted(fleet):
    folder, stack = fleet
    code, said = ours(
        folder, stack, "suites/load/test_fleet.py", "--allow-load", f"--fleet-results={folder}/fleet.json"
    )
    assert code == 0, said
    report = json.loads((folder / "reports" / "readiness.json").read_text())
    assert {c["status"] for c in report["checks"]} == {"pass"}
    assert any("log-metric of a fleet" in note for c in report["checks"] for note in c["notes"])
    assert [figure["name"] for figure in report["figures"]] == ["fleet-latency"]
    code, said = ours(folder, stack, "--sweep")
    assert code == 0, said
    assert "could not be deleted" not in said
    assert [*(folder / "reports" / "journals").glob("*.jsonl")] == []


def test_a_worker_that_is_lost_leaves_nothing_proven_and_nothing_behind(real_stack, tmp_path):
    codes = send(tmp_path, real_stack, 3 * SECONDS, kill_after=1)
    logs = "\n".join(log.read_text()[-2000:] for log in tmp_path.glob("*.log"))
    assert codes[2] == -9, logs
    found = read_fleet(tmp_path / "fleet.json")
    assert (found.workers, found.lost) == (2, 1), logs
    code, said = ours(
        tmp_path, real_stack, "suites/load/test_fleet.py", "--allow-load", f"--fleet-results={tmp_path}/fleet.json"
    )
    assert code == 6, said
    assert "1 of the workers ended without their ledger; let the fleet run again" in said
    code, said = ours(tmp_path, real_stack, "--sweep")
    assert code == 0, said
    left = "SELECT name FROM experiments WHERE name LIKE %s AND lifecycle_stage = 'active'"
    assert SqlDoor(real_stack.db_uri).rows(left, f"{found.prefix}%") == []


def test_results_of_another_server_prove_nothing(fleet, tmp_path):
    folder, stack = fleet
    data = json.loads((folder / "fleet.json").read_text())
    other = tmp_path / "other.json"
    other.write_text(json.dumps(data | {"server": "http://other"}))
    code, said = ours(tmp_path, stack, "suites/load/test_fleet.py", "--allow-load", f"--fleet-results={other}")
    assert code == 6, said
    assert "sent to http://other" in said


@pytest.mark.parametrize(
    ("variables", "word"),
    [({}, "no server named"), ({"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "READINESS_MAX_RATE": "5"}, "MAX_RATE")],
)
def test_bad_input_of_a_fleet_is_one_line(variables, word, tmp_path):
    given = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "READINESS_"))}
    argv = [sys.executable, "-m", "fixtures.load.fleet_process", "-u", "1", "-t", "1s"]
    found = subprocess.run(
        argv, cwd=ROOT, env=given | variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 4, found.stderr
    assert [line for line in found.stderr.splitlines() if line.startswith("ERROR") and word in line]
    assert "Traceback" not in found.stderr


def test_pytest_does_not_find_locust():
    """Its plugin would take --host and a fixture name, and importing it patches the standard library."""
    argv = [sys.executable, "-c", "import importlib.util as u; print(u.find_spec('locust'), u.find_spec('gevent'))"]
    found = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.strip() == "None None"
