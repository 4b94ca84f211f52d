"""However a run on a live server ends, what it made is found again and nobody else's things are touched."""

from __future__ import annotations

import json
import random
import re
import signal
import threading
import time

import pytest

from tests.live.neighbour import Stored, settle
from tests.live.operators import Operator, end, hang, kill
from tests.sabotage.proxy import TamperProxy
from tests.sabotage.rules import Rule, answer, at

pytestmark = pytest.mark.timeout(1200)
MOMENTS = 20  # of a run, spread over its length
PARTS = {"few": (5, 15), "rest": [number for number in range(MOMENTS) if number not in (5, 15)]}
SEED = 4
CHOSEN = (
    "suites/registry/test_aliases.py",
    "suites/client/test_errors.py",
    "suites/client/test_runs.py",
    "suites/health/test_object_store.py",
)
ENDED = [f"rdy-end-{number}-" for number in range(6)]
WHOLE = {part: f"rdy-whole-{part}-" for part in PARTS}
KILLED = [f"rdy-dead-{number}-" for number in range(MOMENTS)]


@pytest.fixture(scope="module")
def neighbour(real_stack, tmp_path_factory):
    """What somebody else has on the stack."""
    resembled = [*WHOLE.values(), KILLED[0], KILLED[-1]]
    settle(real_stack, resembled, tmp_path_factory.mktemp("neighbour"))
    return Stored.of(real_stack)


def begun(operator, prefix, *words):
    """A run under way that has written the first line of its journal."""
    process = operator.begin(*CHOSEN, "-n", "2", "--prefix", prefix, *words)
    operator.until("the run's journal", lambda: [j for j in operator.journals if j.suffix == ".jsonl"], process)
    return process


def swept_clean(operator, prefix, before):
    """Sweep, and fail unless nothing of the run is active and nothing of anybody else's has changed."""
    code = operator.run("--sweep")
    assert code == 0, operator.said
    after = Stored.of(operator.stack)
    assert before.harm(after) == []
    assert after.active(prefix) == []
    assert operator.journals == []
    operator.leaves_nothing_here()


@pytest.mark.parametrize("part", ["few", pytest.param("rest", marks=pytest.mark.slow)])
def test_after_kill_9_at_any_moment_a_sweep_leaves_nothing(real_stack, neighbour, tmp_path, part):
    operator, chance = Operator(real_stack, tmp_path), random.Random(SEED)
    process = begun(operator, WHOLE[part])
    start = time.monotonic()
    process.join()
    whole = time.monotonic() - start
    assert process.exitcode == 0, operator.said
    for number in PARTS[part]:
        before = Stored.of(real_stack)
        process = begun(operator, KILLED[number])
        process.join((number + chance.random()) / MOMENTS * whole)
        kill(process)
        swept_clean(operator, KILLED[number], before)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)], ids=lambda n: n.name
)
def test_a_run_that_is_interrupted_cleans_up_itself(real_stack, neighbour, tmp_path, number):
    operator, before = Operator(real_stack, tmp_path), Stored.of(real_stack)
    prefix = ENDED[1 if number is signal.SIGINT else 2]
    process = begun(operator, prefix)
    operator.until("some work", lambda: operator.journals[0].read_text().count("\n") > 8, process)
    end(process, number)
    assert process.exitcode == 2, operator.said
    after = Stored.of(real_stack)
    assert before.harm(after) == []
    assert after.active(prefix) == []
    assert operator.journals == []
    operator.leaves_nothing_here()


@pytest.mark.slow
def test_a_run_that_ends_at_its_first_finding_cleans_up_itself(real_stack, neighbour, tmp_path):
    before = Stored.of(real_stack)
    host = real_stack.mlflow_uri.removeprefix("http://")
    lie = Rule("no alias", at("/registered-models/alias$", "POST"), answer(500))
    with TamperProxy(real_stack.mlflow_uri, [lie], host=host) as front:
        operator = Operator(real_stack, tmp_path, front.url)
        code = operator.run(*CHOSEN, "-n", "2", "-x", "--prefix", ENDED[3])
    assert code == 1, operator.said
    after = Stored.of(real_stack)
    assert before.harm(after) == []
    assert after.active(ENDED[3]) == []
    assert operator.journals == []


def test_what_was_made_by_a_request_without_an_answer_is_swept(real_stack, neighbour, tmp_path):
    before, reached, over = Stored.of(real_stack), threading.Event(), threading.Event()
    host = real_stack.mlflow_uri.removeprefix("http://")
    silent = Rule("silent", at("/registered-models/create$", "POST"), hang(reached, over))
    with TamperProxy(real_stack.mlflow_uri, [silent], host=host) as front:
        operator = Operator(real_stack, tmp_path, front.url)
        process = begun(operator, ENDED[4])
        assert reached.wait(120)
        noted = [json.loads(line) for line in operator.journals[0].read_text().splitlines()[1:]]
        kill(process)
        over.set()
        made = [name for name in Stored.of(real_stack).active(ENDED[4]) if "model" in name]
        assert made
        assert set(made) <= {entry["name"] for entry in noted if entry["kind"] == "model"}
        swept_clean(operator, ENDED[4], before)


def test_a_sweep_leaves_a_living_run_alone(real_stack, neighbour, tmp_path):
    operator = Operator(real_stack, tmp_path)
    process = begun(operator, ENDED[5])
    other = Operator(real_stack, tmp_path / "other")
    code = other.run("--sweep", f"--report-dir={operator.reports}")
    assert (code, "still going" in other.said) == (0, True), other.said
    process.join()
    assert process.exitcode == 0, operator.said
    assert re.search(r"residue", operator.said)
