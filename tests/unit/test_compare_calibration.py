"""Verdicts of a comparison where the truth is known: noise is drawn from blocks recorded between equal servers.

A family is one whole comparison of seven operations. Restarts are drawn whole from the recorded ones, then pairs within
them, each with a random sign, so that what is drawn has no difference but for the one that is put in.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from fixtures.compare.statistics import Verdict, bootstrap, estimate, holm, judge, settled

RECORDED = json.loads((Path(__file__).parent / "data" / "compare_noise.json").read_text())["series"]
NOISE = [np.array(r) - np.median(np.concatenate([np.array(x) for x in series])) for series in RECORDED for r in series]
FAMILIES, OPERATIONS, RESTARTS, PAIRS, RESAMPLES = 400, 7, 8, 6, 400


def family(dice, effect, louder=1.0):
    """The verdicts on seven operations that take `effect` times as long."""
    found = {}
    for operation in range(OPERATIONS):
        restarts = []
        for _ in range(RESTARTS):
            recorded = NOISE[dice.integers(len(NOISE))] * dice.choice([-1, 1])
            drawn = recorded[dice.integers(len(recorded), size=PAIRS)] * louder
            restarts.append([(1.0, effect * math.exp(x)) for x in drawn])
        found[str(operation)] = estimate(restarts, int(dice.integers(1 << 30)), RESAMPLES)
    return [verdict for verdict, _ in judge(found).values()]


def families(effect, louder=1.0, count=FAMILIES):
    dice = np.random.default_rng(20261123)
    return [family(dice, effect, louder) for _ in range(count)]


@pytest.mark.parametrize("louder", [0.3, 1.0, 5.0])
def test_equal_servers_differ_in_less_than_one_of_a_hundred_comparisons(louder):
    alarms = [v in (Verdict.FASTER, Verdict.SLOWER) for one in families(1.0, louder, 150) for v in one]
    assert sum(alarms) <= len(alarms) / 100


def test_a_whole_run_of_equal_servers_is_void_at_most_once_in_a_hundred():
    void = [any(v in (Verdict.FASTER, Verdict.SLOWER) for v in one) for one in families(1.0)]
    assert sum(void) <= len(void) / 100


def test_a_tenth_more_time_is_found_in_95_of_100():
    found = [v is Verdict.SLOWER for one in families(1.1) for v in one]
    assert sum(found) >= 0.95 * len(found)


def test_a_tenth_less_time_is_found_too():
    found = [v is Verdict.FASTER for one in families(1 / 1.1, count=100) for v in one]
    assert sum(found) >= 0.95 * len(found)


def test_with_more_noise_the_answer_is_inconclusive_and_not_wrong():
    loud = [v for one in families(1.1, 5.0, 100) for v in one]
    assert Verdict.FASTER not in loud
    assert loud.count(Verdict.INCONCLUSIVE) > 0.8 * len(loud)


def test_with_less_noise_equal_servers_are_called_the_same():
    quiet = [v for one in families(1.0, 0.3, 100) for v in one]
    assert quiet.count(Verdict.SAME) >= 0.95 * len(quiet)


def test_the_interval_holds_the_truth_in_95_of_100_with_three_restarts():
    """Where a naive percentile interval would not: normal noise of restarts alone, the worst case."""
    dice, held = np.random.default_rng(7), 0
    for n in range(400):
        restarts = [[(1.0, math.exp(x))] * 4 for x in dice.normal(0, 0.05, 3)]
        found = estimate(restarts, n, 400)
        held += found.low <= 1 <= found.high
    assert held >= 0.95 * 400


def test_a_resample_takes_restarts_whole():
    """Pairs of one restart are never mixed with those of another as if there were no restarts."""
    drawn = bootstrap([np.array([0.0] * 4), np.array([1.0] * 4), np.array([2.0] * 4)], 1, 2000)
    assert set(np.unique(drawn)) == {0.0, 1.0, 2.0}
    assert np.mean(drawn == 0.0) == pytest.approx(7 / 27, abs=0.04)  # two or three of the three draws


def test_holm_corrects_step_by_step():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})


def test_too_few_restarts_are_refused():
    with pytest.raises(ValueError, match="2 restarts, not 3 or more"):
        estimate([[(1.0, 1.0)], [(1.0, 1.0)]], 1)


def test_warm_up_ends_when_three_medians_agree():
    assert not settled([9.0, 5.0], [0.1, 0.1])
    assert not settled([9.0, 5.0, 4.9], [0.1] * 3)
    assert settled([9.0, 5.0, 4.9, 5.1], [0.1] * 4)
