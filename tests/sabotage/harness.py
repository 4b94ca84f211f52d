"""Break a private stack on purpose, run checks against it as an operator would, and see who noticed.

A `Sabotage` says what is broken, how, and which checks must catch it. Those that do not touch each other share one
`Raid`, since each run of pytest costs seconds: what fails in it must be exactly what its sabotages name.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
from psycopg2.extensions import connection

from fixtures.backends.kept import note_kept
from fixtures.backends.protocol import Start
from fixtures.config.settings import Settings
from fixtures.core.files import ROOT
from fixtures.processes.child import make_private_folder
from fixtures.processes.guard import FOLDER_PREFIX
from fixtures.stack import Stack
from tests.sabotage import forked
from tests.sabotage.proxy import TamperProxy
from tests.sabotage.rules import Rule

RUN_SECONDS = 240
FLOOR = "-p tests.sabotage.floor"  # the option with which checks send as little as on a very slow server
EXCUSED = ("pass", "known-issue", "out-of-scope")


@dataclass(frozen=True)
class Target:
    """The private stack that is broken."""

    stack: Stack
    begin: Start

    @contextmanager
    def database(self, **account: str) -> Iterator[connection]:
        """A session of MLflow's own role, which may do anything, or of another `user`."""
        uri = re.sub(r"^postgresql\+\w+", "postgresql", self.stack.db_uri or "")
        with closing(psycopg2.connect(uri, **account)) as link:
            link.autocommit = True
            yield link

    def execute(self, *statements: str) -> None:
        with self.database() as link, link.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


@dataclass
class Aim:
    """How one run of pytest reaches the stack; a sabotage may change it."""

    mlflow_uri: str
    db_uri: str
    public_urls: list[str]
    rules: list[Rule] = field(default_factory=list)
    store_rules: list[Rule] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    workers: int = 2
    pool: int = 55
    any_name: bool = False  # the proxy in front takes every Host


@dataclass(frozen=True)
class Sabotage:
    """One lie or damage.

    Args:
        name: what is broken.
        catches: check, such as "health/test_names.py::test_x" -> what the text of its finding must match.
        lies: rules for the proxy between the checks and MLflow, made anew for each run.
        store_lies: rules for the proxy between the checks' door s3 and the object store.
        sql, mend: statements that break the database, and those that mend it.
        breaks: anything else, as a context manager; it may change the aim.
    """

    name: str
    catches: Mapping[str, str]
    lies: Callable[[], list[Rule]] = list
    store_lies: Callable[[], list[Rule]] = list
    sql: tuple[str, ...] = ()
    mend: tuple[str, ...] = ()
    breaks: Callable[[Target, Aim], AbstractContextManager[object]] | None = None


@dataclass(frozen=True)
class Raid:
    """Sabotages that are active in one run; `beside` are checks that must not mind them.

    With `ours` the run takes the stack for one of its own that was kept.
    """

    name: str
    sabotages: tuple[Sabotage, ...]
    beside: tuple[str, ...] = ()
    workers: int = 2
    full: bool = False
    options: tuple[str, ...] = ()
    ours: bool = False

    @property
    def catches(self) -> dict[str, str]:
        return {f"suites/{check}": text for s in self.sabotages for check, text in s.catches.items()}

    @property
    def selection(self) -> list[str]:
        """All checks, those of one file together: a file's fixtures are made once then."""
        chosen = list(dict.fromkeys([*self.catches, *(f"suites/{check}" for check in self.beside)]))
        files = [check.partition("::")[0] for check in chosen]
        return sorted(chosen, key=lambda check: files.index(check.partition("::")[0]))


def raid(
    name: str,
    *sabotages: Sabotage,
    beside: str = "",
    workers: int = 2,
    full: bool = False,
    options: str = "",
    ours: bool = False,
) -> Raid:
    """A raid; `beside` and further `options` are as a shell parts them; `workers` is what is said of the server."""
    return Raid(name, sabotages, tuple(beside.split()), workers, full, tuple(shlex.split(options)), ours)


_numbers = itertools.count(1)


def trigger(table: str, body: str, event: str = "BEFORE INSERT", when: str = "") -> dict[str, tuple[str, ...]]:
    """`sql` and `mend` of a row trigger with this PL/pgSQL body; count() in it says how often it has run."""
    name = f"sabotage_{next(_numbers)}"
    body = body.replace("count()", f"nextval('{name}')")
    condition = f"WHEN ({when})" if when else ""
    return {
        "sql": (
            f"CREATE SEQUENCE {name}",
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$",
            f"CREATE TRIGGER {name} {event} ON {table} FOR EACH ROW {condition} EXECUTE FUNCTION {name}()",
        ),
        "mend": (
            f"DROP TRIGGER {name} ON {table}",
            f"DROP FUNCTION {name}",
            f"DROP SEQUENCE {name}",
        ),
    }


