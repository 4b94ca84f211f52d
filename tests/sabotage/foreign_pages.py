"""Sabotages by what foreign web pages may do: lists that are too wide, defences off, a front with any name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from tests.sabotage.harness import Aim, Sabotage, Target, raid
from tests.sabotage.lies import lie
from tests.sabotage.rules import at, edit
from tests.support.stacks import another_server

FOREIGN = "security/test_browser.py::test"
HOST, LIKE = (
    f"{FOREIGN}_a_foreign_host_name_is_refused",
    f"{FOREIGN}_a_host_name_that_begins_like_an_address_is_refused",
)
POST, READ = f"{FOREIGN}_a_post_from_a_foreign_page_is_refused", f"{FOREIGN}_a_foreign_page_cannot_read_answers"
FRAME = f"{FOREIGN}_no_foreign_page_shows_this_one_in_a_frame"
ANY_NAME = {
    HOST: r"Host: evil.example with API at http.*ajax API.*jobs.*refused, seen .*200",
    LIKE: "Host: 10.evil.example",
}


def serve(name: str, **changed: str) -> Callable[[Target, Aim], AbstractContextManager[None]]:
    """A second server on the same database, with other variables."""

    @contextmanager
    def begin(target: Target, aim: Aim) -> Iterator[None]:
        with another_server(target.begin, name, MLFLOW_WORKERS="1", **changed) as aim.mlflow_uri:
            aim.public_urls = [aim.mlflow_uri]
            yield

    return begin


@contextmanager
def take_any_name(target: Target, aim: Aim) -> Iterator[None]:
    """The proxy in front takes every Host, and names the server itself to it."""
    aim.any_name = True
    yield


RAIDS = (
    raid(
        "MLflow's own list of hosts, and no header against frames",
        Sabotage(
            "10.* lets in names that begin so; frames are allowed",
            {
                LIKE: "Host: 10.evil.example, 192.168.evil.example, 172.16.evil.example",
                FRAME: "expected SAMEORIGIN and nosniff, seen without X-Frame-Options;",
            },
            breaks=serve("default-hosts", MLFLOW_SERVER_ALLOWED_HOSTS="", MLFLOW_SERVER_X_FRAME_OPTIONS="NONE"),
        ),
        beside=f"{HOST} {POST} {READ}",
    ),
    raid(
        "lists with a star",
        Sabotage(
            "any host and any origin",
            ANY_NAME
            | {POST: "Origin: https://evil.example with API.*200", READ: r"seen .*Access-Control-Allow-Origin: \*"},
            breaks=serve("any", MLFLOW_SERVER_ALLOWED_HOSTS="*", MLFLOW_SERVER_CORS_ALLOWED_ORIGINS="*"),
        ),
        beside=FRAME,
    ),
    raid(
        "defences that are off",
        Sabotage(
            "the server runs without its middleware",
            ANY_NAME | {POST: "with API.*ajax API.*jobs", FRAME: "without X-Frame-Options, X-Content-Type-Options"},
            breaks=serve("undefended", MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE="true"),
        ),
        beside=READ,
    ),
    raid(
        "a front that takes any name",
        Sabotage(
            "it names the server to the server", ANY_NAME, lie("front", at("/version$"), edit()), breaks=take_any_name
        ),
        beside=f"{POST} {READ} {FRAME}",
    ),
)
