"""Replicas that ask for a sign-in know the same users, and take each other's forms (F71)."""

import re

import pytest

from fixtures.clients.rest import REST_API
from fixtures.core.outcomes import CauseId, Lack, OutOfScope, expect_that

SIGN_UP = f"{REST_API}/users/create-ui"
NO_NAME = "cannot be empty"  # MLflow's answer to a form that it takes, and of which it makes nobody


@pytest.mark.users
@pytest.mark.read_only
def test_every_replica_knows_the_declared_user(stack, probe, count_answers):
    """With a user store of its own a replica refuses whoever was made at another: each second request fails.

    Remedy: name one Postgres database as database_uri in the file of MLFLOW_AUTH_CONFIG_PATH of all replicas; the
    default, sqlite:///basic_auth.db, is a file of each.
    """
    if not stack.access.signs_in:
        raise OutOfScope(Lack.SIGN_IN, "no sign-in was declared")
    what, expected, cause = "the declared sign-in", "taken on each connection", CauseId.SIGN_IN_SPLIT
    expect_that(stack.split_users is None, what, expected, stack.split_users, cause=cause)
    path, query = f"{REST_API}/experiments/search", {"max_results": 1}
    seen = count_answers(lambda: probe.fresh().get(path, params=query), lambda answer: answer.status_code)
    expect_that(401 not in seen, f"{what} on 12 connections", expected, seen, cause=cause)


def test_a_new_user_is_known_to_every_replica(make_member):
    """The admin is made at the start of each replica; a user who is made later must be known to all of them.

    Remedy: name one Postgres database as database_uri in the file of MLFLOW_AUTH_CONFIG_PATH of all replicas; the
    default, sqlite:///basic_auth.db, is a file of each.
    """
    make_member("everywhere")  # asks on twelve connections


def test_a_form_of_one_replica_is_taken_by_all(admin, count_answers):
    """Replicas with keys of their own refuse each other's sign-up form: people cannot be added in the browser.

    Remedy: set the same MLFLOW_FLASK_SERVER_SECRET_KEY on all replicas.
    """
    page = admin.get("/signup")
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    if page.status_code != 200 or token is None:
        raise OutOfScope(Lack.PAGE, f"GET /signup: {page.status_code}, no form")
    form, headers = {"csrf_token": token[1], "username": "", "password": ""}, {"Referer": f"{admin.uri}/signup"}
    ask = lambda: admin.fresh().post(SIGN_UP, data=form, headers=headers, cookies=page.cookies)  # noqa: E731
    seen = count_answers(ask, lambda answer: NO_NAME if NO_NAME in answer.text else answer.text[:60])
    what = "an empty sign-up form on 12 connections"
    expect_that(set(seen) == {NO_NAME}, what, "taken, and refused for its empty name", seen)
