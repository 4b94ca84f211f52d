"""The stack that sabotages break, one a worker, and the list of checks that still lack a sabotage."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.settings import ROOT
from tests.sabotage.harness import Target
from tests.support_stack import private_stack


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    """A private stack; whoever breaks it mends it."""
    with private_stack() as (stack, begin):
        yield Target(stack, begin)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    checks = (ROOT / "tests" / "unproven.txt").read_text().split()
    terminalreporter.section(f"{len(checks)} checks without a sabotage (tests/unproven.txt)")
    for check in checks:
        terminalreporter.line(check)
