"""Several clients as processes of their own."""

import time

import psutil
import pytest

from fixtures.core.outcomes import NotProven
from fixtures.guardrails.child_client import CHOOSERS, open_clients
from fixtures.processes.companions import CompanionFailed, start_together


@pytest.fixture
def open_some(tmp_path):
    """open_some(work, ...) -> a context with a client for each work; afterwards none of them is left."""
    yield lambda *work, seconds=60: open_clients("tests.unit.companion", len(work), "a client", seconds, tmp_path)
    assert [p for p in psutil.process_iter(["cwd"]) if p.info["cwd"] == str(tmp_path)] == []


def test_all_start_at_the_same_instant(open_some):
    with open_some("time", "time") as clients:
        start_together(clients, ["time", "time"])
        (first, began), (second, also_began) = [client.receive() for client in clients]
    assert first == second
    assert abs(began - also_began) < 2


def test_none_starts_unless_all_are_ready(open_some):
    with open_some("time", "fail") as clients:
        with pytest.raises(CompanionFailed, match="it fails before the start"):
            start_together(clients, ["time", "fail"])
        assert not clients[0].line.poll(0.5)


@pytest.mark.parametrize(
    ("work", "words"), [("end badly", "^last words$"), ("end silently", "ended with 3 and printed")]
)
def test_a_client_that_ends_badly_tells_why(open_some, work, words):
    with open_some(work) as (client,):
        start_together([client], [work])
        for wait in (client.receive, client.wait_for_end):
            client.send("too late")
            with pytest.raises(CompanionFailed, match=words):
                wait()


def test_a_late_client_is_ended_with_what_it_started(open_some):
    began = time.monotonic()
    with open_some("sleep", seconds=8) as (client,):
        start_together([client], ["sleep"])
        with pytest.raises(NotProven, match="a client did not end within 8 s"):
            client.receive()
    assert time.monotonic() - began < 30


def test_a_client_gets_its_work_by_its_line_alone(open_some, monkeypatch):
    """Nothing on the command line, nothing that would choose the experiment, and no standard input."""
    for name in CHOOSERS:
        monkeypatch.setenv(name, "stray")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t")
    with open_some("environment") as (client,):
        start_together([client], ["environment"])
        environment, argv, read = client.receive()
    assert environment["MLFLOW_TRACKING_TOKEN"] == "t"
    assert not {*CHOOSERS} & set(environment)
    assert argv[1:] == ["tests.unit.companion"] and read == ""
