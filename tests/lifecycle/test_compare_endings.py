"""However a comparison ends, nothing of it is left; each here has real servers on a Postgres and S3 of its own."""

import os
import signal
import subprocess
import sys

import pytest

from fixtures.core.files import ROOT
from tests.lifecycle.support import Begun, Trace

pytestmark = pytest.mark.timeout(240)
SIDES = ("workers=1", "workers=1 pool=20")
MEASURED = "restart 1 of"  # said on stderr once the servers have been through their first blocks


def begin(scratch):
    """Start a comparison in a session of its own."""
    (scratch / "tmp").mkdir()
    words = ["--operations", "get-run", "--restarts", "3", "--pairs", "2", "--report-dir", str(scratch / "report")]
    popen = subprocess.Popen(
        [sys.executable, "-m", "fixtures.tools.compare", *SIDES, *words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(scratch), "TMPDIR": str(scratch / "tmp")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    return Begun(popen, scratch, scratch / "report")


def caught_at(begun, moment):
    """What runs at that moment, of which nothing may remain."""
    if moment == MEASURED:
        begun.wait_until(MEASURED, lambda: MEASURED in "".join(begun.said))
    else:
        begun.wait_for_file(moment)
    return Trace(begun.scratch).look()


@pytest.mark.parametrize("moment", ["templates.log", pytest.param(MEASURED, marks=pytest.mark.slow)])
def test_kill_9(scratch, moment):
    """The guard clears up after a process that could not."""
    begun = begin(scratch)
    trace = caught_at(begun, moment)
    os.killpg(begun.popen.pid, signal.SIGKILL)
    trace.is_gone()
    assert begun.popen.wait(10) == -signal.SIGKILL
    assert not begun.report.exists()


@pytest.mark.slow
def test_ctrl_c(scratch):
    """One line says so, with the documented code, and no half comparison is kept."""
    begun = begin(scratch)
    trace = caught_at(begun, MEASURED)
    os.killpg(begun.popen.pid, signal.SIGINT)
    outcome = begun.finish(30)
    assert outcome.code == 2, outcome.out
    assert outcome.out.splitlines()[-1].startswith("compare: interrupted after"), outcome.out
    assert "Traceback" not in outcome.out
    trace.is_gone()
    assert not begun.report.exists()
