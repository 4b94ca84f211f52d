"""How much load this run sends, and by which limits it is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from packaging.version import InvalidVersion, Version

from fixtures.load.engine import BURST_SECONDS, drive
from fixtures.load.history import History, Request
from fixtures.load.limits import Limits, read
from fixtures.load.target import Target
from fixtures.run import RUN
from fixtures.settings import SETTINGS

SECONDS = 180  # the deadline of a check at the smoke scale
PAGED_HISTORY = Version("3.4.0")  # older servers send the whole history at once, in no order (MLflow #16325)


@dataclass(frozen=True)
class Load:
    """What a check sends its load with: `scale` times the smoke scale."""

    target: Target
    scale: int
    ordered: bool  # whether the server promises the order of a metric's history
    limits: dict[str, Limits]

    def drive(self, scripts: Sequence[Sequence[Request]] = (), **options: Any) -> History:
        """As `fixtures.load.engine.drive`, with the time that the scale takes."""
        return drive(self.target, scripts, **{"limit": BURST_SECONDS * self.scale, **options})


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A larger scale, and percentiles that take many requests, have more time."""
    settings = config.stash.get(SETTINGS, None) or (config.stash[RUN].settings if RUN in config.stash else None)
    scale = settings.load_scale if settings else 1
    longest = (
        max((seconds_for(limits) for limits in read(settings.slo).values()), default=0)
        if settings and settings.slo
        else 0
    )
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(SECONDS * scale + 2 * longest))


def seconds_for(limits: Limits, rate: float = 1.0) -> float:
    """How long it takes to send what the limited percentiles need."""
    return limits.needed / (limits.rate or rate)


@pytest.fixture(scope="session")
def load(pytestconfig: pytest.Config, stack: Any, target: Target) -> Load:
    """What load is sent with."""
    settings = pytestconfig.stash[RUN].settings
    try:
        ordered = Version(stack.versions.get("mlflow", "")) >= PAGED_HISTORY
    except InvalidVersion:
        ordered = False
    return Load(target, settings.load_scale, ordered, read(settings.slo) if settings.slo else {})
