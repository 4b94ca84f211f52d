"""What is said of kept connections, from times alone."""

import random

import pytest

from fixtures.clients.timing import AnswerTime
from fixtures.preflight.kept_connections import judge_body_pairs, judge_kept_pairs

NEW = AnswerTime(0.002, 0.002)


def pairs(kept, new=lambda: NEW, count=12):
    return [(kept(), new()) for _ in range(count)]


def late(step, head=0.002):
    """An answer whose body comes so much later than its head."""
    return lambda: AnswerTime(head, head + step)


def vary(most, seed=7):
    """Heads that take from nothing to so long."""
    dice = random.Random(seed)
    return lambda: AnswerTime(head := dice.uniform(0.001, most), head)


@pytest.mark.parametrize(
    ("kept", "new"),
    [
        (late(0.041), lambda: NEW),
        (late(0.2), lambda: NEW),
        (late(0.04, head=0.1), vary(0.4)),  # what opens a connection takes longer than the step
        (lambda: AnswerTime(0.05, 0.05), lambda: NEW),  # the step lies before the head
    ],
    ids=["40 ms", "200 ms", "behind TLS", "whole answers"],
)
def test_a_constant_step_is_advised(kept, new):
    advice = judge_kept_pairs(pairs(kept, new))
    assert advice and "uvloop" in advice.remedy and "12 pairs" in advice.seen


@pytest.mark.parametrize(
    ("kept", "new"),
    [
        (lambda: NEW, lambda: NEW),
        (late(0.02), lambda: NEW),
        (late(0.2), late(0.2)),
        (lambda: NEW, late(0.2)),
        (vary(0.5, 1), vary(0.5, 2)),
        (vary(0.5), lambda: NEW),
    ],
    ids=["the same", "20 ms", "both slow", "new ones slow", "busy", "some are slow"],
)
def test_anything_else_is_not(kept, new):
    assert judge_kept_pairs(pairs(kept, new)) is None


@pytest.mark.parametrize(
    ("body", "head", "advised"),
    [
        (late(0.041), lambda: NEW, True),
        (late(0.041, head=0.1), late(0.0, head=0.1), True),
        (lambda: NEW, lambda: NEW, False),
        (late(0.041), late(0.041), False),
        (late(0.2), lambda: NEW, False),  # longer than an acknowledgement is delayed: something reads the body
        (vary(0.5, 1), vary(0.5, 2), False),
        (late(0.041), lambda: AnswerTime(0.002, 0.002, 405), False),  # the front's own answer
    ],
    ids=["40 ms", "40 ms and a slow network", "the same", "both", "200 ms", "busy", "refused"],
)
def test_bodies_that_are_late_are_advised(body, head, advised):
    assert bool(judge_body_pairs(pairs(body, head))) is advised


def test_some_stalls_hide_no_step():
    """A busy machine delays some answers of both kinds."""
    found = pairs(late(0.041))
    found[3], found[7] = (AnswerTime(0.5, 0.541), NEW), (AnswerTime(0.002, 0.043), AnswerTime(0.3, 0.3))
    assert judge_kept_pairs(found)


def test_a_busy_client_hides_no_step():
    """Seen at a load of 17 on two cores: some heads are read when their body is there already."""
    gaps, new = (41, 47, 46, 36, 44, 46, 40, 0, 43, 4, 17, 13), (1, 1, 9, 4, 3, 5, 16, 7, 8, 5, 9, 40)
    found = [(late(kept / 1000)(), late(other / 1000, head=0.04)()) for kept, other in zip(gaps, new, strict=True)]
    assert judge_kept_pairs(found)


def test_gaps_on_both_kinds_are_load():
    """As many answers on new connections have one."""
    gaps, new = (41, 47, 46, 36, 44, 46, 40, 0, 43, 4, 17, 13), (1, 41, 9, 44, 3, 45, 16, 47, 8, 5, 9, 40)
    found = [(late(kept / 1000)(), late(other / 1000)()) for kept, other in zip(gaps, new, strict=True)]
    assert judge_kept_pairs(found) is None


def test_too_few_pairs_say_nothing():
    assert judge_kept_pairs(pairs(late(0.041), count=4)) is None
