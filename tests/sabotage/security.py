"""Sabotages by who gets in: a sign-in that nobody asks for, or not everywhere."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.sabotage.harness import Aim, Sabotage, Target, raid
from tests.sabotage.rules import Forward, Request, Response, Rule, answer, at, every_nth

REFUSED = answer(401, "sign in", {"Content-Type": "text/plain", "WWW-Authenticate": "Bearer"})
TOKEN = "a-token-of-clients"
SIGN_IN = "security/test_sign_in.py::test"


@contextmanager
def declare_token(target: Target, aim: Aim) -> Iterator[None]:
    """Clients send a token; whether anybody asks for it is another matter."""
    with tempfile.TemporaryDirectory() as folder:
        (file := Path(folder, "headers")).write_text(f"X-Token: {TOKEN}\n")
        aim.options += ["--header-file", str(file)]
        aim.public_urls.clear()
        yield


def demand(said: Callable[[Request], bool], pattern: str = "", without: str = "^$") -> list[Rule]:
    """A front that answers 401 unless `said`, for paths with `pattern` in them, but not those with `without`."""

    def act(request: Request, forward: Forward) -> Response:
        return forward(request) if said(request) else REFUSED(request, forward)

    return [Rule("front", lambda method, path: bool(re.search(pattern, path) and not re.search(without, path)), act)]


def has_token(request: Request) -> bool:
    return request.headers.get("X-Token") == TOKEN


def has_any(request: Request) -> bool:
    return has_token(request) or "Authorization" in request.headers


RAIDS = (
    raid(
        "a sign-in that nobody asks for",
        Sabotage(
            "the token is declared and not enforced",
            {
                f"{SIGN_IN}_a_declared_sign_in_is_enforced": "without a sign-in.*: expected refused, seen .*200",
                f"{SIGN_IN}_every_family_of_routes_asks_for_the_sign_in": "open: API, ajax API.*artifacts PUT, multi",
                f"{SIGN_IN}_a_wrong_password_is_refused": "as user rdy-.* with a wrong password.*200",
            },
            breaks=declare_token,
        ),
        beside="health/test_services.py::test_health_answers_ok",
    ),
    raid(
        "a front that guards one family and not another",
        Sabotage(
            "only /api/2.0/mlflow asks for the token",
            {
                f"{SIGN_IN}_every_family_of_routes_asks_for_the_sign_in": "expected refused, as are API, webhooks.*"
                "open: ajax API, traces, graphql.*/v1/traces .CVE-2026-2652"
            },
            lambda: demand(has_token, "/api/2.0/mlflow/"),
            breaks=declare_token,
        ),
        beside=f"{SIGN_IN}_a_declared_sign_in_is_enforced {SIGN_IN}_a_wrong_password_is_refused",
    ),
    raid(
        "a replica that forgot a user",
        Sabotage(
            "each sixth connection is refused",
            {"security/test_user_stores.py::test_every_replica_knows_the_declared_user": r"seen .*200: \d+, 401: \d+"},
            lambda: [Rule("other", at("/experiments/search$", "GET"), every_nth(6, REFUSED))],
            breaks=declare_token,
        ),
        beside="health/test_services.py::test_health_answers_ok",
    ),
    raid(
        "a front that takes any password",
        Sabotage(
            "it looks only whether there is one",
            {f"{SIGN_IN}_a_wrong_password_is_refused": "as user rdy-.* with a wrong password.*200"},
            lambda: demand(has_any, without="/(health|version)$|/server-info$|/static-files/"),
            breaks=declare_token,
        ),
        beside=f"{SIGN_IN}_a_declared_sign_in_is_enforced {SIGN_IN}_every_family_of_routes_asks_for_the_sign_in",
    ),
)
