"""Real MLflow servers of several versions, side by side on one Postgres and one object store of ours."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fixtures.backends import basic_auth, embedded
from fixtures.backends.private import open_private_start
from fixtures.backends.site import Site, open_site
from fixtures.backends.venvs import provide_python
from fixtures.config.access import Access
from fixtures.core.files import ROOT
from fixtures.core.waiting import wait_for
from fixtures.stack import Stack
from fixtures.verdict.known_issues import KnownIssue
from tests.live.operators import Operator
from tests.sabotage import forked
from tests.sabotage.harness import clean_environment, trigger

SEEN = "known issue"  # the property of a test's report in which its summary goes to the end of the run
# Races that a quick machine hardly ever shows are given time, and nothing else is changed.
# F34: registrations collide when their milliseconds are equal; this clock of a server has ten different ones a second.
COARSE_CLOCK = "import time\n\nexact = time.time\ntime.time = lambda: exact() // 0.1 * 0.1\n"
COARSE = {"F34"}
# F39: new metrics deadlock when their rows are inserted slowly; R03: tags collide when theirs are.
SLOW = {
    "F39": trigger("latest_metrics", "PERFORM pg_sleep(0.001); RETURN NEW;"),
    "R03": trigger("tags", "PERFORM pg_sleep(0.02); RETURN NEW;"),
}
# What only the first requests after a start see.
FRESH = {"F11-first"}
DRILL_SECONDS = 600  # of a run of the suites durability and recovery
# What only users of MLflow's own sign-in see -> default_permission.
SIGNED_IN = {"R08": "NO_PERMISSIONS", "R08-read": "READ"}


@dataclass
class Servers:
    """One server at a time, the last that was asked for, so that tests in the order of versions share it."""

    site: Site
    key: tuple[str, bool, str] | None = None
    stack: Stack | None = None
    left: ExitStack = field(default_factory=ExitStack)

    def of(self, version: str, coarse: bool = False, permission: str = "") -> Stack:
        """The server of this version; with a `coarse` clock where races need it, and with a sign-in if `permission`."""
        if (version, coarse, permission) != self.key:
            self.left.close()
            self.stack = self.left.enter_context(server_of(version, self.site, coarse, permission))
            self.key = version, coarse, permission
        return self.stack

    @contextmanager
    def made_hard(self, version: str, entry: KnownIssue) -> Iterator[Stack]:
        """The server of this version, under what gives the entry's race time."""
        if entry.id in FRESH:
            self.key = None
        stack = self.of(version, entry.id in COARSE, SIGNED_IN.get(entry.id, ""))
        slow = SLOW.get(entry.id, {"sql": (), "mend": ()})
        self.execute(version, slow["sql"])
        try:
            yield stack
        finally:
            self.execute(version, slow["mend"])

    def execute(self, version: str, statements: Iterable[str]) -> None:
        for statement in statements:
            self.site.execute(statement, database=database_of(version))


@contextmanager
def servers_on_one_site() -> Iterator[Servers]:
    """Servers that share Postgres and the object store."""
    with open_private_start() as begin:
        servers = Servers(open_site(begin, embedded.MAX_CONNECTIONS, durable=False))
        with servers.left:
            yield servers


def database_of(version: str) -> str:
    return f"mlflow_{version.replace('.', '_')}"


@contextmanager
def server_of(version: str, site: Site, coarse: bool, permission: str) -> Iterator[Stack]:
    """An `mlflow server` of this version on a new database, set up as our own stacks are; whoever asks is the admin."""
    python, begin, name = provide_python(version), site.start, database_of(version)
    basic = bool(permission)
    for database in (name, *([basic_auth.AUTH_DATABASE] if basic else [])):
        site.execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", database)
        site.execute("CREATE DATABASE {}", database)
    s3, port = replace(site.s3, prefix=name), begin.ports.take()
    given = embedded.server_variables(port, site.uri(name), s3, plain=False, python=python)
    if coarse:
        (clock := begin.home / "clock").mkdir(exist_ok=True)
        (clock / "sitecustomize.py").write_text(COARSE_CLOCK)
        given["PYTHONPATH"] = str(clock)
    more, password = basic_auth.auth_variables(begin.home, site.uri(name), permission) if basic else ({}, "")
    if basic:
        basic_auth.make_user_store(begin.home, given | more, python)
    child = embedded.start_server(begin.home, port, given | more, basic, name=name, python=python)
    begin.children.append(child)
    try:
        wait_for(f"MLflow {version}", lambda: embedded.ask_health(port), 180, ended=child.ended, log=child.log)
        access = basic_auth.find_admin(password, basic) or Access()
        yield Stack("external", False, f"http://127.0.0.1:{port}", access=access, db_uri=site.uri(name), s3=s3)
    finally:
        os.killpg(child.popen.pid, signal.SIGKILL)
        child.popen.wait(20)


def look(stack: Stack, version: str, entry: KnownIssue, folder: Path) -> dict[str, Any]:
    """The record of the entry's check in readiness.json, after a run of it as an operator would start it.

    Drills break their stack: the run starts one of its own.
    """
    operator = Operator(stack, folder)
    if entry.check.startswith(("suites/durability/", "suites/recovery/")):
        words = [entry.check, "--stack", "embedded", "--mlflow-version", version, f"--report-dir={operator.reports}"]
        environment = clean_environment() | {"TMPDIR": str(operator.temporary)}
        forked.run(words, environment, ROOT, folder / "output", DRILL_SECONDS)
    else:
        operator.run(entry.check, "--allow-load")
    report = operator.report()
    assert report["stack"] is not None, operator.said
    assert report["stack"]["versions"]["mlflow"] == version
    (found,) = report["checks"]
    assert found["id"] == entry.check
    return dict(found)


def summary(entry: KnownIssue, version: str, check: dict[str, Any], looks: int) -> str:
    """What was found, in one line."""
    cases = f" {check['cases']}" if check["cases"] else ""
    words = f"{check['what']}: expected {check['expected']}, seen {check['seen']}" if check["what"] else check["reason"]
    return f"{entry.id} {version} {check['status']} (look {looks}){cases} {words}".rstrip()
