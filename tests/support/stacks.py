"""Further servers on the database of a private embedded stack, for the project's own tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from fixtures.backends import server
from fixtures.backends.protocol import Start
from fixtures.core.waiting import wait_for
from fixtures.processes.child import start_child


@contextmanager
def another_server(begin: Start, name: str, *leave_out: str, **changed: str) -> Iterator[str]:
    """The URL of one more `mlflow server` on the stack's database, with other variables than the first has."""
    first = next(child for child in begin.children if child.name == "mlflow")
    given = {k: v for k, v in psutil.Process(first.popen.pid).environ().items() if k not in leave_out}
    port = begin.ports.take()
    argv = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    child = start_child(name, argv, begin.home, given | {"MLFLOW_SERVER_ALLOWED_HOSTS": "*"} | changed)
    begin.children.append(child)
    wait_for(name, lambda: server.ask_health(port), 90, ended=child.ended, log=child.log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        child.popen.terminate()
        child.popen.wait(20)
