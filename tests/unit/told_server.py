"""An HTTP server that does exactly what it is told, for the load engine's own tests."""

import contextlib
import socket
import threading

from fixtures.load.history import LoadRequest

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def refusal(status, body):
    return f"HTTP/1.1 {status} No\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


class Server:
    """Answers each request with `script(number, head)`: bytes, None to close, or a number of seconds to be silent."""

    def __init__(self, script, after=lambda number: False, tls=None):
        self.script, self.after, self.tls = script, after, tls
        self.heads, self.bodies, self.connections = [], [], 0
        self.lock, self.closing = threading.Lock(), threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.uri = f"{'https' if tls else 'http'}://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                link, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.handle, args=(link,), daemon=True).start()

    def handle(self, link):
        with contextlib.suppress(OSError):  # the client went away, or did not trust us
            self.serve(self.tls.wrap_socket(link, server_side=True) if self.tls else link)

    def serve(self, link):
        with link, link.makefile("rb") as stream:
            while line := stream.readline():
                head, length = [line], 0
                while (line := stream.readline()).strip():
                    head.append(line)
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                body = stream.read(length)
                with self.lock:
                    number = len(self.heads)
                    self.heads.append(b"".join(head).decode())
                    self.bodies.append(body)
                said = self.script(number, self.heads[number])
                if isinstance(said, int | float):
                    self.closing.wait(said)
                    said = OK
                if said is None:
                    return
                link.sendall(said)
                if self.after(number):
                    return

    def close(self):
        self.closing.set()
        with contextlib.suppress(OSError):  # a blocked accept() would keep the port open
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@contextlib.contextmanager
def serving(script=lambda number, head: OK, **options):
    server = Server(script, **options)
    try:
        yield server
    finally:
        server.close()


def writes(count, client=0):
    return [LoadRequest("write", "POST", f"/w/{client}/{n}", b"x%d" % n, ((client, n, 0),)) for n in range(count)]
