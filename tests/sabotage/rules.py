"""What the tamper proxy can be told to do: rules that answer, change, delay, swallow or drop a request."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPMessage
from typing import Any


@dataclass
class Request:
    """What the client asked for; `path` and `query` as they were sent, still percent-encoded."""

    method: str
    path: str
    query: str
    headers: HTTPMessage
    body: bytes = b""

    @property
    def target(self) -> str:
        """Path and query as they stand in a request line."""
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass
class Response:
    """What the client gets; status 0 closes the connection without an answer.

    An action sets `untouched` where it changed nothing, so that its rule does not count as fired.
    """

    status: int
    headers: HTTPMessage = field(default_factory=HTTPMessage)
    body: bytes = b""
    untouched: bool = False


Forward = Callable[[Request], Response]
Action = Callable[[Request, Forward], Response]
Matcher = Callable[[str, str], bool]


@dataclass
class Rule:
    """A lie with a name: `action` is wrapped around each request that `matcher(method, path)` is true for.

    Several rules may match one request; the first in the list is the outermost. An action that raises is a
    fault of the test: the connection is closed and the proxy raises it when it is left.
    """

    name: str
    matcher: Matcher
    action: Action
    fired: int = 0
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def apply(self, request: Request, forward: Forward) -> Response:
        """Run the action and count it."""
        response = self.action(request, forward)
        with self._lock:
            self.fired += not response.untouched
        response.untouched = False
        return response


def at(pattern: str, *methods: str) -> Matcher:
    """Matches paths in which the regular expression is found, for these methods (none: for all)."""
    return lambda method, path: bool(re.search(pattern, path)) and (not methods or method in methods)


def answer(status: int = 200, body: object = b"", headers: dict[str, str] | None = None) -> Action:
    """Answer without forwarding; a body that is neither bytes nor str is sent as JSON, a callable asked."""

    def act(request: Request, forward: Forward) -> Response:
        content = body(request) if callable(body) else body
        response = Response(status)
        if not isinstance(content, bytes | str):
            response.headers["Content-Type"] = "application/json"
            content = json.dumps(content)
        for name, value in (headers or {}).items():
            del response.headers[name]
            response.headers[name] = value
        response.body = content.encode() if isinstance(content, str) else content
        return response

    return act


def swallow_write(reply: object) -> Action:
    """Acknowledge a write with this JSON (or what `reply(request)` returns) and never forward it."""
    return answer(200, reply)


def drop(after_forwarding: bool = False) -> Action:
    """Close the connection without an answer; with `after_forwarding` once the server has done the work."""

    def act(request: Request, forward: Forward) -> Response:
        if after_forwarding:
            forward(request)
        return Response(0)

    return act


def delay(seconds: float, then: Action | None = None) -> Action:
    """Hold the request back, then forward it, or do `then`."""

    def act(request: Request, forward: Forward) -> Response:
        threading.Event().wait(seconds)
        return then(request, forward) if then else forward(request)

    return act


def hold_core(seconds: float, cores: int = 2) -> Action:
    """Hold the request back as a server does that needs so much of one of its cores for each, and forward it."""
    free = threading.Semaphore(cores)

    def act(request: Request, forward: Forward) -> Response:
        with free:
            threading.Event().wait(seconds)
        return forward(request)

    return act


def edit(
    request: Callable[[Request], object] | None = None, response: Callable[[Response], object] | None = None
) -> Action:
    """Change the request before it is forwarded, or the response after it, in place (any status)."""

    def act(asked: Request, forward: Forward) -> Response:
        if request:
            request(asked)
        answered = forward(asked)
        if response:
            response(answered)
        return answered

    return act


def edit_json(
    request: Callable[[Any], object] | None = None, response: Callable[[Any], object] | None = None
) -> Action:
    """Change the JSON of the request, or of a successful response; in place, or by returning the new value.

    With `response` only, answers other than 2xx pass unchanged and uncounted.
    """

    def act(asked: Request, forward: Forward) -> Response:
        if request:
            asked.body = changed(asked.body, request)
        answered = forward(asked)
        if response and 200 <= answered.status < 300:
            answered.body = changed(answered.body, response)
        else:
            answered.untouched = request is None
        return answered

    return act


def changed(body: bytes, change: Callable[[Any], object]) -> bytes:
    """The JSON document after `change`."""
    document = json.loads(body)
    result = change(document)
    return json.dumps(document if result is None else result).encode()


def every_nth(n: int, action: Action) -> Action:
    """Do `action` for the n-th, 2n-th, ... matching request and leave the others alone."""
    seen, lock = 0, threading.Lock()

    def act(request: Request, forward: Forward) -> Response:
        nonlocal seen
        with lock:
            seen += 1
            due = seen % n == 0
        if due:
            return action(request, forward)
        response = forward(request)
        response.untouched = True
        return response

    return act
