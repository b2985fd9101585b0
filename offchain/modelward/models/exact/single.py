"""Run a program on one row, as `batch` runs it on many, with as few steps as NumPy takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from operator import lshift
from typing import Any

import numpy as np
import numpy.typing as npt

from modelward.models.exact import reference
from modelward.models.exact.batch import bounded, exact_digits, exact_step
from modelward.models.exact.program import Decision, Layer, LayerProgram, Program, Scores

Answer = tuple[int, list[int]]
Run = Callable[[Sequence[int]], Answer]


def single_runner(program: Program) -> Run:
    """A function that gives for one quantised row what `reference.run` gives."""
    if not isinstance(program, LayerProgram):
        return partial(reference.run, program)
    run = column_runner(program)
    return lambda numbers: run(np.array(numbers, np.float64).reshape(-1, 1))


def column_runner(program: LayerProgram) -> Callable[[npt.NDArray[np.float64]], Answer]:
    """The same for units in binary64, of the shape (features, 1)."""
    *hidden, (layer, largest, _) = bounded(program)
    steps = [exact_step(*each) for each in hidden]
    last, finish = _last_layer(layer, largest), _finish(program)

    def run(units: npt.NDArray[np.float64]) -> Answer:
        values: npt.NDArray[Any] = units
        for step in steps:
            values = step(values)
        return finish(last(values))

    return run


def _last_layer(layer: Layer, largest: int) -> Callable[[npt.NDArray[Any]], list[int]]:
    """A layer whose sums, few as they are, Python's integers put together."""
    bits, digits = exact_digits(layer, largest)
    weights, neurons = np.concatenate(digits).astype(np.float64), len(layer.biases)
    places, shift = [bits * number for number in range(len(digits))], layer.shift
    offsets = [bias + ((1 << shift) >> 1) for bias in layer.biases]

    def run(values: npt.NDArray[Any]) -> list[int]:
        sums = [int(part) for part in weights.dot(values).ravel().tolist()]
        return [
            sum(map(lshift, sums[at::neurons], places), offset) >> shift
            for at, offset in enumerate(offsets)
        ]

    return run


def _finish(program: Program) -> Callable[[Sequence[int]], Answer]:
    """What `reference.decide` and `reference.score` make of the outputs."""
    if program.scores is not Scores.EXPONENTIAL or program.decision is not Decision.POSITIVE:
        return lambda outputs: (
            reference.decide(program, outputs),
            reference.score(program, outputs),
        )
    one, whole, power = int(10**program.decimals), reference.ONE_POWER, reference.power

    def two_classes(outputs: Sequence[int]) -> Answer:
        (output,) = outputs
        tail = power(abs(output))
        total = whole + tail
        smaller = (tail * one + total // 2) // total
        return (1, [smaller, one - smaller]) if output > 0 else _of_the_first(output, smaller, one)

    return two_classes


def _of_the_first(output: int, smaller: int, one: int) -> Answer:
    """Label and scores where the second class is not chosen; at zero it has the larger share."""
    return 0, ([one - smaller, smaller] if output < 0 else [smaller, one - smaller])
