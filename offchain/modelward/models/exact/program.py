"""The byte format of exact programs, read strictly.

All numbers are big-endian; signed ones are two's complement.

====  =====  ==================================================================================
at    bytes  header
====  =====  ==================================================================================
0     1      format: 1
1     1      kind: 1 layers, 2 trees
2     1      encoding, which is the tag of the canonical input: 2 units, 3 keys32, 4 keys64
3     1      decision: 0 value, 1 positive, 2 not negative, 3 largest
4     1      scores: 0 none, 1 scaled, 2 exponential, 3 shares, 4 one against the rest
5     1      decimals: scores are whole multiples of 10^-decimals
6     2      features, 1 to 4096
8     2      outputs, 1 to 4096
10           layers or trees
====  =====  ==================================================================================

**Layers** take units. One byte counts them (1 to 8). A layer is its width (2), the bytes a weight
takes (1, 1 to 4), a shift (1, 0 to 64), an activation (1), and for every neuron its bias (10) and
its weights, one for each value that comes in. A neuron computes
`(bias + sum of weight * value + 2^(shift - 1)) >> shift`, then the activation. The last layer has
one neuron for each output and no activation.

**Trees** take keys: one byte for the layout (0 compact, 1 wide), one that tells whether a leaf
holds one value (0) or one for each output (1), the number of trees (2), the divisor (8), the number
of leaf entries (4); then for each output its start (8), the leaf entries (6 bytes a value), the
trees. A tree is the length of its nodes in bytes (a link) and its nodes in preorder. A node begins
with a link, 2 bytes (compact) or 4 (wide). If its first bit is set, the node is a leaf, and the
rest is the number of its entry. Otherwise the rest is the distance in bytes to the right child; the
feature (1 byte compact, 2 wide), the threshold (4 bytes for keys32, 8 for keys64) and then the left
child follow. A row goes left if its key is at most the threshold. Tree i adds its leaf's value to
output i mod outputs, or its leaf's values to all outputs.

No accumulator of a program that was read can leave the range of -2^61 to 2^61 for any input: that
is proven here from the weights, not left to the data.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import NoReturn

from eth_utils.crypto import keccak

from modelward.errors import InvalidProgram

FORMAT = 1
MAX_PROGRAM_BYTES = 8 * 2**20
MAX_FEATURES = 4096
MAX_OUTPUTS = 4096
MAX_LAYERS = 8
MAX_SHIFT = 64
MAX_TREES = 8192
MAX_DEPTH = 255
MAX_DECIMALS = 18
MAX_PROBABILITY_DECIMALS = 9

LARGEST_UNIT = 2**32 - 1
LARGEST_ACTIVATION = 2**32 - 1
LARGEST_ACCUMULATOR = 2**61
LARGEST_START = 2**60
LARGEST_DIVISOR = 2**53
BIAS_BYTES = 10
LEAF_BYTES = 6

_HEADER = struct.Struct(">6B2H")
_LAYER = struct.Struct(">H3B")
_TREES = struct.Struct(">2BHQI")


class Encoding(IntEnum):
    """What the numbers of an input are; the value is the canonical input's tag."""

    UNITS = 2
    KEYS32 = 3
    KEYS64 = 4

    @property
    def width(self) -> int:
        """Bytes a feature takes."""
        return 8 if self is Encoding.KEYS64 else 4


class Decision(IntEnum):
    """How the label follows from the outputs."""

    VALUE = 0
    POSITIVE = 1
    NOT_NEGATIVE = 2
    LARGEST = 3


class Scores(IntEnum):
    """How the scores follow from the outputs; `reference` has the formulas."""

    NONE = 0
    SCALED = 1
    EXPONENTIAL = 2
    SHARES = 3
    ONE_AGAINST_REST = 4


class Activation(IntEnum):
    """What a layer does to its neurons' values."""

    IDENTITY = 0
    RELU = 1
    LOGISTIC = 2
    TANH = 3


@dataclass(frozen=True)
class Layer:
    """`weights` has a row for each neuron."""

    weights: tuple[tuple[int, ...], ...]
    biases: tuple[int, ...]
    shift: int
    activation: Activation
    weight_bytes: int = 4

    def bound(self, largest_input: int) -> int:
        """The largest magnitude before the activation, for inputs of at most `largest_input`."""
        rounding = (1 << self.shift) >> 1
        return (
            max(
                largest_input * sum(map(abs, weights)) + abs(bias) + rounding
                for weights, bias in zip(self.weights, self.biases, strict=True)
            )
            >> self.shift
        )


@dataclass(frozen=True)
class Tree:
    """Nodes in preorder: the left child of node i is i + 1.

    `feature` is -1 for a leaf, whose number among the entries is then in `threshold`.
    """

    feature: tuple[int, ...]
    threshold: tuple[int, ...]
    right: tuple[int, ...]


