"""Uploads that are generated while they are sent: the whole of them, or nothing if the length alone is refused."""

import socket
import threading
from contextlib import contextmanager

import pytest

from fixtures.clients import uploads
from fixtures.clients.rest import RestClient, RestError
from fixtures.clients.uploads import MIB, NotRefusedEarly, Upload, send_upload

REFUSAL = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 5\r\n\r\nlarge"
THANKS = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nOK"


@contextmanager
def serving(answer, body=0):
    """(URL, what was received): a server that reads the head and `body` bytes, and answers; no answer is silence."""
    received = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            link, _ = listening.accept()
            with link:
                while b"\r\n\r\n" not in received:
                    received.extend(link.recv(1 << 16))
                while len(received.partition(b"\r\n\r\n")[2]) < body:
                    received.extend(link.recv(1 << 16))
                if answer is not None:
                    link.sendall(answer)
                while answer != b"" and link.recv(1 << 16):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", received
        thread.join(20)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(uploads, "EARLY_SECONDS", 0.2)


def test_every_byte_is_sent(monkeypatch):
    """One block and a half: all of it, no two blocks of zeros."""
    upload = Upload(MIB + MIB // 2)
    with serving(THANKS, upload.size) as (url, received):
        answer = send_upload(RestClient(url), "/file", upload)
    assert (answer.status_code, answer.text, upload.sent) == (200, "OK", upload.size)
    body = bytes(received).partition(b"\r\n\r\n")[2]
    assert body == upload.block + upload.block[: MIB // 2]
    assert f"Content-Length: {upload.size}".encode() in received


@pytest.mark.parametrize("only_length", [False, True])
def test_a_length_that_is_refused_costs_nothing(monkeypatch, only_length):
    """The answer is read whole, and no byte of the body is sent."""
    monkeypatch.setattr(uploads, "EARLY_SECONDS", 20)
    upload = Upload(1 << 40, only_length)
    with serving(REFUSAL) as (url, received):
        answer = send_upload(RestClient(url), "/file", upload)
    assert (answer.status_code, answer.text, upload.sent) == (413, "large", 0)
    assert received.endswith(b"\r\n\r\n")


def test_a_length_that_is_not_refused_is_not_sent():
    with serving(None) as (url, received), pytest.raises(NotRefusedEarly):
        send_upload(RestClient(url), "/file", Upload(MIB, only_length=True))
    assert received.endswith(b"\r\n\r\n")


def test_a_refusal_in_the_middle_ends_the_upload():
    upload = Upload(64 * MIB)
    with serving(REFUSAL, MIB) as (url, _):
        answer = send_upload(RestClient(url), "/file", upload)
    assert answer.status_code == 413
    assert MIB <= upload.sent < upload.size


def test_no_answer_is_an_error():
    with serving(b"") as (url, _), pytest.raises(RestError):
        send_upload(RestClient(url), "/file", Upload(MIB))


def test_a_length_takes_nothing_from_a_budget():
    assert (Upload(MIB).cost, Upload(MIB, only_length=True).cost) == (MIB, 0)
