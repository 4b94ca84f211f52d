"""Fixtures of the project's own tests."""

import pytest

from tests.lifecycle.support import Checkout, Stub, open_folder
from tests.support_stack import private_stack

collect_ignore = ["examples"]


@pytest.fixture(scope="session")
def examples(tmp_path_factory):
    """A checkout of its own whose suites are tests/examples/basic; nobody writes into it."""
    with open_folder() as folder:
        yield Checkout.make(folder / "checkout")


@pytest.fixture
def scratch():
    """A folder that every user may enter, for TMPDIR and reports of one run."""
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def stub():
    """Something that says it is MLflow, for runs whose checks need no real one."""
    with Stub() as server:
        yield server


@pytest.fixture(scope="session")
def real_stack():
    """A real embedded stack, one a worker process; tests only look at it."""
    with private_stack() as (stack, _):
        yield stack
