"""What the registry checks share: the registry seen from all sides, and models of known content in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from fixtures.clients.doors import Doors
from fixtures.clients.rest import Probe
from fixtures.registry.expected import ExpectedModel, ExpectedRegistry


@pytest.fixture
def registry(probe: Probe, doors: Doors) -> ExpectedRegistry:
    """The server's registry, looked at from all sides."""
    return ExpectedRegistry(probe, doors)


@pytest.fixture(scope="session")
def source(make_run: Callable[..., str], run_roots: dict[str, str]) -> tuple[str, str]:
    """The run that versions come from, and the URI of its artifacts; there is nothing behind it."""
    run = make_run()
    return run, run_roots[run]


@pytest.fixture
def enter(
    probe: Probe, source: tuple[str, str], unique: Callable[[str], str], registry: ExpectedRegistry
) -> Callable[[int], ExpectedModel]:
    """enter(2) -> a new registered model of 2 versions, made in order; there is nothing behind their sources."""

    def make(versions: int) -> ExpectedModel:
        entry = ExpectedModel(unique("model"), *source)
        probe.call("registered-models/create", {"name": entry.name})
        for number in range(1, versions + 1):
            registry.register(entry, f"v{number}")
        return entry

    return make


@pytest.fixture
def candidate(
    probe: Probe, make_run: Callable[..., str], run_roots: dict[str, str], registry: ExpectedRegistry
) -> Callable[[ExpectedModel, dict[str, float]], int]:
    """candidate(entry, metrics) -> the number of a new version of `entry` whose own run has these metrics."""

    def make(entry: ExpectedModel, metrics: dict[str, float]) -> int:
        run, moment = make_run(), int(time.time() * 1000)
        logged = [{"key": k, "value": v, "timestamp": moment, "step": 0} for k, v in metrics.items()]
        probe.call("runs/log-batch", {"run_id": run, "metrics": logged})
        return registry.register(replace(entry, run_id=run, root=run_roots[run]), "model")  # the same dict of versions

    return make
