"""What a request takes while nothing else goes on."""

import pytest
import requests

from fixtures.clients.timing import TimedClient
from fixtures.core.outcomes import Finding
from fixtures.load.tail import READS, take_series


@pytest.mark.exclusive
def test_small_reads_do_not_stall(stack, new_experiment, note):
    """A client that sends hundreds of small requests waits for each that hangs: 5 % held for 2 s cost 100 ms a call.

    Remedy: ask through the proxy and past it, in turn, to see who holds them. Look for a retry or a time-out of whole
    seconds: a replica that is gone but still in the proxy's list, a resolver, lost packets, a full pool, a lock.
    """
    patience = stack.speed.silence_seconds
    client, query = TimedClient(stack.mlflow_uri, stack.access, patience), {"experiment_id": new_experiment()}

    def ask():
        try:
            return client.time_answer("GET", "/api/2.0/mlflow/experiments/get", **query).whole
        except requests.Timeout:
            return patience

    first = take_series(ask)
    again = take_series(ask) if first.has_tail else first
    if again.has_tail:
        seen = f"{first.describe()}; once more: {again.describe()}"
        raise Finding("GET experiments/get, one at a time", "fewer than 2 % that stall, in one of two series", seen)
    if first.slow or len(first.reads) < READS:
        note(f"small reads, one at a time: {first.describe()}")
