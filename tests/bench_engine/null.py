"""A server that answers everything at once with the same bytes, so that it is never what a generator waits for.

Run as a program it prints its port and serves until its standard input ends. A request that came in several pieces is
answered when it is whole: its head ends with an empty line, and its body has the length that the head says.
"""

import selectors
import socket
import sys

ANSWER = (
    b"HTTP/1.1 200 OK\r\ndate: Mon, 23 Nov 2026 12:00:00 GMT\r\nserver: uvicorn\r\ncontent-type: application/json\r\n"
    b"content-length: 2\r\nx-content-type-options: nosniff\r\n\r\n{}"
)


def whole(data):
    """Whether `data` is one whole request."""
    head, end, body = data.partition(b"\r\n\r\n")
    at = head.lower().find(b"\r\ncontent-length:")
    return bool(end) and (at < 0 or len(body) >= int(head[at + 17 :].split(b"\r\n", 1)[0]))


def serve(server, begun):
    """Answer until `begun`, a file, is at its end."""
    selector, rest = selectors.DefaultSelector(), {}
    selector.register(server, selectors.EVENT_READ, "new")
    selector.register(begun, selectors.EVENT_READ, "end")
    while True:
        for key, _ in selector.select():
            link = key.fileobj
            if key.data == "end":
                return
            if key.data == "new":
                link, _ = server.accept()
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                link.setblocking(False)
                selector.register(link, selectors.EVENT_READ, "client")
                continue
            try:
                data = link.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                selector.unregister(link)
                link.close()
                rest.pop(link, None)
                continue
            data = rest.pop(link, b"") + data
            if whole(data):
                link.send(ANSWER)
            else:
                rest[link] = data


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0), backlog=512) as server:
        print(server.getsockname()[1], flush=True)
        serve(server, sys.stdin)
