"""When a check is ended: silence of a server that owes an answer, and far more time than its requests need."""

import threading
from dataclasses import replace

import pytest

from fixtures.checks import deadline
from fixtures.checks.deadline import Watch, judge_deadline
from fixtures.clients.exceptions import classify_exception, is_silent
from fixtures.config.readers import FEWEST_STEPS, Walk
from fixtures.core import speed as speeds
from fixtures.core.outcomes import DeadlinePassed
from fixtures.core.plain_data import from_plain, to_plain
from fixtures.core.speed import OWN_SECONDS, SILENT_SECONDS, Speed
from fixtures.core.traffic import Movement, Tally, Traffic
from fixtures.verdict.records import Raised

FAST = Speed.of([(Movement.READ, 0.01), (Movement.WRITE, 0.02), (Movement.ARTIFACT, 0.03)])
SLOW = Speed.of([(Movement.READ, 0.5), (Movement.READ, 4.0), (Movement.READ, 0.7), (Movement.WRITE, 2.0)])
READS = {Movement.READ: 100}


def done(answered=READS, waited=0.0, under_way=1, size=0):
    return Tally(answered, waited, 0.0, under_way, size)


@pytest.mark.parametrize(
    ("speed", "elapsed", "quiet", "tally", "ended"),
    [
        (FAST, 40, SILENT_SECONDS - 1, done(), False),
        (FAST, 50, SILENT_SECONDS + 1, done(), True),
        (SLOW, 79, 79, done(), False),  # 20 times the slowest of the preflight
        (SLOW, 81, 81, done(), True),
        (FAST, 100, 100, done(under_way=0), False),  # the server owes nothing: we are at work ourselves
        (FAST, OWN_SECONDS + 2, OWN_SECONDS + 1, done(under_way=0), True),
        (FAST, 100, 100, done(size=50_000_000), False),  # a large upload
        (FAST, OWN_SECONDS + 9, 1, done(), False),
        (FAST, OWN_SECONDS + 11, 1, done(), True),  # 10 times what 100 reads of 10 ms need
        (SLOW, OWN_SECONDS + 600, 1, done(), False),
        (SLOW, OWN_SECONDS + 800, 1, done(), True),
        (FAST, 10_000, 1, done(waited=9_900), False),  # our own --max-rate
    ],
)
def test_a_check_is_ended_if_nothing_moves_or_it_takes_too_long(speed, elapsed, quiet, tally, ended):
    passed = judge_deadline(speed, elapsed, quiet, tally)
    assert (passed is not None) is ended
    if passed is not None:
        assert passed.expected
        assert passed.seen
        assert passed.remedy
        assert classify_exception(passed) is Raised.DEADLINE


def test_a_server_that_owes_an_answer_is_silent():
    """Three such checks in a row and the server counts as lost; a check of ours that is at work does not count."""
    assert is_silent(judge_deadline(FAST, 90, 90, done()))
    assert not is_silent(judge_deadline(FAST, 1000, 1000, done(under_way=0)))


def test_a_check_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr(deadline, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(speeds, "OWN_SECONDS", 0.1)
    watch = Watch(Traffic())
    with pytest.raises(DeadlinePassed, match="nothing for"), watch.phase(FAST):
        threading.Event().wait(50)
    assert watch.before is None


def test_a_check_that_moves_is_left_alone(monkeypatch):
    monkeypatch.setattr(deadline, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(speeds, "OWN_SECONDS", 5.0)
    monkeypatch.setattr(speeds, "SILENT_SECONDS", 5.0)
    traffic = Traffic()
    with Watch(traffic).phase(FAST):
        for _ in range(5):
            with traffic.asking(Movement.READ):
                threading.Event().wait(0.03)
    assert traffic.tally().requests == 5


@pytest.mark.parametrize(
    ("speed", "sent"),
    [
        (Speed(), 24),  # not measured
        (FAST, 24),
        (Speed.of([(Movement.READ, 0.2)]), 12),
        (Speed.of([(Movement.READ, 2.0)]), 6),  # the floor
        (replace(FAST, turn=1.0), 6),  # --max-rate 1
    ],
)
def test_less_is_sent_to_a_slow_server(speed, sent):
    """It takes as long as at 0.1 s a request; on a fast server nothing is left out."""
    assert speed.scale_count(24, 6) == sent
    assert Walk().choose_for(speed).steps == max(sent, FEWEST_STEPS)
    assert Walk(500, 7).choose_for(speed) == Walk(500, 7)  # that was asked for


def test_a_speed_says_what_it_is_and_arrives_in_other_processes():
    assert str(FAST).startswith("a read 10 ms (slowest of 1: 10 ms), a write 20 ms")
    assert str(Speed()) == "not measured"
    assert from_plain(Speed, to_plain(SLOW)) == SLOW
    assert SLOW.needed_seconds({Movement.READ: 10}) == pytest.approx(7.0)
    assert SLOW.needed_seconds({Movement.ARTIFACT: 10}) == pytest.approx(20.0)  # not measured: as the dearest


def test_slow_first_requests_of_a_worker_send_nothing_less():
    """The first write opens stores, the first artifact the client of the bucket."""
    cold = [(Movement.WRITE, 0.154), (Movement.WRITE, 0.012), (Movement.ARTIFACT, 0.43), (Movement.ARTIFACT, 0.4)]
    assert Speed.of([(Movement.READ, 0.01), *cold]).scale_count(24, 6) == 24
