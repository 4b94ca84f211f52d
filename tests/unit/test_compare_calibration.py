"""Verdicts of a comparison where the truth is known: noise is drawn from blocks recorded between equal servers.

A family is one whole comparison of seven operations. A restart is drawn whole: all operations of one recorded restart
of one lane, with one random sign for all of them, so that what they have in common stays; then pairs within it. What is
drawn has no difference but for the one that is put in. Two recordings, of 6 restarts with 4 pairs and of 8 with 6: with
the first the plan's size was chosen, too; the second only ever checks.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from fixtures.compare.statistics import Verdict, bootstrap, estimate, holm, judge, settled

OPERATIONS, LANES, RESTARTS, PAIRS, RESAMPLES = 7, 2, 8, 6, 400
DIFFERENT = (Verdict.FASTER, Verdict.SLOWER)
FIRST, SECOND = "compare_noise", "compare_noise_check"
both = pytest.mark.parametrize("recording", [FIRST, SECOND])


def recorded(name):
    """Log-ratios without their median, [lane][operation][restart] -> pairs; B's seven series lie before the twin's."""
    series = json.loads((Path(__file__).parent / "data" / f"{name}.json").read_text())["series"]
    centred = [[np.array(r) - np.median(np.concatenate([np.array(x) for x in one])) for r in one] for one in series]
    assert len(centred) == LANES * OPERATIONS
    return [centred[:OPERATIONS], centred[OPERATIONS:]]


NOISE = {name: recorded(name) for name in (FIRST, SECOND)}


def family(dice, recording, effects, louder=1.0, restarts=RESTARTS):
    """Verdicts on operations that take so many times as long; operation -> effect."""
    noise, told = NOISE[recording], {operation: [] for operation in effects}
    for _ in range(restarts):
        lane, restart, sign = dice.integers(LANES), dice.integers(len(noise[0][0])), dice.choice([-1, 1])
        for operation, effect in effects.items():
            whole = noise[lane][operation][restart] * sign * louder
            drawn = whole[dice.integers(len(whole), size=PAIRS)]
            told[operation].append([(1.0, effect * math.exp(x)) for x in drawn])
    found = {str(o): estimate(pairs, int(dice.integers(1 << 30)), RESAMPLES) for o, pairs in told.items()}
    return [verdict for verdict, _ in judge(found).values()]


def families(recording, effect, louder=1.0, count=400):
    dice = np.random.default_rng(20261123)
    effects = dict.fromkeys(range(OPERATIONS), effect)
    return [family(dice, recording, effects, louder) for _ in range(count)]


def one_slower(recording, rounds, restarts=RESTARTS, alone=False):
    """Each operation in turn a tenth slower, beside six equal ones or alone: (its verdicts, the others')."""
    dice = np.random.default_rng(20261124)
    own, others = [], []
    for slow in list(range(OPERATIONS)) * rounds:
        effects = {slow: 1.1} if alone else {o: 1.1 if o == slow else 1.0 for o in range(OPERATIONS)}
        verdicts = dict(zip(effects, family(dice, recording, effects, restarts=restarts), strict=True))
        own.append(verdicts.pop(slow))
        others += verdicts.values()
    return own, others


def share(verdicts, *wanted):
    """How many of them are one of these, of 1."""
    return sum(v in wanted for v in verdicts) / len(verdicts)


@both
@pytest.mark.parametrize("louder", [0.3, 1.0, 5.0])
def test_equal_servers_differ_in_less_than_one_of_a_hundred_operations(recording, louder):
    alarms = [v for one in families(recording, 1.0, louder, 150) for v in one]
    assert share(alarms, *DIFFERENT) <= 0.01


@both
def test_at_most_one_comparison_of_equal_servers_in_a_hundred_has_a_false_alarm(recording):
    """The same of a twin, which makes a run void."""
    alarmed = [share(one, *DIFFERENT) > 0 for one in families(recording, 1.0)]
    assert sum(alarmed) <= len(alarmed) / 100


@both
def test_a_tenth_more_time_is_found_in_95_of_100(recording):
    assert share([v for one in families(recording, 1.1) for v in one], Verdict.SLOWER) >= 0.95


@both
def test_a_tenth_less_time_is_found_too(recording):
    assert share([v for one in families(recording, 1 / 1.1, count=200) for v in one], Verdict.FASTER) >= 0.95


@pytest.mark.parametrize(("recording", "least"), [(FIRST, 0.75), (SECOND, 0.88)])
def test_one_operation_alone_among_seven_is_found_less_often(recording, least):
    """Holm asks seven times as much of it. docs/compare.md says how often, and what finds it."""
    own, others = one_slower(recording, 50)
    assert least <= share(own, Verdict.SLOWER) < 0.95
    assert share(own, Verdict.FASTER) == 0
    assert share(others, *DIFFERENT) <= 0.01


@both
def test_one_operation_judged_alone_is_found_in_95_of_100(recording):
    """As `--operations NAME` does; over all seven, of which download is found least often."""
    assert share(one_slower(recording, 150, alone=True)[0], Verdict.SLOWER) >= 0.95


@both
def test_one_operation_among_seven_is_found_in_95_of_100_with_12_restarts(recording):
    """As `--restarts 12` does; over all seven."""
    assert share(one_slower(recording, 25, restarts=12)[0], Verdict.SLOWER) >= 0.95


@both
def test_with_more_noise_the_answer_is_inconclusive_and_not_wrong(recording):
    loud = [v for one in families(recording, 1.1, 5.0, 100) for v in one]
    assert Verdict.FASTER not in loud
    assert share(loud, Verdict.INCONCLUSIVE) > 0.8


@both
def test_with_less_noise_equal_servers_are_called_the_same(recording):
    quiet = [v for one in families(recording, 1.0, 0.3, 100) for v in one]
    assert share(quiet, Verdict.SAME) >= 0.95


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
