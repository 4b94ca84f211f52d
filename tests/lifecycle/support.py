"""Run pytest on an example checkout, watch what the run owns, and look for what it left."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from fixtures.core.files import ROOT
from fixtures.core.waiting import NotYet, wait_for
from fixtures.processes.child import is_open_to_all
from fixtures.processes.guard import FOLDER_PREFIX, GUARD_SCRIPT, SEGMENTS
from tests.sabotage import forked

EXAMPLE = ROOT / "tests" / "examples" / "basic" / "suites"
GONE_SECONDS = 5
RUN_SECONDS = 120
SLOW = pytest.mark.slow
always_both_ways = pytest.mark.parametrize("workers", [0, 2], ids=["alone", "n2"])
both_ways = pytest.mark.parametrize("workers", [pytest.param(0, id="alone"), pytest.param(2, id="n2", marks=SLOW)])


def as_nobody() -> list[str]:
    """A command in front of another that makes it run as the user nobody, where we are root; skips where it cannot."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv (util-linux), which would make the run an ordinary user's, is not installed")
    words = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    if is_open_to_all(Path(sys.executable).resolve().parent):
        return words
    # Our Python lies in a folder of root's: nobody may read there, and is an ordinary user otherwise.
    return [*words, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


def as_in_a_container() -> list[str]:
    """A command in front of another that takes away what root lacks in a container; nothing where we are not root."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return []
    lacking = "-sys_ptrace,-sys_admin,-dac_read_search,-ipc_owner"
    return ["setpriv", f"--bounding-set={lacking}", f"--inh-caps={lacking}"]


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A new folder under /tmp that every user may enter, as pytest's own is not."""
    folder = Path(tempfile.mkdtemp(prefix="readiness-tests-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # a guard may still be at work in it


@dataclass(frozen=True)
class Outcome:
    """How a run of pytest ended."""

    code: int
    out: str
    seconds: float
    report: Path

    def document(self) -> dict:
        return json.loads((self.report / "readiness.json").read_text())

    def status(self, check: str) -> str:
        """The status of the one check whose id ends so."""
        (found,) = [c["status"] for c in self.document()["checks"] if c["id"].endswith(f"::{check}")]
        return found


@dataclass(frozen=True)
class Checkout:
    """A copy of this project with suites of its own."""

    root: Path

    @classmethod
    def make(cls, root: Path, suites: Path = EXAMPLE) -> Checkout:
        root.mkdir(parents=True)
        shutil.copytree(ROOT / "fixtures", root / "fixtures")
        shutil.copytree(suites, root / "suites", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "docker", root / "docker")
        for name in ("conftest.py", "pytest.ini", "docker-compose.mlflow.yml", ".env.mlflow.local"):
            shutil.copy2(ROOT / name, root / name)
        return cls(root)

    def begin(
        self,
        scratch: Path,
        *args: str,
        workers: int = 0,
        env: dict[str, str] | None = None,
        before: Sequence[str] = (),
        where: Path | None = None,
    ) -> Begun:
        """Start pytest in a session of its own; its temporary folder and report lie in `scratch`.

        Args:
            where: the folder in which it is called; the checkout's if it is None.
        """
        words, given, report = self._call(scratch, args, workers, env or {})
        popen = subprocess.Popen(
            [*before, sys.executable, "-m", "pytest", *words],
            cwd=where or self.root,
            env=given,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        return Begun(popen, scratch, report)

    def stop(self, scratch: Path) -> str:
        """Stop this checkout's kept stacks, as `make stop` does; what was said."""
        argv = [sys.executable, "-P", str(self.root / GUARD_SCRIPT.relative_to(ROOT)), "stop"]
        env = {"PATH": os.environ["PATH"], "TMPDIR": str(scratch / "tmp")}
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout

    def run(
        self, scratch: Path, *args: str, workers: int = 0, env: dict[str, str] | None = None, where: Path | None = None
    ) -> Outcome:
        """Run pytest to its end, forked; what is about the process itself says `begin(...).finish()`."""
        words, given, report = self._call(scratch, args, workers, env or {})
        output, started = scratch / "output", time.monotonic()
        process = forked.begin(words, given, where or self.root, output)
        code = forked.finish(process, output, RUN_SECONDS)
        took, said = time.monotonic() - started, output.read_text(errors="replace")
        wait_for("the end of the run's session", lambda: session_is_over(process.pid), GONE_SECONDS * crowd())
        output.unlink()
        assert "node down" not in said, said
        return Outcome(code, said, took, report)

    def _call(
        self, scratch: Path, args: Sequence[str], workers: int, env: dict[str, str]
    ) -> tuple[list[str], dict[str, str], Path]:
        """The words for pytest, the variables, and the folder of the report."""
        (scratch / "tmp").mkdir(exist_ok=True)
        report = scratch / "report"
        given = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(scratch), "TMPDIR": str(scratch / "tmp")}
        words = [f"--report-dir={report}", *args, *(["-n", str(workers)] if workers else [])]
        return words, given | env, report


@dataclass
class Begun:
    """A run under way; its output is read by a thread, so that it never blocks."""

    popen: subprocess.Popen
    scratch: Path
    report: Path
    started: float = field(default_factory=time.monotonic)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reader = threading.Thread(target=lambda: self.said.extend(self.popen.stdout), daemon=True)
        self.reader.start()

    def finish(self, seconds: float = RUN_SECONDS) -> Outcome:
        """Wait for the end; a run that does not end is killed and fails the test."""
        try:
            code = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.popen.pid, signal.SIGKILL)
            pytest.fail(f"no end within {seconds} s:\n{''.join(self.said)}")
        took = time.monotonic() - self.started
        self.reader.join(10)
        assert "node down" not in "".join(self.said), "".join(self.said)
        return Outcome(code, "".join(self.said), took, self.report)

    def folders(self) -> list[Path]:
        return sorted((self.scratch / "tmp").glob(f"{FOLDER_PREFIX}*"))

    def wait_until(self, what: str, true: Callable[[], object], seconds: float = 180) -> None:
        """Wait until `true` says so; the run's end ends the wait."""

        def look() -> None:
            if not true():
                raise NotYet("not so far")

        wait_for(what, look, seconds, ended=lambda: None if self.popen.poll() is None else "".join(self.said))

    def wait_for_file(self, pattern: str) -> None:
        """Wait for a file in the run's private folder."""
        self.wait_until(pattern, lambda: [f for folder in self.folders() for f in folder.glob(pattern)])


def crowd() -> float:
    """How many processes share a core, at least 1: what should take 5 s alone may take so many times longer."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def belonging(scratch: Path) -> dict[psutil.Process, list[str]]:
    """Living processes of runs in `scratch`, which have its TMPDIR or work in it, and their argument lists."""
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            where = process.environ().get("TMPDIR", ""), process.cwd()
            if any(w.startswith(f"{scratch}/") for w in where) and process.status() != psutil.STATUS_ZOMBIE:
                found[process] = process.cmdline()
    return found


def session_is_over(leader: int) -> None:
    """Raise NotYet while a process of this session lives: a fork shows the variables of what it was forked from."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                raise NotYet(f"process {process.pid}: {process.name()}")


@dataclass
class Trace:
    """What a run had while it ran: programs, listening ports, shared-memory files, argument lists."""

    scratch: Path
    programs: dict[int, str] = field(default_factory=dict)
    ports: set[int] = field(default_factory=set)
    shared: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)

    def look(self) -> Trace:
        for process, words in belonging(self.scratch).items():
            self.programs[process.pid] = words[0] if words else ""
            self.words.update(words)
            with contextlib.suppress(psutil.Error, OSError):
                self.ports |= {c.laddr.port for c in process.net_connections("tcp") if c.status == "LISTEN"}
                maps = Path(f"/proc/{process.pid}/maps").read_text()
                self.shared |= {line.split()[-1] for line in maps.splitlines() if "/dev/shm/" in line}
        return self

    def left(self) -> list[str]:
        """What is left of the run."""
        found = [f"process {p.pid}: {' '.join(words)[:200]}" for p, words in belonging(self.scratch).items()]
        found += [f"folder {f}" for f in (self.scratch / "tmp").glob("*readiness*")]
        listening = {c.laddr.port for c in psutil.net_connections("tcp") if c.status == "LISTEN"}
        found += [f"port {p}" for p in self.ports & listening]
        found += [f"shared memory {f}" for f in self.shared if Path(f).exists()]
        if SEGMENTS.exists():
            rows = [line.split() for line in SEGMENTS.read_text().splitlines()[1:]]
            found += [f"SysV segment {row[1]}" for row in rows if int(row[4]) in self.programs]
        return found

    def is_gone(self) -> None:
        """Fail unless within 5 s nothing is left."""
        end = time.monotonic() + GONE_SECONDS * crowd()
        while (left := self.left()) and time.monotonic() < end:
            threading.Event().wait(0.1)
        assert left == []


def refused(outcome: Outcome, code: int, *words: str, within: float = 15) -> None:
    """Fail unless the run ended in time with `code` and one clear line that has all the words."""
    lines = [line for line in outcome.out.splitlines() if words[0] in line]
    assert outcome.code == code, outcome.out
    assert len(lines) == 1, outcome.out
    assert [w for w in words if w not in lines[0]] == [], lines[0]
    assert outcome.seconds < within * crowd()
    assert "Traceback" not in outcome.out and "INTERNALERROR" not in outcome.out
