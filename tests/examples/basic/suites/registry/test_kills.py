"""The server dies under a check, as it may in life."""

import contextlib

import psutil

from fixtures.processes.child import HOME_VARIABLE
from fixtures.run.record import RUN


def servers(home):
    """The `mlflow server` processes of the run."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(HOME_VARIABLE) == home and process.cmdline()[2:4] == ["mlflow", "server"]:
                yield process


def test_kills_the_server(pytestconfig, probe):
    """The server ends while this check is in flight.

    Remedy: none, it is an example.
    """
    for process in servers(str(pytestconfig.stash[RUN].folder)):
        for each in (*process.children(recursive=True), process):
            each.kill()
    probe.get("/health")


def test_after_the_death(probe):
    """Not checked, since there is no server any more.

    Remedy: none, it is an example.
    """
    probe.get("/health")
