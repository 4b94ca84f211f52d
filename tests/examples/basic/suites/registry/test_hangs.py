"""Checks that do not end, so that a run can be ended while they are in flight."""

import threading
from pathlib import Path

import pytest


def hang(folder: Path, name: str) -> None:
    (folder / f"{name}.hangs").touch()
    threading.Event().wait()


@pytest.fixture
def run_folder(pytestconfig):
    from fixtures.run.record import RUN

    return pytestconfig.stash[RUN].folder


def test_hangs(run_folder):
    """In flight for ever.

    Remedy: none, it is an example.
    """
    hang(run_folder, "first")


def test_after_the_hang():
    """Never reached.

    Remedy: none, it is an example.
    """
