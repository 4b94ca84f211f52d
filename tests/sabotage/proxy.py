"""A reverse proxy that lies: it stands between a client and MLflow and damages what chosen requests carry.

The rules come from `tests.sabotage.rules`:

rule = Rule("lost metrics", at("/runs/log-metric$", "POST"), every_nth(10, swallow_write({})))
with TamperProxy(stack.mlflow_uri, [rule]) as proxy:
    ...  # a client on proxy.url
assert rule.fired
"""

from __future__ import annotations

import socket
import socketserver
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.sabotage.rules import Forward, Request, Response, Rule

BLOCK = 64 * 1024
# They concern one connection, not the message; Expect was answered by our own server class.
HOP_BY_HOP = frozenset(
    [
        "connection",
        "expect",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)


class ClientGone(Exception):
    """Nobody is there any more to send the rest of a request, or to get an answer."""


class TamperProxy:
    """Listens on a free port of 127.0.0.1 while it is entered; `url` is where the clients go.

    The client's Host header reaches the upstream as it is, unless `host` is given to replace it: then other names than
    that and the proxy's own are refused, unless `any_name`.
    """

    def __init__(
        self,
        upstream: str,
        rules: Iterable[Rule] = (),
        *,
        host: str | None = None,
        any_name: bool = False,
        timeout: float = 120,
    ) -> None:
        self.rules, self.host, self.any_name, self.timeout = list(rules), host, any_name, timeout
        parts = urlsplit(upstream)
        self.address, self.prefix = (parts.hostname or "", parts.port or 80), parts.path.rstrip("/")
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"upstream must be http://HOST:PORT, not {upstream!r}")

    def fired(self, name: str) -> int:
        """How often the rule of this name did something."""
        return next(rule.fired for rule in self.rules if rule.name == name)

    def knows_name(self, name: str) -> bool:
        """Whether a request under this host name is for the server behind."""
        port = self.server.server_address[1]
        return self.host is None or self.any_name or name in (self.host, f"127.0.0.1:{port}", f"localhost:{port}")

    def __enter__(self) -> TamperProxy:
        self.server = Server(("127.0.0.1", 0), partial(Handler, self))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.server.hang_up()
        self.thread.join()
        faults = self.server.faults
        if faults and error is None:
            raise ExceptionGroup("a rule of the tamper proxy failed", faults)
        if faults and error is not None:
            error.add_note(f"The tamper proxy had failures, too: {faults}")


class Server(ThreadingHTTPServer):
    """Knows its open connections, so that none outlives the proxy, and keeps the failures of rules."""

    request_queue_size = 128

    def __init__(self, *arguments: Any) -> None:
        self.faults: list[Exception] = []
        self.open: set[Any] = set()
        self.left = False
        super().__init__(*arguments)

    def server_bind(self) -> None:
        """Without the base class's name look-up, which can stall."""
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Close what clients still hold open, and let no delayed request through any more."""
        self.left = True
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that went away is daily business; anything else is for the test to see."""
        error = sys.exception()
        if isinstance(error, Exception) and not isinstance(error, OSError | ClientGone):
            self.faults.append(error)


