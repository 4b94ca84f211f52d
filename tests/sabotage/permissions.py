"""Sabotages by what users may do: a front that lends the admin's rights for a route, and one that refuses a deed."""

from __future__ import annotations

import tempfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fixtures.clients.rest import RestClient
from fixtures.config.access import Access
from tests.sabotage.harness import Aim, Sabotage, Target, raid
from tests.sabotage.lies import only
from tests.sabotage.rules import Request, Rule, answer, at, edit, edit_json, every_nth
from tests.support.stacks import another_server

ADMIN, USER, PASSWORD = "boss", "ann", "secret-of-both-of-them"
STORES = "security/test_user_stores.py::test"
PERMISSION = "security/test_permissions.py::test_a"
DEFAULT = "security/test_default_permission.py::test_the_declared_user_manages_nothing_by_default"
CONFIG = """[mlflow]
default_permission = NO_PERMISSIONS
database_uri = sqlite:///{folder}/users.db
admin_username = boss
admin_password = {password}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
"""


def encode_basic(user: str) -> str:
    return f"Basic {b64encode(f'{user}:{PASSWORD}'.encode()).decode()}"


def is_new(request: Request) -> bool:
    """Whether it is about the user of the check on user stores; the others are known."""
    return "-everywhere-" in request.query


def is_declared(request: Request) -> bool:
    """Whether it is about the user of the run, not about one whom it made."""
    return f"username={USER}&" in request.query


def become_admin(request: Request) -> None:
    del request.headers["Authorization"]
    request.headers["Authorization"] = encode_basic(ADMIN)


def give_all(answer: dict[str, object]) -> None:
    answer["permission"] = "MANAGE"


@contextmanager
def ask_for_users(target: Target, aim: Aim) -> Iterator[None]:
    """A second server on the same database that asks for MLflow's own sign-in; the run knows a user and the admin."""
    with tempfile.TemporaryDirectory() as folder:
        (config := Path(folder, "auth.ini")).write_text(CONFIG.format(folder=folder, password=PASSWORD))
        (headers := Path(folder, "headers")).write_text(f"Authorization: {encode_basic(USER)}\n")
        (secret := Path(folder, "secret")).write_text(PASSWORD)
        changed = {
            "MLFLOW_WORKERS": "1",
            "MLFLOW_AUTH_CONFIG_PATH": str(config),
            "MLFLOW_AUTH_ADMIN_USERNAME": ADMIN,
            "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": PASSWORD,
        }
        words = ("--app-name", "basic-auth")
        with another_server(target.begin, "users", words=words, **changed) as aim.mlflow_uri:
            admin = RestClient(aim.mlflow_uri, Access(ADMIN, PASSWORD))
            admin.call("users/create", {"username": USER, "password": PASSWORD})
            aim.public_urls.clear()
            aim.options += ["--header-file", str(headers), "--admin-user", ADMIN, f"--admin-password=@{secret}"]
            yield


RAIDS = (
    raid(
        "users who may do what their permissions do not say",
        Sabotage(
            "a front writes tags of runs, and reads data sets, as the admin",
            {
                f"{PERMISSION}_reader_reads_and_does_not_write": "contrary: POST .*runs/set-tag",
                f"{PERMISSION}_user_without_permission_gets_nothing": "user without.*runs/set-tag.*datasets/",
            },
            lambda: [
                Rule("tags", at("/runs/set-tag$"), edit(become_admin)),
                Rule("data sets", at("/datasets/d-[^/]+$", "GET"), edit(become_admin)),
            ],
            breaks=ask_for_users,
        ),
        Sabotage(
            "it deletes runs as the admin",
            {
                f"{PERMISSION}n_editor_writes_and_does_not_delete": "contrary: POST .*runs/delete",
                f"{PERMISSION}_newcomer_deletes_nothing_of_others": "contrary: POST .*runs/delete",
            },
            lambda: [Rule("deletes", at("/runs/delete$"), edit(become_admin))],
        ),
        Sabotage(
            "it makes admins as the admin",
            {f"{PERMISSION}_user_gives_themselves_no_rights": "seen given by PATCH users/update-admin"},
            lambda: [Rule("admins", at("/users/update-admin$"), edit(become_admin))],
        ),
        Sabotage(
            "it refuses to delete versions",
            {f"{PERMISSION}_manager_may_delete": "contrary: DELETE .*model-versions/delete"},
            lambda: [Rule("refuses", at("/model-versions/delete$"), answer(403, "Permission denied"))],
        ),
        Sabotage(
            "it keeps files at a location of an experiment's own from everybody",
            {f"{PERMISSION}n_editor_stores_files_at_any_location": "a file of a user with EDIT.*expected stored.*403"},
            lambda: [
                Rule(
                    "files",
                    at("mlflow-artifacts/artifacts/rdy-", "PUT"),
                    only(lambda r: r.headers["Authorization"] != encode_basic(ADMIN), answer(403, "not for you")),
                )
            ],
        ),
        Sabotage(
            "it reads files there as the admin",
            {f"{PERMISSION[:-2]}_files_at_any_location_keep_to_their_readers": "as a user without.*seen 200, read"},
            lambda: [Rule("reads", at("mlflow-artifacts/artifacts/rdy-", "GET"), edit(become_admin))],
        ),
        Sabotage(
            "MANAGE for everybody on everything",
            {DEFAULT: "user ann may do with an experiment that nobody has: expected less than MANAGE, seen MANAGE"},
            lambda: [
                Rule("default", at("/users/permissions/get$", "GET"), only(is_declared, edit_json(response=give_all)))
            ],
        ),
        Sabotage(
            "replicas with users and keys of their own",
            {
                f"{STORES}_a_new_user_is_known_to_every_replica": "seen .*401: 3",
                f"{STORES}_a_form_of_one_replica_is_taken_by_all": "seen .*CSRF",
            },
            lambda: [
                Rule("users", at("/users/get$"), only(is_new, every_nth(4, answer(401, "You are not authenticated.")))),
                Rule("forms", at("/users/create-ui$"), every_nth(3, answer(400, "The CSRF tokens do not match."))),
            ],
        ),
        beside="security/test_sign_in.py::test_a_declared_sign_in_is_enforced",
    ),
)
