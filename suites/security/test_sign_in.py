"""Who gets in without a sign-in, if one is declared (F61)."""

import pytest

from fixtures.clients.rest import REST_API
from fixtures.clients.routes import describe_answer, is_open
from fixtures.core.outcomes import CauseId, expect_that

pytestmark = pytest.mark.read_only


def test_a_declared_sign_in_is_enforced(stranger):
    """If nobody asks for the sign-in that clients send, whoever reaches the port may do everything.

    Remedy: start the server with `mlflow server --app-name basic-auth`, or let the proxy in front of it refuse each
    request without a sign-in; close the server's own port to everybody but that proxy.
    """
    answer = stranger.post(f"{REST_API}/experiments/search", json={"max_results": 1})
    what = "POST experiments/search without a sign-in"
    expect_that(not is_open(answer), what, "refused", describe_answer(answer), cause=CauseId.SIGN_IN_NOT_ENFORCED)
