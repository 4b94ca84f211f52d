"""`make steady`: runs on a tiny project, and what is said of outcomes that change."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from fixtures.core.files import ROOT
from fixtures.core.waiting import NotYet, wait_for
from fixtures.tools.steady import SuiteRun, find_changed_checks
from fixtures.verdict.records import CheckRecord, Status
from tests.unit.report_project import Project

SUITE = '''
import os, threading
from pathlib import Path
import pytest
from fixtures.core.outcomes import expect

COUNT = Path("count")
COUNT.write_text(str(int(COUNT.read_text()) + 1 if COUNT.exists() else 1))
RUN = COUNT.read_text()


@pytest.mark.parametrize("n", ["one", "two"])
def test_flaky(n):
    """It is never found.

    Remedy: none.
    """
    expect("run", (RUN, n) == (os.environ.get("FLAKY"), "two"), False)


def test_dies():
    """It never dies.

    Remedy: none.
    """
    if os.environ.get("DIES") == RUN:
        print("last words", flush=True)
        os._exit(9)


def test_hangs():
    """It never hangs.

    Remedy: none.
    """
    if "HANGS" in os.environ:
        Path("hangs").touch()
        threading.Event().wait()
'''
STEADY = "fixtures.tools.steady"


@pytest.fixture
def steady(tmp_path):
    """steady(...): code, output and lines of two runs of the tiny project."""
    project = Project(tmp_path, SUITE)

    def run(*words, **variables):
        options = ("--runs", "2", "--folder", "out", *words)
        return project.run(*options, "--", "-s", "suites/client", program=STEADY, **variables)

    return run


def test_no_change(steady, tmp_path):
    """A line a run as it ends; each has its report and its output; the cores are kept busy meanwhile."""
    code, output = steady("--busy")
    lines = output.splitlines()
    assert code == 0, output
    assert [line.partition(": ")[0] for line in lines[:2]] == [f"run {n} of 2" for n in (1, 2)]
    assert all("READY, exit code 0" in line and line.endswith("0 checks changed so far") for line in lines[:2])
    assert lines[2:] == ["2 runs (2 READY): 0 of 3 checks changed; out"]
    for number in (1, 2):
        assert {"readiness.json", "output.txt"} <= {p.name for p in (tmp_path / "out" / f"run-0{number}").iterdir()}


def test_a_flaky_check_is_named(steady):
    """With its outcomes, the runs and their folders."""
    code, output = steady(FLAKY="2")
    assert code == 1, output
    told = output.partition("CHANGED ")[2].splitlines()
    assert told[0] == "suites/client/test_client.py::test_flaky"
    assert set(told[1:3]) == {"  fail [two] in 1 run (2): out/run-02", "  pass in 1 run (1): out/run-01"}
    assert output.splitlines()[-1] == "2 runs (1 READY, 1 NOT READY): 1 of 3 checks changed; out"


def test_a_run_without_a_verdict_is_named(steady):
    """It is no reason to call every check changed."""
    code, output = steady(DIES="2")
    assert code == 1, output
    assert "run 2 of 2: no verdict, exit code 9" in output
    assert "NO VERDICT in run 2, exit code 9: out/run-02\n" in output and "last words" in output
    assert "CHANGED" not in output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--runs", "1"), "--runs"),
        (("--runs", "many"), "--runs"),
        (("--", "--report-dir=x"), "--report-dir"),
        (("--folder", "/proc/nope"), "/proc/nope"),
        (("--", "--no-such-option"), "--no-such-option"),
    ],
)
def test_bad_input(tmp_path, words, said):
    code, output = Project(tmp_path, SUITE).run(*words, program=STEADY)
    assert code == 4 and said in output and "Traceback" not in output


def test_an_interrupt_leaves_nothing(tmp_path):
    """Neither the run nor what keeps the cores busy."""
    Project(tmp_path, SUITE)
    steady = subprocess.Popen(
        [sys.executable, "-m", STEADY, "--busy", "--folder", "out", "--", "suites/client"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HANGS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )

    def look():
        if not (tmp_path / "hangs").exists():
            raise NotYet("the check has not begun")

    wait_for("the check that hangs", look, 60)
    children = psutil.Process(steady.pid).children(recursive=True)
    assert len(children) > (os.cpu_count() or 1)
    steady.send_signal(signal.SIGINT)
    assert steady.communicate(timeout=60)[1].strip() == "steady: interrupted"
    assert steady.returncode == 2
    assert [c for c in children if c.is_running() and c.status() != psutil.STATUS_ZOMBIE] == []


def run_with(number, **statuses):
    class Outcome:
        checks = tuple(CheckRecord(name, "a", Status(status)) for name, status in statuses.items())

    return SuiteRun(number, ROOT, 0, 1.0, Outcome)


def test_a_check_that_some_runs_lack_has_changed():
    found = find_changed_checks([run_with(1, a="pass"), run_with(2, a="pass", b="pass")])
    assert {check: list(outcomes) for check, outcomes in found.items()} == {"b": ["absent", "pass"]}
