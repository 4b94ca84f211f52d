"""What counters make of two looks, and when two passes count."""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from fixtures.bench.counters import (
    MOST_PASSES,
    CountedPass,
    CounterSnapshot,
    Statement,
    agree_on_counters,
    count_between,
    divide_evenly,
    show_counters,
)
from fixtures.bench.http_bytes import count_traffic

BEFORE = CounterSnapshot({(1, True): Statement("SELECT a", True, 10, 100)}, 1000, frozenset({7}))
AFTER = CounterSnapshot(
    {
        (1, True): Statement("SELECT a", True, 12, 110),
        (2, True): Statement("COMMIT", True, 2, 0),
        (3, True): Statement("BEGIN", True, 2, 0),
        (4, False): Statement("SELECT 1 FROM ONLY runs", False, 4, 8),
    },
    1700,
    frozenset({7, 8}),
)


def one(statements, opened=0, **more):
    return CountedPass(4, {"statements": statements, "nested": 0, "commits": 4, "wal_bytes": 400, **more}, {}, opened)


def test_statements_and_commits_are_told_apart_from_what_frames_them():
    totals, texts, opened = count_between(BEFORE, AFTER)
    assert totals == {"statements": 2, "nested": 4, "commits": 2, "pages": 18, "wal_bytes": 700}
    assert texts == {"SELECT a": 2, "(nested) SELECT 1 FROM ONLY runs": 4}
    assert opened == 1


def test_nothing_happened():
    totals, texts, opened = count_between(AFTER, AFTER)
    assert set(totals.values()) == {0} and texts == {} and opened == 0


def test_two_equal_passes_count_with_the_smaller_noise():
    found, why = agree_on_counters([one(20, wal_bytes=900, connections=1), one(20, wal_bytes=400, connections=2)])
    assert found.each() == {"statements": 5, "nested": 0, "commits": 1, "wal_bytes": 100, "connections": 2}
    assert why == ""


def test_a_pass_that_opened_a_connection_is_measured_again():
    found, why = agree_on_counters([one(20), one(28, opened=1), one(20), one(20)])
    assert found.totals["statements"] == 20
    assert why == "settled in pass 4"
    assert agree_on_counters([one(28, opened=1), one(28, opened=1)], opening=True)[0].totals["statements"] == 28


def test_passes_that_never_agree_are_no_measurement():
    endless = (one(20 + n) for n in range(1000))
    found, why = agree_on_counters(endless)
    assert found is None
    assert f"no two of {MOST_PASSES} passes in a row agree: statements 20" in why


def test_a_counter_that_is_missing_is_said_and_never_zero():
    line = show_counters({"statements": 5}, {"commits": "no door", "pages": "no door"})
    assert line == "per operation: statements 5; commits, pages left out: no door"


@pytest.mark.parametrize(("total", "times", "expected"), [(20, 4, 5), (10, 4, 2.5), (1, 3, 0.333), (0, 5, 0)])
def test_shares(total, times, expected):
    assert divide_evenly(total, times) == expected


def test_bytes_on_the_wire_are_those_of_the_socket():
    """Head and body, both ways, of a request whose bytes are known."""
    answer = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.wfile.write(answer)

        def log_message(self, *arguments):
            """Be silent."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    plain = http.client.HTTPConnection.send
    try:
        link = http.client.HTTPConnection("127.0.0.1", server.server_port)
        with count_traffic() as seen:
            link.putrequest("POST", "/x", skip_host=True, skip_accept_encoding=True)
            link.putheader("Content-Length", "3")
            link.endheaders(b"abc")
            assert link.getresponse().read() == b"hello"
            mine = seen.sent
        link.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert mine == len(b"POST /x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
    # The server's side of the pair reads through the same class, in this one process.
    assert seen.received == len(answer) + mine
    assert http.client.HTTPConnection.send is plain
