"""The tamper proxy: honest where no rule matches, and a liar exactly where one does."""

import hashlib
import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from tests.sabotage.proxy import TamperProxy
from tests.sabotage.rules import Rule, answer, at, delay, drop, edit, edit_json, every_nth, swallow_write

BLOCK = bytes(range(256)) * 256


class Upstream(BaseHTTPRequestHandler):
    """Tells what it was sent; /blocks/N answers N blocks chunked, /sized/N and /short/N with a length."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *arguments):
        """Be silent."""

    def serve(self):
        """Answer any method."""
        self.server.seen.append(f"{self.command} {self.path}")
        digest, size = hashlib.sha256(), 0
        for block in self.sent():
            digest.update(block)
            size += len(block)
        kind, _, count = self.path.strip("/").partition("/")
        if kind in ("blocks", "sized", "short"):
            self.send_blocks(kind, int(count))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        told = {"path": self.path, "headers": headers, "sha256": digest.hexdigest(), "size": size}
        self.send_whole(404 if kind == "missing" else 200, json.dumps(told).encode())

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = serve

    def sent(self):
        """The body of the request."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def send_whole(self, status, body):
        """A body with a length, and a header that comes twice."""
        self.send_response(status)
        self.send_header("Set-Cookie", "a=1")
        self.send_header("Set-Cookie", "b=2")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_blocks(self, kind, count):
        """A body made as it goes."""
        self.send_response(200)
        if kind == "blocks":
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(BLOCK) * count + (kind == "short")))
        self.end_headers()
        for _ in range(count):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK) if kind == "blocks" else BLOCK)
        self.wfile.write(b"0\r\n\r\n" if kind == "blocks" else b"")
        self.close_connection = kind == "short"


@pytest.fixture(scope="module")
def server():
    """The upstream; `seen` is what reached it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
        server.seen = []
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def through(server):
    """through(rule, ...) -> an entered proxy; what a rule raised is raised at the end of the test."""
    entered = []
    server.seen.clear()

    def enter(*rules, **options):
        proxy = TamperProxy(f"http://127.0.0.1:{server.server_port}", rules, **options)
        entered.append(proxy)
        return proxy.__enter__()

    yield enter
    for proxy in entered:
        proxy.__exit__(None, None, None)


def everything(action, name="lie"):
    """A rule that matches each request."""
    return Rule(name, at(""), action)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("rules", [(), (everything(edit()),)], ids=["streamed", "buffered"])
def test_methods_pass_unchanged(through, server, method, rules):
    """Method, path, query, body, status and double headers arrive as they were sent."""
    proxy = through(*rules)
    reply = requests.request(method, f"{proxy.url}/missing/a%20b?x=1&y=%2F", data=b"abc", timeout=5)
    assert server.seen == [f"{method} /missing/a%20b?x=1&y=%2F"]
    assert reply.status_code == 404
    assert reply.headers["Set-Cookie"] == "a=1, b=2"
    assert int(reply.headers["Content-Length"]) > 0
    if method != "HEAD":
        assert reply.json()["sha256"] == hashlib.sha256(b"abc").hexdigest()


def test_host_passes_or_is_replaced(through):
    """The upstream sees the client's Host, or the one that the test asked for."""
    kept = requests.get(through().url, headers={"Host": "mlflow.example:99"}, timeout=5).json()
    replaced = requests.get(through(host="other:1").url, timeout=5).json()
    assert kept["headers"]["host"] == "mlflow.example:99"
    assert replaced["headers"]["host"] == "other:1"


