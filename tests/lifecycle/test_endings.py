"""However a run ends, within 5 s nothing of it is left; each run here has a real embedded stack."""

import os
import signal
import socket

import pytest

from fixtures.backends.venvs import MADE_RECORD
from tests.lifecycle.support import SLOW, Trace, as_in_a_container, belonging, crowd, refused

HANGS = ("--stack", "embedded", "suites/registry/test_hangs.py", "suites/registry/test_hangs_too.py")
pytestmark = pytest.mark.timeout(240)


@pytest.mark.parametrize(
    ("whom", "number", "workers"),
    [("group", signal.SIGINT, 2), pytest.param("process", signal.SIGTERM, 0, marks=SLOW)],
    ids=["ctrl-c", "sigterm"],
)
def test_a_signal_ends_it_in_order(examples, scratch, whom, number, workers):
    """Ctrl-C and SIGTERM end with 2 and a report."""
    begun = examples.begin(scratch, *HANGS, workers=workers)
    begun.wait_for_file("first.hangs")
    trace = Trace(scratch).look()
    os.killpg(begun.popen.pid, number) if whom == "group" else os.kill(begun.popen.pid, number)
    trace.is_gone()
    done = begun.finish(10)
    assert done.code == 2, done.out
    assert "interrupted" in done.document()["verdict"]["line"]


@pytest.mark.parametrize(("whom", "workers"), [("process", 2), pytest.param("group", 0, marks=SLOW)])
def test_kill_9(examples, scratch, whom, workers):
    """The guard clears up after a test process that could not; also where root may not look into others' processes."""
    before = as_in_a_container() if whom == "group" else ()
    begun = examples.begin(scratch, *HANGS, workers=workers, before=before)
    begun.wait_for_file("first.hangs")
    trace = Trace(scratch).look()
    kill = os.killpg if whom == "group" else os.kill
    kill(begun.popen.pid, signal.SIGKILL)
    trace.is_gone()
    assert begun.popen.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("moment", "workers"), [("settings.json", 2), ("postgres", 0), pytest.param("postgres.log", 2, marks=SLOW)]
)
def test_kill_9_half_way_through_the_start(examples, scratch, moment, workers):
    """Before anything runs, in the middle of initdb, and while MLflow imports."""
    before = as_in_a_container() if moment == "postgres" else ()
    begun = examples.begin(scratch, *HANGS, workers=workers, before=before)
    begun.wait_for_file(moment)
    trace = Trace(scratch).look()
    os.killpg(begun.popen.pid, signal.SIGKILL)
    trace.is_gone()


@pytest.mark.parametrize(("moment", "workers"), [("store", 0), ("postgres", 2)])
def test_ctrl_c_half_way_through_the_start(examples, scratch, moment, workers):
    """The thread that starts the stack starts nothing more once it is being cleared up."""
    begun = examples.begin(scratch, *HANGS, workers=workers)
    begun.wait_for_file(moment)
    trace = Trace(scratch).look()
    os.killpg(begun.popen.pid, signal.SIGINT)
    done = begun.finish(20)
    trace.is_gone()
    assert done.code == 2, done.out


@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=SLOW), signal.SIGKILL])
def test_an_installation_under_way_ends_with_the_run(examples, scratch, number):
    """uv asks a package index that never answers for another MLflow version; the cache keeps no half environment."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        index = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        places = {"READINESS_CACHE": str(scratch / "cache"), "UV_CACHE_DIR": str(scratch / "uv")}
        env = {**places, "UV_DEFAULT_INDEX": index, "UV_NO_CONFIG": "1"}
        begun = examples.begin(scratch, "suites/health", "--mlflow-version", "3.9.0", env=env)
        silent.settimeout(60 * crowd())
        silent.accept()[0].close()  # uv asks again and again
        trace = Trace(scratch).look()
        assert [words for words in belonging(scratch).values() if "install" in words]
        begun.popen.send_signal(number)
        code = begun.popen.wait(30 * crowd())
        trace.is_gone()
    if number == signal.SIGTERM:
        assert "stack: installing MLflow 3.9.0" in begun.finish().out
    assert code == (2 if number == signal.SIGTERM else -signal.SIGKILL)
    assert not list((scratch / "cache").rglob(MADE_RECORD))


def test_a_start_that_fails_half_way(examples, scratch):
    """A server that does not come up: what, how long, the last error, the log's last lines and its path, once."""
    with socket.socket() as late:
        late.bind(("127.0.0.1", 0))
        port = late.getsockname()[1]
        late.close()
        begun = examples.begin(scratch, *HANGS, "--mlflow-port", str(port), workers=2)
        begun.wait_for_file("mlflow.log")
        trace = Trace(scratch).look()
        with socket.socket() as late:  # bound without listening: nobody answers there, and MLflow cannot either
            late.bind(("127.0.0.1", port))
            done = begun.finish()
    trace.is_gone()
    words = "exited with", "waited", "last error", "refused"
    refused(done, 7, f"NOT PROVEN: MLflow at http://127.0.0.1:{port}", *words, within=90)
    assert "ddress already in use" in done.out
    assert f"lines of {scratch}/tmp/" in done.out and "mlflow.log" in done.out


@pytest.mark.slow
def test_a_server_that_dies_in_mid_run(examples, scratch):
    """The check in flight is charged with it, the rest is not checked."""
    args = ("--stack", "embedded", "suites/registry/test_kills.py")
    done = examples.run(scratch, *args, workers=2)
    Trace(scratch).is_gone()
    assert done.code == 1, done.out
    assert done.status("test_kills_the_server") == "fail"
    assert done.status("test_after_the_death") == "not-checked"
    assert "the server was lost" in done.out
