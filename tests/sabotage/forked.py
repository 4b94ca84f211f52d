"""Many runs of pytest, of which only the first pays for the import of MLflow and the like.

A run's xdist workers are forked too. This module is imported in each of those processes before pytest is: it must
import nothing of ours.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import signal
import sys
from pathlib import Path
from typing import Any

SERVER = multiprocessing.get_context("forkserver")
LIBRARIES = ("mlflow.sklearn", "sklearn.ensemble", "boto3", "psycopg2", "psutil", "jinja2", "hdrh.histogram")
SERVER.set_forkserver_preload(["pytest", "execnet", *LIBRARIES])


def run(argv: list[str], environment: dict[str, str], where: Path, output: Path, seconds: float) -> int:
    """The exit code of `pytest argv...` in a session of its own; what it prints goes to `output`.

    Raises:
        TimeoutError: when it did not end in time.
    """
    return finish(begin(argv, environment, where, output), output, seconds)


def begin(argv: list[str], environment: dict[str, str], where: Path, output: Path) -> Any:
    """The same as a process under way, which leads its session."""
    process = SERVER.Process(target=main, args=(argv, environment, where, output))
    process.start()
    return process


def finish(process: Any, output: Path, seconds: float) -> int:
    """The exit code; raises TimeoutError."""
    process.join(seconds)
    if process.exitcode is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
        raise TimeoutError(f"no end within {seconds:g} s: {output.read_text()[-3000:]}")
    return int(process.exitcode)


def main(argv: list[str], environment: dict[str, str], where: Path, output: Path) -> None:
    """In the new process: lead a session, and become what a shell would have started."""
    os.setsid()
    gc.freeze()  # what was imported beforehand is looked through by no collection
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(where)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))  # read at a start alone
    with output.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    fork_xdist_workers(asked_workers(argv))
    import pytest

    sys.exit(int(pytest.main(argv)))


def asked_workers(argv: list[str]) -> int:
    """The number after -n."""
    return int(argv[argv.index("-n") + 1]) if "-n" in argv else 0


class Blank:
    """A fork of this process before pytest has begun in it; it waits to become an xdist worker.

    It stands in for the subprocess.Popen of `python -c "exec(...)"`, as far as execnet asks.
    """

    def __init__(self, others: list[Blank]) -> None:
        asked, self.stdin_end = os.pipe()
        self.stdout_end, told = os.pipe()
        variables, self.variables_end = os.pipe()
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            for blank in [*others, self]:  # or the end of the run would not end it
                for end in (blank.stdin_end, blank.stdout_end, blank.variables_end):
                    os.close(end)
            become_worker(asked, told, variables)
        for end in (asked, told, variables):
            os.close(end)

    def begin(self) -> None:
        """Hand over the variables that a process started now would get."""
        self.stdin, self.stdout = os.fdopen(self.stdin_end, "wb"), os.fdopen(self.stdout_end, "rb")
        with os.fdopen(self.variables_end, "w") as pipe:
            json.dump(dict(os.environ), pipe)

    def poll(self) -> int | None:
        return self._reap(os.WNOHANG)

    def wait(self) -> int | None:
        return self._reap(0)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def _reap(self, how: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, how)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode


def become_worker(asked: int, told: int, variables: int) -> None:
    """Wait for the variables, and run what execnet asks for, as its `python -c` would; does not return."""
    with os.fdopen(variables) as pipe:
        text = pipe.read()
    if not text:
        os._exit(0)  # the run needed no worker
    os.environ.clear()
    os.environ.update(json.loads(text))
    os.dup2(asked, 0)
    os.dup2(told, 1)
    os.close(asked)
    os.close(told)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  the old one is of another file
    sys.argv = ["-c"]
    exec(eval(sys.stdin.readline()), {"__name__": "__main__"})
    sys.exit()


def fork_xdist_workers(number: int) -> None:
    """Fork `number` blanks, and let execnet take them where it would start Python and import everything anew."""
    blanks: list[Blank] = []
    for _ in range(number):
        blanks.append(Blank(blanks))
    if not blanks:
        return
    from execnet import gateway_io
    from execnet.gateway_base import Popen2IO

    class ForkedIO(gateway_io.Popen2IOMaster):  # type: ignore[misc]
        def __init__(self, args: list[str], execmodel: Any) -> None:
            if not blanks:  # a worker that crashed is replaced
                super().__init__(args, execmodel)
                return
            self.popen = blanks.pop(0)
            self.popen.begin()
            Popen2IO.__init__(self, self.popen.stdin, self.popen.stdout, execmodel=execmodel)

    gateway_io.Popen2IOMaster = ForkedIO
