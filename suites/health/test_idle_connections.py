"""What stands in front, and how long it keeps its connections to the server (R04)."""

import pytest

from fixtures.core.outcomes import Finding, Lack, OutOfScope
from fixtures.load.idle import take_idle_rounds
from fixtures.run.record import RUN


@pytest.mark.exclusive
def test_idle_connections_are_not_used_too_long(stack, probe, target, pytestconfig, note):
    """A proxy that reuses a connection which the server has just closed answers 502: now and then a call fails.

    Remedy: let the proxy keep idle connections to the server for less than the server's 5 s (nginx: keepalive_timeout
    in the upstream block; HAProxy: pool-purge-delay), or start the server with a longer --timeout-keep-alive in
    MLFLOW_UVICORN_OPTS.
    """
    if stack.ours:
        raise OutOfScope(Lack.FRONT, "nothing stands in front of a stack of this suite")
    if pytestconfig.stash[RUN].settings.max_rate is not None:
        raise OutOfScope(Lack.BURST, "--max-rate lets no 20 requests through at once")
    server = probe.get("/version").headers.get("Server", "")
    rounds = take_idle_rounds(target, stack.speed.silence_seconds, server)
    if rounds.has_errors_without_pauses:
        raise OutOfScope(Lack.BURST, "what stands in front answers 502, 503 or 504 to 20 requests at once")
    if rounds.is_stale:
        raise Finding("requests after a pause", "no 502, 503 or 504", rounds.describe())
    if rounds.errors:
        note(f"what stands in front keeps idle connections for longer than the server: {rounds.describe()}")
