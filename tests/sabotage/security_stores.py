"""Sabotages that the suite security must catch: stores that let others in, and answers that tell too much."""

from __future__ import annotations

import dataclasses
import socket
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from fixtures.clients.s3 import open_s3_client
from tests.sabotage.harness import Aim, Sabotage, Target, raid
from tests.sabotage.lies import api, lie, only
from tests.sabotage.proxy import TamperProxy
from tests.sabotage.rules import Action, Rule, answer, at
from tests.support.stacks import await_listing, configure_store

STORES, LEAKS = "security/test_stores.py::test", "security/test_leaks.py::test"
TRACE = b'Traceback (most recent call last):\n  File "/opt/mlflow/lib/python3.11/site-packages/mlflow/x.py", line 1'
LISTING = answer(200, "<html><head><title>Index of /static-files/</title></head>", {"Content-Type": "text/html"})
FIGURES = answer(200, "# HELP up\n# TYPE up gauge\nup 1\n", {"Content-Type": "text/plain; version=0.0.4"})


def find_other_address() -> str:
    """An address of this machine beside loopback's."""
    mine = [one.address for all_ in psutil.net_if_addrs().values() for one in all_ if one.family == socket.AF_INET]
    other = next((one for one in mine if not ip_address(one).is_loopback), None)
    assert other, "this machine has no address but loopback's: the sabotage cannot be made"
    return other


@contextmanager
def open_to_others(uri: str) -> Iterator[None]:
    """Something takes connections at the port of `uri`, which is loopback's, at another address of this machine."""
    other = find_other_address()
    with closing(socket.create_server((other, urlsplit(uri).port or 0))):
        yield


@contextmanager
def store_for_everybody(target: Target, aim: Aim) -> Iterator[None]:
    """The store knows strangers, and MinIO's well-known keys; others reach it."""
    bucket = target.stack.s3
    assert bucket
    assert bucket.endpoint
    stranger = "-user anonymous -actions Read,List,Write"
    known = "-user known -access_key minioadmin -secret_key minioadmin -actions Read,List"
    with ExitStack() as left, open_to_others(bucket.endpoint):
        for words in (stranger, known):
            left.callback(configure_store, target.begin, f"{words} -delete", bucket)
            configure_store(target.begin, words, bucket)
        await_listing(open_s3_client(bucket, signed=False), bucket)
        keys = dataclasses.replace(bucket, access_key="minioadmin", secret_key="minioadmin")
        await_listing(open_s3_client(keys), bucket)
        yield


@contextmanager
def console_for_others(target: Target, aim: Aim) -> Iterator[None]:
    """The store knows strangers, and sends browsers to a console that others reach."""
    bucket = target.stack.s3
    assert bucket
    console = {"Location": aim.mlflow_uri}
    shown = only(lambda request: "html" in request.headers.get("Accept", ""), answer(307, headers=console))
    aim.store_rules.append(Rule("console", at("^/$", "GET"), shown))
    stranger = "-user anonymous -actions List"
    with ExitStack() as left, open_to_others(aim.mlflow_uri):
        left.callback(configure_store, target.begin, f"{stranger} -delete", bucket)
        configure_store(target.begin, stranger, bucket)
        await_listing(open_s3_client(bucket, signed=False), bucket)
        yield


@contextmanager
def bucket_of_others(target: Target, aim: Aim) -> Iterator[None]:
    """The keys open every bucket of the store, that of another team, too."""
    assert target.stack.s3
    client = open_s3_client(target.stack.s3)
    client.create_bucket(Bucket="of-another-team")
    aim.options += ["--foreign-bucket", "of-another-team"]
    try:
        yield
    finally:
        client.delete_bucket(Bucket="of-another-team")


@contextmanager
def database_for_others(target: Target, aim: Aim) -> Iterator[None]:
    """Others reach the database, whose role here is a superuser."""
    with open_to_others(aim.db_uri):
        yield


