"""Only on demand."""

import pytest


def test_figures():
    """Figures are no verdict.

    Remedy: none, it is an example.
    """


@pytest.mark.full_depth
def test_slow_figures():
    """Slow figures are no verdict either.

    Remedy: none, it is an example.
    """