@dataclass(frozen=True)
class ProgramHeader:
    """What both kinds have in common; raises `InvalidProgram` when parts contradict each other."""

    encoding: Encoding
    decision: Decision
    scores: Scores
    decimals: int
    features: int
    outputs: int

    def __post_init__(self) -> None:
        _require(1 <= self.features <= MAX_FEATURES, "has no features, or too many", 6)
        _require(1 <= self.outputs <= MAX_OUTPUTS, "has no outputs, or too many", 8)
        is_probability = self.scores > Scores.SCALED
        most = MAX_PROBABILITY_DECIMALS if is_probability else MAX_DECIMALS
        _require(0 <= self.decimals <= most, f"has scores of {self.decimals} decimals", 5)
        if self.decision is not Decision.LARGEST:
            _require(self.outputs == 1, f"decides on {self.outputs} outputs as if on one", 3)
        if self.decision is Decision.VALUE:
            _require(self.scores is Scores.SCALED, "gives a value without its scale", 4)
        if self.scores is Scores.ONE_AGAINST_REST:
            _require(self.decision is Decision.LARGEST, "sets one output against no other", 4)

    @property
    def input_bytes(self) -> int:
        """The length of a canonical input."""
        return 1 + self.encoding.width * self.features

    @property
    def score_count(self) -> int:
        """How many scores an output has."""
        if self.scores is Scores.NONE:
            return 0
        if self.decision is Decision.LARGEST or self.scores is Scores.SCALED:
            return self.outputs
        return 2

    @cached_property
    def hash(self) -> bytes:
        """keccak256 of the bytes: the program hash of the registry."""
        return keccak(self.to_bytes())

    def to_bytes(self) -> bytes:
        """The bytes that `load_program` reads."""
        kind = 1 if isinstance(self, LayerProgram) else 2
        return (
            _HEADER.pack(
                FORMAT,
                kind,
                self.encoding,
                self.decision,
                self.scores,
                self.decimals,
                self.features,
                self.outputs,
            )
            + self._body()
        )

    def _body(self) -> bytes:
        raise NotImplementedError


@dataclass(frozen=True)
class LayerProgram(ProgramHeader):
    """Linear models (one layer) and neural networks."""

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.encoding is Encoding.UNITS, "takes keys where layers take units", 2)
        _require(self.scores is not Scores.SHARES, "takes the outputs of layers for shares", 4)
        _require(1 <= len(self.layers) <= MAX_LAYERS, f"has {len(self.layers)} layers", 10)
        self._check_layers()

    def _check_layers(self) -> None:
        incoming = self.features
        for number, (layer, largest) in enumerate(
            zip(self.layers, self.bounds, strict=True), start=1
        ):
            is_last = number == len(self.layers)
            where = f"in layer {number}"
            _require(1 <= len(layer.biases) <= MAX_OUTPUTS, f"has no neurons {where}, or too many")
            _require(1 <= layer.weight_bytes <= 4, f"has weights of no such width {where}")
            _require(0 <= layer.shift <= MAX_SHIFT, f"shifts by {layer.shift} bits {where}")
            _require(
                all(len(weights) == incoming for weights in layer.weights)
                and len(layer.weights) == len(layer.biases),
                f"has too few weights {where}, or too many",
            )
            most = 1 << 8 * layer.weight_bytes - 1
            _require(
                all(-most <= weight < most for weights in layer.weights for weight in weights)
                and all(-(1 << 79) <= bias < 1 << 79 for bias in layer.biases),
                f"has a weight or bias beyond its width {where}",
            )
            exponential = not is_last and layer.activation > Activation.RELU
            _require(
                largest <= LARGEST_ACCUMULATOR
                if is_last or exponential
                else largest <= LARGEST_ACTIVATION,
                f"could overflow {where}",
            )
            if is_last:
                _require(layer.activation is Activation.IDENTITY, "ends in an activation")
                _require(len(layer.biases) == self.outputs, "has other outputs than it says")
            incoming = len(layer.biases)

    @cached_property
    def bounds(self) -> tuple[int, ...]:
        """For each layer the largest magnitude a neuron can have before its activation."""
        bounds = []
        largest = LARGEST_UNIT
        for layer in self.layers:
            bounds.append(layer.bound(largest))
            largest = 1 << 30 if layer.activation > Activation.RELU else bounds[-1]
        return tuple(bounds)

    def _body(self) -> bytes:
        parts = [bytes([len(self.layers)])]
        for layer in self.layers:
            parts.append(
                _LAYER.pack(len(layer.biases), layer.weight_bytes, layer.shift, layer.activation)
            )
            for bias, weights in zip(layer.biases, layer.weights, strict=True):
                parts.append(bias.to_bytes(BIAS_BYTES, "big", signed=True))
                parts += [w.to_bytes(layer.weight_bytes, "big", signed=True) for w in weights]
        return b"".join(parts)


