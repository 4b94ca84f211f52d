"""Who asks: somebody who does not say who they are."""

import pytest

from fixtures.clients.rest import RestClient, RestError
from fixtures.core.outcomes import Lack, NotProven, OutOfScope, Reason


@pytest.fixture
def stranger(stack, probe):
    """A probe without the sign-in that was declared."""
    if not stack.access.signs_in:
        raise OutOfScope(Lack.SIGN_IN, "no sign-in was declared: whoever reaches the port may do everything")
    return probe.without_sign_in()


@pytest.fixture
def knock(stranger):
    """knock(method, path, uri=the server's, **options) -> the answer to a stranger.

    None if nothing answers, as where TLS asks for a client certificate.
    """

    def ask(method, path, uri=None, **options):
        try:
            return RestClient(uri or stranger.uri, stranger.access, stranger.seconds).request(method, path, **options)
        except RestError as error:
            if error.late:
                raise NotProven(str(error), Reason.SILENT) from None
            return None

    return ask
