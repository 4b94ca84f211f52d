"""What tests with a real engine share: its address, what carries a label, runs of the suite on it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from fixtures.config import images
from fixtures.core.files import ROOT
from fixtures.core.waiting import StartFailure
from fixtures.processes import docker_engine
from fixtures.processes.reaper import REAPER_RECORD
from tests.lifecycle.support import Begun, crowd

HERE = Path(__file__).parent
GONE_SECONDS = 30
HANGS = ("suites/registry/test_hangs.py", "suites/registry/test_hangs_too.py")


def asked_for(config):
    """Whether this folder, or a file of it, was named on the command line."""
    where = config.invocation_params.dir
    return any(HERE in [p := (where / a.split("::")[0]).resolve(), *p.parents] for a in config.args)


def in_this_shell():
    """The variables of docker/images.env, as this shell has them."""
    return images.image_variables(os.environ, {})


def lacking(chosen):
    """Why these tests cannot run here, in one line; None where an engine answers and has the images."""
    wanted = {n: r for n, r in images.image_references(chosen).items() if n not in ("ryuk", "python")}
    try:
        docker_engine.need_images(docker_engine.reach_engine("tests/containers"), wanted, "tests/containers")
    except StartFailure as error:
        return str(error).partition(";")[0]
    return None


def shell(chosen):
    """The variables that aim a run at this shell's engine and images."""
    kept = {k: v for k, v in os.environ.items() if k.startswith(("DOCKER_", "TESTCONTAINERS_")) or k == "PATH"}
    return kept | dict(chosen)


def docker(*words, check=True, text=None, env=None, where=ROOT):
    """What `docker ...` says."""
    done = subprocess.run(
        ["docker", *words], input=text, capture_output=True, text=True, cwd=where, env=None if env is None else env
    )
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


def free_ports():
    """The variables of the Compose file's ports, each with a port that is free now."""
    names = ("MLFLOW_PORT", "POSTGRES_PORT", "MINIO_PORT", "MINIO_CONSOLE_PORT")
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in names]
        return {name: one.getsockname()[1] for name, one in zip(names, sockets, strict=True)}


@dataclass
class Trail:
    """What a run noted about its engine, so that it can be looked for after the run's end."""

    begun: Begun
    records: list[dict] = field(default_factory=list)

    def read(self):
        self.records = [json.loads((home / REAPER_RECORD).read_text()) for home in homes(self.begun)]
        return self

    def left(self):
        """Names of what is still there."""
        found = []
        for record in self.records:
            where = docker_engine.Engine(record["host"], record["certs"])
            found += [name for _, _, name in where.labelled(record["label"])]
        return found

    def is_gone(self):
        """Fail unless within 30 s nothing of the run is left in the engine."""
        end = time.monotonic() + GONE_SECONDS * crowd()
        while (left := self.left()) and time.monotonic() < end:
            time.sleep(0.2)
        assert self.records
        assert left == []

    def guard_is_gone(self):
        """Wait for the end of the guard: afterwards nothing more is removed."""
        end = time.monotonic() + GONE_SECONDS * crowd()
        while self.begun.folders() and time.monotonic() < end:
            time.sleep(0.1)
        assert self.begun.folders() == []


def homes(begun: Begun) -> list[Path]:
    return [folder for folder in begun.folders() if (folder / REAPER_RECORD).exists()]


def forward(path):
    """Pass connections at a port, which is printed, on to the Unix socket `path`; runs until it is killed."""

    async def copy(source, sink):
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
        sink.close()

    async def passed_on(reader, writer):
        there, back = await asyncio.open_unix_connection(path)
        await asyncio.gather(copy(reader, back), copy(there, writer), return_exceptions=True)

    async def listen():
        server = await asyncio.start_server(passed_on, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(listen())
