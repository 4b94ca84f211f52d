"""Exponents of growth that are known."""

import random

import pytest

from fixtures.bench.power_law import fit_exponent, fit_slope

SIZES = (10, 1000, 100_000)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_a_power_law_is_found_within_its_interval(power):
    dice = random.Random(5)
    found = fit_exponent({n: [n**power * dice.lognormvariate(0, 0.1) for _ in range(20)] for n in SIZES})
    assert found.low - 0.01 <= power <= found.high + 0.01
    assert found.high - found.low < 0.05


def test_exact_points_have_no_uncertainty():
    found = fit_exponent({n: [3.0 * n] * 5 for n in SIZES})
    assert (found.value, found.low, found.high, found.last) == pytest.approx((1, 1, 1, 1))
    assert fit_slope([(1, 1), (10, 100)]) == pytest.approx(2)


def test_growth_that_has_only_begun_shows_in_the_last_step():
    """A constant of 10 ms beside a microsecond a run: flat at first, linear in the end."""
    found = fit_exponent({n: [0.010 + 1e-6 * n] * 5 for n in SIZES})
    assert found.value < 0.3 < 0.49 < found.last


@pytest.mark.parametrize("samples", [{}, {10: [1.0]}, {10: [1.0], 100: []}])
def test_one_size_has_no_exponent(samples):
    with pytest.raises(ValueError, match="two sizes"):
        fit_exponent(samples)
