"""A second file, so that the second worker has something in flight too."""

import threading

from fixtures.run.record import RUN


def test_hangs_too(pytestconfig):
    """In flight for ever.

    Remedy: none, it is an example.
    """
    (pytestconfig.stash[RUN].folder / "second.hangs").touch()
    threading.Event().wait()
