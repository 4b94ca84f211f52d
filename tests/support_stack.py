"""A private embedded stack for the project's own tests, and further servers on its database."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from fixtures.backends import Start, backend, embedded
from fixtures.guard import PREFIX
from fixtures.process import Child, Ports, private_folder, start
from fixtures.settings import ROOT, Settings
from fixtures.stack import Stack
from fixtures.waiting import wait_for


@contextmanager
def private_stack(settings: Settings | None = None) -> Iterator[tuple[Stack, Start]]:
    """A stack that nobody else uses, so that it may be broken; its guard ends it however this process ends."""
    with ExitStack() as left:
        children: list[Child] = []
        left.callback(reap, children)
        home = left.enter_context(guarded_home())
        ports = Ports()
        left.callback(ports.release)
        begin = Start(settings or Settings(), home, "tests", ports, lambda step: None, children)
        yield backend("embedded").begin(begin), begin


@contextmanager
def guarded_home() -> Iterator[Path]:
    """A folder of ours; whatever runs from it is ended with it."""
    home = private_folder(PREFIX)
    argv = [sys.executable, "-P", ROOT / "fixtures" / "guard.py", "watch", home]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True, cwd="/"):
        yield home  # leaving closes the guard's standard input and waits for its end


def reap(children: list[Child]) -> None:
    """Wait for what the guard has ended."""
    for child in children:
        with suppress(subprocess.TimeoutExpired):
            child.popen.wait(5)


@contextmanager
def another_server(begin: Start, name: str, *leave_out: str, **changed: str) -> Iterator[str]:
    """The URL of one more `mlflow server` on the stack's database, with other variables than the first has."""
    first = next(child for child in begin.children if child.name == "mlflow")
    given = {k: v for k, v in psutil.Process(first.popen.pid).environ().items() if k not in leave_out}
    port = begin.ports.take()
    argv = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    child = start(name, argv, begin.home, given | {"MLFLOW_SERVER_ALLOWED_HOSTS": "*"} | changed)
    begin.children.append(child)
    wait_for(name, lambda: embedded.answers(port), 90, ended=child.ended, log=child.log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        child.popen.terminate()
        child.popen.wait(20)
