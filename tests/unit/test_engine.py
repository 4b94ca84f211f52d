"""The load engine against a server that does exactly what it is told."""

import base64
import json
import threading
import time
from collections import Counter

import pytest
import requests

from fixtures.load.arrivals import Arrivals
from fixtures.load.engine import LoadTarget, drive_load
from fixtures.load.history import LoadRequest, RequestOutcome
from fixtures.load.judges import check_conservation, group_refusals
from tests.unit.told_server import OK, refusal, serving, writes


def test_each_client_sends_its_script_in_order_over_one_connection():
    with serving() as server:
        history = drive_load(LoadTarget.of(server.uri), [writes(5), writes(5, 1)])
    assert len(history.ok) == 10
    assert check_conservation(history) == []
    assert server.connections == 2
    mine = [head.split()[1] for head in server.heads if "/w/0/" in head]
    assert mine == [f"/w/0/{n}" for n in range(5)]
    assert Counter(server.bodies) == Counter(b"x%d" % n for n in range(5) for _ in range(2))
    assert history.ok[3].meant == ((0, 3, 0),)
    assert all(o.planned <= o.start <= o.end for o in history.operations)


def test_all_clients_start_together():
    barrier = threading.Barrier(20)
    with serving(lambda number, head: barrier.wait(10) is not None and OK) as server:
        history = drive_load(LoadTarget.of(server.uri), [writes(1, c) for c in range(20)])
    assert len(history.ok) == 20


def test_clients_that_wait_for_each_other_send_together_every_time():
    """The slow one is waited for; one that has no more to send is not."""
    taken: list[int] = []

    def answer(number, head):
        client, at = map(int, head.split()[1].split("/")[2:])
        time.sleep(0.2 if client == 0 else 0)
        taken.append(at)
        return OK

    with serving(answer) as server:
        scripts = [writes(3, 0), *[writes(3, c) for c in range(1, 4)], writes(1, 4), []]
        history = drive_load(LoadTarget.of(server.uri), scripts, together=True)
    assert len(history.ok) == 13
    ends = {n: max(o.end for o in history.ok if o.sequence == n) for n in range(3)}
    starts = {n: min(o.start for o in history.ok if o.sequence == n) for n in range(3)}
    assert ends[0] <= starts[1] <= ends[1] <= starts[2]
    assert taken == sorted(taken)


def test_clients_that_wait_for_each_other_stop_after_too_many_refusals():
    with serving(lambda number, head: refusal(503, "no")) as server:
        history = drive_load(LoadTarget.of(server.uri), [writes(3, c) for c in range(4)], together=True, troubles=4)
    assert (len(history.refused), history.not_sent) == (4, 8)


def test_prefix_headers_and_authorization_are_sent():
    session = requests.Session()
    session.auth, session.headers["X-Team"] = ("ann", "secret"), "fraud"
    with serving() as server:
        drive_load(LoadTarget.of(f"{server.uri}/tools/mlflow/", session), [writes(1)])
    head = server.heads[0]
    assert head.startswith("POST /tools/mlflow/w/0/0 HTTP/1.1")
    assert f"Authorization: Basic {base64.b64encode(b'ann:secret').decode()}" in head
    assert "X-Team: fraud" in head
    assert "Accept-Encoding: identity" in head


def test_a_name_and_password_in_the_uri_are_sent_as_authorization():
    with serving() as server:
        drive_load(LoadTarget.of(server.uri.replace("//", "//ann:secret@")), [writes(1)])
    assert f"Basic {base64.b64encode(b'ann:secret').decode()}" in server.heads[0]


def test_a_proxy_is_asked_with_the_whole_address():
    session = requests.Session()
    with serving() as proxy:
        session.proxies, session.trust_env = {"http": proxy.uri}, False
        drive_load(LoadTarget.of("http://mlflow.example/p", session), [writes(1)])
    assert proxy.heads[0].startswith("POST http://mlflow.example/p/w/0/0 HTTP/1.1")
    assert "Host: mlflow.example" in proxy.heads[0]


