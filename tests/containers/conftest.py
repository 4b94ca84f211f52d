"""These tests need a Docker engine with the images of docker/images.env: `make engine`, or `make images`.

Where there is none they are deselected, and the summary says so; where this folder is named on the command line, as
.ci/run does, they fail instead.
"""

import pytest

from tests.containers.support import HERE, asked_for, in_this_shell, lacking, shell


def pytest_collection_modifyitems(config, items):
    ours = [item for item in items if HERE in item.path.parents]
    if ours and not asked_for(config) and lacking(in_this_shell()):
        items[:] = [item for item in items if item not in ours]
        config.hook.pytest_deselected(items=ours)


@pytest.fixture(scope="session")
def chosen():
    """The variables of docker/images.env as this shell has them; fails where no engine has the images."""
    why = lacking(found := in_this_shell())
    assert why is None, why
    return found


@pytest.fixture(scope="session")
def env(chosen):
    """The environment that aims a run at the engine."""
    return shell(chosen)
