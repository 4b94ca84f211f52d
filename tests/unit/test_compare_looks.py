"""What is decided at a look stays so, and is measured no more."""

import math
import random

from fixtures.tools.compare.interim import JUDGED_SERVERS, SIDE_B, SIDE_TWIN, UnjudgedOperation, decide_operations

CLEAN = {lane: {} for lane in JUDGED_SERVERS}
MOST = 12


def told(noise, ratio=1.0, restarts=MOST):
    """Pairs of one operation."""
    dice = random.Random(11)
    return [[(1.0, ratio * math.exp(dice.gauss(0, noise))) for _ in range(6)] for _ in range(restarts)]


def lanes(b, twin=None):
    """lane -> operation -> pairs; the twin's are quiet where nothing else is said."""
    return {SIDE_B: b, SIDE_TWIN: twin or {name: told(0.01, restarts=len(pairs)) for name, pairs in b.items()}}


def look(given, done, wrong=CLEAN):
    found, going_on = decide_operations(given, wrong, MOST, done, seed=1, resamples=400)
    return {name: str(one.verdict) for name, one in found[SIDE_B].items()}, going_on


def test_only_what_is_not_decided_goes_on():
    given = {"quiet": told(0.01), "slower": told(0.01, 1.1), "noisy": told(0.5)}
    assert look(lanes(given), 6) == ({"quiet": "same", "slower": "slower", "noisy": "inconclusive"}, ["noisy"])


def test_between_two_looks_nothing_changes():
    given = lanes({"noisy": told(0.2)})
    assert look(given, 8) == look(given, 6)


def test_what_was_decided_stays_so_whatever_comes_after():
    late = told(0.01, restarts=6) + told(0.01, 3.0, restarts=6)
    assert look(lanes({"quiet": late, "noisy": told(0.5)}), MOST)[0]["quiet"] == "same"


def test_after_the_last_look_nothing_goes_on():
    assert look(lanes({"noisy": told(0.5)}), MOST) == ({"noisy": "inconclusive"}, [])


def test_a_twin_that_differs_ends_it_all():
    given = {"one": told(0.5), "two": told(0.5)}
    twin = {"one": told(0.01, 1.3), "two": told(0.01)}
    assert look(lanes(given, twin), 6)[1] == []


def test_what_was_lost_before_a_look_is_not_judged_and_ends():
    wrong = {SIDE_B: {"slower": 2}, SIDE_TWIN: {}}
    assert look(lanes({"slower": told(0.01, 1.5)}), 6, wrong) == ({"slower": str(UnjudgedOperation.DISTURBED)}, [])


def test_what_was_lost_after_its_verdict_spoils_nothing_that_came_before():
    wrong = {SIDE_B: {"noisy": 7}, SIDE_TWIN: {}}
    given = lanes({"noisy": told(0.5)})
    assert look(given, 6, wrong) == ({"noisy": "inconclusive"}, ["noisy"])
    assert look(given, 9, wrong) == ({"noisy": str(UnjudgedOperation.DISTURBED)}, [])


def test_too_few_pairs_are_not_judged():
    empty = [[] for _ in range(MOST)]
    assert look(lanes({"broken": empty}), 6) == ({"broken": str(UnjudgedOperation.DISTURBED)}, [])
