"""What is counted of a run's requests, in this process and in those that it starts."""

import contextlib
import os
import subprocess
import sys

import pytest
import requests

from fixtures.clients.http_traffic import count_http, kind_of_request
from fixtures.core.files import ROOT
from fixtures.core.traffic import COUNT_VARIABLE, Movement, Traffic


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/api/2.0/mlflow/runs/get", Movement.READ),
        ("POST", "/sub/api/2.0/mlflow/runs/search", Movement.READ),
        ("POST", "/api/2.0/mlflow/runs/create", Movement.WRITE),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/1/a.txt", Movement.ARTIFACT),
        ("POST", "/api/2.0/mlflow-artifacts/mpu/abort/1", Movement.WRITE),
        ("GET", "/get-artifact", Movement.ARTIFACT),
    ],
)
def test_a_request_costs_what_its_kind_costs(method, path, kind):
    assert kind_of_request(method, path) is kind


def test_only_what_is_answered_counts(monkeypatch):
    """A request without an answer has moved nothing; Docker's socket is no server."""
    counted = Traffic()
    monkeypatch.setattr("fixtures.clients.http_traffic.TRAFFIC", counted)

    def plain(self, request, **given):
        assert counted.tally().under_way == request.url.startswith("http://")
        if "silent" in request.url:
            raise requests.Timeout

    send = count_http(plain)
    for url in ("http://h/a", "http://h/silent", "http+docker://localhost/x"):
        request = requests.Request("GET", url)
        request.url, request.headers = url, {}
        with contextlib.suppress(requests.Timeout):
            send(None, request)
    assert counted.tally().answered == {Movement.READ: 1}
    assert counted.tally().under_way == 0


def test_waits_at_the_same_time_count_once():
    counted = Traffic()
    for begin, end in ((10.0, 12.0), (11.0, 13.0), (20.0, 21.0)):
        counted.note(Movement.WAIT, begin, end)
    assert counted.tally().waited == pytest.approx(4.0)
    assert counted.tally().requests == 0


def test_what_other_processes_count_arrives(tmp_path, monkeypatch):
    monkeypatch.setenv(COUNT_VARIABLE, "")
    counted = Traffic()
    counted.count_others_in(tmp_path)
    before = counted.tally()
    script = (
        "from fixtures.core.traffic import TRAFFIC, Movement\n"
        "TRAFFIC.hand_on()\n"
        "TRAFFIC.note(Movement.WRITE, 1.0, 2.0)\n"
        "TRAFFIC.note(Movement.DOOR, 1.0, 3.0)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT, env=dict(os.environ))
    assert counted.tally().since(before).answered == {Movement.WRITE: 1}
    assert counted.tally().requests == 1
