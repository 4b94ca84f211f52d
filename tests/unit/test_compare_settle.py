"""A comparison waits for its servers: they answer long before all their processes have begun."""

import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from fixtures.tools.compare.compared_servers import wait_for_quiet

BUSY = """
import time
print("busy", flush=True)
end = time.monotonic() + {}
while time.monotonic() < end: pass
time.sleep(60)
"""


@pytest.fixture
def lane():
    """A lane whose server has one child, which is busy for so many seconds and then waits."""
    begun = []

    def begin(seconds):
        program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY.format(seconds)!r}])"
        begun.append(subprocess.Popen([sys.executable, "-c", program], process_group=0, stdout=subprocess.PIPE))
        assert begun[-1].stdout.readline() == b"busy\n"  # else a busy machine has not begun it yet, and all is quiet
        return SimpleNamespace(child=SimpleNamespace(popen=begun[-1]))

    yield begin
    for popen in begun:
        subprocess.run(["kill", "-9", "--", f"-{popen.pid}"], check=False)
        popen.wait()
        popen.stdout.close()


def test_a_server_that_is_still_busy_is_waited_for(lane):
    began = time.monotonic()
    assert wait_for_quiet([lane(3)], 30)
    assert time.monotonic() - began >= 3


def test_one_that_stays_busy_is_measured_all_the_same_and_said_to_be_busy(lane):
    assert not wait_for_quiet([lane(60)], 2)


def test_no_lane_is_quiet():
    assert wait_for_quiet([SimpleNamespace(child=None)], 5)
