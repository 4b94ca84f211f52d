"""Replicas that ask for a sign-in know the same users (F71)."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.clients.rest import REST_API
from fixtures.core.outcomes import CauseId, Lack, OutOfScope, expect_that

CONNECTIONS = 12


@pytest.mark.users
@pytest.mark.read_only
def test_every_replica_knows_the_declared_user(stack, probe):
    """With a user store of its own a replica refuses whoever was made at another: each second request fails.

    Remedy: name one Postgres database as database_uri in the file of MLFLOW_AUTH_CONFIG_PATH of all replicas; the
    default, sqlite:///basic_auth.db, is a file of each.
    """
    if not stack.access.signs_in:
        raise OutOfScope(Lack.SIGN_IN, "no sign-in was declared")
    what, expected, cause = "the declared sign-in", "taken on each connection", CauseId.SIGN_IN_SPLIT
    expect_that(stack.split_users is None, what, expected, stack.split_users, cause=cause)
    with ThreadPoolExecutor(4) as pool:
        ask = lambda _: probe.fresh().get(f"{REST_API}/experiments/search", params={"max_results": 1}).status_code  # noqa: E731
        seen = Counter(pool.map(ask, range(CONNECTIONS)))
    expect_that(401 not in seen, f"{what} on {CONNECTIONS} connections", expected, dict(seen), cause=cause)
