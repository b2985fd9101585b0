"""Run a program on many rows with NumPy, to the integers `reference` gives.

Products of whole numbers are summed by float64 BLAS, which is fast. Where a sum's rounding could
change a result, whatever BLAS's kernel, its order of summation and its threads do, it is made once
more from weights split into digits so small that no partial sum can reach 2^53, which is exact.
Everything else is 64-bit integers, whose range is checked beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from modelward.models.exact import reference
from modelward.models.exact.program import (
    LARGEST_UNIT,
    Activation,
    Decision,
    Encoding,
    Layer,
    LayerProgram,
    Program,
    Scores,
    Tree,
    TreeProgram,
)

Integers = npt.NDArray[np.int64]

INPUT_TYPES: dict[Encoding, npt.DTypeLike] = {
    Encoding.UNITS: np.uint32,
    Encoding.KEYS32: np.int32,
    Encoding.KEYS64: np.int64,
}

_EXACT_FLOAT = 2**53
_LARGEST = 2**63 - 1
_NUMBERS_AT_ONCE = 2**16
"""Half a mebibyte: what is larger, memory allocation may get from the system each time anew."""
_MOST_MASKED_LEAVES = 64
_ZERO = np.zeros(())
_MOST_IN_DOUBT = 1 / 64
"""The share of rows that may have to be run twice, were their sums spread evenly."""


class BatchRunner:
    """Runs one program; not tied to a thread."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._outputs: _Network | _Forest
        if isinstance(program, LayerProgram):
            self._outputs = _Network(program)
        else:
            self._outputs = _Forest(program)

    def run(self, inputs: npt.NDArray[Any]) -> tuple[Integers, Integers]:
        """The label's index of each row, and its scores in units of 10^-decimals.

        `inputs` has the shape (rows, features) and the type its encoding has in `INPUT_TYPES`.
        """
        if inputs.dtype != INPUT_TYPES[self.program.encoding] or inputs.shape[1:] != (
            self.program.features,
        ):
            raise TypeError(f"not an input of this program: {inputs.dtype} of {inputs.shape}")
        return self.run_blocks(inputs, lambda block: block)

    def run_blocks(
        self, table: npt.NDArray[Any], read: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
    ) -> tuple[Integers, Integers]:
        """As `run`, for what `read` makes of some rows at a time: units may be in binary64."""
        program = self.program
        outputs: Integers = np.empty((program.outputs, len(table)), np.int64)
        size = self._outputs.block
        for start in range(0, len(table), size):
            block = slice(start, start + size)
            outputs[:, block] = self._outputs(read(table[block]))
        labels = _labels(program.decision, outputs.T)
        if isinstance(program, TreeProgram):
            if program.scores is Scores.SHARES:
                return labels, _shares(program, outputs.T)
            outputs = (outputs + program.divisor // 2) // program.divisor
        return labels, _scores(program, outputs.T)


# --- layers --------------------------------------------------------------------------------------


class _Network:
    def __init__(self, program: LayerProgram) -> None:
        widest = max(program.features, *(len(layer.biases) for layer in program.layers))
        self.block = max(_NUMBERS_AT_ONCE // widest, 1)
        self._steps = [RoundedStep.of(*each) or exact_step(*each) for each in bounded(program)]

    def __call__(self, inputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
        values: npt.NDArray[Any] = inputs.astype(np.float64, copy=False).T
        for step in self._steps:
            values = step(values)
        return values


def bounded(program: LayerProgram) -> Iterator[tuple[Layer, int, int]]:
    """Each layer with the largest magnitude that comes in, and before its activation."""
    largest = LARGEST_UNIT
    for layer, bound in zip(program.layers, program.bounds, strict=True):
        yield layer, largest, bound
        largest = reference.ONE_FRACTION if layer.activation > Activation.RELU else bound


def exact_step(layer: Layer, largest_input: int, bound: int) -> FloatStep | IntegerStep:
    """What takes the values of rows, one a column, through a layer."""
    return FloatStep.of(layer, largest_input, bound) or IntegerStep.of(layer, largest_input, bound)


@dataclass(frozen=True)
class RoundedStep:
    """One layer with rounded sums: those too close to a whole number are made anew, exactly.

    The rounded sum of n products is off by at most n u / (1 - n u) times the sum of their sizes,
    u = 2^-53, in whatever order and with however many fused multiplications it is made. `error`
    bounds that together with the rounding of the bias, and is in `offsets`, so that what is in
    doubt lies less than two errors above a whole number.
    """

    weights: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.float64]
    error: float
    exactly: FloatStep | IntegerStep

    @classmethod
    def of(cls, layer: Layer, largest_input: int, bound: int) -> RoundedStep | None:
        """None where too many rows would be in doubt."""
        unit = 2.0**-layer.shift
        error = (len(layer.weights[0]) + 4) * 2.0**-52 * (bound + 1)
        if 2 * error * len(layer.biases) > _MOST_IN_DOUBT:
            return None
        rounding = (1 << layer.shift) >> 1
        biases = np.asarray([[float(bias + rounding)] for bias in layer.biases])
        return cls(
            weights=np.asarray(layer.weights, np.float64) * unit,
            offsets=biases * unit + error,
            error=error,
            exactly=exact_step(layer, largest_input, bound),
        )

    def __call__(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """What comes out of the layer, one column a row."""
        sums = self.weights.dot(values)
        sums += self.offsets
        total: npt.NDArray[np.float64] = np.floor(sums)
        sums -= total
        in_doubt = np.flatnonzero(sums.min(axis=0) <= 2 * self.error)
        total = _activated_floats(self.exactly.activation, total)
        if len(in_doubt):
            total[:, in_doubt] = self.exactly(values[:, in_doubt])
        return total


@dataclass(frozen=True)
class FloatStep:
    """One layer whose every sum is a whole number below 2^53, so that binary64 holds it exactly.

    `weights` are digits in base 2^bits, the lowest first, one above the other, and `offsets` those
    of the biases. The lowest digit's sum, and then each higher one's with what the one below it
    carries, is multiplied by its scale, a power of two, and rounded down; `higher` are the latter's
    places and scales, the lowest digit's scale is in its weights.
    """

    weights: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.float64]
    lowest: slice
    higher: tuple[tuple[slice, npt.NDArray[np.float64]], ...]
    activation: Activation

    @classmethod
    def of(cls, layer: Layer, largest_input: int, bound: int) -> FloatStep | None:
        """None where a sum could be too large."""
        bits, digits = exact_digits(layer, largest_input)
        places = bits * (len(digits) - 1)
        if layer.shift < places or (bound + 1) << layer.shift - places > _EXACT_FLOAT - 2**32:
            return None
        biases = [bias + ((1 << layer.shift) >> 1) for bias in layer.biases]
        offsets = []
        for _ in digits[1:]:
            offsets.append([bias & (1 << bits) - 1 for bias in biases])
            biases = [bias >> bits for bias in biases]
        offsets.append(biases)
        largest = [
            int(np.abs(digit).sum(axis=1).max()) * largest_input + max(map(abs, offset)) + 2**32
            for digit, offset in zip(digits, offsets, strict=True)
        ]
        if max(largest) >= _EXACT_FLOAT:
            return None
        scales = [2.0**-bits] * (len(digits) - 1) + [2.0 ** (places - layer.shift)]
        weights = np.concatenate(digits).astype(np.float64)
        column = np.asarray(offsets, np.float64).reshape(-1, 1)
        lowest, *higher = (slice(at, at + len(biases)) for at in range(0, len(column), len(biases)))
        weights[lowest] *= scales[0]
        column[lowest] *= scales[0]
        pairs = tuple(zip(higher, map(np.asarray, scales[1:]), strict=True))
        return cls(weights, column, lowest, pairs, layer.activation)

    def __call__(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """What comes out of the layer, one column a row."""
        sums = self.weights.dot(values)
        sums += self.offsets
        total: npt.NDArray[np.float64] = sums[self.lowest]
        np.floor(total, total)
        for place, scale in self.higher:
            digit = sums[place]
            digit += total
            digit *= scale
            total = np.floor(digit, digit)
        return _activated_floats(self.activation, total)


@dataclass(frozen=True)
class IntegerStep:
    """One layer: weights as digits in base 2^bits, the lowest first, side by side."""

    weights: npt.NDArray[np.float64]
    offsets: Integers
    bits: int
    shift: int
    activation: Activation
    layer: Layer | None

    @classmethod
    def of(cls, layer: Layer, largest_input: int, bound: int) -> IntegerStep:
        """Of any layer a program may have."""
        bits, digits = exact_digits(layer, largest_input)
        rounding = (1 << layer.shift) >> 1
        offsets = [bias + rounding for bias in layer.biases]
        parts = []
        for _ in digits[1:]:
            parts.append([offset & (1 << bits) - 1 for offset in offsets])
            offsets = [offset >> bits for offset in offsets]
        parts.append(offsets)
        dropped = min(layer.shift, bits * (len(digits) - 1)) // bits
        # What is summed last is the accumulator without the bits dropped, and one carry.
        largest_sum = ((bound + 1) << layer.shift - dropped * bits) + 2**54
        fits = largest_sum <= _LARGEST and all(abs(offset) <= 2**62 for offset in offsets)
        return cls(
            weights=np.concatenate(digits).astype(np.float64),
            offsets=np.asarray(parts if fits else [], dtype=np.int64),
            bits=bits,
            shift=layer.shift,
            activation=layer.activation,
            layer=None if fits else layer,
        )

    def __call__(self, values: npt.NDArray[Any]) -> Integers:
        """What comes out of the layer, one column a row."""
        if self.layer is not None:
            return _activated(self.activation, _slowly(self.layer, values.T).T)
        count = len(self.offsets)
        sums = (self.weights @ values.astype(np.float64)).astype(np.int64)
        digits = sums.reshape(count, -1, values.shape[1])
        total: Integers = digits[0] + self.offsets[0][:, None]
        shift, place = self.shift, 0
        for number in range(1, count):
            digit = digits[number] + self.offsets[number][:, None]
            if shift >= self.bits:
                total >>= self.bits
                shift -= self.bits
            else:
                place += self.bits
                digit <<= place
            total += digit
        total >>= shift
        return _activated(self.activation, total)


def exact_digits(layer: Layer, largest_input: int) -> tuple[int, list[Integers]]:
    """Bits, and the weights' digits in base 2^bits, the largest whose sums stay exact.

    The lowest digit comes first; each is from -2^(bits-1) to 2^(bits-1) - 1.
    """
    weights = np.asarray(layer.weights, dtype=np.int64)
    for bits in range(8 * layer.weight_bytes, 0, -1):
        digits, rest = [], weights
        while True:
            digit = ((rest + (1 << bits - 1)) & ((1 << bits) - 1)) - (1 << bits - 1)
            digits.append(digit)
            rest = (rest - digit) >> bits
            if not rest.any():
                break
        largest = max(int(np.abs(digit).sum(axis=1).max()) for digit in digits)
        if largest * largest_input < _EXACT_FLOAT:
            return bits, digits
    raise AssertionError("4096 weights of one bit fit")


def _slowly(layer: Layer, values: npt.NDArray[Any]) -> Integers:
    """For layers whose last sum could leave 64 bits, which no compiled program has."""
    weights = np.asarray(layer.weights, dtype=object)
    biases = np.asarray(layer.biases, dtype=object)
    rounding = (1 << layer.shift) >> 1
    sums: npt.NDArray[Any] = values.astype(np.int64).astype(object) @ weights.T + biases + rounding
    shifted: Integers = (sums >> layer.shift).astype(np.int64)
    return shifted


def _activated_floats(
    activation: Activation, values: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The same for whole numbers in binary64, which may be overwritten."""
    if activation is Activation.IDENTITY:
        return values
    if activation is Activation.RELU:
        zeros = _ZERO if values.shape[1] == 1 else np.zeros(values.shape)  # the faster of two
        return np.maximum(values, zeros, out=values)
    return _activated(activation, values.astype(np.int64)).astype(np.float64)


def _activated(activation: Activation, values: Integers) -> Integers:
    match activation:
        case Activation.IDENTITY:
            return values
        case Activation.RELU:
            return np.maximum(values, 0)
        case Activation.LOGISTIC:
            one = reference.ONE_FRACTION
            large = (one << 32) // (reference.ONE_POWER + _power(np.abs(values)))
            return np.where(values >= 0, large, one - large)
        case Activation.TANH:
            tail = _power(np.abs(values))
            size = ((reference.ONE_POWER - tail) << reference.FRACTION_BITS) // (
                reference.ONE_POWER + tail
            )
            return np.where(values >= 0, size, -size)


def _power(exponent: Integers) -> Integers:
    fraction = exponent & (reference.ONE_FRACTION - 1)
    result: Integers = np.full_like(exponent, reference.POWER_COEFFICIENTS[-1])
    for coefficient in reference.POWER_COEFFICIENTS[-2::-1]:
        result *= fraction
        result >>= reference.FRACTION_BITS
        result += coefficient
    result >>= np.minimum(exponent >> reference.FRACTION_BITS, 63)
    return result


# --- trees ---------------------------------------------------------------------------------------


class _Forest:
    block = 8192

    def __init__(self, program: TreeProgram) -> None:
        self._starts = np.asarray(program.starts, dtype=np.int64)
        leaves = np.asarray(program.leaves, dtype=np.int64)
        self._leaves = leaves if program.vectors else leaves[:, 0]
        self._vectors = program.vectors
        key = np.dtype(INPUT_TYPES[program.encoding])
        self._trees = [
            _MaskedTree(tree)
            if tree.feature.count(-1) <= _MOST_MASKED_LEAVES
            else _WalkedTree(tree, key)
            for tree in program.trees
        ]

    def __call__(self, inputs: npt.NDArray[Any]) -> Integers:
        columns = np.ascontiguousarray(inputs.T)
        outputs = len(self._starts)
        sums = np.repeat(self._starts[:, None], len(inputs), axis=1)
        for number, tree in enumerate(self._trees):
            entries = tree(columns)
            if self._vectors:
                sums += self._leaves[entries].T
            else:
                sums[number % outputs] += self._leaves[entries]
        return sums


class _MaskedTree:
    """A tree of few leaves, all of whose splits are compared in turn.

    Each split a row goes right at excludes the leaves on its left; of those that remain, the
    leftmost is the one the row reaches.
    """

    def __init__(self, tree: Tree) -> None:
        entries = [t for f, t in zip(tree.feature, tree.threshold, strict=True) if f < 0]
        leaves = len(entries)
        self._type = np.dtype(f"u{next(size for size in (1, 2, 4, 8) if leaves <= 8 * size)}")
        before = [0]
        for feature in tree.feature:
            before.append(before[-1] + (feature < 0))
        self._splits = [
            (
                feature,
                tree.threshold[node],
                self._type.type((1 << before[tree.right[node]]) - (1 << before[node])),
            )
            for node, feature in enumerate(tree.feature)
            if feature >= 0
        ]
        self._entries = np.asarray(entries, dtype=np.intp)

    def __call__(self, columns: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
        rows = columns.shape[1]
        excluded = np.zeros(rows, self._type)
        masked = np.empty(rows, self._type)
        goes_right = np.empty(rows, bool)
        as_number = goes_right.view(np.uint8)
        for feature, threshold, mask in self._splits:
            np.greater(columns[feature], threshold, out=goes_right)
            np.multiply(as_number, mask, out=masked)
            np.bitwise_or(excluded, masked, out=excluded)
        first = excluded & ~(excluded + self._type.type(1))  # the ones below the lowest zero
        entries: npt.NDArray[np.intp] = self._entries.take(np.bitwise_count(first))
        return entries


class _WalkedTree:
    """A tree of many leaves, walked by all rows at once, level by level."""

    def __init__(self, tree: Tree, key: np.dtype[Any]) -> None:
        features = np.asarray(tree.feature, dtype=np.intp)
        is_leaf = features < 0
        nodes = np.arange(len(features), dtype=np.intp)
        self._feature = np.where(is_leaf, 0, features)
        self._threshold = np.where(is_leaf, 0, np.asarray(tree.threshold)).astype(key)
        right = np.where(is_leaf, nodes, np.asarray(tree.right, dtype=np.intp))
        self._children = np.stack([np.where(is_leaf, nodes, nodes + 1), right], axis=1).ravel()
        self._entry = np.where(is_leaf, np.asarray(tree.threshold), 0).astype(np.intp)
        self._depth = _depth(tree)

    def __call__(self, columns: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
        rows = columns.shape[1]
        keys = columns.ravel()
        row = np.arange(rows, dtype=np.intp)
        node = np.zeros(rows, dtype=np.intp)
        for _ in range(self._depth):
            place = self._feature.take(node)
            place *= rows
            place += row
            goes_right = keys.take(place) > self._threshold.take(node)
            node *= 2
            node += goes_right
            node = self._children.take(node)
        return self._entry.take(node)


def _depth(tree: Tree) -> int:
    depths = [0] * len(tree.feature)
    for node, feature in enumerate(tree.feature):
        if feature >= 0:
            depths[node + 1] = depths[tree.right[node]] = depths[node] + 1
    return max(depths)


# --- labels and scores ---------------------------------------------------------------------------


def _labels(decision: Decision, outputs: Integers) -> Integers:
    match decision:
        case Decision.VALUE:
            return np.zeros(len(outputs), np.int64)
        case Decision.POSITIVE:
            return (outputs[:, 0] > 0).astype(np.int64)
        case Decision.NOT_NEGATIVE:
            return (outputs[:, 0] >= 0).astype(np.int64)
        case Decision.LARGEST:
            first_largest: Integers = outputs.argmax(axis=1)
            return first_largest


def _scores(program: Program, outputs: Integers) -> Integers:
    one = int(10**program.decimals)
    match program.scores:
        case Scores.NONE:
            return outputs[:, :0]
        case Scores.SCALED:
            return outputs
        case Scores.EXPONENTIAL if program.decision is not Decision.LARGEST:
            tail = _power(np.abs(outputs[:, 0]))
            total = tail + reference.ONE_POWER
            smaller = (tail * one + total // 2) // total
            second = np.where(outputs[:, 0] < 0, smaller, one - smaller)
            return np.stack([one - second, second], axis=1)
        case Scores.EXPONENTIAL:
            powers = _power(outputs.max(axis=1, keepdims=True) - outputs)
        case Scores.ONE_AGAINST_REST:
            below = np.maximum(-outputs, 0)
            powers = _power(below - below.min(axis=1, keepdims=True)) << reference.FRACTION_BITS
            powers //= reference.ONE_POWER + _power(np.abs(outputs))
        case _:
            raise AssertionError(program.scores)
    total = powers.sum(axis=1, keepdims=True)
    scores: Integers = (powers * one + total // 2) // total
    return scores


def _shares(program: TreeProgram, sums: Integers) -> Integers:
    if program.decision is Decision.LARGEST:
        return _share(sums, program.divisor, program.decimals)
    second = _share(sums[:, 0] + program.divisor, 2 * program.divisor, program.decimals)
    return np.stack([10**program.decimals - second, second], axis=1)


def _share(values: Integers, whole: int, decimals: int) -> Integers:
    """`values * 10^decimals / whole`, rounded: some decimals at a time, so that 64 bits do."""
    at_once = max(count for count in range(1, 10) if whole * 10**count <= _LARGEST)
    quotient, rest = np.zeros_like(values), values
    while decimals:
        taken = min(decimals, at_once)
        digits, rest = np.divmod(rest * 10**taken, whole)
        quotient = quotient * 10**taken + digits
        decimals -= taken
    return quotient + (rest + whole // 2) // whole
