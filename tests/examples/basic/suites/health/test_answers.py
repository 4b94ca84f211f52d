"""Checks that pass on anything that answers like MLflow."""

import pytest


def test_it_answers(probe):
    """A server that does not answer serves nobody.

    Remedy: read its log.
    """
    assert probe.get("/health").status_code == 200


@pytest.mark.parametrize("case", ["one", "two"])
def test_it_answers_twice(probe, case):
    """A server that answers once only is no server.

    Remedy: read its log.
    """
    assert probe.get("/health").status_code == 200
