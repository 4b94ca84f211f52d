"""A comparison of real servers that are alike, but for what stands before one of them: it sees that, and only that.

The requests of each lane go through a proxy of its own, so that all pay for one. B's holds every get-run back and
acknowledges some log-metrics without storing them.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path

import pytest

from fixtures.backends import server
from fixtures.core.exit_codes import ExitCode
from fixtures.tools.compare import pages
from fixtures.tools.compare.__main__ import compare_servers, exit_code_of
from fixtures.tools.compare.compared_servers import ComparedServer
from fixtures.tools.compare.schedule import ComparePlan
from fixtures.tools.compare.spec import parse_sides
from fixtures.tools.compare.statistics import SAME_MARGIN
from tests.sabotage.proxy import TamperProxy
from tests.sabotage.rules import Rule, at, delay, every_nth, swallow_write

PLAN = ComparePlan(("get-run", "log-metric"), restarts=3, pairs=4, seconds=0.05, clients=1, kept=False, seed=7)
SLOW_SECONDS, NTH = 0.1, 5  # many times a get-run's own time: three restarts on a busy machine tell no less apart
pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]


def rules(slow: float, action) -> list[Rule]:
    """The same for each lane, since a buffered request takes longer than a streamed one."""
    return [
        Rule("slow", at("/runs/get$", "GET"), delay(slow)),
        Rule("lost", at("/runs/log-metric$", "POST"), action),
    ]


@pytest.fixture(scope="module")
def document(server_starter):
    """One comparison of servers that are alike."""

    def fork(home, port, variables, *, name, python):
        assert python == Path(sys.executable)
        return server_starter.start_server(name, ["--host", "127.0.0.1", "--port", str(port)], home, variables)

    proxies: list[TamperProxy] = []
    with ExitStack() as left, pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, server.start_server.__name__, fork)

        def aim(lane: ComparedServer) -> str:
            lies = lane.name == "B"
            given = rules(SLOW_SECONDS, every_nth(NTH, swallow_write({}))) if lies else rules(0, delay(0))
            proxy = left.enter_context(TamperProxy(lane.url, given, host=lane.url.removeprefix("http://")))
            proxies.append(proxy)
            return proxy.url

        version = metadata.version("mlflow")
        a, b = parse_sides("workers=1 pool=20", "workers=1 pool=21", version)
        made = compare_servers(a, b, PLAN, SAME_MARGIN, False, {version: Path(sys.executable)}, aim)
    assert len(proxies) == 3 * PLAN.restarts
    assert all(proxy.fired("slow") and proxy.fired("lost") for proxy in proxies)
    return made


def test_a_lane_that_is_held_back_is_slower(document):
    found = document["judged"]["B"]["get-run"]
    assert found["verdict"] == "slower", found
    assert found["low"] > 1 + SAME_MARGIN, found


def test_the_twin_is_not(document):
    """Which has the same proxy before it."""
    twin, b = document["judged"]["twin"], document["judged"]["B"]
    assert document["void"] == [], twin
    assert {entry["verdict"] for entry in twin.values()} <= {"same", "inconclusive"}, twin
    assert twin["get-run"]["ratio"] < b["get-run"]["low"], (twin, b)


def test_what_a_lane_has_lost_is_named(document):
    """In each restart, by lane and operation, and for no other."""
    wrong = [(w["restart"], w["lane"], w["operation"]) for w in document["wrong"]]
    assert wrong == [(restart, "B", "log-metric") for restart in range(PLAN.restarts)]
    assert all("lost" in str(w["why"]) for w in document["wrong"]), document["wrong"]


def test_a_lane_that_lost_something_is_not_judged(document):
    assert document["judged"]["B"]["log-metric"]["verdict"] == "NOT JUDGED"
    text = "\n".join(pages.print_lane(document, "B"))
    assert "log-metric" in text and "NOT JUDGED" in text


def test_the_exit_code_says_so(document):
    """Lost writes are a finding whatever was asked for; slowness is one where it was."""
    assert exit_code_of(document, "never") == ExitCode.FAILED
    intact = {**document, "wrong": []}
    assert [exit_code_of(intact, "never"), exit_code_of(intact, "slower")] == [ExitCode.DONE, ExitCode.FAILED]
