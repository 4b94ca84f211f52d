"""pytest -p tests.sabotage.drill_damage --drill-damage WORDS: what a drill's fault does besides, on the private stack.

The drill starts its stack itself, so that nobody else can reach it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from typing import Any

import psycopg2
import pytest

from fixtures.config.settings import Settings
from fixtures.drills import plugin, replicas, starts, traffic
from fixtures.drills.drill_stack import DRILL_DATABASE, DrillStack, open_drill_stack
from fixtures.drills.parts import ProcessPart
from fixtures.drills.starts import StartOutcome
from fixtures.drills.tcp_proxy import TcpProxy
from fixtures.drills.traffic import DrillTraffic
from fixtures.load.history import History, MeantRow
from fixtures.stack import Stack

# The first that is stored of each: on a busy machine the very first may have met the fault, and was never acknowledged.
FIRST = "SELECT run_uuid, min(step) FROM metrics WHERE step %% 3 = {} AND run_uuid IN ({}) GROUP BY run_uuid"
STATEMENTS = {
    "loses": f"DELETE FROM metrics WHERE (run_uuid, step) IN ({FIRST.format(0, '{0}, {1}, {2}')})",
    "changes": f"UPDATE metrics SET value = value + 1 WHERE (run_uuid, step) IN ({FIRST.format(1, '{0}')})",
    "doubles": "INSERT INTO runs SELECT (jsonb_populate_record(r, jsonb_build_object('run_uuid', md5(r.run_uuid)))).* "
    "FROM runs r WHERE run_uuid = "
    "(SELECT run_uuid FROM runs WHERE name LIKE {name} || '-new-%%' ORDER BY start_time, name LIMIT 1)",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--drill-damage", default="", help="words of tests/sabotage/drill_damage.py, parted by commas")


def pytest_configure(config: pytest.Config) -> None:
    words = config.getoption("--drill-damage").split(",")
    damages = [STATEMENTS[word] for word in words if word in STATEMENTS]
    read_stored = DrillTraffic.read_stored

    def read_damaged(self: DrillTraffic, db_uri: str) -> list[MeantRow]:
        values = {str(n): run for n, run in enumerate(self.runs)} | {"name": self.name}
        with closing(psycopg2.connect(re.sub(r"^postgresql\+\w+", "postgresql", db_uri))) as link:
            link.autocommit = True
            for statement in damages:
                named = re.sub(r"\{(\w+)\}", r"%(\1)s", statement)
                with link.cursor() as cursor:
                    cursor.execute(named, values)
        return read_stored(self, db_uri)

    DrillTraffic.read_stored = read_damaged  # type: ignore[method-assign]
    if "stays-down" in words:
        traffic.drive_through = stay_down  # type: ignore[assignment]
        traffic.GIVE_UP_SECONDS = 2.0
    if "clients" in words:
        plugin.open_drill_stack = open_harmful_stack
    if "one-replica" in words:
        replicas.TcpProxy = FirstOnly  # type: ignore[misc]
    if "ends" in words:
        starts.await_start = end_first
    if "half-migrated" in words:
        starts.make_replica_database = make_half_migrated
    if "ends-well" in words:
        starts.pause_for = lambda seconds: None
        starts.await_start = lambda part, since: StartOutcome("exited with 0", 1.0)
    if "postgres-stays" in words:
        starts.stopped_postgres = lambda drill: nullcontext()  # type: ignore[assignment]
    if "blames" in words:
        traffic.drive_load = blame_clients  # type: ignore[assignment]


# The database forgets one point of each client, and makes more of each run whose answer was lost.
HARMFUL = (
    "CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "CREATE TRIGGER forget BEFORE INSERT ON metrics FOR EACH ROW WHEN (NEW.key = 'metric' AND NEW.step = 1) "
    "EXECUTE FUNCTION forget()",
    "CREATE FUNCTION double() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN "
    "NEW.run_uuid := md5(NEW.run_uuid); INSERT INTO runs SELECT NEW.*; RETURN NULL; END'",
    "CREATE TRIGGER double AFTER INSERT ON runs FOR EACH ROW WHEN (NEW.name LIKE '%-lost' AND pg_trigger_depth() = 0) "
    "EXECUTE FUNCTION double()",
)


@contextmanager
def open_harmful_stack(settings: Settings, beside: Stack) -> Iterator[DrillStack]:
    """A private stack whose database does that."""
    with open_drill_stack(settings, beside) as drill:
        assert drill.site is not None
        for statement in HARMFUL:
            drill.site.execute(statement, database=DRILL_DATABASE)
        yield drill


class FirstOnly(TcpProxy):
    """A balancer that knows one of its servers only."""

    async def _connect(self) -> Any:
        whole, self.upstreams = self.upstreams, self.upstreams[:1]
        try:
            return await super()._connect()
        finally:
            self.upstreams = whole


def end_first(part: ProcessPart, since: float, seconds: float = 100) -> StartOutcome:
    """A server that somebody kills as it starts."""
    if part.child.name.startswith("early"):
        part.kill()
    return await_start(part, since, seconds)


def make_half_migrated(drill: DrillStack, name: str, old: bool) -> None:
    """A database that no migration gets through."""
    make_replica_database(drill, name, old)
    assert drill.site is not None
    table = "scheduler_leases" if old else "experiments"  # one that a migration makes
    drill.site.execute("CREATE TABLE {} (x int)", table, database=name)


await_start, make_replica_database = starts.await_start, starts.make_replica_database
drive_through, drive_load = traffic.drive_through, traffic.drive_load


def stay_down(
    drill: DrillStack, sent: DrillTraffic, fault: Callable[[], None], *more: Any, **named: Any
) -> traffic.DrillOutcome:
    """The server dies of the fault, and nobody but its operator starts it again."""

    def die() -> None:
        fault()
        port = str(sent.target.address[1])
        for child in [c for c in drill.start.children if c.ended() is None and port in map(str, c.popen.args)]:  # type: ignore[arg-type]
            ProcessPart(child, [], lambda: None).kill()

    return drive_through(drill, sent, die, *more, **named)


def blame_clients(*arguments: Any, **options: Any) -> History:
    """Something between server and clients makes a 400 of each 503."""
    history = drive_load(*arguments, **options)
    told = tuple(o._replace(status=400) if o.status == 503 else o for o in history.operations)
    return History(told, history.offered)
