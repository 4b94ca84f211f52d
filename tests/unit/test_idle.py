"""What the rounds after pauses say of what stands in front."""

import pytest

from fixtures.load.idle import IdleRounds

WELL, FEW = (200,) * 20, (200,) * 18 + (502, 503)
CLOSED = (None,) * 20


@pytest.mark.parametrize(
    ("paused", "errors", "stale"),
    [
        ([], 0, False),
        ([WELL, WELL], 0, False),
        ([CLOSED, CLOSED], 0, False),  # a closed connection is no defect: a client repeats the request
        ([FEW, WELL, FEW, FEW, FEW], 8, False),  # a race can do that
        ([FEW, FEW], 4, False),
        ([WELL, FEW, (502,) * 20], 22, True),
        ([CLOSED, (504,) * 20, FEW], 22, True),
        ([(500,) * 20, (429,) * 20, (500,) * 20], 0, False),
    ],
)
def test_only_answers_of_a_gateway_count(paused, errors, stale):
    rounds = IdleRounds((WELL, WELL), tuple(paused))
    assert (rounds.errors, rounds.is_stale, rounds.has_errors_without_pauses) == (errors, stale, False)


def test_errors_without_pauses_have_another_reason():
    assert IdleRounds((WELL, FEW)).has_errors_without_pauses


def test_the_figures_of_the_rounds_are_said():
    assert IdleRounds((WELL, WELL), (FEW, WELL)).describe() == (
        "2 of 40 requests, in 1 of 2 rounds, got 502, 503 or 504 after pauses of about 5 s, "
        "and none of 40 without a pause"
    )
