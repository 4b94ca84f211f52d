"""Fixtures of the project's own tests."""

import signal
from pathlib import Path

import pytest
import requests

from fixtures.backends.private import open_private_stack
from tests.containers.support import HERE, in_this_shell, lacking
from tests.lifecycle.stub import Stub
from tests.lifecycle.support import Checkout, open_folder
from tests.order import order_for_workers
from tests.warm import open_server_starter

collect_ignore = ["examples", "versions"]  # what is named on the command line is collected all the same
# A job in the background of a script is begun with Ctrl-C ignored, and so would be all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


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
def own_stack():
    """(stack, how it was started): a real embedded stack, one a worker process; who breaks it mends it."""
    with open_private_stack() as found:
        wake_workers(found[0])
        yield found


def wake_workers(stack):
    """Have every worker of the server open its stores: one that has yet to meets a schema that a raid has broken."""
    for _ in range(20):
        for kind in ("experiments", "registered-models"):
            query = {"max_results": 1}
            requests.get(
                f"{stack.mlflow_uri}/api/2.0/mlflow/{kind}/search", params=query, timeout=60
            ).raise_for_status()


@pytest.fixture(scope="session")
def real_stack(own_stack):
    """The same for tests that only look at it."""
    return own_stack[0]


@pytest.fixture(scope="session")
def server_starter():
    """Starts real MLflow servers that are there at once, for tests of something else than a server's start."""
    with open_server_starter() as found:
        yield found


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Five minutes for each; in an xdist worker what takes long first, and a file with fixtures of its own together."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300))
    if not hasattr(config, "workerinput"):
        return
    groups: dict[object, list[pytest.Item]] = {}
    for item in items:
        made = [f.scope for found in item._fixtureinfo.name2fixturedefs.values() for f in found]
        groups.setdefault(item.path if "module" in made else item.nodeid, []).append(item)
    items[:] = order_for_workers(list(groups.values()), config.workerinput["workercount"])


left_out: set[str] = set()


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: a test of `make test-all` only; docs/development.md says why")


def pytest_deselected(items):
    left_out.update(item.nodeid for item in items if item.get_closest_marker("slow"))


def pytest_sessionfinish(session):
    """An xdist worker tells the controller, which collects nothing itself."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = sorted(left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    left_out.update(getattr(node, "workeroutput", {}).get("left_out", []))


def pytest_terminal_summary(terminalreporter, config):
    """Say what was left out, as slow or for want of an engine."""
    paths = [(config.invocation_params.dir / a.split("::")[0]).resolve() for a in config.args]
    if any(path in HERE.parents for path in paths) and (why := lacking(in_this_shell())):
        terminalreporter.section("tests/containers: DESELECTED")
        terminalreporter.line(f"{why}; `make engine` or `make images`, then make test ARGS=tests/containers")
    if left_out:
        terminalreporter.section(f"tests that only `make test-all` runs, slow: {len(left_out)}")
        for test in sorted(left_out):
            terminalreporter.line(test)
