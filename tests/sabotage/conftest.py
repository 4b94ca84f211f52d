"""What sabotages break."""

from __future__ import annotations

import pytest

from fixtures.backends.protocol import Start
from fixtures.stack import Stack
from tests.sabotage.harness import Target


@pytest.fixture
def target(own_stack: tuple[Stack, Start]) -> Target:
    """The private stack; every sabotage mends it."""
    return Target(*own_stack)
