"""However a rehearsal ends, nothing of it is left; a version that cannot be installed is said in one line.

The older version is this one under another name: how a rehearsal ends does not hang on what it rehearses.
"""

import os
import signal
import subprocess
import sys

import pytest

from fixtures.backends.venvs import MADE_RECORD, locate_venv
from fixtures.core.files import ROOT
from tests.lifecycle.support import Begun, Trace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
FILLED = "fill a database"  # said when Postgres and the store are up and the older server starts


def begin(scratch, *words, **more):
    """Start a rehearsal in a session of its own."""
    (scratch / "tmp").mkdir()
    cache = {"READINESS_CACHE": str(scratch / "cache")}
    venv = locate_venv("3.16.1", cache)
    (venv / "bin").mkdir(parents=True)
    (venv / MADE_RECORD).write_text("{}")
    (venv / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (venv / "bin" / "python").chmod(0o755)
    given = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(scratch), "TMPDIR": str(scratch / "tmp")}
    popen = subprocess.Popen(
        [sys.executable, "-m", "fixtures.tools.rehearse", *words, "--report-dir", str(scratch / "report")],
        cwd=ROOT,
        env={**given, **cache, **more},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    return Begun(popen, scratch, scratch / "report")


def begin_to_fill(scratch):
    """A rehearsal whose older server starts, and what runs then."""
    begun = begin(scratch, "--from", "3.16.1")
    begun.wait_until(FILLED, lambda: FILLED in "".join(begun.said))
    return begun, Trace(scratch).look()


def test_kill_9(scratch):
    """The guard clears up after a process that could not."""
    begun, trace = begin_to_fill(scratch)
    os.killpg(begun.popen.pid, signal.SIGKILL)
    trace.is_gone()
    assert begun.popen.wait(10) == -signal.SIGKILL
    assert not begun.report.exists()


def test_ctrl_c(scratch):
    """One line says so, with the documented code, and no half report is kept."""
    begun, trace = begin_to_fill(scratch)
    os.killpg(begun.popen.pid, signal.SIGINT)
    outcome = begun.finish(30)
    assert outcome.code == 2, outcome.out
    assert outcome.out.splitlines()[-1].startswith("rehearse: interrupted after"), outcome.out
    assert "Traceback" not in outcome.out
    trace.is_gone()
    assert not begun.report.exists()


def test_a_version_that_cannot_be_installed(scratch):
    """It is said before anything is started."""
    outcome = begin(scratch, "--from", "2.99.0", UV_OFFLINE="1").finish(60)
    assert outcome.code == 7, outcome.out
    assert outcome.out.splitlines()[-1].startswith("rehearse: MLflow 2.99.0 cannot be installed: "), outcome.out
    assert "Traceback" not in outcome.out
    assert "start Postgres" not in outcome.out
    Trace(scratch).look().is_gone()
