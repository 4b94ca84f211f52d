"""What MLflow's basic auth gives every user, asked by the declared one alone: no admin, nothing made (F63)."""

import pytest

from fixtures.clients.rest import REST_API, parse_body
from fixtures.clients.routes import describe_answer, read_json_path
from fixtures.clients.users import USERS_API, ask_default_permission
from fixtures.core.outcomes import CauseId, Lack, OutOfScope, expect_that
from fixtures.guardrails.cleanup import SEARCH_OF_KIND
from fixtures.stack import SignIn

MOST = 100


@pytest.fixture
def ordinary_user(stack, probe):
    """The name of the declared user, who is no admin and has no permission on everything."""
    if stack.sign_in is not SignIn.BASIC_AUTH:
        raise OutOfScope(Lack.ORDINARY_USER, f"no basic auth of MLflow's: {stack.sign_in}")
    answer = probe.get(f"{REST_API}/users/current")
    if answer.status_code != 200 and stack.access.username:  # older versions tell only who gives the name
        answer = probe.get(f"{REST_API}/users/get", params={"username": stack.access.username})
    user = read_json_path(parse_body(answer), ("user",))
    if not isinstance(user, dict) or user.get("is_admin") is not False:
        raise OutOfScope(Lack.ORDINARY_USER, f"an admin, or the server does not say who: {describe_answer(answer)}")
    grants = read_json_path(parse_body(probe.get(f"{USERS_API}/current/permissions")), ("permissions",))
    if any(read_json_path(one, ("resource_pattern",)) == "*" for one in grants or ()):
        raise OutOfScope(Lack.ORDINARY_USER, f"user {user['username']} was given a permission on everything")
    return str(user["username"])


def count_foreign_objects(probe, prefix):
    """How many experiments and models the user sees that this run did not make, in words."""
    seen = []
    for kind, (method, path, field) in SEARCH_OF_KIND.items():
        page = probe.call(path, {"max_results": MOST}, method)
        count = sum(not str(one["name"]).startswith(prefix) for one in page.get(field, []))
        seen.append(f"{kind}s: {count}{' or more' if page.get('next_page_token') else ''}")
    return ", ".join(seen)


@pytest.mark.read_only
def test_the_declared_user_manages_nothing_by_default(probe, ordinary_user, run_prefix, note):
    """With MANAGE as default_permission each user may delete everybody's experiments and models, and so may any job.

    Remedy: set default_permission = NO_PERMISSIONS, or READ, in the file of MLFLOW_AUTH_CONFIG_PATH.
    """
    note(f"user {ordinary_user} sees what this run did not make: {count_foreign_objects(probe, run_prefix)}")
    level = ask_default_permission(probe, ordinary_user)
    if not level:
        raise OutOfScope(Lack.ORDINARY_USER, "the server has no API that says what a user may do")
    note(f"user {ordinary_user} has where nothing was given (default_permission): {level}")
    what = f"what user {ordinary_user} may do with an experiment that nobody has"
    expect_that(level != "MANAGE", what, "less than MANAGE", level, cause=CauseId.SIGN_IN_PERMISSIONS)
