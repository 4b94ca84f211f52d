"""However a run with containers ends, within 30 s nothing of it is left in the engine, and nothing else is touched."""

import os
import signal
import time

import pytest

from tests.containers.support import HANGS, Trail, docker, homes

pytestmark = pytest.mark.timeout(600)
both = pytest.mark.parametrize("stack", ["containers", "compose"])


@pytest.fixture
def begin(examples, scratch, env):
    """begin(stack, ...) -> a run on the engine, and its trail."""

    def start(stack, *args, workers=0):
        begun = examples.begin(scratch, "--stack", stack, *args, workers=workers, env=env)
        return begun, Trail(begun)

    return start


@pytest.fixture
def bystander(chosen):
    """A container, a network and a volume with a label of ours, but another run's."""
    label = ("--label", "mlflow-readiness.stack=another-run")
    docker("network", "create", *label, "rdy-bystander")
    docker("volume", "create", *label, "rdy-bystander")
    image = f"{chosen['MLFLOW_IMAGE']}"
    docker("run", "-d", "--name", "rdy-bystander", *label, "--entrypoint", "sleep", image, "600")
    yield
    assert "rdy-bystander" in docker("ps", "--format", "{{.Names}}")
    assert "rdy-bystander" in docker("network", "ls", "--format", "{{.Name}}")
    assert "rdy-bystander" in docker("volume", "ls", "--format", "{{.Name}}")
    docker("rm", "-f", "-v", "rdy-bystander")
    docker("network", "rm", "rdy-bystander")
    docker("volume", "rm", "rdy-bystander")


@both
def test_kill_9_of_the_whole_group(begin, bystander, stack):
    begun, trail = begin(stack, *HANGS, workers=2)
    begun.wait_for_file("first.hangs")
    trail.read()
    assert len(trail.left()) >= 4
    os.killpg(begun.popen.pid, signal.SIGKILL)
    trail.is_gone()


@pytest.mark.parametrize("pause", [0.0, 0.7, 2.0])
@both
def test_kill_9_half_way_through_the_start(begin, stack, pause):
    """What the engine was still at work on is found, too."""
    begun, trail = begin(stack, *HANGS)
    begun.wait_until("names", lambda: [h for h in homes(begun) if (h / "expected").read_text()])
    time.sleep(pause)
    trail.read()
    os.killpg(begun.popen.pid, signal.SIGKILL)
    trail.is_gone()
    trail.guard_is_gone()
    assert trail.left() == []


@both
def test_ctrl_c_half_way_through_the_start(begin, stack):
    begun, trail = begin(stack, *HANGS, workers=2)
    begun.wait_until("names", lambda: [h for h in homes(begun) if (h / "expected").read_text()])
    trail.read()
    os.killpg(begun.popen.pid, signal.SIGINT)
    done = begun.finish(120)
    trail.is_gone()
    assert done.code == 2, done.out


@both
def test_the_normal_end(begin, stack):
    begun, trail = begin(stack, "suites/health/test_answers.py")
    begun.wait_until("names", lambda: [h for h in homes(begun) if (h / "expected").read_text()])
    trail.read()
    done = begun.finish(300)
    assert done.code == 0, done.out
    assert trail.left() == []


def test_a_kept_stack_stays_until_it_is_stopped(begin, examples, scratch, env):
    begun, trail = begin("containers", "--keep-stack", "suites/health/test_answers.py")
    done = begun.finish(300)
    trail.read()
    assert done.code == 0, done.out
    assert len(trail.left()) == 4
    again, _ = begin("containers", "--keep-stack", "suites/health/test_answers.py")
    again = again.finish(300)
    assert "stack reused" in again.out, again.out
    assert "stopped 1 kept" in examples.stop(scratch)
    assert trail.left() == []
