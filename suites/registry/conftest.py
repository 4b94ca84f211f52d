"""What the registry checks share: the registry seen from all sides, and models of known content in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fixtures.clients import Probe
from fixtures.doors import Doors
from fixtures.registry.entry import Entry, Registry
from fixtures.samples import Model


@pytest.fixture
def registry(probe: Probe, doors: Doors) -> Registry:
    """The server's registry, looked at from all sides."""
    return Registry(probe, doors)


@pytest.fixture
def enter(make_model: Callable[..., Model], mlflow_client: Any, registry: Registry) -> Callable[[int], Entry]:
    """enter(2) -> a new registered model of 2 versions, made in order; there is nothing behind their sources."""

    def make(versions: int) -> Entry:
        model = make_model()
        entry = Entry(model.name, model.run_id, mlflow_client.get_run(model.run_id).info.artifact_uri)
        for number in range(1, versions + 1):
            registry.register(entry, f"v{number}")
        return entry

    return make
