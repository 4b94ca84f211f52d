"""Runs of the suite as an operator starts them against a live server, watched by proxies that count."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from fixtures.core.files import ROOT
from fixtures.core.waiting import NotYet, wait_for
from fixtures.load.idle import REQUEST
from fixtures.stack import Stack
from tests.lifecycle.support import belonging, crowd
from tests.live.neighbour import bucket
from tests.sabotage import forked
from tests.sabotage.harness import clean_environment
from tests.sabotage.proxy import TamperProxy
from tests.sabotage.rules import Action, Forward, Request, Response, Rule

SECONDS = 400


@dataclass
class Tally:
    """What a proxy saw pass: when requests came, how many at once at most, bytes (`sent` of requests alone), runs.

    The rounds of suites/health/test_idle_connections.py are 20 at once, and alone: they do not count for `most`.
    """

    times: list[float] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    size: int = 0
    sent: int = 0
    runs: int = 0
    inside: int = 0
    most: int = 0
    lock: Any = field(default_factory=threading.Lock)

    def rule(self, delay: float = 0.0, at_arrival: Callable[[Request], None] = lambda request: None) -> Rule:
        """A rule that counts each request, holds it for `delay` seconds and lets it pass."""

        def act(request: Request, forward: Forward) -> Response:
            with self.lock:
                self.times.append(time.monotonic())
                self.calls.append(f"{request.method} {request.path}")
                self.size += len(request.body)
                self.sent += len(request.body)
                self.runs += request.method == "POST" and request.path.endswith("/mlflow/runs/create")
                self.inside += request.body != REQUEST.body
                self.most = max(self.most, self.inside)
            try:
                at_arrival(request)
                threading.Event().wait(delay)
                response = forward(request)
            finally:
                with self.lock:
                    self.inside -= request.body != REQUEST.body
            with self.lock:
                self.size += len(response.body)
            return response

        return Rule("count", lambda method, path: True, act)


@dataclass
class Operator:
    """Somebody with an address, the doors and a folder for reports, TMPDIR included."""

    stack: Stack
    folder: Path
    uri: str = ""
    endpoint: str = ""
    sessions: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.uri = self.uri or self.stack.mlflow_uri
        self.endpoint = self.endpoint or bucket(self.stack).endpoint
        self.temporary.mkdir(parents=True, exist_ok=True)

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    @property
    def reports(self) -> Path:
        return self.folder / "reports"

    @property
    def journals(self) -> list[Path]:
        return sorted((self.reports / "journals").glob("*"))

    def aim(self, *words: str) -> tuple[list[str], dict[str, str], Path, Path]:
        """Arguments of pytest, environment, folder and the file for what is printed."""
        where = bucket(self.stack)
        argv = ["--stack", "external", "--mlflow-uri", self.uri, f"--report-dir={self.reports}", "-q", *words]
        argv += ["--s3-endpoint", self.endpoint, "--s3-bucket", where.name, "--workers", "2", "--pool-size", "55"]
        secret = {
            "READINESS_DB_URI": self.stack.db_uri or "",
            "AWS_ACCESS_KEY_ID": where.access_key,
            "AWS_SECRET_ACCESS_KEY": where.secret_key,
            "TMPDIR": str(self.temporary),
        }
        env = clean_environment() | secret | self.stack.access.environment()
        return argv, env, ROOT, self.folder / "output"

    @property
    def said(self) -> str:
        return (self.folder / "output").read_text(errors="replace")

    def run(self, *words: str) -> int:
        """The exit code of pytest with these further words."""
        return forked.finish(self.begin(*words), self.folder / "output", SECONDS)

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.reports / "readiness.json").read_text())
        return found

    def begin(self, *words: str) -> Any:
        """The same as a process that leads a group of its own, under way."""
        (self.folder / "output").unlink(missing_ok=True)
        process = forked.begin(*self.aim(*words))
        self.sessions.append(process.pid)
        return process

    def until(self, what: str, true: Callable[[], object], process: Any = None) -> None:
        """Wait until `true` says so; the end of `process` ends the wait."""

        def look() -> None:
            if not true():
                raise NotYet("not so far")

        ended = (lambda: None) if process is None else (lambda: self.said if not process.is_alive() else None)
        wait_for(what, look, 60 * crowd(), ended=ended)

    def leaves_nothing_here(self) -> None:
        """Fail unless soon no process, folder or journal of the runs is left on this machine."""
        self.until("the end of what runs left", lambda: not self.left())

    def left(self) -> list[str]:
        found = [str(path) for path in self.temporary.glob("*readiness*")]
        found += [f"process {process.pid} of a run" for process in in_sessions(self.sessions)]
        return found + [" ".join(words) for words in belonging(self.folder).values()]


def in_sessions(leaders: list[int]) -> list[psutil.Process]:
    """Living processes of the sessions that these led: a run's own, and its xdist workers."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if os.getsid(process.pid) in leaders and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@contextmanager
def counted(
    stack: Stack, folder: Path, *, delay: float = 0.0, at_arrival: Callable[[Request], None] = lambda request: None
) -> Iterator[tuple[Operator, Tally, Tally]]:
    """An operator whose requests pass proxies, with the tallies of the server's and the bucket's."""
    server, store = Tally(), Tally()
    host = stack.mlflow_uri.removeprefix("http://")
    with (
        TamperProxy(stack.mlflow_uri, [server.rule(delay, at_arrival)], host=host) as front,
        TamperProxy(bucket(stack).endpoint, [store.rule(0.0, at_arrival)]) as back,
    ):
        yield Operator(stack, folder, front.url, back.url), server, store


def kill(process: Any) -> None:
    """Kill -9 the whole group of `process`."""
    end(process, signal.SIGKILL)


def end(process: Any, number: signal.Signals) -> None:
    """Send a signal to the whole group of `process`, and wait for its end."""
    if process.is_alive():
        os.killpg(process.pid, number)
    process.join(SECONDS)
    assert not process.is_alive()


def hang(reached: threading.Event, over: threading.Event) -> Action:
    """Let the request through and never answer it while the test lasts."""

    def act(request: Request, forward: Forward) -> Response:
        forward(request)
        reached.set()
        over.wait(SECONDS)
        return Response(0)

    return act
