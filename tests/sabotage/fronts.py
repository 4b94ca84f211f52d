"""Sabotages by what stands in front of a server: filters, and proxies that pass a part of the routes only."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from tests.sabotage.harness import FLOOR, Aim, Sabotage, Target, raid
from tests.sabotage.lies import artifacts, has, larger_than, lie, only
from tests.sabotage.proxy import HOP_BY_HOP, TamperProxy, bad_gateway
from tests.sabotage.rules import Action, Forward, Request, Response, Rule, answer, at, edit, every_nth

FORBIDDEN = answer(403, "<html><h1>403 Forbidden</h1></html>", {"Content-Type": "text/html", "Server": "filter"})
NOT_FOUND = answer(404, "<html><h1>404 Not Found</h1></html>", {"Content-Type": "text/html", "Server": "nginx"})
BAD_METHOD = answer(405, "<html><h1>405 Not Allowed</h1></html>", {"Content-Type": "text/html", "Server": "nginx"})
TOO_LARGE = answer(413, "<html><h1>413 Request Entity Too Large</h1></html>", {"Content-Type": "text/html"})
START_PAGE = answer(200, "<!doctype html><title>Welcome</title>", {"Content-Type": "text/html"})
PAGE = "health/test_page.py::test_the"
IDLE = "health/test_idle_connections.py::test_idle_connections_are_not_used_too_long"
ROUTES, SPANS = "health/test_routes.py::test", "client/test_spans.py::test_a"


def looks_like_code(request: Request) -> bool:
    return any(word in request.body for word in (b"<script", b"import os", b"UNION SELECT"))


def without_type(response: Response) -> None:
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "text/plain"


def keep_connections(uri: str) -> Action:
    """Forward on 20 connections in turn that are kept and never looked at: one that the server has closed brings a 502.

    Each is made anew after that, with the same request, so that it is idle again when its turn comes.
    """
    parts = urlsplit(uri)
    links = [HTTPConnection(parts.hostname or "", parts.port, timeout=30) for _ in range(20)]
    locks, turns = [threading.Lock() for _ in links], itertools.count()

    def send(link: HTTPConnection, request: Request) -> Response:
        made = {*HOP_BY_HOP, "host", "content-length"}
        headers = {name: value for name, value in request.headers.items() if name.lower() not in made}
        link.request(request.method, request.target, request.body, headers)
        answered = link.getresponse()
        return Response(answered.status, answered.headers, answered.read())

    def act(request: Request, forward: Forward) -> Response:
        turn = next(turns) % len(links)
        with locks[turn]:
            try:
                response = send(links[turn], request)
            except (OSError, HTTPException) as error:
                links[turn].close()
                send(links[turn], request)
                return bad_gateway(error)
        response.untouched = True
        return response

    return act


@contextmanager
def stale_front(target: Target, aim: Aim) -> Iterator[None]:
    """What stands in front keeps connections for longer than the server, and does not see that they are closed."""
    stale = Rule("stale", at("/experiments/search$", "POST"), keep_connections(aim.mlflow_uri))
    with TamperProxy(aim.mlflow_uri, [stale], host=aim.mlflow_uri.removeprefix("http://")) as proxy:
        aim.mlflow_uri = proxy.url
        yield
    assert stale.fired


@contextmanager
def public_url_without_scripts(target: Target, aim: Aim) -> Iterator[None]:
    """People come by another address than scripts."""
    host = aim.mlflow_uri.removeprefix("http://")
    with TamperProxy(aim.mlflow_uri, [Rule("public", at("/static-files/"), NOT_FOUND)], host=host) as proxy:
        aim.public_urls.append(proxy.url)
        yield


RAIDS = (
    raid(
        "a filter in front",
        Sabotage(
            "files are refused by name and by content",
            {"client/test_code_files.py::test_files_of_code_come_back": "code/train.py.*403.*not MLflow's own answer"},
            lambda: [
                Rule("names", artifacts("PUT", "GET", path=r"\.(sh|env|ini)$"), FORBIDDEN),
                Rule("contents", artifacts("PUT"), only(looks_like_code, FORBIDDEN)),
            ],
        ),
        Sabotage(
            "values are refused that look like code",
            {"client/test_values.py::test_text_is_stored_as_it_was_sent": "403"},
            lie("values", at("/runs/log-batch$", "POST"), only(looks_like_code, FORBIDDEN)),
        ),
        Sabotage(
            "two methods are refused",
            {f"{ROUTES}_scripts_may_use_every_method": "PATCH .*update: 405.*nginx.*DELETE .*delete-tag: 405"},
            lie("methods", at("/registered-models/", "PATCH", "DELETE"), BAD_METHOD),
        ),
        Sabotage(
            "what pages ask for is not passed, or is answered with a start page",
            {
                f"{ROUTES}_routes_that_only_pages_use_are_let_through": "POST /graphql: 404 text/html of nginx.*"
                "/get-artifact: 200 text/html.*GET /model-versions/get-artifact",
                f"{ROUTES}_the_page_can_read_a_run_whose_metrics_are_not_finite": "404 text/html of nginx",
            },
            lambda: [
                Rule("graphql", at("/graphql$"), NOT_FOUND),
                Rule("files", at("/get-artifact$"), START_PAGE),
                Rule("charts", at("/ajax-api/.*/get-history-bulk-interval$"), START_PAGE),
            ],
        ),
        Sabotage(
            "spans are not passed",
            {
                f"{SPANS}_trace_of_any_size_is_stored": "v1/traces.*404",
                f"{SPANS}_burst_of_spans_is_stored_whole": "404",
            },
            lie("spans", at("/v1/traces$"), NOT_FOUND),
        ),
        beside="""client/test_artifacts.py::test_a_folder_comes_back_whole
            client/test_traces.py::test_a_trace_is_found_with_its_spans
            client/test_values.py::test_a_param_cannot_be_changed
            health/test_services.py::test_client_lists_experiments""",
    ),
    raid(
        "spans that go astray",
        Sabotage(
            "traces of more than 64 kB are refused",
            {f"{SPANS}_trace_of_any_size_is_stored": "100000 bytes.*413"},
            lie("size", at("/v1/traces$"), larger_than(1 << 16, TOO_LARGE)),
        ),
        Sabotage(
            "one request in seven is taken and not passed on",
            {f"{SPANS}_burst_of_spans_is_stored_whole": "expected 80, whole traces, seen [67]0 spans"},
            lie("lost", at("/v1/traces$"), only(has("step 9"), every_nth(7, answer(200)))),
        ),
        beside="""client/test_traces.py::test_a_trace_is_found_with_its_spans
            health/test_routes.py::test_scripts_may_use_every_method""",
        options=FLOOR,
    ),
    raid(
        "a page that does not load",
        Sabotage(
            "styles have no type",
            {f"{PAGE}_page_opens_with_its_scripts_and_styles": "are wrong: .*css: type text/plain"},
            lie("styles", at(r"\.css$", "GET"), edit(response=without_type)),
        ),
        Sabotage(
            "scripts that the proxy does not know are its start page",
            {"health/test_page.py::test_no_script_of_the_page_is_missing": r"are wrong: .*\.js: 200 text/html"},
            lie("scripts", at(r"/[0-9]+7\..*\.chunk\.js$", "HEAD"), START_PAGE),
        ),
        Sabotage(
            "the public URL passes no scripts",
            {f"{PAGE}_page_opens_under_each_public_url": "main.*js: 404 text/html of nginx"},
            breaks=public_url_without_scripts,
        ),
        beside="""health/test_routes.py::test_routes_that_only_pages_use_are_let_through
            health/test_names.py::test_server_answers_to_the_names_that_clients_use""",
        options=FLOOR,
    ),
    raid(
        "a proxy that keeps dead connections",
        Sabotage(
            "connections are used although the server has closed them",
            {IDLE: r"\d+ of \d+ requests, in [2-5] of [2-5] rounds, got 502.* none of 40 without"},
            breaks=stale_front,
        ),
        beside="health/test_services.py::test_health_answers_ok",
    ),
    raid(
        "a limit above the usual test files",
        Sabotage(
            "files of more than 6 MiB are refused",
            {"client/test_sizes.py::test_the_largest_file_is_stored": "PUT of a file of 15.3 MiB.*413.*about 3.8 MiB"},
            lie("413", artifacts("PUT", path="large.bin$"), larger_than(6 << 20, TOO_LARGE)),
        ),
        beside="client/test_artifacts.py::test_a_file_of_any_size_comes_back",
        options="--largest-file=16MB",
    ),
)