@dataclass(frozen=True)
class TreeProgram(ProgramHeader):
    """A tree, or the sum of many.

    `leaves` are the entries the trees' leaves name, each of one value or (`vectors`) of one value
    for each output; `starts` is what each output's sum begins with.
    """

    trees: tuple[Tree, ...]
    leaves: tuple[tuple[int, ...], ...]
    starts: tuple[int, ...]
    divisor: int
    vectors: bool
    wide: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.encoding is not Encoding.UNITS, "takes units where trees take keys", 2)
        _require(self.scores is not Scores.ONE_AGAINST_REST, "sets trees against each other", 4)
        _require(1 <= len(self.trees) <= MAX_TREES, f"has {len(self.trees)} trees", 12)
        _require(1 <= self.divisor <= LARGEST_DIVISOR, f"divides by {self.divisor}", 14)
        _require(len(self.leaves) >= 1, "has no leaf entries", 22)
        _require(
            all(-LARGEST_START <= start <= LARGEST_START for start in self.starts)
            and len(self.starts) == self.outputs,
            "starts out of bounds",
        )
        per_leaf = self.outputs if self.vectors else 1
        most = 1 << 8 * LEAF_BYTES - 1
        _require(
            all(len(leaf) == per_leaf for leaf in self.leaves)
            and all(-most <= value < most for leaf in self.leaves for value in leaf),
            "has a leaf beyond its width",
        )
        if self.scores is Scores.SHARES:
            self._check_shares()

    def _check_shares(self) -> None:
        """No share may come out below nothing or above the whole."""
        values = [value for leaf in self.leaves for value in leaf]
        if self.decision is Decision.LARGEST:
            _require(min(values) >= 0, "has a negative share")
        _require(
            max(map(abs, values)) * len(self.trees) <= self.divisor and not any(self.starts),
            "has shares beyond the whole",
        )

    def _body(self) -> bytes:
        entries = b"".join(
            value.to_bytes(LEAF_BYTES, "big", signed=True) for leaf in self.leaves for value in leaf
        )
        starts = b"".join(start.to_bytes(8, "big", signed=True) for start in self.starts)
        head = _TREES.pack(self.wide, self.vectors, len(self.trees), self.divisor, len(self.leaves))
        layout = _Layout(self.wide, self.encoding)
        return head + starts + entries + b"".join(layout.pack(tree) for tree in self.trees)


class _Layout:
    """How wide the fields of a node are."""

    def __init__(self, wide: bool, encoding: Encoding) -> None:
        self.link = 4 if wide else 2
        self.feature = 2 if wide else 1
        self.threshold = encoding.width
        self.split = self.link + self.feature + self.threshold
        self.leaf_flag = 1 << 8 * self.link - 1

    def pack(self, tree: Tree) -> bytes:
        sizes = [self.link if feature < 0 else self.split for feature in tree.feature]
        places = [0]
        for size in sizes:
            places.append(places[-1] + size)
        try:
            parts = [places[-1].to_bytes(self.link, "big")]
            for node, feature in enumerate(tree.feature):
                if feature < 0:
                    link = self.leaf_flag | tree.threshold[node]
                    parts.append(link.to_bytes(self.link, "big"))
                    continue
                distance = places[tree.right[node]] - places[node]
                if distance >= self.leaf_flag:
                    raise OverflowError
                parts.append(distance.to_bytes(self.link, "big"))
                parts.append(feature.to_bytes(self.feature, "big"))
                parts.append(tree.threshold[node].to_bytes(self.threshold, "big", signed=True))
        except OverflowError as error:
            raise InvalidProgram("The program has a tree too large for its layout.") from error
        return b"".join(parts)


Program = LayerProgram | TreeProgram


# --- reading -------------------------------------------------------------------------------------


def load_program(data: bytes) -> Program:
    """The program in `data`; `InvalidProgram` says what is wrong with it, and where."""
    if len(data) > MAX_PROGRAM_BYTES:
        raise InvalidProgram(
            f"The program is {len(data)} bytes long, more than the {MAX_PROGRAM_BYTES} allowed."
        )
    reader = _Reader(data)
    version, kind, encoding, decision, scores, decimals, features, outputs = reader.unpack(_HEADER)
    _require(version == FORMAT, f"has the format {version}, not {FORMAT}", 0)
    _require(kind in (1, 2), f"is of the unknown kind {kind}", 1)
    _require(encoding in Encoding.__members__.values(), f"takes the unknown input {encoding}", 2)
    _require(decision in Decision.__members__.values(), f"decides in no known way ({decision})", 3)
    _require(scores in Scores.__members__.values(), f"scores in no known way ({scores})", 4)
    common = (
        Encoding(encoding),
        Decision(decision),
        Scores(scores),
        decimals,
        features,
        outputs,
    )
    ProgramHeader(*common)
    program = _read_layers(reader, common) if kind == 1 else _read_trees(reader, common)
    _require(reader.at == len(data), "goes on after its end", reader.at)
    return program