@dataclass(frozen=True)
class Outcome:
    """How the run ended: exit code, readiness.json, what was printed, and lies that nobody asked for."""

    code: int
    report: dict[str, Any]
    output: str
    untold: list[str]

    @property
    def checks(self) -> dict[str, dict[str, Any]]:
        return {check["id"]: check for check in self.report["checks"]}

    @property
    def fallen(self) -> dict[str, str]:
        """Checks that are not green, with what they said."""
        return {name: told(check) for name, check in self.checks.items() if check["status"] not in EXCUSED}


def told(check: Mapping[str, Any]) -> str:
    """What a record says, in one line."""
    words = f"{check['status']} in {check['phase']}: {check['reason']}{check['what']}"
    words += f": expected {check['expected']}, seen {check['seen']}" if check["expected"] else f": {check['seen']}"
    return "; ".join([words, *check["notes"], check["remedy"]])


def attack(target: Target, raid: Raid, folder: Path) -> Outcome:
    """Run the checks of `raid` against the stack while its sabotages are active, as --stack external."""
    stack = target.stack
    assert stack.db_uri and stack.s3 and stack.s3.endpoint and stack.s3.access_key and stack.s3.secret_key
    aim = Aim(stack.mlflow_uri, stack.db_uri, [stack.mlflow_uri], workers=raid.workers)
    with ExitStack() as broken:
        for sabotage in raid.sabotages:
            aim.rules += sabotage.lies()
            aim.store_rules += sabotage.store_lies()
            if sabotage.breaks is not None:
                broken.enter_context(sabotage.breaks(target, aim))
            broken.callback(target.execute, *sabotage.mend)
            target.execute(*sabotage.sql)
        uri, endpoint = aim.mlflow_uri, stack.s3.endpoint
        if aim.rules:
            host = uri.removeprefix("http://")
            uri = broken.enter_context(TamperProxy(uri, aim.rules, host=host, any_name=aim.any_name)).url
        if aim.store_rules:
            endpoint = broken.enter_context(TamperProxy(endpoint, aim.store_rules)).url
        argv = [*raid.selection, "-q", "--report-dir", str(folder), *(["--depth", "full"] if raid.full else [])]
        secret: dict[str, str] = {}
        if raid.ours:
            argv += broken.enter_context(as_kept(dataclasses.replace(stack, mlflow_uri=uri)))
        else:
            argv += ["--stack", "external", "--mlflow-uri", uri, "--allow-load", "--max-bytes", "1GB"]
            argv += ["--s3-endpoint", endpoint, "--s3-bucket", stack.s3.name]
            argv += ["--workers", str(aim.workers), "--pool-size", str(aim.pool)]
            argv += [word for url in aim.public_urls for word in ("--public-url", url)]
            secret |= {
                "READINESS_DB_URI": aim.db_uri,
                "AWS_ACCESS_KEY_ID": stack.s3.access_key,
                "AWS_SECRET_ACCESS_KEY": stack.s3.secret_key,
            }
        argv += [*raid.options, *aim.options]
        code = forked.run(argv, clean_environment() | secret, ROOT, folder / "output", RUN_SECONDS)
    output = (folder / "output").read_text(errors="replace")
    file = folder / "readiness.json"
    assert file.exists(), f"no report: {output[-3000:]}"
    untold = [rule.name for rule in aim.rules + aim.store_rules if not rule.fired]
    return Outcome(code, json.loads(file.read_text()), output, untold)


@contextmanager
def as_kept(stack: Stack) -> Iterator[list[str]]:
    """Options with which a run takes `stack` for one that --keep-stack left to it."""
    port = urlsplit(stack.mlflow_uri).port
    settings = Settings(stack="embedded", mlflow_port=port)
    home = make_private_folder(FOLDER_PREFIX)
    try:
        stack.save(home / "stack.json")
        note_kept(settings, home)
        yield ["--stack", "embedded", "--mlflow-port", str(port), "--keep-stack"]
    finally:
        shutil.rmtree(home)


def clean_environment() -> dict[str, str]:
    """Ours, less what this pytest, its stack and MLflow left in it."""
    foreign = re.compile(r"PYTEST_|READINESS_|MLFLOW_|AWS_|PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not foreign.match(name)}


def caught(raid: Raid, outcome: Outcome) -> None:
    """Assert that the checks which the raid names failed, with the right words, in their call phase, and no other."""
    unexpected = {name: text for name, text in outcome.fallen.items() if name not in raid.catches}
    wrong = {}
    for name, pattern in raid.catches.items():
        check = outcome.checks.get(name)
        if check is None:
            wrong[name] = "was not run"
        elif (check["status"], check["phase"]) != ("fail", "call") or not re.search(pattern, told(check)):
            wrong[name] = f"/{pattern}/ not in: {told(check)}"
    lines = [f"missed {n}: {t}" for n, t in wrong.items()] + [f"false alarm {n}: {t}" for n, t in unexpected.items()]
    lines += [f"never told: {name}" for name in outcome.untold]
    assert not lines, "\n".join([raid.name, *lines])
    assert (outcome.code, outcome.report["verdict"]["word"]) == (1, "NOT READY"), outcome.output[-2000:]
