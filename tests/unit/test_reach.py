"""Who reaches what on this machine: loopback or not, other addresses, a listener that counts its callers."""

import socket

import pytest

from fixtures.clients.reach import is_on_loopback, list_open_addresses, open_listener
from fixtures.core.waiting import NotYet, wait_for
from tests.sabotage.security_stores import find_other_address


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("http://127.0.0.1:5000", True),
        ("http://localhost:5000/mlflow", True),
        ("postgresql+psycopg2://u:p@[::1]:5432/d", True),
        ("http://203.0.113.9:5000", False),
        ("http://no-such-name.invalid", False),
        ("", False),
    ],
)
def test_loopback_is_known_by_every_address_of_the_name(uri, expected):
    assert is_on_loopback(uri) is expected


def test_a_listener_counts_who_calls_and_answers_nobody():
    with open_listener("127.0.0.1") as listener:
        host, port = listener.address.split(":")
        with socket.create_connection((host, int(port)), 5) as link:
            assert link.recv(1) == b""

        def called():
            if not listener.calls:
                raise NotYet("not called")

        wait_for("a call", called, 5)
        assert listener.calls == ["127.0.0.1"]
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((host, int(port)), 5)


def test_other_addresses_at_which_a_port_answers_are_found():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert list_open_addresses(f"http://127.0.0.1:{port}") == []
        other = find_other_address()
        with socket.create_server((other, port)):
            assert list_open_addresses(f"http://127.0.0.1:{port}") == [f"{other}:{port}"]
