"""Lies about MLflow's API, made of the proxy's actions."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode

from tests.sabotage.rules import (
    Action,
    Forward,
    Matcher,
    Request,
    Response,
    Rule,
    answer,
    at,
    edit,
    edit_json,
    swallow_write,
)

API = r"/api/[23]\.0/mlflow/"


def api(path: str, *methods: str) -> Matcher:
    """Matches calls of the REST API, such as api("runs/search")."""
    return at(rf"{API}{path}$", *methods)


def artifacts(*methods: str, path: str = "") -> Matcher:
    """Matches uploads and downloads through the server."""
    return at(rf"/mlflow-artifacts/artifacts/.*{path}", *methods)


def lie(name: str, matcher: Matcher, action: Action) -> Callable[[], list[Rule]]:
    """One rule, made anew for each run."""
    return lambda: [Rule(name, matcher, action)]


def says(change: Callable[[Any], object]) -> Action:
    """Answers whose JSON was changed."""
    return edit_json(response=change)


def hears(change: Callable[[Any], object]) -> Action:
    """Requests whose JSON was changed."""
    return edit_json(request=change)


def hears_query(change: Callable[[dict[str, list[str]]], object]) -> Action:
    """Requests whose query was changed."""

    def act(request: Request) -> None:
        query = parse_qs(request.query, keep_blank_values=True)
        change(query)
        request.query = urlencode(query, doseq=True)

    return edit(act)


def ignored(reply: object = None) -> Action:
    """Acknowledge and do nothing."""
    return swallow_write(reply if reply is not None else {})


def only(wanted: Callable[[Request], object], action: Action) -> Action:
    """Do `action` for those requests only; `wanted` sees the request."""

    def act(request: Request, forward: Forward) -> Response:
        if wanted(request):
            return action(request, forward)
        response = forward(request)
        response.untouched = True
        return response

    return act


def after(n: int, action: Action) -> Action:
    """Leave the first `n` requests alone."""
    seen, lock = 0, threading.Lock()

    def due(request: Request) -> bool:
        nonlocal seen
        with lock:
            seen += 1
            return seen > n

    return only(due, action)


def nth(n: int, action: Action) -> Action:
    """Do `action` for the n-th request only."""
    seen, lock = 0, threading.Lock()

    def due(request: Request) -> bool:
        nonlocal seen
        with lock:
            seen += 1
            return seen == n

    return only(due, action)


def asked(request: Request) -> dict[str, Any]:
    """What was asked, from the JSON body or the query."""
    if request.body:
        found: dict[str, Any] = json.loads(request.body)
        return found
    return {name: values[-1] for name, values in parse_qs(request.query).items()}


def stale(key: Callable[[Request], object] = lambda request: (request.target, request.body)) -> Action:
    """Give each answer as it was when the same was asked first."""
    known: dict[object, Response] = {}
    lock = threading.Lock()

    def act(request: Request, forward: Forward) -> Response:
        with lock:
            old = known.get(key(request))
        fresh = forward(request)
        if old is None:
            if 200 <= fresh.status < 300:
                with lock:
                    known[key(request)] = fresh
            fresh.untouched = True
            return fresh
        return Response(old.status, old.headers, old.body, old.body == fresh.body)

    return act


def refused(status: int, code: str, message: str) -> Action:
    """An error as MLflow words it."""
    return answer(status, {"error_code": code, "message": message})


def per_target(n: int, action: Action) -> Action:
    """Do `action` for the n-th time that the same is asked, and for every n-th after it."""
    seen: dict[str, int] = {}
    lock = threading.Lock()

    def due(request: Request) -> bool:
        with lock:
            seen[request.target] = seen.get(request.target, 0) + 1
            return seen[request.target] % n == 0

    return only(due, action)


NOT_THERE = refused(404, "RESOURCE_DOES_NOT_EXIST", "no such thing on this replica")
HTML = answer(200, "<!doctype html><title>Welcome</title>", {"Content-Type": "text/html"})


def larger_than(size: int, action: Action) -> Action:
    return only(lambda request: len(request.body) > size, action)


def cut(by: int = 1, above: int = 0) -> Action:
    """Answers of more than `above` bytes end early, with a length that fits."""

    def shorten(response: Response) -> None:
        response.untouched = response.status != 200 or len(response.body) <= above
        if not response.untouched:
            response.body = response.body[:-by]
            for name in [n for n in response.headers if n.lower().startswith("x-amz-checksum")]:
                del response.headers[name]

    return edit(response=shorten)


def in_list(name: str, change: Callable[[list[Any]], object]) -> Action:
    """Change the list `name` of an answer in place, where it has one."""

    def act(document: Any) -> None:
        if document.get(name):
            change(document[name])

    return says(act)


def lose_last(document: Any, name: str) -> None:
    """Take the last entry of a page that is followed by another."""
    if document.get("next_page_token") and document.get(name):
        document[name].pop()


def every(pattern: str, value: str, most: int = 0) -> Action:
    """Replace what the answer says wherever `pattern` is found, at most so often (0: always)."""

    def change(response: Response) -> None:
        response.body = re.sub(pattern, value, response.body.decode(), count=most).encode()

    return edit(response=change)


def has(text: str) -> Callable[[Request], bool]:
    """Whether the query or the body of a request holds `text`."""
    return lambda request: text in request.query or text.encode() in request.body
