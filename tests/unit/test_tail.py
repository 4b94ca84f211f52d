"""When a series of small reads ends, and what it says."""

import itertools
import os
import signal
import subprocess
import sys
import time

import pytest

from fixtures.core.files import ROOT
from fixtures.load import tail
from fixtures.load.tail import LagMeter, TailSeries, TimedRead, take_series

QUICK = 0.005


class Clock:
    """Time that passes only when a read takes some."""

    def __init__(self, monkeypatch, lag=0.0):
        self.now, self.lag = 0.0, lag
        monkeypatch.setattr(tail, "time", self)
        monkeypatch.setattr(tail, "LagMeter", lambda: self)

    def monotonic(self):
        return self.now

    def take(self):
        return self.lag

    def __enter__(self):
        return self

    def __exit__(self, *ended):
        pass


def server(clock, quick, held, every):
    """A server that holds each n-th read for so many seconds."""
    numbers = itertools.count(1)

    def ask():
        seconds = quick + (held if every and next(numbers) % every == 0 else 0)
        clock.now += seconds
        return seconds

    return ask


@pytest.mark.parametrize(
    ("quick", "held", "every", "found", "reads"),
    [
        (QUICK, 2, 20, True, 80),  # decided as soon as 2 % of 200 are certain
        (QUICK, 20, 20, True, 80),
        (QUICK, 2, 45, True, 180),
        (QUICK, 2, 50, True, 200),
        (QUICK, 2, 70, False, 400),  # 2 of 200: a closer look
        (QUICK, 2, 150, False, 200),
        (QUICK, 0.9, 20, False, 200),  # not a second
        (0.06, 1.1, 20, False, 140),  # not 20 times the median
        (QUICK, 0, 0, False, 200),
        (0.2, 0, 0, False, 76),  # slow in general: a little over 15 s
        (0.2, 5, 20, True, 80),
        (2.0, 0, 0, False, 20),
        (5.0, 0, 0, False, 13),
    ],
)
def test_a_series_ends_once_it_is_decided(monkeypatch, quick, held, every, found, reads):
    clock = Clock(monkeypatch)
    series = take_series(server(clock, quick, held, every))
    assert (series.has_tail, len(series.reads)) == (found, reads)


def test_what_our_own_machine_delays_is_not_counted(monkeypatch):
    """Each read that took long was one in which this process slept too long."""
    clock = Clock(monkeypatch, lag=1.0)
    series = take_series(server(clock, QUICK, 2, 20))
    assert not series.has_tail and series.slow == []


def test_the_figures_are_said():
    held = [TimedRead(0.005, 0.0)] * 90 + [TimedRead(2.1, 0.01)] * 4
    assert TailSeries(tuple(held)).describe() == (
        "4 of 94 reads took over 1 s and over 20 times the median of 5 ms, the longest 2.10 s"
    )
    smaller = [TimedRead(0.005, 0.0)] * 198 + [TimedRead(0.4, 0.01)] * 2
    assert TailSeries(tuple(smaller)).describe() == (
        "2 of 200 reads took over 0.25 s and over 5 times the median of 5 ms, the longest 0.40 s"
    )


def test_a_process_that_stands_still_knows_it():
    """Stopped for half a second: the lag is said, although no wake-up has come since."""
    program = (
        "from fixtures.load.tail import LagMeter\n"
        "with LagMeter() as meter:\n"
        "    print('ready', flush=True)\n"
        "    input()\n"
        "    print(meter.take())\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(0.5)
        os.kill(process.pid, signal.SIGCONT)
        lag = float(process.communicate("\n")[0])
    assert lag > 0.4


def test_a_meter_begins_anew():
    with LagMeter() as meter:
        meter.worst = 5.0
        assert meter.take() >= 5.0
        assert meter.take() < 5.0
