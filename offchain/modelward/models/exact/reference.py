"""What a program computes, said plainly: Python's integers, one row, no shortcut.

`batch`, `single` and the contract library give the same integers; the tests hold them to this
module. Every rounding is `floor(x + 1/2)`; `>>` and `//` round down.

The exponential scores and two activations rest on one function, 2^-t for t in units of 2^-30, as a
polynomial of degree 7 in the fraction of t, in units of 2^-32, cut off at each step. It is exact
where the fraction is zero, and elsewhere as far off as `POWER_ERROR` says.
"""

from __future__ import annotations

from collections.abc import Sequence

from modelward.models.exact.program import (
    Activation,
    Decision,
    LayerProgram,
    Program,
    Scores,
    TreeProgram,
)

FRACTION_BITS = 30
ONE_FRACTION = 1 << FRACTION_BITS
ONE_POWER = 1 << 32
POWER_COEFFICIENTS = (
    4294967296,
    -2977044455,
    1031764646,
    -238385558,
    41298541,
    -5702831,
    632486,
    -46477,
)
"""Of 2^-f for f in [0, 1), from the constant upwards, in units of 2^-32."""
_HIGHEST_COEFFICIENT, *_LOWER_COEFFICIENTS = POWER_COEFFICIENTS[::-1]
_FRACTION_MASK = ONE_FRACTION - 1
POWER_ERROR = 4e-9
"""Bound on the relative error of 2^-t before the last shift, which takes less than 2^-32 more.

The polynomial is from 0 to 8.2e-11 above 2^-f, and seven roundings take less than 2^-32 each, of a
value of at least 1/2.
"""
ACTIVATION_ERROR = 4e-9
"""Bound on what the roundings of LOGISTIC and TANH add up to."""


def run(program: Program, inputs: Sequence[int]) -> tuple[int, list[int]]:
    """The label's index and the scores, in units of 10^-decimals, for one quantised row."""
    if isinstance(program, LayerProgram):
        outputs = _run_layers(program, inputs)
        return decide(program, outputs), score(program, outputs)
    sums = _run_trees(program, inputs)
    label = decide(program, sums)
    if program.scores is Scores.SHARES:
        return label, shares(program, sums)
    half = program.divisor // 2
    return label, score(program, [(value + half) // program.divisor for value in sums])


def _run_layers(program: LayerProgram, inputs: Sequence[int]) -> list[int]:
    values = list(inputs)
    for layer in program.layers:
        rounding = (1 << layer.shift) >> 1
        values = [
            activate(
                layer.activation,
                (sum(w * x for w, x in zip(weights, values, strict=True)) + bias + rounding)
                >> layer.shift,
            )
            for weights, bias in zip(layer.weights, layer.biases, strict=True)
        ]
    return values


def _run_trees(program: TreeProgram, inputs: Sequence[int]) -> list[int]:
    sums = list(program.starts)
    for number, tree in enumerate(program.trees):
        node = 0
        while tree.feature[node] >= 0:
            goes_left = inputs[tree.feature[node]] <= tree.threshold[node]
            node = node + 1 if goes_left else tree.right[node]
        leaf = program.leaves[tree.threshold[node]]
        if program.vectors:
            sums = [total + value for total, value in zip(sums, leaf, strict=True)]
        else:
            sums[number % program.outputs] += leaf[0]
    return sums


def activate(activation: Activation, value: int) -> int:
    """A neuron's value after its activation.

    Before LOGISTIC it is x log2(e) and before TANH 2x log2(e), in units of 2^-30; after both it
    is in units of 2^-30.
    """
    match activation:
        case Activation.IDENTITY:
            return value
        case Activation.RELU:
            return max(value, 0)
        case Activation.LOGISTIC:
            large = (ONE_FRACTION << 32) // (ONE_POWER + power(abs(value)))
            return large if value >= 0 else ONE_FRACTION - large
        case Activation.TANH:
            tail = power(abs(value))
            size = ((ONE_POWER - tail) << FRACTION_BITS) // (ONE_POWER + tail)
            return size if value >= 0 else -size


def power(exponent: int) -> int:
    """2^-t in units of 2^-32, for t = `exponent` * 2^-30 of at least 0."""
    fraction = exponent & _FRACTION_MASK
    result = _HIGHEST_COEFFICIENT
    for coefficient in _LOWER_COEFFICIENTS:
        result = coefficient + (result * fraction >> 30)
    return result >> (exponent >> 30)


def decide(program: Program, outputs: Sequence[int]) -> int:
    """The label's index: of equal outputs the first is the largest."""
    match program.decision:
        case Decision.VALUE:
            return 0
        case Decision.POSITIVE:
            return int(outputs[0] > 0)
        case Decision.NOT_NEGATIVE:
            return int(outputs[0] >= 0)
        case Decision.LARGEST:
            return max(range(len(outputs)), key=outputs.__getitem__)


def score(program: Program, outputs: Sequence[int]) -> list[int]:
    """The scores of all kinds but shares, for outputs to scale."""
    one = int(10**program.decimals)
    match program.scores:
        case Scores.NONE:
            return []
        case Scores.SCALED:
            return list(outputs)
        case Scores.EXPONENTIAL if program.decision is not Decision.LARGEST:
            tail = power(abs(outputs[0]))
            smaller = rounded(tail * one, ONE_POWER + tail)
            return [one - smaller, smaller] if outputs[0] < 0 else [smaller, one - smaller]
        case Scores.EXPONENTIAL:
            largest = max(outputs)
            powers = [power(largest - output) for output in outputs]
        case Scores.ONE_AGAINST_REST:
            powers = _logistic(outputs)
        case _:
            raise AssertionError(program.scores)
    total = sum(powers)
    return [rounded(value * one, total) for value in powers]


def _logistic(outputs: Sequence[int]) -> list[int]:
    """Every output's logistic function in units of 2^-30, all doubled until one is at least 1/2."""
    below = [max(-output, 0) for output in outputs]
    doublings = min(below)
    return [
        (power(exponent - doublings) << FRACTION_BITS) // (ONE_POWER + power(abs(output)))
        for output, exponent in zip(outputs, below, strict=True)
    ]


def shares(program: TreeProgram, sums: Sequence[int]) -> list[int]:
    """Shares of the divisor; a single sum tells the difference between the second and the first."""
    one = int(10**program.decimals)
    if program.decision is Decision.LARGEST:
        return [rounded(value * one, program.divisor) for value in sums]
    second = rounded((sums[0] + program.divisor) * one, 2 * program.divisor)
    return [one - second, second]


def rounded(numerator: int, denominator: int) -> int:
    """A fraction rounded to a whole number, halves upwards."""
    return (numerator + denominator // 2) // denominator
