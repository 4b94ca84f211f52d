"""A 429 with Retry-After asks to wait: a run on a live server waits, and counts it; any other refusal stands."""

import io
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests

from fixtures.core.traffic import TRAFFIC
from fixtures.guardrails import request_gate
from fixtures.guardrails.rate_limit import MOST_TURNS, count_waits, obey_rate_limit, read_wait
from fixtures.guardrails.request_gate import RequestGate
from tests.unit.told_server import serving


def answer(status, **headers):
    made = requests.Response()
    made.status_code, made.raw = status, io.BytesIO()
    made.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return made


LIMITED = answer(429, Retry_After="3")


@pytest.fixture
def waited(monkeypatch):
    """The waits, which take no time here."""
    seconds = []
    monkeypatch.setattr(TRAFFIC, "pause", seconds.append)
    return seconds


def sent(answers, folder, spent):
    """The answer of a server that gives these answers, one after the other."""
    left = iter(answers)
    return obey_rate_limit(lambda: next(left), lambda: spent.append(1), folder)


def test_the_request_is_sent_again_after_the_wait(waited, tmp_path):
    spent = []
    good = answer(200)
    assert sent([LIMITED, LIMITED, good], tmp_path, spent) is good
    assert (waited, len(spent), count_waits(tmp_path)) == ([3.0, 3.0], 2, 2)


def test_a_server_that_always_refuses_is_not_asked_for_ever(waited, tmp_path):
    assert sent([LIMITED] * 20, tmp_path, []) is LIMITED
    assert len(waited) == count_waits(tmp_path) == MOST_TURNS


@pytest.mark.parametrize(
    "other",
    [answer(429), answer(503, Retry_After="3"), answer(429, Retry_After="soon"), answer(429, Retry_After="3600")],
    ids=["no wait named", "no 429", "no time", "too long"],
)
def test_any_other_refusal_stands(waited, tmp_path, other):
    assert sent([other, answer(200)], tmp_path, []) is other
    assert (waited, count_waits(tmp_path)) == ([], 0)


def test_a_date_is_a_wait_too():
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    assert 15 < (read_wait(answer(429, Retry_After=soon)) or 0) < 21
    assert read_wait(answer(429, Retry_After=format_datetime(datetime(2001, 1, 1, tzinfo=UTC), usegmt=True))) == 0


def test_a_request_through_the_gate_is_sent_again_and_pays_again(tmp_path, monkeypatch):
    monkeypatch.setattr(request_gate, "OPEN_GATES", [])
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", requests.adapters.HTTPAdapter.send)
    monkeypatch.setattr(request_gate.botocore.httpsession.URLLib3Session, "send", None)
    refused = b"HTTP/1.1 429 No\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    accepted = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    with serving(lambda number, head: accepted if number else refused) as server:
        gate = RequestGate(tmp_path, (server.uri,), "rdy-x-", tmp_path / "journal")
        gate.save(tmp_path / "gate.json")
        request_gate.install_gate(gate)
        assert requests.post(f"{server.uri}/x", data=b"12345", timeout=10).status_code == 200
    assert (len(server.heads), gate.spent(), count_waits(tmp_path)) == (2, (0, 5 + 5 + 2), 1)