@pytest.mark.parametrize("rules", [(), (everything(edit()),)], ids=["streamed", "buffered"])
@pytest.mark.parametrize("chunked", [False, True])
def test_big_request_body(through, rules, chunked):
    """An upload of 4 MiB arrives whole, with a length and chunked."""
    body = BLOCK * 64
    data = (BLOCK for _ in range(64)) if chunked else body
    told = requests.put(f"{through(*rules).url}/up", data=data, timeout=10).json()
    assert (told["size"], told["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
    assert ("transfer-encoding" in told["headers"]) == (chunked and not rules)


@pytest.mark.parametrize("kind", ["blocks", "sized"])
def test_artifact_of_64_mib_is_streamed(through, kind):
    """A download of 64 MiB arrives whole, with and without a length."""
    with requests.get(f"{through().url}/{kind}/1024", stream=True, timeout=20) as reply:
        digest, size = hashlib.sha256(), 0
        for block in reply.iter_content(len(BLOCK)):
            digest.update(block)
            size += len(block)
    assert (size, digest.digest()) == (64 * 2**20, hashlib.sha256(BLOCK * 1024).digest())


def test_keep_alive(through):
    """One client connection carries several requests, also after a buffered one."""
    proxy = through(Rule("lie", at("^/b"), answer(204)))
    connection = http.client.HTTPConnection(*proxy.server.server_address, timeout=5)
    sockets = set()
    for path in ("/a", "/b", "/blocks/2", "/c"):
        connection.request("GET", path)
        connection.getresponse().read()
        sockets.add(connection.sock)
    connection.close()
    assert len(sockets) == 1
    assert None not in sockets


def test_short_answer_stays_short(through):
    """A body that ends before its length is not made good by the proxy."""
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        requests.get(f"{through().url}/short/2", timeout=5)


def test_answer_does_not_forward(through, server):
    """The client gets the made-up answer and the server never hears of it; other paths are let be."""
    rule = Rule("lie", at("^/x$", "POST"), answer(418, "tea", {"X-A": "1"}))
    proxy = through(rule)
    reply = requests.post(f"{proxy.url}/x", data=b"abc", timeout=5)
    assert (reply.status_code, reply.text, reply.headers["X-A"]) == (418, "tea", "1")
    assert requests.get(f"{proxy.url}/x", timeout=5).ok
    assert (server.seen, rule.fired, proxy.fired("lie")) == (["GET /x"], 1, 1)


def test_swallowed_write(through, server):
    """A write is acknowledged with JSON that may depend on the request, and is lost."""
    rule = everything(swallow_write(lambda request: {"echo": json.loads(request.body)["id"]}))
    assert requests.post(f"{through(rule).url}/w", json={"id": 7}, timeout=5).json() == {"echo": 7}
    assert server.seen == []


def test_edit_json_of_the_request(through):
    """The server gets the changed document with the right length."""
    rule = everything(edit_json(request=lambda document: document.update(value=2)))
    told = requests.post(through(rule).url, json={"value": 1}, timeout=5).json()
    expected = b'{"value": 2}'
    assert (told["size"], told["sha256"]) == (len(expected), hashlib.sha256(expected).hexdigest())


def test_edit_json_of_the_response(through):
    """The client gets the changed document; an error answer is let be and not counted."""
    rule = everything(edit_json(response=lambda document: {"was": document["path"]}))
    proxy = through(rule)
    assert requests.get(f"{proxy.url}/a", timeout=5).json() == {"was": "/a"}
    assert requests.get(f"{proxy.url}/missing", timeout=5).json()["path"] == "/missing"
    assert rule.fired == 1


def test_edit_of_status_headers_and_bytes(through):
    """A response can be changed in every part."""

    def change(response):
        response.status, response.body = 201, response.body[:3]
        del response.headers["Set-Cookie"]

    reply = requests.get(through(everything(edit(response=change))).url, timeout=5)
    assert (reply.status_code, reply.content, "Set-Cookie" in reply.headers) == (201, b'{"p', False)


@pytest.mark.parametrize(("after", "reached"), [(False, []), (True, ["POST /w"])])
def test_drop(through, server, after, reached):
    """The client is left without an answer, before or after the server did the work."""
    rule = everything(drop(after_forwarding=after))
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{through(rule).url}/w", json={}, timeout=5)
    assert (server.seen, rule.fired) == (reached, 1)


def test_delay(through):
    """A request that is held back longer than the client waits."""
    with pytest.raises(requests.ReadTimeout):
        requests.get(through(everything(delay(0.6))).url, timeout=0.2)


def test_every_nth(through):
    """Each third request is hit, and only those count."""
    rule = everything(every_nth(3, answer(503)))
    url = through(rule).url
    assert [requests.get(url, timeout=5).status_code for _ in range(6)] == [200, 200, 503] * 2
    assert rule.fired == 2


def test_rules_are_nested_in_order(through):
    """The first rule sees what the second one made."""
    outer = everything(edit_json(response=lambda document: [*document, "outer"]), "outer")
    inner = everything(answer(200, ["inner"]), "inner")
    assert requests.get(through(outer, inner).url, timeout=5).json() == ["inner", "outer"]


def test_a_broken_rule_is_raised(server):
    """A lie that could not be told must not look like a check that missed it."""
    rule = everything(edit_json(request=lambda document: document["no such key"]))
    with (
        pytest.raises(ExceptionGroup) as raised,
        TamperProxy(f"http://127.0.0.1:{server.server_port}", [rule]) as proxy,
        pytest.raises(requests.ConnectionError),
    ):
        requests.post(proxy.url, json={}, timeout=5)
    assert raised.group_contains(KeyError)
    assert rule.fired == 0


@pytest.mark.parametrize("rules", [(), (everything(edit()),)], ids=["streamed", "buffered"])
def test_dead_upstream(rules):
    """A server that is gone shows as 502."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as closed:
        pass
    with TamperProxy(f"http://127.0.0.1:{closed.server_port}", rules) as proxy:
        assert requests.get(proxy.url, timeout=5).status_code == 502


def test_nothing_outlives_the_proxy(server):
    """A connection that was kept alive is closed when the proxy is left, and nobody listens any more."""
    with requests.Session() as session:
        with TamperProxy(f"http://127.0.0.1:{server.server_port}") as proxy:
            assert session.get(proxy.url, timeout=5).ok
        with pytest.raises(requests.ConnectionError):
            session.get(proxy.url, timeout=5)


def test_upstream_must_be_an_http_address():
    """A wrong address is refused at once."""
    with pytest.raises(ValueError, match="upstream must be"):
        TamperProxy("localhost:5000")
