"""Random programs and inputs, of every kind the format has, extremes included."""

from __future__ import annotations

from random import Random

from modelward.errors import InvalidProgram
from modelward.models.exact.program import (
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

BOUNDS = {
    Encoding.UNITS: (0, 2**32 - 1),
    Encoding.KEYS32: (-(2**31), 2**31 - 1),
    Encoding.KEYS64: (-(2**63), 2**63 - 1),
}


def random_program(random: Random) -> Program:
    """A valid program."""
    while True:
        try:
            return random.choice((_layers, _trees))(random)
        except InvalidProgram:  # it could overflow: take another
            continue


def random_inputs(random: Random, program: Program, rows: int) -> list[list[int]]:
    """Rows of random keys or units; some at their bounds, some at a threshold."""
    low, high = BOUNDS[program.encoding]
    special = [low, high, 0, low + 1, high - 1]
    if isinstance(program, TreeProgram):
        thresholds = [
            threshold
            for tree in program.trees
            for feature, threshold in zip(tree.feature, tree.threshold, strict=True)
            if feature >= 0
        ]
        special += [min(t + d, high) for t in thresholds[:50] for d in (0, 1)]
    return [
        [
            random.choice(special) if random.random() < 0.3 else random.randint(low, high)
            for _ in range(program.features)
        ]
        for _ in range(rows)
    ]


def _decision(random: Random, scores: list[Scores]) -> tuple[Decision, Scores, int, int]:
    decision = random.choice(list(Decision))
    outputs = random.randint(1, 6) if decision is Decision.LARGEST else 1
    if decision is Decision.VALUE:
        scores = [Scores.SCALED]
    elif decision is not Decision.LARGEST:
        scores = [kind for kind in scores if kind is not Scores.ONE_AGAINST_REST]
    kind = random.choice(scores)
    decimals = random.randint(0, 9 if kind > Scores.SCALED else 18)
    return decision, kind, decimals, outputs


def _layers(random: Random) -> Program:
    kinds = [Scores.NONE, Scores.SCALED, Scores.EXPONENTIAL, Scores.ONE_AGAINST_REST]
    decision, scores, decimals, outputs = _decision(random, kinds)
    features = random.choice((1, 2, 3, random.randint(4, 40)))
    count = random.choice((1, 1, 2, 3))
    layers: list[Layer] = []
    incoming, largest = features, 2**32 - 1
    for number in range(count):
        is_last = number == count - 1
        neurons = outputs if is_last else random.randint(1, 8)
        activation = Activation.IDENTITY if is_last else random.choice(list(Activation))
        width = random.choice((1, 2, 3, 4, 4, 4))
        most = 1 << 8 * width - 1
        few = random.randint(1, most)
        weights = tuple(
            tuple(
                random.choice((-most, most - 1, 0))
                if random.random() < 0.1
                else random.randint(-few, few - 1)
                for _ in range(incoming)
            )
            for _ in range(neurons)
        )
        size = max(1, sum(map(abs, weights[0])) * largest)
        biases = tuple(random.randint(-2 * size, 2 * size) for _ in range(neurons))
        biases = tuple(max(-(2**79), min(2**79 - 1, bias)) for bias in biases)
        bits = Layer(weights, biases, 0, activation, width).bound(largest).bit_length()
        fitted = bits - (61 if is_last or activation > Activation.RELU else 32)
        if activation > Activation.RELU or (is_last and scores > Scores.SCALED):
            fitted = bits - random.randint(28, 40)
        shift = min(64, max(0, fitted + random.randint(0, 3)))
        layers.append(Layer(weights, biases, shift, activation, width))
        incoming = neurons
        largest = 2**30 if activation > Activation.RELU else layers[-1].bound(largest)
    return LayerProgram(
        Encoding.UNITS, decision, scores, decimals, features, outputs, layers=tuple(layers)
    )


def _trees(random: Random) -> Program:
    kinds = [Scores.NONE, Scores.SCALED, Scores.EXPONENTIAL, Scores.SHARES]
    decision, scores, decimals, outputs = _decision(random, kinds)
    encoding = random.choice((Encoding.KEYS32, Encoding.KEYS64))
    features = random.choice((1, 2, random.randint(3, 30), random.randint(31, 300)))
    vectors = random.random() < 0.5
    wide = features > 256 or random.random() < 0.3
    entries = random.randint(1, 12)
    most = 2 ** random.choice((8, 20, 40, 47))
    lowest = 0 if scores is Scores.SHARES and decision is Decision.LARGEST else -most + 1
    leaves = tuple(
        tuple(random.randint(lowest, most - 1) for _ in range(outputs if vectors else 1))
        for _ in range(entries)
    )
    count = random.choice((1, 2, random.randint(3, 12)))
    largest = max(abs(value) for leaf in leaves for value in leaf)
    divisor = random.choice((1, 2, 3, 2**20, random.randint(1, 2**53)))
    starts = tuple(random.randint(-most, most) for _ in range(outputs))
    if scores is Scores.SHARES:
        divisor = max(1, largest * count + random.choice((0, 1, random.randint(0, 2**40))))
        starts = (0,) * outputs
    return TreeProgram(
        encoding,
        decision,
        scores,
        decimals,
        features,
        outputs,
        trees=tuple(_tree(random, encoding, features, entries) for _ in range(count)),
        leaves=leaves,
        starts=starts,
        divisor=divisor,
        vectors=vectors,
        wide=wide,
    )


def _tree(random: Random, encoding: Encoding, features: int, entries: int) -> Tree:
    low, high = BOUNDS[encoding]
    feature: list[int] = []
    threshold: list[int] = []
    right: list[int] = []
    growing = random.choice((0.3, 0.5, 0.9))
    deepest = random.choice((0, 3, 8, 12))

    def grow(depth: int) -> None:
        node = len(feature)
        right.append(0)
        if depth >= deepest or random.random() > growing or len(feature) > 200:
            feature.append(-1)
            threshold.append(random.randrange(entries))
            return
        feature.append(random.randrange(features))
        threshold.append(
            random.choice((low, high, 0)) if random.random() < 0.1 else random.randint(low, high)
        )
        grow(depth + 1)
        right[node] = len(feature)
        grow(depth + 1)

    grow(0)
    return Tree(tuple(feature), tuple(threshold), tuple(right))
