"""Who gets in without a sign-in, if one is declared (F61, R17)."""

import pytest

from fixtures.clients.families import API_FAMILY, FAMILIES
from fixtures.clients.rest import ARTIFACT_API
from fixtures.core.outcomes import CauseId, expect_that
from fixtures.core.uris import proxied_path
from fixtures.stack import SignIn

pytestmark = pytest.mark.read_only


@pytest.fixture
def scratch_file(stack, probe, request, note_object):
    """The path of a file for the artifact API below a run of ours, removed at the end; empty if none may be made."""
    if stack.read_only:
        yield ""
        return
    run = request.getfixturevalue("make_run")()
    folder = proxied_path(request.getfixturevalue("run_roots")[run])
    path = f"{folder}/{request.getfixturevalue('unique')('anonymous')}.txt" if folder is not None else ""
    if path and stack.s3 is not None and stack.s3.prefix is not None:
        note_object(f"{stack.s3.prefix}/{path}".lstrip("/"), stack.s3.name)
    yield path
    if path:
        probe.delete(f"{ARTIFACT_API}/{path}")


def test_a_declared_sign_in_is_enforced(stack, probe, knock, note):
    """If nobody asks for the sign-in that clients send, whoever reaches the port may do everything.

    Remedy: start the server with `mlflow server --app-name basic-auth`, or let the proxy in front of it refuse each
    request without a sign-in; close the server's own port to everybody but that proxy.
    """
    method, path, options = API_FAMILY.make_request()
    seen = {}
    for uri in dict.fromkeys((probe.uri, *stack.public_urls)):
        answer = knock(method, path, uri, **options)
        if answer is None:
            note(f"{uri}: no connection without the sign-in")
        elif API_FAMILY.is_own_answer(answer):
            seen[uri] = answer.status_code
    what = f"{method} experiments/search without a sign-in at {', '.join(seen)}"
    expect_that(not seen, what, "refused", seen, cause=CauseId.SIGN_IN_NOT_ENFORCED)


def test_every_family_of_routes_asks_for_the_sign_in(stack, knock, scratch_file, note):
    """What guards one family of routes may have forgotten another, which gives the same data to anybody.

    Remedy: let the proxy's check hold for every path, not only /api; if it is MLflow's own sign-in, upgrade MLflow to
    the newest version. Only /health, /version, server-info and /static-files/ may be open.
    """
    asked = [f for f in FAMILIES if (f.asks_only or not stack.read_only) and (scratch_file or "{file}" not in f.path)]
    if left := [f.name for f in FAMILIES if f not in asked]:
        note(f"not asked, since it may make something: {', '.join(left)}")
    is_open, closed, absent = {}, [], []
    for family in asked:
        method, path, options = family.make_request(scratch_file)
        answer = knock(method, path, **options)
        if answer is not None and family.is_own_answer(answer):
            is_open[family.name] = f"{family.name} ({family.advisory})" if family.advisory else family.name
        else:
            (absent if answer is not None and answer.status_code == 404 else closed).append(family.name)
    if absent:
        note(f"404 without a sign-in: {', '.join(absent)}")
    what = f"{len(is_open)} of {len(asked)} families of routes without a sign-in"
    expected = f"refused, as are {', '.join(closed)}" if closed else "refused"
    cause = CauseId.SIGN_IN_NOT_ENFORCED if API_FAMILY.name in is_open else CauseId.SIGN_IN_PARTIAL
    expect_that(not is_open, what, expected, f"open: {', '.join(is_open.values())}", cause=cause, cases=is_open)


def test_a_wrong_password_is_refused(stack, knock, unique):
    """A proxy that only looks whether something was sent lets everybody in who sends anything.

    Sent once in all, with a user name that nobody has, so that nobody is locked out.

    Remedy: let what stands in front check the password or token, not only that there is one.
    """
    method, path, options = API_FAMILY.make_request()
    user = unique("nobody")
    answer = knock(method, path, **options, auth=(user, "not-a-password"))
    let_in = answer is not None and API_FAMILY.is_own_answer(answer)
    what = f"{method} experiments/search as user {user} with a wrong password"
    cause = CauseId.SIGN_IN_NOT_ENFORCED if stack.sign_in is SignIn.NONE else None
    expect_that(not let_in, what, "refused", let_in and answer.status_code, cause=cause)