@contextmanager
def shipped_password(target: Target, aim: Aim) -> Iterator[None]:
    """A server that asks for a sign-in as MLflow's basic auth does, and whose admin has the password it came with."""
    shipped = f"Basic {b64encode(b'admin:password1234').decode()}"
    challenge = {"Content-Type": "text/html", "WWW-Authenticate": 'Basic realm="mlflow"'}
    aim.rules += [
        Rule("asks", at("/api/"), only(lambda r: "Authorization" not in r.headers, answer(401, "sign in", challenge))),
        Rule(
            "shipped",
            at("/users/get$"),
            only(lambda r: r.headers["Authorization"] == shipped, answer(200, {"user": {}})),
        ),
    ]
    with tempfile.TemporaryDirectory() as folder:
        (file := Path(folder, "headers")).write_text(
            f"Authorization: Basic {b64encode(b'ann:secret-of-ann').decode()}\n"
        )
        aim.options += ["--header-file", str(file)]
        yield


@contextmanager
def tell_publicly(aim: Aim, path: str, told: Action) -> Iterator[None]:
    """At the public URL something else than MLflow answers for `path`."""
    with TamperProxy(aim.mlflow_uri, [Rule("public", at(path), told)], host=urlsplit(aim.mlflow_uri).netloc) as proxy:
        aim.public_urls.append(proxy.url)
        yield


@contextmanager
def figures_and_port_for_others(target: Target, aim: Aim) -> Iterator[None]:
    """The public URL shows figures, and others reach the port behind it."""
    with open_to_others(aim.mlflow_uri), tell_publicly(aim, "/metrics$", FIGURES):
        yield


RAIDS = (
    raid(
        "stores that others open",
        Sabotage(
            "the bucket is open to strangers, and to keys that everybody knows",
            {
                f"{STORES}_bucket_is_closed_to_strangers": "open to list, read, write.*the object store "
                "is open to others at",
                f"{STORES}_well_known_keys_do_not_open_the_store": "minioadmin with itself as its secret",
            },
            breaks=store_for_everybody,
        ),
        Sabotage(
            "the keys open the bucket of another team",
            {f"{STORES}_keys_open_no_foreign_bucket": "HEAD of bucket of-another-team.*expected refused, seen 200"},
            breaks=bucket_of_others,
        ),
        Sabotage(
            "a superuser's database is open to others",
            {
                f"{STORES}_database_role_of_the_server_is_no_superuser": "expected none, seen mlflow; .*"
                "the database is open to others"
            },
            breaks=database_for_others,
        ),
        Sabotage(
            "figures are open",
            {f"{LEAKS}_figures_are_not_public": "open at http://127.0.0.1.*MLflow's own port is open to others"},
            breaks=figures_and_port_for_others,
        ),
        beside="""health/test_object_store.py::test_listing_names_every_object_once
            health/test_database_login.py::test_server_role_may_write_every_table""",
    ),
    raid(
        "a store whose console is open",
        Sabotage(
            "the store leads to a console that others reach",
            {f"{STORES}_bucket_is_closed_to_strangers": "open to list.*the store's console is open to others at"},
            breaks=console_for_others,
        ),
        beside="health/test_object_store.py::test_listing_names_every_object_once",
    ),
    raid(
        "the password that it came with",
        Sabotage(
            "the admin was never given another",
            {
                "security/test_default_passwords.py::test_shipped_admin_password_is_refused": "let in with the shipped "
                "password;"
            },
            breaks=shipped_password,
        ),
        beside="health/test_services.py::test_health_answers_ok",
    ),
    raid(
        "answers that tell too much",
        Sabotage(
            "an error shows a trace",
            {f"{LEAKS}_errors_tell_nothing_of_the_inside": r"a wrong id \(400\): a stack trace, paths"},
            lie("trace", api("experiments/get"), only(lambda r: "%27" in r.query, answer(400, TRACE))),
        ),
        Sabotage(
            "folders are listed",
            {f"{LEAKS}_folders_are_not_listed": "static-files/"},
            breaks=lambda target, aim: tell_publicly(aim, "/static-files/$", LISTING),
        ),
        beside="""health/test_page.py::test_the_page_opens_with_its_scripts_and_styles
            health/test_routes.py::test_scripts_may_use_every_method""",
    ),
)
