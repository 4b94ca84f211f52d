"""The request gate: what it refuses, what it counts, how many it lets in."""

import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from fixtures.core.outcomes import NotProven
from fixtures.guardrails import request_gate
from fixtures.guardrails.journal import Journal, JournalEntry, read_journal
from fixtures.guardrails.request_gate import RequestGate, RequestLimits, RequestRefused
from fixtures.load.arrivals import Arrivals, space_evenly
from fixtures.load.engine import LoadTarget, drive_load
from fixtures.load.history import LoadRequest
from tests.unit.told_server import serving

PREFIX = "rdy-gate-"
HOST = "http://mlflow.example"
WAYS = ["/api/2.0/mlflow/", "/ajax-api/2.0/mlflow/", "/mlflow/api/2.0/mlflow/", "/a/mlflow/b/api/2.0/mlflow/"]


@pytest.fixture
def make(tmp_path):
    """make(...limits) -> a gate with a journal begun."""
    journal = Journal(tmp_path / "journals" / "x.jsonl")

    with journal.begun("x", PREFIX, HOST):

        def made(host=HOST, **limits):
            gate = RequestGate(tmp_path, (host,), PREFIX, journal.path, RequestLimits(**limits))
            gate.save(tmp_path / "gate.json")
            return gate

        yield made


def ask(gate, call, body, method="POST", way=WAYS[0], host=HOST):
    sent = json.dumps(body)
    gate.admit(method, f"{host}{way}{call}", sent, len(sent))


@pytest.mark.parametrize("host", [HOST, "http://mlflow", "http://mlflow:5000"])
@pytest.mark.parametrize("way", WAYS)
def test_what_is_made_stands_in_the_journal_wherever_the_server_lies(make, way, host):
    gate = make()
    ask(gate, "experiments/create", {"name": "rdy-gate-a"}, way=way, host=host)
    ask(gate, "registered-models/create", {"name": "rdy-gate-b"}, way=way, host=host)
    ask(gate, "runs/create", {"experiment_id": "7"}, way=way, host=host)
    assert read_journal(gate.journal).entries == (
        JournalEntry("experiment", "rdy-gate-a"),
        JournalEntry("model", "rdy-gate-b"),
    )
    assert gate.spent()[0] == 1


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("experiments/create", {"name": "nightly"}),
        ("experiments/create", {"name": "rdy-gate"}),
        ("experiments/create", {"name": "RDY-GATE-a"}),
        ("experiments/create", {"name": "x-rdy-gate-a"}),
        ("experiments/update", {"experiment_id": "3", "new_name": "nightly"}),
        ("registered-models/create", {"name": "rdy_gate_a"}),
        ("registered-models/rename", {"name": "rdy-gate-a", "new_name": "champion"}),
        ("runs/create", {"experiment_id": "0", "run_name": "mine"}),
        ("runs/create", {"experiment_id": "0"}),
    ],
)
def test_a_name_without_the_runs_prefix_is_refused(make, call, body):
    with pytest.raises(RequestRefused, match="prefix"):
        ask(make(), call, body)


def test_a_run_in_the_default_experiment_stands_in_the_journal(make):
    gate = make()
    ask(gate, "runs/create", {"experiment_id": "0", "run_name": "rdy-gate-stray"})
    assert read_journal(gate.journal).entries == (JournalEntry("run", "rdy-gate-stray"),)


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'{"name": 3}', b"\xff\xfe"])
def test_a_body_of_which_nothing_can_be_made_passes(make, body):
    gate = make()
    gate.admit("POST", f"{HOST}{WAYS[0]}experiments/create", body, len(body))
    assert read_journal(gate.journal).entries == ()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/2.0/mlflow/runs/create"),
        ("POST", "/api/2.0/mlflow/experiments/delete"),
        ("PATCH", "/api/2.0/mlflow/registered-models/update"),
        ("DELETE", "/api/2.0/mlflow/registered-models/delete"),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/a.txt"),
        ("POST", "/api/2.0/mlflow-artifacts/mpu/create/a.txt"),
        ("POST", "/v1/traces"),
    ],
)
def test_read_only_refuses_what_makes_something(make, method, path):
    with pytest.raises(RequestRefused, match="read-only"):
        make(read_only=True).admit(method, HOST + path, b"{}", 2)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/2.0/mlflow/runs/search"), ("POST", "/mlflow/api/2.0/mlflow/experiments/search"), ("GET", "/x")],
)
def test_read_only_admits_questions(make, method, path):
    make(read_only=True).admit(method, HOST + path, b"{}", 2)


@pytest.mark.parametrize(
    ("host", "url", "ours"),
    [
        ("http://a.example", "http://a.example/version", True),
        ("http://a.example", "http://a.example?x=1", True),
        ("http://A.Example", "http://a.example/version", True),
        ("http://a.example", "http://a.example.evil/version", False),
        ("http://a.example:50", "http://a.example:5000/version", False),
        ("http://a.example/mlflow", "http://a.example/mlflow/version", True),
        ("http://a.example/mlflow", "http://a.example/mlflows", False),
    ],
)
def test_it_knows_its_server(make, host, url, ours):
    assert make(host).concerns(url) is ours


def test_max_runs_is_kept(make):
    gate = make(max_runs=2)
    for _ in range(2):
        ask(gate, "runs/create", {"experiment_id": "7"})
    with pytest.raises(NotProven, match="--max-runs 2 is spent"):
        ask(gate, "runs/create", {"experiment_id": "7"})
    ask(gate, "runs/search", {})
    assert gate.spent()[0] == 2


