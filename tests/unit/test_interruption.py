"""A Ctrl-C is seen as one, wherever it comes."""

import subprocess
import sys
from types import SimpleNamespace, TracebackType

import pytest

from fixtures.core.files import ROOT
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


def test_an_interrupt_that_strikes_a_finalizer_strikes_again():
    """Python drops what a finalizer raises."""
    program = (
        "import signal, time\n"
        "from fixtures.processes.signals import resend_lost_interrupts\n"
        "resend_lost_interrupts()\n"
        "class Struck:\n"
        "    def __del__(self):\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "try:\n"
        "    Struck()\n"
        "    time.sleep(20)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    begin = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    argv = [sys.executable, "-c", begin + program]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=15)
    assert (done.stdout, done.stderr) == ("interrupted\n", "")
