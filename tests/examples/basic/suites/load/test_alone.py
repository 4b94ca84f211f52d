"""Runs while nothing else does, and last."""


def test_runs_last():
    """Many clients at once would disturb other checks.

    Remedy: none, it is an example.
    """
