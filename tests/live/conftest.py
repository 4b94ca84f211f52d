"""Fixtures of tests against live servers."""

from contextlib import ExitStack

import pytest

from tests.support.stacks import stack_server


@pytest.fixture
def serve(own_stack, server_starter):
    """serve(*words, NAME=value) -> the URL of one more server on the stack, with these words and other variables."""
    stack, begin = own_stack
    with ExitStack() as servers:

        def start(*words, **changed):
            return servers.enter_context(stack_server(stack, begin, server_starter, *words, **changed))

        yield start
