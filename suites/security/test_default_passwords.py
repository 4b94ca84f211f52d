"""The password that MLflow's basic auth shipped with, once, and none at all, once (F62). Nothing else is guessed."""

import pytest

from fixtures.clients.rest import REST_API
from fixtures.core.outcomes import Lack, OutOfScope, expect_that
from fixtures.stack import SignIn

ADMIN = "admin"
PASSWORDS = {"the shipped password": "password1234", "an empty password": ""}


@pytest.mark.read_only
def test_shipped_admin_password_is_refused(stack, stranger):
    """Up to MLflow 3.16.0 whoever did not change it lets everybody in as admin.

    Remedy: set another password for the user admin, by MLFLOW_AUTH_ADMIN_PASSWORD at the first start, later by PATCH
    users/update-password as admin.
    """
    if stack.sign_in is not SignIn.BASIC_AUTH:
        raise OutOfScope(Lack.SIGN_IN, f"no basic auth of MLflow's: {stack.sign_in}")
    asked = {"params": {"username": ADMIN}}
    answers = {
        name: stranger.get(f"{REST_API}/users/get", auth=(ADMIN, password), **asked)
        for name, password in PASSWORDS.items()
    }
    taken = [name for name, answer in answers.items() if answer.status_code == 200]
    expect_that(not taken, f"sign-in as {ADMIN}", "refused", f"let in with {', '.join(taken)}", cases=taken)
