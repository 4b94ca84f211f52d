"""What the engine measures, against a server whose delay and stall are known."""

import itertools
import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from fixtures.load.arrivals import Arrivals, space_by_chance, space_evenly
from fixtures.load.engine import drive_load
from fixtures.load.history import LoadRequest
from fixtures.load.latency import MeasuredLoad
from fixtures.load.target import LoadTarget

DELAY, STALL, AT, RATE, COUNT, CLIENTS = 0.1, 1.4, 60, 60.0, 240, 8
REQUESTS = [LoadRequest("look", "GET", f"/{n}") for n in range(COUNT)]


@contextmanager
def null_server():
    """(URL, what ends it and gives the times at which it sent each answer)."""
    argv = [sys.executable, Path(__file__).with_name("null_server.py"), str(DELAY), str(STALL), str(AT)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        port = server.stdout.readline().strip()
        yield f"http://127.0.0.1:{port}", lambda: json.loads(server.communicate(timeout=30)[0])


@pytest.fixture(scope="module")
def open_loop():
    """(history, when the server answered each request) at a constant rate, in spite of the stall."""
    with null_server() as (uri, ended):
        history = drive_load(LoadTarget.of(uri), arrivals=[Arrivals(REQUESTS, space_evenly(RATE, COUNT))])
        sent = ended()
    return history, [sent[str(n)] for n in range(COUNT)]


@pytest.fixture(scope="module")
def closed_loop():
    with null_server() as (uri, _):
        return drive_load(LoadTarget.of(uri), [REQUESTS[n::CLIENTS] for n in range(CLIENTS)])


def nearest(times, share):
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]


def test_quantiles_are_those_of_the_server(open_loop):
    """Within 2 % or 2 ms of what the server's own clock says; the server's lateness is not the engine's."""
    history, sent = open_loop
    truth = [at - o.planned for at, o in zip(sent, history.operations, strict=True)]
    found = MeasuredLoad.of(history).latency
    for seen, true in (
        (found.percentile("p50"), nearest(truth, 0.5)),
        (found.percentile("p95"), nearest(truth, 0.95)),
        (found.maximum, max(truth)),
    ):
        assert seen == pytest.approx(true, rel=0.02, abs=0.002)


def test_quantiles_are_those_of_arithmetic(open_loop):
    """Whoever comes in the stall waits for its end: 84 of 240 requests, up to 1.4 s and the delay."""
    history, _ = open_loop
    due = space_evenly(RATE, COUNT)
    truth = [max(0.0, due[AT] + STALL - at) + DELAY if n >= AT else DELAY for n, at in enumerate(due)]
    found = MeasuredLoad.of(history).latency
    assert found.percentile("p50") / nearest(truth, 0.5) == pytest.approx(1, abs=0.25)  # ratios: the machine is slow
    assert found.percentile("p95") / nearest(truth, 0.95) == pytest.approx(1, abs=0.1)
    assert found.maximum / max(truth) == pytest.approx(1, abs=0.1)


def test_a_closed_loop_hides_the_stall(open_loop, closed_loop):
    """The control: clients that wait send nothing in the stall, and so see it eight times only."""
    truly, seen = (MeasuredLoad.of(history).latency for history in (open_loop[0], closed_loop))
    assert seen.maximum / truly.maximum == pytest.approx(1, abs=0.3)
    assert truly.percentile("p95") > 4 * seen.percentile("p95")


def test_every_request_is_sent_when_it_is_due(open_loop):
    """The schedule does not wait for answers."""
    planned = [o.planned for o in open_loop[0].operations]
    gaps = [b - a for a, b in itertools.pairwise(planned)]
    assert gaps == pytest.approx([1 / RATE] * (COUNT - 1))
    assert nearest([o.lag for o in open_loop[0].operations], 0.5) < 0.1


def test_poisson_arrivals_have_their_rate_and_their_seed():
    times = space_by_chance(50.0, 20_000, seed=7)
    assert times == space_by_chance(50.0, 20_000, seed=7) != space_by_chance(50.0, 20_000, seed=8)
    assert times == sorted(times)
    assert Arrivals([REQUESTS[0]] * 20_000, times).rate == pytest.approx(50, rel=0.03)
    gaps = sorted(b - a for a, b in itertools.pairwise(times))
    assert gaps[len(gaps) // 2] == pytest.approx(0.693 / 50, rel=0.05)  # ln 2: exponential, not even


def test_arrivals_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="2 times"):
        Arrivals(REQUESTS[:1], [0.0, 1.0])
    with pytest.raises(ValueError, match="do not ascend"):
        Arrivals(REQUESTS[:2], [1.0, 0.0])
