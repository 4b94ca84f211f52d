"""Two checks that always find something, and one after them."""

from fixtures.core.outcomes import Finding


def test_first_finding():
    """The first finding ends a run with -x.

    Remedy: none, it is an example.
    """
    raise Finding("colour of the sky", "blue", "green")


def test_second_finding():
    """A run without -x finds this too.

    Remedy: none, it is an example.
    """
    raise Finding("colour of grass", "green", "blue")
