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
from modelward.models.exact.program import Activation, Layer, LayerProgram, Program

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
    layers = [_PackedLayer(layer) for layer in program.layers]

    def run(inputs: Sequence[int]) -> tuple[int, list[int]]:
        values = inputs
        for layer in layers:
            values = layer(values)
        return reference.decide(program, values), reference.score(program, values)

    return run


class _PackedLayer:
    def __init__(self, layer: Layer) -> None:
        up = 64 - layer.shift
        rounding = (1 << layer.shift) >> 1
        self._weights = [_packed(weights, up) for weights in zip(*layer.weights, strict=True)]
        self._start = _packed([bias + rounding + (1 << 127 - up) for bias in layer.biases], up)
        self._length = _LANE_BYTES * len(layer.biases)
        self._unpack = struct.Struct(f"<{2 * len(layer.biases)}Q").unpack
        self._activation = layer.activation

    def __call__(self, values: Sequence[int]) -> list[int]:
        total = sum(map(mul, self._weights, values), self._start)
        upper = self._unpack(total.to_bytes(self._length, "little"))[1::2]
        match self._activation:
            case Activation.IDENTITY:
                return [value - _MIDDLE for value in upper]
            case Activation.RELU:
                return [value - _MIDDLE if value > _MIDDLE else 0 for value in upper]
            case activation:
                return [reference.activate(activation, value - _MIDDLE) for value in upper]


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
