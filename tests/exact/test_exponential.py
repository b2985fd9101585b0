"""The errors stated for the exponential and what rests on it are bounds, not samples.

Between two points of a grid a function differs from its values there by at most h^2 / 8 times the
bound on its second derivative; rounding down at each step of the polynomial takes at most a unit.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from modelward.models.exact.program import Activation
from modelward.models.exact.reference import (
    ACTIVATION_ERROR,
    ONE_FRACTION,
    ONE_POWER,
    POWER_COEFFICIENTS,
    POWER_ERROR,
    activate,
    power,
)

STEPS = 1 << 16
UNIT = 2.0**-32


def test_the_polynomial_and_its_roundings_are_within_the_stated_error():
    f = np.linspace(0, 1, STEPS + 1)
    polynomial = np.polyval([c * UNIT for c in reversed(POWER_COEFFICIENTS)], f)
    error = polynomial - np.exp2(-f)
    bend = sum(k * (k - 1) * abs(c) * UNIT for k, c in enumerate(POWER_COEFFICIENTS))
    between = (bend + math.log(2) ** 2) / (8 * STEPS**2)
    roundings = (len(POWER_COEFFICIENTS) - 1) * UNIT  # each is multiplied by powers of f <= 1
    low, high = error.min() - between - roundings, error.max() + between
    # Relative to 2^-f, which is at least 1/2.
    assert max(-low, high) * 2 <= POWER_ERROR


def test_the_exponential_is_exact_at_zero_and_never_grows():
    assert power(0) == ONE_POWER
    assert power(1) <= ONE_POWER
    assert [power(k << 30) for k in range(40)] == [ONE_POWER >> k for k in range(40)]


@pytest.mark.parametrize("exponent", [1, 3, 2**29, 2**30 - 1, 2**30 + 7, 5 * 2**30 + 11, 2**40])
def test_the_exponential_is_within_its_error(exponent):
    exact = 2.0 ** (-exponent / ONE_FRACTION)
    assert abs(power(exponent) * UNIT - exact) <= POWER_ERROR * exact + UNIT


@pytest.mark.parametrize("activation", [Activation.LOGISTIC, Activation.TANH])
def test_an_activation_is_within_its_error(activation):
    """What the power is wrong by changes a quotient by its derivative, then it is rounded down."""
    tails = np.linspace(0, 1, 1001)  # 2^-t
    off = POWER_ERROR * tails + UNIT
    steepness = 1 / (1 + tails) ** 2 if activation is Activation.LOGISTIC else 2 / (1 + tails) ** 2
    second_order = 2 * off**2
    assert (steepness * off + second_order).max() + 2.0**-30 <= ACTIVATION_ERROR
    double = 1 if activation is Activation.LOGISTIC else 2
    for number in range(-400, 401):
        x = number / 20
        value = activate(activation, round(x * double * math.log2(math.e) * 2**30))
        exact = math.tanh(x) if activation is Activation.TANH else 1 / (1 + math.exp(-x))
        assert abs(Fraction(value, ONE_FRACTION) - Fraction(exact)) <= ACTIVATION_ERROR + 2.0**-30
