"""Who asks: somebody who does not say who they are, an admin, and users that the admin made for this run."""

import dataclasses
import secrets
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from fixtures.clients.rest import REST_API, Probe, RestClient, RestError, parse_body
from fixtures.clients.routes import describe_answer, read_json_path
from fixtures.clients.users import delete_user
from fixtures.core.outcomes import CauseId, Finding, Lack, NotProven, OutOfScope, Reason, expect_that
from fixtures.run.record import RUN
from fixtures.stack import SignIn


@pytest.fixture
def stranger(stack, probe):
    """A probe without the sign-in that was declared."""
    if not stack.access.signs_in:
        raise OutOfScope(Lack.SIGN_IN, "no sign-in was declared: whoever reaches the port may do everything")
    return probe.without_sign_in()


@pytest.fixture
def knock(stranger):
    """knock(method, path, uri=the server's, **options) -> the answer to a stranger.

    None if nothing answers, as where TLS asks for a client certificate.
    """

    def ask(method, path, uri=None, **options):
        try:
            return RestClient(uri or stranger.uri, stranger.access, stranger.seconds).request(method, path, **options)
        except RestError as error:
            if error.late:
                raise NotProven(str(error), Reason.SILENT) from None
            return None

    return ask


@pytest.fixture(scope="session")
def admin(stack, pytestconfig):
    """A probe as an admin of MLflow's basic auth, who may make users."""
    if stack.admin is None and stack.sign_in is not SignIn.BASIC_AUTH:
        raise OutOfScope(Lack.ADMIN, f"no basic auth of MLflow's: {stack.sign_in}")
    if pytestconfig.stash[RUN].settings.no_test_users:
        raise OutOfScope(Lack.ADMIN, "--no-test-users")
    access = stack.admin or stack.access
    found = Probe(stack.mlflow_uri, access, seconds=stack.speed.silence_seconds)
    answer = found.get(f"{REST_API}/users/get", params={"username": access.username})
    if read_json_path(parse_body(answer), ("user", "is_admin")) is True:
        return found
    if stack.admin is None:
        raise OutOfScope(Lack.ADMIN, f"user {access.username} is no admin, and --admin-user was not given")
    why = "the server has no users API" if answer.status_code == 404 else "that is no admin, or the password is wrong"
    raise NotProven(f"--admin-user {access.username}: {why} (GET users/get: {describe_answer(answer)})")


@pytest.fixture(scope="session")
def count_answers():
    """count_answers(ask, read) -> how often each answer came on twelve connections, as `read` says it; in order."""

    def count(ask, read):
        with ThreadPoolExecutor(4) as pool:
            return dict(sorted(Counter(pool.map(lambda _: read(ask()), range(12))).items()))

    return count


@pytest.fixture(scope="module")
def make_member(stack, admin, unique, count_answers):
    """make_member(word) -> a probe as a new user of ours, who is removed at the end.

    The first one must be known on each of twelve connections: what else a user may do could not be told apart.
    """
    made, seen = [], {}

    def make(word):
        name, password = unique(word), secrets.token_hex(16)
        made.append(name)
        admin.call("users/create", {"username": name, "password": password})
        access = dataclasses.replace(admin.access, username=name, password=password)
        member = Probe(stack.mlflow_uri, access, conceals=True, seconds=admin.seconds)
        if not seen:
            path, query = f"{REST_API}/users/get", {"username": name}
            seen.update(
                count_answers(lambda: member.fresh().get(path, params=query), lambda answer: answer.status_code)
            )
        what, known = "a new user on 12 connections", set(seen) == {200}
        expect_that(known, what, "known on each", seen, cause=CauseId.SIGN_IN_SPLIT)
        return member

    yield make
    for name in made:
        with suppress(Finding, NotProven):  # on a server that is not ours the journal names them, too
            delete_user(admin, name)