class Handler(BaseHTTPRequestHandler):
    """One client connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server
    headers: HTTPMessage

    def __init__(self, proxy: TamperProxy, *arguments: Any) -> None:
        self.proxy = proxy
        super().__init__(*arguments)

    def log_message(self, *arguments: Any) -> None:
        """Be silent."""

    def pass_on(self) -> None:
        """Stream the request through, or buffer it for the rules that match."""
        path, _, query = self.path.partition("?")
        request = Request(self.command, path, query, self.headers)
        rules = [rule for rule in self.proxy.rules if rule.matcher(self.command, path)]
        if not self.proxy.knows_name(self.headers.get("Host", "")):
            deque(self.body(), 0)
            self.reply(Response(421, body=b"not a name of this server\n"))
        elif rules:
            self.tamper(request, rules)
        else:
            self.stream(request)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = pass_on

    def tamper(self, request: Request, rules: list[Rule]) -> None:
        """Buffer both bodies and let the rules have their way, the first one outermost."""
        request.body = b"".join(self.body())
        if request.body or "Transfer-Encoding" in request.headers:
            del request.headers["Transfer-Encoding"]
            replace(request.headers, "Content-Length", "0")
        # Compressed JSON could not be edited.
        replace(request.headers, "Accept-Encoding", "identity")
        forward: Forward = self.forward
        for rule in reversed(rules):
            forward = partial(rule.apply, forward=forward)
        self.reply(forward(request))

    def forward(self, request: Request) -> Response:
        """What the upstream says to a buffered request; 502 where it says nothing."""
        if self.server.left:
            raise ClientGone
        if request.body or "Content-Length" in request.headers:
            replace(request.headers, "Content-Length", str(len(request.body)))
        try:
            with self.upstream(request, [request.body]) as answered:
                return Response(answered.status, answered.headers, answered.read())
        except (OSError, HTTPException) as error:
            return bad_gateway(error)

    def stream(self, request: Request) -> None:
        """Hand both bodies over block by block."""
        chunked = "Transfer-Encoding" in request.headers
        started = False
        try:
            with self.upstream(request, self.body(), chunked) as answered:
                started = True
                self.relay(answered)
        except (OSError, HTTPException) as error:
            self.close_connection = True
            if not started:
                self.reply(bad_gateway(error))

    @contextmanager
    def upstream(self, request: Request, body: Iterable[bytes], chunked: bool = False) -> Iterator[HTTPResponse]:
        """Send the request on a connection of its own and read the head of the answer."""
        with closing(HTTPConnection(*self.proxy.address, timeout=self.proxy.timeout)) as connection:
            target = self.proxy.prefix + request.target
            connection.putrequest(request.method, target, skip_host=True, skip_accept_encoding=True)
            if self.proxy.host is not None:
                replace(request.headers, "Host", self.proxy.host)
            for name, value in request.headers.items():
                if name.lower() not in HOP_BY_HOP and not (chunked and name.lower() == "content-length"):
                    connection.putheader(name, value)
            connection.putheader("Connection", "close")
            if chunked:
                connection.putheader("Transfer-Encoding", "chunked")
            try:
                connection.endheaders(body, encode_chunked=chunked)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # It may have refused the rest of the body and said why.
            yield connection.getresponse()

    def body(self) -> Iterator[bytes]:
        """The body of the request, block by block."""
        try:
            if "Transfer-Encoding" not in self.headers:
                yield from self.blocks(int(self.headers["Content-Length"] or 0))
                return
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                yield from self.blocks(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass  # Trailers are not passed on.
        except (OSError, ValueError) as error:
            raise ClientGone from error

    def blocks(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes that the client sends."""
        while size:
            block = self.rfile.read1(min(size, BLOCK))
            if not block:
                raise ClientGone
            size -= len(block)
            yield block

    def relay(self, answered: HTTPResponse) -> None:
        """Hand the answer over as it comes; one that ends early ends early for the client, too."""
        bare = self.command == "HEAD" or answered.status in (204, 304)
        left = None if answered.chunked else answered.headers["Content-Length"]
        remaining = None if left is None else int(left)
        framed = remaining is None and not bare and self.request_version != "HTTP/1.0"
        if remaining is None and not bare:
            del answered.headers["Content-Length"]
            self.close_connection = self.close_connection or not framed
        self.head(answered.status, answered.headers, answered.reason, framed)
        while not bare and remaining != 0:
            block = answered.read1(BLOCK if remaining is None else min(BLOCK, remaining))
            if not block:
                break
            self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if framed else block)
            remaining = None if remaining is None else remaining - len(block)
        if framed:
            self.wfile.write(b"0\r\n\r\n")
        elif remaining and not bare:
            self.close_connection = True

    def reply(self, response: Response) -> None:
        """Send a whole response, or close the connection for status 0."""
        if response.status == 0:
            self.close_connection = True
            return
        bare = self.command == "HEAD" or response.status in (204, 304)
        if not bare:
            replace(response.headers, "Content-Length", str(len(response.body)))
        self.head(response.status, response.headers)
        if not bare:
            self.wfile.write(response.body)

    def head(self, status: int, headers: HTTPMessage, reason: str | None = None, chunked: bool = False) -> None:
        """Status line and headers, less those that concern the other connection."""
        self.send_response_only(status, reason)
        for name, value in headers.items():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()


def replace(headers: HTTPMessage, name: str, value: str) -> None:
    """Set a header that may be there already, once or more."""
    del headers[name]
    headers[name] = value


def bad_gateway(error: Exception) -> Response:
    """The answer for an upstream that gave none."""
    return Response(502, body=f"tamper proxy: no answer from upstream: {error!r}\n".encode())