def test_a_connection_that_the_server_closes_between_requests_is_opened_again():
    """It is announced, or seen while nothing is under way."""
    said = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
    with serving(lambda number, head: said, after=lambda number: True) as server:
        assert len(drive_load(LoadTarget.of(server.uri), [writes(4)]).ok) == 4
        assert server.connections == 4
    with serving(after=lambda number: True) as server:
        arrivals = Arrivals(writes(4), [0.2 * n for n in range(4)])
        assert len(drive_load(LoadTarget.of(server.uri), arrivals=[arrivals]).ok) == 4
        assert server.connections == 4


def test_a_request_is_never_repeated_once_it_was_sent():
    with serving(lambda number, head: None if number == 1 else OK) as server:
        history = drive_load(LoadTarget.of(server.uri), [writes(3)])
    assert [o.outcome for o in history.operations] == [RequestOutcome.OK, RequestOutcome.UNKNOWN, RequestOutcome.OK]
    assert len(server.heads) == 3
    assert "no whole answer: ConnectionResetError: closed without an answer" in history.unknown[0].message


def test_half_an_answer_is_unknown():
    with serving(lambda number, head: OK[:-1] if number == 0 else OK, after=lambda number: number == 0) as server:
        history = drive_load(LoadTarget.of(server.uri), [writes(2)])
    assert [o.outcome for o in history.operations] == [RequestOutcome.UNKNOWN, RequestOutcome.OK]
    assert "the answer broke off" in history.unknown[0].message


def test_a_refusal_has_the_words_of_mlflow_or_the_start_of_the_body():
    said = [json.dumps({"error_code": "BAD_REQUEST", "message": "QueuePool limit"}), "<h1>no\n gateway</h1>"]
    with serving(lambda number, head: refusal(400 + number, said[number])) as server:
        history = drive_load(LoadTarget.of(server.uri), [writes(2)])
    assert [str(g) for g in group_refusals(history.refused)] == [
        "1 × 400 BAD_REQUEST: QueuePool limit",
        "1 × 401 no gateway",
    ]


def test_a_server_that_is_not_there_refuses():
    with serving() as server:
        uri = server.uri
    history = drive_load(LoadTarget.of(uri), [writes(2)])
    assert "no connection: ConnectionRefusedError" in history.refused[0].message


def test_silence_is_unknown_after_the_patience():
    start = time.monotonic()
    with serving(lambda number, head: 30 if number == 1 else OK) as server:
        history = drive_load(LoadTarget.of(server.uri), [writes(3)], seconds=1)
    assert [o.outcome for o in history.operations] == [RequestOutcome.OK, RequestOutcome.UNKNOWN, RequestOutcome.OK]
    assert history.unknown[0].message.startswith("no answer within")
    assert time.monotonic() - start < 5


def test_a_slow_server_that_answers_others_meanwhile_is_waited_for():
    with serving(lambda number, head: 2.5 if "/w/0/" in head else 0.3) as server:
        history = drive_load(LoadTarget.of(server.uri), [writes(1), writes(8, 1)], seconds=1)
    assert len(history.ok) == 9


def test_the_whole_burst_has_an_end():
    with serving(lambda number, head: 30 if "/w/0/" in head else 0.3) as server:
        history = drive_load(LoadTarget.of(server.uri), [writes(1), writes(99, 1)], seconds=5, limit=1.5)
    assert len(history.unknown) >= 1
    assert history.operations[-1].end - history.operations[0].start < 5


def test_clients_stop_after_too_many_refusals():
    with serving(lambda number, head: refusal(503, "no")) as server:
        history = drive_load(LoadTarget.of(server.uri), [writes(50, c) for c in range(4)], troubles=10)
    assert 10 <= len(history.refused) < 20
    assert history.not_sent == 200 - len(history.operations)
    assert check_conservation(history) == []


def test_what_is_watched_is_asked_all_the_while_and_kept_apart():
    health = LoadRequest("health", "GET", "/health")
    with serving(lambda number, head: OK if "GET" in head else 0.3) as server:
        history = drive_load(LoadTarget.of(server.uri), [writes(3)], watch=[health], greeting=health)
    assert len(history.of("write").operations) == 3
    assert len(history.of("health").ok) >= 3
    assert check_conservation(history) == []
    assert server.connections == 2


def test_an_error_of_the_engine_itself_is_raised():
    with serving() as server, pytest.raises(AttributeError):
        drive_load(LoadTarget.of(server.uri), [[None]])
