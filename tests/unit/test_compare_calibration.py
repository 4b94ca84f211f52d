"""Verdicts of a comparison where the truth is known: noise is drawn from blocks recorded between equal servers.

A family is one whole comparison of seven operations, judged at each look as the command does. A restart is drawn whole:
all operations of one recorded restart, B's and the twin's, with one random sign for all of them, so that what they have
in common stays; then pairs within it. What is drawn has no difference but for the one that is put in. With the first
recording the plan's size and the estimate were chosen, too; the others only ever check. Made by tests/record_noise.py.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from fixtures.tools.compare.interim import JUDGED_SERVERS, SIDE_B, SIDE_TWIN, decide_operations, plan_analyses
from fixtures.tools.compare.statistics import (
    FAMILY_LEVEL,
    SpeedVerdict,
    bootstrap_ratio,
    correct_by_holm,
    estimate_ratio,
    has_settled,
    trim_mean,
)

OPERATIONS, RESTARTS, PAIRS, RESAMPLES = 7, 12, 24, 200
DIFFERENT = (SpeedVerdict.FASTER, SpeedVerdict.SLOWER)
RECORDINGS = ("compare_noise_quiet", "compare_noise_busy")
each = pytest.mark.parametrize("recording", RECORDINGS)
EQUAL, SLOWER = dict.fromkeys(range(OPERATIONS), 1.0), dict.fromkeys(range(OPERATIONS), 1.1)


def recorded(name):
    """Log-ratios to A without their median, [lane][operation][restart] -> pairs; B's series lie before the twin's."""
    series = json.loads((Path(__file__).parent / "data" / f"{name}.json").read_text())["series"]
    centred = [[np.array(r) - np.median(np.concatenate([np.array(x) for x in one])) for r in one] for one in series]
    assert len(centred) == len(JUDGED_SERVERS) * OPERATIONS
    return [centred[:OPERATIONS], centred[OPERATIONS:]]


NOISE = {name: recorded(name) for name in RECORDINGS}


def family(dice, recording, effects, louder=1.0, restarts=RESTARTS):
    """lane -> operation -> verdict, of operations that take so many times as long (operation -> effect)."""
    noise, told = NOISE[recording], {lane: {str(o): [] for o in effects} for lane in JUDGED_SERVERS}
    for _ in range(restarts):
        restart, sign = dice.integers(len(noise[0][0])), dice.choice([-1, 1]) * louder
        b, twin = dice.permutation(len(JUDGED_SERVERS))
        for operation, effect in effects.items():
            drawn = dice.integers(len(noise[0][operation][restart]), size=PAIRS)
            of_b, of_twin = (sign * noise[lane][operation][restart][drawn] for lane in (b, twin))
            told[SIDE_TWIN][str(operation)].append([(1.0, math.exp(x)) for x in of_twin])
            told[SIDE_B][str(operation)].append(
                [(math.exp(y / 2), effect * math.exp(x)) for x, y in zip(of_b, of_twin, strict=True)]
            )
    nothing = {lane: {} for lane in JUDGED_SERVERS}
    found, _ = decide_operations(told, nothing, restarts, restarts, int(dice.integers(1 << 30)), resamples=RESAMPLES)
    return {lane: {name: one.verdict for name, one in said.items()} for lane, said in found.items()}


def families(recording, effects, count, louder=1.0):
    dice = np.random.default_rng(20261125)
    return [family(dice, recording, effects, louder) for _ in range(count)]


def share(verdicts, *wanted):
    """How many of them are one of these, of 1."""
    found = [v in wanted for v in verdicts]
    return sum(found) / len(found)


def said_of(lane, comparisons):
    return [v for one in comparisons for v in one[lane].values()]


@pytest.fixture(scope="module", params=RECORDINGS)
def equal(request):
    """200 comparisons of equal servers."""
    return families(request.param, EQUAL, 200)


@pytest.mark.parametrize("lane", JUDGED_SERVERS)
def test_at_most_one_comparison_of_equal_servers_in_a_hundred_has_a_false_alarm(equal, lane):
    """One of the twin makes a run void."""
    alarmed = [share(one[lane].values(), *DIFFERENT) > 0 for one in equal]
    assert sum(alarmed) <= len(alarmed) / 100


def test_most_equal_operations_are_called_the_same(equal):
    assert share(said_of(SIDE_B, equal), SpeedVerdict.SAME) >= 0.8


@each
def test_a_tenth_more_time_is_found_in_95_of_100(recording):
    """In every operation; the runs that are void, of which at most one in a hundred is, count as not found."""
    assert share(said_of(SIDE_B, families(recording, SLOWER, 40)), SpeedVerdict.SLOWER) >= 0.95


@each
def test_a_tenth_less_time_is_found_too(recording):
    faster = dict.fromkeys(range(OPERATIONS), 1 / 1.1)
    assert share(said_of(SIDE_B, families(recording, faster, 40)), SpeedVerdict.FASTER) >= 0.95


@each
def test_one_operation_alone_among_seven_is_found_in_95_of_100(recording):
    """Each in turn a tenth slower beside six equal ones, although Holm asks seven times as much of it then."""
    own, others = [], []
    for slow in range(OPERATIONS):
        for one in families(recording, {**EQUAL, slow: 1.1}, 15):
            own.append(one[SIDE_B].pop(str(slow)))
            others += one[SIDE_B].values()
    assert share(own, SpeedVerdict.SLOWER) >= 0.95
    assert share(own, SpeedVerdict.FASTER) == 0
    assert share(others, *DIFFERENT) <= 0.01


@each
def test_with_more_noise_the_answer_is_inconclusive_and_not_wrong(recording):
    for effects in (EQUAL, SLOWER):
        loud = said_of(SIDE_B, families(recording, effects, 30, louder=5.0))
        assert share(loud, *DIFFERENT) <= (0.01 if effects is EQUAL else 0.5) and SpeedVerdict.FASTER not in loud
        assert share(loud, SpeedVerdict.INCONCLUSIVE) > 0.5


@each
def test_with_less_noise_equal_servers_are_called_the_same_at_the_first_look(recording):
    quiet = [family(np.random.default_rng(n), recording, EQUAL, 0.3, restarts=6) for n in range(30)]
    assert share(said_of(SIDE_B, quiet), SpeedVerdict.SAME) >= 0.95


@pytest.mark.parametrize(
    ("most", "when"), [(3, [3]), (4, [4]), (6, [6]), (8, [6, 8]), (12, [6, 9, 12]), (16, [8, 12, 16])]
)
def test_looks_share_out_the_family(most, when):
    found = plan_analyses(most)
    assert list(found) == when
    assert sum(found.values()) == pytest.approx(FAMILY_LEVEL) and max(found.values()) == found[most]


def test_the_interval_holds_the_truth_in_95_of_100_with_three_restarts():
    """Where a naive percentile interval would not: normal noise of restarts alone, the worst case."""
    dice, held = np.random.default_rng(7), 0
    for n in range(400):
        restarts = [[(1.0, math.exp(x))] * 4 for x in dice.normal(0, 0.05, 3)]
        found = estimate_ratio(restarts, n, 400)
        held += found.low <= 1 <= found.high
    assert held >= 0.95 * 400


def test_a_resample_takes_restarts_whole():
    """Pairs of one restart are never mixed with those of another as if there were no restarts."""
    drawn = bootstrap_ratio([np.array([0.0] * 4), np.array([1.0] * 4), np.array([2.0] * 4)], 1, 2000)
    assert np.mean(drawn == 0.0) == pytest.approx(1 / 27, abs=0.015)  # three times the same; of twelve pairs, never


def test_a_trimmed_mean_leaves_out_a_fifth_at_either_end():
    table = np.array([[1.0, 2.0, 3.0, 4.0, 1000.0], [5.0, np.nan, -900.0, 7.0, np.nan]])
    assert trim_mean(table) == pytest.approx([3.0, (5.0 + 7.0 - 900.0) / 3])


def test_holm_corrects_step_by_step():
    assert correct_by_holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})


def test_too_few_restarts_are_refused():
    with pytest.raises(ValueError, match="2 restarts, not 3 or more"):
        estimate_ratio([[(1.0, 1.0)], [(1.0, 1.0)]], 1)


def test_warm_up_ends_when_three_medians_agree():
    assert not has_settled([9.0, 5.0], [0.1, 0.1])
    assert not has_settled([9.0, 5.0, 4.9], [0.1] * 3)
    assert has_settled([9.0, 5.0, 4.9, 5.1], [0.1] * 4)
