"""Answers as they come over the wire, whole and in pieces."""

import pytest

from fixtures.load.http1 import AnswerReader, GarbledAnswer

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, Chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n\r\n\r\nwo\r\n0\r\n\r\n"
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN
BARE = b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [(PLAIN, 200, b"hello"), (CHUNKED, 200, b"hello\r\n\r\nwo"), (CONTINUED, 200, b"hello"), (BARE, 204, b"")],
)
def test_an_answer_is_the_same_in_any_pieces(sent, status, body):
    for size in (1, 2, 3, 7, 1000):
        answer = AnswerReader()
        found = [answer.feed(sent[at : at + size]) for at in range(0, len(sent), size)]
        assert found == [None] * (len(found) - 1) + [body]
        assert (answer.status, answer.closing) == (status, False)


def test_one_reader_reads_answer_after_answer():
    answer = AnswerReader()
    for sent, body in ((PLAIN, b"hello"), (CHUNKED, b"hello\r\n\r\nwo"), (PLAIN, b"hello")):
        assert answer.feed(sent) == body
        answer.reset()


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\n",
    ],
)
def test_a_connection_that_ends_or_cannot_be_trusted_is_not_used_again(sent):
    answer = AnswerReader()
    assert answer.feed(sent) == b"{}"
    assert answer.closing


def test_an_answer_without_a_length_lasts_to_the_end_of_the_connection():
    answer = AnswerReader()
    assert answer.feed(b"HTTP/1.1 200 OK\r\n\r\nhel") is None
    assert answer.feed(b"lo") is None
    assert answer.ended() == b"hello"


def test_half_an_answer_is_none():
    answer = AnswerReader()
    assert answer.feed(PLAIN[:-1]) is None
    assert answer.ended() is None


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-x\r\n\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"x" * 70_000,
    ],
)
def test_what_is_no_http_is_said_to_be_none(sent):
    with pytest.raises(GarbledAnswer):
        AnswerReader().feed(sent)
