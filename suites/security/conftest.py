"""Who asks: somebody who does not say who they are."""

import pytest

from fixtures.core.outcomes import Lack, OutOfScope


@pytest.fixture
def stranger(stack, probe):
    """A probe without the sign-in that was declared."""
    if not stack.access.signs_in:
        raise OutOfScope(Lack.SIGN_IN, "no sign-in was declared: whoever reaches the port may do everything")
    return probe.without_sign_in()
