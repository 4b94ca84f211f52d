"""Servers for tests that start many: MLflow's own command, forked from a process that has imported it already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from fixtures.backends.clones import WarmServers, warm_servers
from fixtures.backends.private import open_guarded_home
from fixtures.processes.child import Child, child_environment


@dataclass
class ForkedServer:
    """As much of a subprocess.Popen as we ask of a server's."""

    process: psutil.Process

    @property
    def pid(self) -> int:
        return self.process.pid

    def poll(self) -> int | None:
        """Its exit code is not known here, for it is no child of ours."""
        return None if self.process.is_running() else 1

    def terminate(self) -> None:
        if self.process.is_running():
            self.process.terminate()

    def kill(self) -> None:
        if self.process.is_running():
            self.process.kill()

    def wait(self, seconds: float) -> None:
        self.process.wait(seconds)


@dataclass
class ServerStarter:
    """Starts servers at once."""

    warm: WarmServers

    def start_server(self, name: str, words: list[str], home: Path, variables: dict[str, str]) -> Child:
        """`mlflow server` with these words and variables, which logs to `home/name.log`."""
        log = home / f"{name}.log"
        given = child_environment(home, variables)
        return Child(name, ForkedServer(self.warm.fork(["server", *words], given, log)), log)  # type: ignore[arg-type]


@contextmanager
def open_server_starter() -> Iterator[ServerStarter]:
    """All its servers end with it."""
    with open_guarded_home() as home, warm_servers(home) as warm:
        warm.wait_until_warm()
        yield ServerStarter(warm)
