"""A Ctrl-C is seen as one, wherever it comes."""

import sys
from types import SimpleNamespace, TracebackType

import pytest

from fixtures.run.early_end import EarlyEnd


def ended(by: BaseException) -> BaseException:
    """What comes out of the session's start when xdist's part of it ends by `by`."""
    start = EarlyEnd(None).pytest_sessionstart()
    next(start)
    with pytest.raises(BaseException) as info:  # noqa: PT011 - any; it is looked at by the test
        start.throw(by)
    return info.value


@pytest.mark.parametrize("kind", [EOFError, RuntimeError])
def test_the_end_of_a_worker_does_not_hide_it(kind):
    """As in execnet, which waits for the worker in a `finally`."""

    def wait():
        try:
            raise KeyboardInterrupt("SIGTERM")
        finally:
            raise kind("couldn't load message header")

    with pytest.raises(kind) as info:
        wait()
    assert str(ended(info.value)) == "SIGTERM"


def test_other_errors_stay_what_they_are():
    error = EOFError("couldn't load message header")
    assert ended(error) is error


def test_a_frame_without_a_line_can_be_shown():
    """Of a function with cells the first instructions have none."""

    def function():
        return sys._getframe(), lambda: cell

    cell = None
    frame, _ = function()
    nameless = TracebackType(None, frame, 0, -1)
    assert nameless.tb_lineno is None
    with pytest.raises(KeyboardInterrupt) as info:
        raise KeyboardInterrupt("SIGTERM").with_traceback(nameless)
    with pytest.raises(TypeError):
        info.getrepr()
    run = SimpleNamespace(settings=SimpleNamespace(stack="embedded", keep_stack=False))
    EarlyEnd(SimpleNamespace(close=lambda: None, run=run)).pytest_keyboard_interrupt(info)
    assert "KeyboardInterrupt" in str(info.getrepr())