_Common = tuple[Encoding, Decision, Scores, int, int, int]


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        taken = self.data[self.at : self.at + count]
        _require(len(taken) == count, "ends too early", len(self.data))
        self.at += count
        return taken

    def unpack(self, form: struct.Struct) -> tuple[int, ...]:
        return form.unpack(self.take(form.size))

    def integers(self, count: int, width: int) -> list[int]:
        raw = self.take(count * width)
        return [
            int.from_bytes(raw[at : at + width], "big", signed=True)
            for at in range(0, len(raw), width)
        ]


def _read_layers(reader: _Reader, common: _Common) -> LayerProgram:
    layers = []
    (count,) = reader.take(1)
    _require(1 <= count <= MAX_LAYERS, f"has {count} layers", 10)
    incoming = common[4]
    for _ in range(count):
        at = reader.at
        neurons, weight_bytes, shift, activation = reader.unpack(_LAYER)
        _require(1 <= neurons <= MAX_OUTPUTS, f"has {neurons} neurons in a layer", at)
        _require(1 <= weight_bytes <= 4, f"has weights of {weight_bytes} bytes", at + 2)
        _require(shift <= MAX_SHIFT, f"shifts by {shift} bits", at + 3)
        _require(activation <= max(Activation), f"has the unknown activation {activation}", at + 4)
        biases, weights = [], []
        for _ in range(neurons):
            biases += reader.integers(1, BIAS_BYTES)
            weights.append(tuple(reader.integers(incoming, weight_bytes)))
        layers.append(
            Layer(tuple(weights), tuple(biases), shift, Activation(activation), weight_bytes)
        )
        incoming = neurons
    return LayerProgram(*common, layers=tuple(layers))


def _read_trees(reader: _Reader, common: _Common) -> TreeProgram:
    encoding, _, _, _, features, outputs = common
    at = reader.at
    wide, vectors, count, divisor, entries = reader.unpack(_TREES)
    _require(wide <= 1, f"has the unknown layout {wide}", at)
    _require(vectors <= 1, f"has leaves of the unknown kind {vectors}", at + 1)
    _require(entries >= 1, "has no leaf entries", at + 12)
    starts = reader.integers(outputs, 8)
    per_leaf = outputs if vectors else 1
    values = reader.integers(entries * per_leaf, LEAF_BYTES)
    leaves = [tuple(values[i : i + per_leaf]) for i in range(0, len(values), per_leaf)]
    layout = _Layout(bool(wide), encoding)
    trees = [_read_tree(reader, layout, features, entries) for _ in range(count)]
    return TreeProgram(
        *common,
        trees=tuple(trees),
        leaves=tuple(leaves),
        starts=tuple(starts),
        divisor=divisor,
        vectors=bool(vectors),
        wide=bool(wide),
    )


def _read_tree(reader: _Reader, layout: _Layout, features: int, entries: int) -> Tree:
    length = int.from_bytes(reader.take(layout.link), "big")
    start = reader.at
    end = start + length
    _require(end <= len(reader.data), "ends too early", len(reader.data))
    feature: list[int] = []
    threshold: list[int] = []
    right: list[int] = []
    waiting: list[tuple[int, int]] = []  # splits whose right child is to come, and where
    while True:
        at = reader.at
        _require(at < end, "has a tree that does not end", at)
        link = int.from_bytes(reader.take(layout.link), "big")
        if not link & layout.leaf_flag:
            _require(len(waiting) < MAX_DEPTH, f"has a tree deeper than {MAX_DEPTH}", at)
            index = int.from_bytes(reader.take(layout.feature), "big")
            _require(index < features, f"asks for feature {index} of {features}", at)
            waiting.append((len(feature), at + link))
            feature.append(index)
            threshold += reader.integers(1, layout.threshold)
            right.append(0)
            continue
        entry = link ^ layout.leaf_flag
        _require(entry < entries, f"names leaf {entry} of {entries}", at)
        feature.append(-1)
        threshold.append(entry)
        right.append(0)
        if not waiting:
            break
        parent, expected = waiting.pop()
        _require(reader.at == expected, "has a right child elsewhere than its parent says", at)
        right[parent] = len(feature)
    _require(reader.at == end, "has a tree of another length than it says", reader.at)
    return Tree(tuple(feature), tuple(threshold), tuple(right))


def _require(condition: bool, fault: str, at: int | None = None) -> None:
    if not condition:
        _refuse(fault, at)


def _refuse(fault: str, at: int | None) -> NoReturn:
    where = "" if at is None else f" (byte {at})"
    raise InvalidProgram(f"The program {fault}{where}.")
