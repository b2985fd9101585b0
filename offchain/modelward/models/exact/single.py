"""Run a program on one row, with less overhead than NumPy has for it.

A layer's weights for one input are packed into one large integer, 128 bits a neuron, so that one
multiplication serves all neurons. Accumulators are scaled for the shift to end at the upper half of
their 128 bits, and offset by 2^127 to keep them from borrowing from each other.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import partial
from operator import mul

from modelward.models.exact import reference
from modelward.models.exact.batch import INPUT_TYPES, BatchRunner
from modelward.models.exact.program import (
    Activation,
    Decision,
    Layer,
    LayerProgram,
    Program,
    Scores,
)

_LANE_BYTES = 16
_MIDDLE = 1 << 63
_MOST_PACKED_WEIGHTS = 1 << 18

Run = Callable[[Sequence[int]], tuple[int, list[int]]]


def single_runner(program: Program) -> Run:
    """A function that gives for one quantised row what `reference.run` gives."""
    if not isinstance(program, LayerProgram):
        return partial(reference.run, program)
    if sum(len(row) for layer in program.layers for row in layer.weights) > _MOST_PACKED_WEIGHTS:
        return _through_batch(program)
    layers = [_packed_layer(layer) for layer in program.layers]
    finish = _finish(program)
    if len(layers) == 1:
        (only,) = layers
        return lambda inputs: finish(only(inputs))
    first, *others = layers

    def run(inputs: Sequence[int]) -> tuple[int, list[int]]:
        values = first(inputs)
        for layer in others:
            values = layer(values)
        return finish(values)

    return run


def _finish(program: Program) -> Callable[[Sequence[int]], tuple[int, list[int]]]:
    """What `reference.decide` and `reference.score` make of the outputs."""
    if program.scores is not Scores.EXPONENTIAL or program.decision is not Decision.POSITIVE:
        return lambda outputs: (
            reference.decide(program, outputs),
            reference.score(program, outputs),
        )
    one, whole, power = int(10**program.decimals), reference.ONE_POWER, reference.power

    def two_classes(outputs: Sequence[int]) -> tuple[int, list[int]]:
        (output,) = outputs
        tail = power(abs(output))
        total = whole + tail
        smaller = (tail * one + total // 2) // total
        return (1, [smaller, one - smaller]) if output > 0 else _of_the_first(output, smaller, one)

    return two_classes


def _of_the_first(output: int, smaller: int, one: int) -> tuple[int, list[int]]:
    """Label and scores where the second class is not chosen; at zero it has the larger share."""
    return 0, ([one - smaller, smaller] if output < 0 else [smaller, one - smaller])


def _packed_layer(layer: Layer) -> Callable[[Sequence[int]], list[int]]:
    up = 64 - layer.shift
    rounding = (1 << layer.shift) >> 1
    packed_weights = [_packed(weights, up) for weights in zip(*layer.weights, strict=True)]
    start = _packed([bias + rounding + (1 << 127 - up) for bias in layer.biases], up)
    length = _LANE_BYTES * len(layer.biases)
    unpack = struct.Struct(f"<{2 * len(layer.biases)}Q").unpack

    def uppers(values: Sequence[int]) -> Sequence[int]:
        total = sum(map(mul, packed_weights, values), start)
        return unpack(total.to_bytes(length, "little"))[1::2]

    if len(layer.biases) == 1 and layer.activation is Activation.IDENTITY:
        return lambda values: [(sum(map(mul, packed_weights, values), start) >> 64) - _MIDDLE]
    if layer.activation is Activation.IDENTITY:
        return lambda values: [value - _MIDDLE for value in uppers(values)]
    if layer.activation is Activation.RELU:
        return lambda values: [
            value - _MIDDLE if value > _MIDDLE else 0 for value in uppers(values)
        ]
    activate = partial(reference.activate, layer.activation)
    return lambda values: [activate(value - _MIDDLE) for value in uppers(values)]


def _packed(values: Sequence[int], up: int) -> int:
    return sum(value << up + 128 * lane for lane, value in enumerate(values))


def _through_batch(program: Program) -> Run:
    import numpy as np

    runner = BatchRunner(program)

    def run(inputs: Sequence[int]) -> tuple[int, list[int]]:
        row = np.asarray([inputs], dtype=INPUT_TYPES[program.encoding])
        labels, scores = runner.run(row)
        return int(labels[0]), scores[0].tolist()

    return run
