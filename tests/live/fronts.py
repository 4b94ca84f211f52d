"""What stands in front of a server: a real nginx, and listeners that answer badly or not at all."""

from __future__ import annotations

import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from fixtures.core.waiting import NotYet, wait_for
from fixtures.processes.child import Child, start_child
from fixtures.processes.ports import Ports
from tests.lifecycle.stub import Stub
from tests.live.authority import Authority

CONFIG = """
daemon off;
master_process off;
pid {home}/nginx.pid;
error_log {home}/nginx-error.log;
events {{ }}
http {{
  log_format line '$status\\t$upstream_status\\t$request_method $request_uri\\t$ssl_client_verify'
                  '\\t$http_authorization\\t$http_x_tenant\\t$http_user_agent';
  access_log {home}/access.log line;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  client_max_body_size 0;
  {more}
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {certificate}; ssl_certificate_key {certificate};
    {body}
  }}
}}
"""
HAPROXY_CONFIG = """
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend front
  bind 127.0.0.1:{port}
  default_backend back
backend back
  server server {upstream} pool-purge-delay 60s
"""


@dataclass(frozen=True)
class Seen:
    """One line of nginx's access log."""

    status: int
    upstream: str  # the server's status; "-" where nginx answered by itself
    request: str
    verified: str
    authorization: str
    tenant: str
    agent: str


@dataclass(frozen=True)
class Front:
    """A running nginx that speaks TLS on `port`."""

    home: Path
    port: int

    def seen(self) -> list[Seen]:
        lines = (self.home / "access.log").read_text().splitlines()
        return [Seen(int(status), *rest) for status, *rest in (line.split("\t") for line in lines)]


def find_front_program(name: str, package: str) -> str:
    """The path of a program; skips where it is not installed."""
    found = shutil.which(name, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/homebrew/bin")
    if found is None:
        pytest.skip(f"{name} is not installed; apt-get install {package} (.ci/run does)")
    return found


@contextmanager
def nginx(home: Path, ports: Ports, name: str, certificate: Path, body: str, more: str = "") -> Iterator[Front]:
    """nginx with TLS on a free loopback port; `body` is the rest of its server block, `more` stands before that.

    It runs in `home`, a guarded folder, so that the guard ends it however this process ends.
    """
    program, folder, port = find_front_program("nginx", "nginx-light"), home / name, ports.take()
    folder.mkdir()
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(home=folder, port=port, certificate=certificate, body=body, more=more))
    child = start_child(name, [program, "-e", folder / "nginx-error.log", "-p", folder, "-c", config], home)
    with while_listening(child, port):
        yield Front(folder, port)


@contextmanager
def haproxy(home: Path, ports: Ports, name: str, upstream: str) -> Iterator[int]:
    """The port of HAProxy that keeps its connections to `upstream`, and uses them for each client's first request."""
    program, config, port = find_front_program("haproxy", "haproxy"), home / f"{name}.cfg", ports.take()
    config.write_text(HAPROXY_CONFIG.format(port=port, upstream=upstream))
    with while_listening(start_child(name, [program, "-db", "-f", config], home), port):
        yield port


@contextmanager
def while_listening(child: Child, port: int) -> Iterator[None]:
    """Begins once the child listens; at the end it is ended."""

    def listens() -> None:
        try:
            socket.create_connection(("127.0.0.1", port), 2).close()
        except ConnectionRefusedError as error:
            raise NotYet(str(error)) from None

    try:
        wait_for(child.name, listens, 20, ended=child.ended, log=child.log)
        yield
    finally:
        child.popen.terminate()
        child.popen.wait(20)


@contextmanager
def listener(backlog: int = 10) -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as found:
        yield found


def port_of(listening: socket.socket) -> int:
    return int(listening.getsockname()[1])


@contextmanager
def black_hole() -> Iterator[int]:
    """The port of a listener whose queue is full: connecting hangs, as behind a firewall that drops."""
    with ExitStack() as held, listener(0) as full:
        for _ in range(4):
            caller = held.enter_context(closing(socket.socket()))
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        yield port_of(full)


@contextmanager
def tls_stub(certificate: Path, clients: Authority | None = None) -> Iterator[Stub]:
    """A stub that says it is MLflow and speaks TLS; with `clients` only to those whose certificate that one signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients.pem)
    with Stub() as stub:
        plain = stub.server.get_request

        def get_request() -> tuple[ssl.SSLSocket, object]:
            link, address = plain()
            link.settimeout(10)
            secure = context.wrap_socket(link, server_side=True, do_handshake_on_connect=False)
            try:
                secure.do_handshake()
            except ssl.SSLError:
                read_out(socket.socket(fileno=secure.detach()))
                raise
            return secure, address

        stub.server.get_request = get_request  # type: ignore[assignment]
        stub.url = stub.url.replace("http://127.0.0.1", "https://localhost")
        yield stub


def read_out(link: socket.socket) -> None:
    """Close `link` in order: with something unread the other end would see a reset instead of the TLS alert."""
    with link, suppress(OSError):
        link.settimeout(5)
        link.shutdown(socket.SHUT_WR)
        while link.recv(4096):
            pass


@contextmanager
def hanging_up() -> Iterator[int]:
    """The port of something that takes connections and closes them at once."""
    with listener() as found:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    found.accept()[0].close()

        threading.Thread(target=serve, daemon=True).start()
        yield port_of(found)
        found.shutdown(socket.SHUT_RDWR)  # closing alone does not end the accept