def test_max_bytes_is_kept_by_requests_and_by_answers(make):
    gate = make(max_bytes=100)
    gate.spend(size=60)
    with pytest.raises(NotProven, match="--max-bytes 100 is spent"):
        gate.receive("41")
    gate.receive("40")
    with pytest.raises(NotProven, match="--max-bytes 100 is spent"):
        gate.spend()  # an answer has bytes, too
    gate.count(7)
    assert gate.spent() == (0, 107)


def test_max_rate_gives_turns_to_all_processes(make, tmp_path):
    gate = make(max_rate=50)
    other = RequestGate.load(tmp_path / "gate.json")
    turns = sorted(at.take(0, 1, 1 / 50) for at in [gate, other] * 5)
    assert min(b - a for a, b in itertools.pairwise(turns)) >= 0.0199


def test_four_are_let_in_at_once(make, tmp_path):
    gate, inside, most, lock = make(), [0], [0], threading.Lock()
    other = RequestGate.load(tmp_path / "gate.json")

    def enter(at):
        with at.slot():
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            threading.Event().wait(0.02)
            with lock:
                inside[0] -= 1

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(enter, [gate, other] * 12))
    assert most == [4]


class Handler(BaseHTTPRequestHandler):
    """Answers with 1000 bytes: /said with Content-Length, else in pieces until it closes the connection."""

    def do_GET(self):
        self.send_response(200)
        if self.path == "/said":
            self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"x" * 1000)

    def log_message(self, *arguments):
        """Be silent."""


@pytest.fixture
def served(make, monkeypatch):
    """served(...limits) -> (URL, gate) of a server whose requests pass the gate in this process."""
    monkeypatch.setattr(request_gate, "OPEN_GATES", [])
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", requests.adapters.HTTPAdapter.send)
    monkeypatch.setattr(request_gate.botocore.httpsession.URLLib3Session, "send", None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"

    def serve(**limits):
        gate = make(url, **limits)
        request_gate.install_gate(gate)
        return url, gate

    yield serve
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("path", ["said", "pieces"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("inner", [False, True], ids=["", "log"])
def test_the_bytes_of_an_answer_are_counted_once(served, monkeypatch, path, stream, inner):
    """Its place is free then, also if something further in has read it: a kept answer must not keep the place."""
    adapter, plain = requests.adapters.HTTPAdapter, requests.adapters.HTTPAdapter.send
    if inner:
        monkeypatch.setattr(adapter, "send", lambda *ask, **how: (found := plain(*ask, **how), found.text)[0])
    url, gate = served()
    assert len((kept := requests.get(f"{url}/{path}", stream=stream)).content) == 1000
    assert gate.spent() == (0, 1001) and kept.ok
    assert all(request_gate.take_lock(file.open("a")) for file in gate.folder.glob("slot-*"))


def test_an_answer_that_is_being_read_keeps_its_place(served):
    url, gate = served()
    answers = [requests.get(f"{url}/said", stream=True) for _ in range(request_gate.IN_FLIGHT)]
    free = [request_gate.take_lock(file.open("a")) for file in gate.folder.glob("slot-*")]
    assert free == [False] * request_gate.IN_FLIGHT
    answers[0].close()
    assert len(answers[1].content) == 1000
    assert sum(request_gate.take_lock(file.open("a")) for file in gate.folder.glob("slot-*")) == 2


def test_an_answer_beyond_the_budget_is_not_read(served):
    url, gate = served(max_bytes=900)
    with pytest.raises(NotProven, match="--max-bytes 900 is spent"):
        requests.get(f"{url}/said")
    assert gate.spent() == (0, 1)
    assert all(request_gate.take_lock(file.open("a")) for file in gate.folder.glob("slot-*"))


@pytest.fixture
def answering():
    """A server that answers each request with two bytes."""
    with serving() as server:
        yield server


def creates(count, experiment="7"):
    body = json.dumps({"experiment_id": experiment, "run_name": "stray"}).encode()
    return [LoadRequest("runs/create", "POST", "/api/2.0/mlflow/runs/create", body)] * count


@pytest.fixture
def standing_gate(make, answering, monkeypatch):
    """standing_gate(...limits) -> a gate through which the load engine's requests to `answering` pass."""

    def stand(**limits):
        gate = make(host=answering.uri, **limits)
        monkeypatch.setattr(request_gate, "OPEN_GATES", [gate])
        return gate

    return stand


def test_load_is_counted_request_by_request(standing_gate, answering):
    gate = standing_gate()
    greeting = LoadRequest("hello", "GET", "/health")
    assert len(drive_load(LoadTarget.of(answering.uri), [creates(5), creates(5)], greeting=greeting).ok) == 10
    runs, size = gate.spent()
    assert runs == 10
    assert size >= 10 * (len(creates(1)[0].body) + 2) + 2 * 2


def test_load_ends_where_a_budget_is_spent(standing_gate, answering):
    standing_gate(max_runs=7)
    with pytest.raises(NotProven, match="--max-runs 7 is spent"):
        drive_load(LoadTarget.of(answering.uri), [creates(9)])
    assert len(answering.heads) == 7


def test_load_makes_nothing_without_the_prefix(standing_gate, answering):
    standing_gate()
    with pytest.raises(RequestRefused, match="does not start with this run's prefix"):
        drive_load(LoadTarget.of(answering.uri), [creates(1, experiment="0")])
    assert answering.heads == []


def test_load_keeps_to_the_rate(standing_gate, answering):
    standing_gate(max_rate=50)
    history = drive_load(LoadTarget.of(answering.uri), [creates(5) for _ in range(3)])
    starts = sorted(o.start for o in history.ok)
    assert starts[-1] - starts[0] >= 13 / 50
    with pytest.raises(NotProven, match="--max-rate 50 is less than the 100 requests a second"):
        drive_load(LoadTarget.of(answering.uri), arrivals=[Arrivals(creates(5), space_evenly(100.0, 5))])
