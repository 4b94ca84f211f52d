"""What we start: ports that are ours, a clean environment, a mark."""

import json
import os
import socket
import subprocess
import sys

import pytest

from fixtures.core.files import ROOT
from fixtures.core.waiting import StartFailure
from fixtures.processes import guard
from fixtures.processes.child import HOME_VARIABLE, find_account, is_open_to_all, make_private_folder, start_child
from fixtures.processes.ports import PORT_RANGE, Ports

SHOW = "import json, os; print(json.dumps(dict(os.environ)))"


@pytest.fixture
def ports():
    """Makes Ports objects, each as of a run of its own."""
    made = []

    def make():
        made.append(Ports())
        return made[-1]

    yield make
    for each in made:
        each.release()


def test_two_runs_never_share_a_port(ports, monkeypatch):
    monkeypatch.setattr("fixtures.processes.ports.PORT_RANGE", range(PORT_RANGE.start, PORT_RANGE.start + 400))
    one, two = ports(), ports()
    taken = [each.take() for _ in range(60) for each in (one, two)]
    assert len(set(taken)) == len(taken)


def test_a_port_that_is_listened_at_is_not_taken(ports, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setattr("fixtures.processes.ports.random.SystemRandom.sample", lambda *a: [port])
        with pytest.raises(StartFailure, match="no free port"):
            ports().take()


def test_a_port_can_be_chosen_again_after_its_release(ports):
    run = ports()
    port = run.take()
    with pytest.raises(OSError, match="in use"):
        ports().hold(port, again=True)
    run.release()
    ports().hold(port, again=True)


def test_a_child_has_a_clean_environment_a_mark_and_a_log(tmp_path, monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "AWS_PROFILE", "PGHOST", "HTTP_PROXY", "PYTHONPATH", "PYTEST_CURRENT_TEST"):
        monkeypatch.setenv(name, "noise")
    child = start_child("show", [sys.executable, "-c", SHOW], tmp_path, {"EXTRA": "yes"})
    assert child.popen.wait(20) == 0
    seen = json.loads(child.log.read_text())
    assert "noise" not in seen.values()
    assert (seen[HOME_VARIABLE], seen["HOME"], seen["EXTRA"]) == (str(tmp_path), str(tmp_path), "yes")
    assert child.ended() == "show exited with 0"


def test_a_child_leads_a_session_of_its_own(tmp_path):
    child = start_child("show", [sys.executable, "-c", "import os; print(os.getsid(0))"], tmp_path)
    child.popen.wait(20)
    assert child.log.read_text().strip() == str(child.popen.pid)


def test_a_program_that_is_not_there(tmp_path):
    with pytest.raises(StartFailure, match=r"weed: cannot start /no/weed: .*No such file"):
        start_child("weed", ["/no/weed"], tmp_path)


def test_an_account_that_is_not_there():
    with pytest.raises(StartFailure, match="no account 'no-such-user'"):
        find_account("no-such-user")


def test_a_private_folder_can_be_entered_but_not_listed():
    folder = make_private_folder("readiness-unit-")
    try:
        assert folder.stat().st_mode & 0o777 == 0o711
    finally:
        folder.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user for Postgres")
def test_as_root_a_folder_that_others_cannot_enter_is_passed_over(tmp_path, monkeypatch):
    tmp_path.chmod(0o700)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = make_private_folder("readiness-unit-")
    try:
        assert not folder.is_relative_to(tmp_path)
        assert is_open_to_all(folder)
    finally:
        folder.rmdir()


def test_the_systems_python_can_ask_whether_the_system_will_do():
    """The Makefile does so before .venv exists: neither the module nor a package above it may need more."""
    asked = "from fixtures.processes.child import explain_unsupported_system as s; print(s() is None)"
    done = subprocess.run([sys.executable, "-S", "-c", asked], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_child_and_guard_mean_the_same_mark():
    """The guard imports nothing of ours, so the word stands twice."""
    assert HOME_VARIABLE == guard.OWNER_VARIABLE
