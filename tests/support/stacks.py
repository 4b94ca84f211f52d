"""Further servers on the database of a private embedded stack, for the project's own tests."""

from __future__ import annotations

import dataclasses
import itertools
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psutil
from botocore.exceptions import ClientError

from fixtures.backends import server
from fixtures.backends.protocol import Start
from fixtures.backends.seaweed import find_weed_program
from fixtures.clients.s3 import open_s3_client
from fixtures.core.waiting import NotYet, wait_for
from fixtures.processes.child import start_child
from fixtures.stack import Bucket, Stack
from tests.warm import ServerStarter

NUMBERS = itertools.count(1)


@contextmanager
def another_server(
    begin: Start, name: str, *leave_out: str, words: Sequence[str] = (), **changed: str
) -> Iterator[str]:
    """The URL of one more `mlflow server` on the stack's database, with other words and variables than the first."""
    first = next(child for child in begin.children if child.name == "mlflow")
    given = {k: v for k, v in psutil.Process(first.popen.pid).environ().items() if k not in leave_out}
    port = begin.ports.take()
    argv = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), *words]
    child = start_child(name, argv, begin.home, given | {"MLFLOW_SERVER_ALLOWED_HOSTS": "*"} | changed)
    begin.children.append(child)
    wait_for(name, lambda: server.ask_health(port), 90, ended=child.ended, log=child.log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        child.popen.terminate()
        child.popen.wait(20)


@contextmanager
def warm_server(begin: Start, starter: ServerStarter, name: str, *words: str, **variables: str) -> Iterator[str]:
    """The URL of a real `mlflow server` that is forked, with these further words and variables."""
    port = begin.ports.take()
    given = ["--host", "127.0.0.1", "--port", str(port), *words]
    child = starter.start_server(name, given, begin.home, {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"} | variables)
    try:
        wait_for(name, lambda: server.ask_health(port), 120, ended=child.ended, log=child.log)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.popen.terminate()
        child.popen.wait(20)


@contextmanager
def sqlite_server(begin: Start, starter: ServerStarter, name: str, *words: str, **variables: str) -> Iterator[str]:
    """The same on a SQLite file of its own."""
    store = ("--backend-store-uri", f"sqlite:///{begin.home / name}.sqlite")
    with warm_server(begin, starter, name, *store, *words, **variables) as uri:
        yield uri


@contextmanager
def stack_server(stack: Stack, begin: Start, starter: ServerStarter, *words: str, **changed: str) -> Iterator[str]:
    """The same on the database and the bucket of the stack, with other variables."""
    assert stack.db_uri and stack.s3
    variables = server.server_variables(0, stack.db_uri, stack.s3, False) | {"MLFLOW_SERVER_ALLOWED_HOSTS": "*"}
    name = f"beside-{next(NUMBERS)}"
    with warm_server(begin, starter, name, "--workers", "1", *words, **variables | changed) as uri:
        yield uri


def add_reading_key(begin: Start, bucket: Bucket) -> tuple[str, str]:
    """(key, secret) of a user of the stack's object store who may list and read the bucket, and nothing else."""
    key, secret = "readiness-reader", "reads-and-lists-only"
    configure_store(begin, f"-user reader -access_key {key} -secret_key {secret} -actions Read,List", bucket)
    client = open_s3_client(dataclasses.replace(bucket, access_key=key, secret_key=secret))
    await_listing(client, bucket)
    return key, secret


def configure_store(begin: Start, words: str, bucket: Bucket) -> None:
    """Tell the stack's object store of a user, such as `-user reader -actions Read`, or take one away (`-delete`)."""
    store = next(child for child in begin.children if child.name == "store")
    given = dict(re.findall(r"-([\w.]+)=(\S+)", " ".join(psutil.Process(store.popen.pid).cmdline())))
    address = {part: f"127.0.0.1:{given[f'{part}.port']}.{given[f'{part}.port.grpc']}" for part in ("master", "filer")}
    command = [find_weed_program(), "shell", *(f"-{part}={where}" for part, where in address.items())]
    asked = f"s3.configure {words} -buckets {bucket.name} -apply\n"
    subprocess.run(command, input=asked, text=True, check=True, capture_output=True, timeout=60)


def await_listing(client: Any, bucket: Bucket) -> None:
    """Wait until the object store lets `client` list the bucket."""

    def look() -> None:
        try:
            client.list_objects_v2(Bucket=bucket.name, MaxKeys=1)
        except ClientError as error:
            raise NotYet(str(error)) from None

    wait_for("the store's new user", look, 30)
