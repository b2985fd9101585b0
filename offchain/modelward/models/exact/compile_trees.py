"""Compile decision trees, forests and boosted trees to trees over keys.

Thresholds are moved from the scaled feature to the key of its column, to the exact key where the
estimator's own comparison changes sides. Leaves are rounded; a forest's class frequencies are
multiples of 1 / lcm(1..30), so that ties between frequencies of small leaves stay ties.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from modelward.errors import NoExactProgram
from modelward.models.exact.fold import Feature, Folded
from modelward.models.exact.inputs import values_of_keys
from modelward.models.exact.program import (
    LARGEST_DIVISOR,
    LARGEST_START,
    LEAF_BYTES,
    MAX_DEPTH,
    MAX_TREES,
    Encoding,
    Tree,
    TreeProgram,
)
from modelward.models.exact.scores import Finish
from modelward.models.schema import InputSchema

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

WHOLE_SHARES = (math.lcm(*range(1, 31)), math.lcm(*range(1, 25)))
_MOST_LEAF = 2 ** (8 * LEAF_BYTES - 1) - 1
_COMPACT = 2**15
_LARGEST_KEY = {Encoding.KEYS32: 0x7F7FFFFF, Encoding.KEYS64: 0x7FEFFFFFFFFFFFFF}


@dataclass(frozen=True)
class FittedTree:
    """A tree as fitted: arrays by node, `left` of -1 at leaves; `values` of shape (nodes, values).

    `single` tells that features are compared in binary32.
    """

    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    feature: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]
    single: bool = True


@dataclass(frozen=True)
class Sum:
    """What the trees' values add up to: whole leaves, where each output starts, and the divisor."""

    leaves: list[npt.NDArray[np.int64]]
    starts: tuple[int, ...]
    divisor: int
    error: float


def fitted_tree(tree: Any) -> FittedTree:
    """The arrays of an estimator's `tree_`."""
    import numpy as np

    return FittedTree(
        left=tree.children_left.astype(np.int64),
        right=tree.children_right.astype(np.int64),
        feature=tree.feature.astype(np.int64),
        threshold=tree.threshold.astype(np.float64),
        values=tree.value.reshape(tree.node_count, -1).astype(np.float64),
    )


def histogram_tree(predictor: Any) -> FittedTree:
    """The arrays of a histogram gradient boosting predictor."""
    import numpy as np

    nodes = predictor.nodes
    is_leaf = nodes["is_leaf"].astype(bool)
    return FittedTree(
        left=np.where(is_leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(is_leaf, -1, nodes["right"].astype(np.int64)),
        feature=nodes["feature_idx"].astype(np.int64),
        threshold=nodes["num_threshold"].astype(np.float64),
        values=nodes["value"].astype(np.float64)[:, None],
        single=False,
    )


# --- leaves --------------------------------------------------------------------------------------


def shares_of(trees: Sequence[FittedTree]) -> Sum:
    """Mean class frequencies: the difference of the two for two classes, else one by class."""
    import numpy as np

    whole = next((w for w in WHOLE_SHARES if w * len(trees) <= LARGEST_DIVISOR), WHOLE_SHARES[-1])
    leaves = [np.rint(np.clip(tree.values, 0.0, 1.0) * whole).astype(np.int64) for tree in trees]
    classes = leaves[0].shape[1]
    if classes == 2:
        leaves = [2 * values[:, 1:] - whole for values in leaves]
    outputs = 1 if classes == 2 else classes
    return Sum(leaves, (0,) * outputs, whole * len(trees), error=0.5)


def scaled_sum(
    trees: Sequence[FittedTree],
    starts: Sequence[float],
    scale: float,
    *,
    mean: bool = False,
) -> Sum:
    """The sum (or `mean`) of the trees' values and the starts, with `scale` for 1."""
    import numpy as np

    most = max(float(np.abs(tree.values).max()) for tree in trees) * scale
    count = len(trees) if mean else 1
    if not math.isfinite(most):
        raise NoExactProgram("It has a leaf that is not finite.")
    finer = math.floor(math.log2(LARGEST_DIVISOR / count))
    if most:
        finer = min(finer, math.floor(math.log2(_MOST_LEAF / most)))
    largest_start = max(map(abs, starts)) * scale
    if largest_start:
        finer = min(finer, math.floor(math.log2(LARGEST_START / largest_start)) - 1)
    if finer < 0:
        raise NoExactProgram("It has leaves too large for the scores' decimals.")
    factor = scale * 2.0**finer
    return Sum(
        leaves=[np.rint(tree.values * factor).astype(np.int64) for tree in trees],
        starts=tuple(round(start * factor) for start in starts),
        divisor=count << finer,
        error=0.5 + 0.5 * (len(trees) / count + 1) / 2.0**finer,
    )


# --- programs ------------------------------------------------------------------------------------


def compile_trees(
    trees: Sequence[FittedTree], total: Sum, folded: Folded, schema: InputSchema, finish: Finish
) -> TreeProgram:
    """The program of fitted `trees` on the folded features, whose leaves `total` has rounded."""
    if len(trees) > MAX_TREES:
        raise NoExactProgram(f"It has {len(trees)} trees, more than the {MAX_TREES} supported.")
    encoding = _encoding(trees, folded, schema)
    splits = _Splits(trees, folded.features, encoding)
    table: dict[tuple[int, ...], int] = {}
    compiled = [
        _compile_tree(tree, [tuple(values) for values in leaves.tolist()], splits, number, table)
        for number, (tree, leaves) in enumerate(zip(trees, total.leaves, strict=True))
    ]
    per_leaf = len(next(iter(table)))
    program = TreeProgram(
        encoding=encoding,
        decision=finish.decision,
        scores=finish.scores,
        decimals=finish.decimals,
        features=len(schema.columns),
        outputs=len(total.starts),
        trees=tuple(compiled),
        leaves=tuple(table),
        starts=total.starts,
        divisor=total.divisor,
        vectors=per_leaf > 1,
        wide=False,
    )
    split_bytes = 3 + encoding.width
    fits = (
        len(schema.columns) <= 256
        and len(table) <= _COMPACT
        and all(split_bytes * len(tree.feature) < _COMPACT for tree in compiled)
    )
    return program if fits else replace(program, wide=True)


def _encoding(trees: Iterable[FittedTree], folded: Folded, schema: InputSchema) -> Encoding:
    """32-bit keys where the estimator itself looks at the columns in binary32, else 64-bit keys."""
    from modelward.models.exact.inputs import InputEncoding

    unscaled = all(not feature.steps for feature in folded.features)
    encoding = (
        Encoding.KEYS32 if unscaled and all(tree.single for tree in trees) else Encoding.KEYS64
    )
    InputEncoding(schema, encoding)
    return encoding


class _Splits:
    """For every split of every tree, its column and the largest key that goes left.

    A feature that no column changes decides a split once and for all: column -1, and a key of 0
    for left and -1 for right.
    """

    def __init__(
        self, trees: Sequence[FittedTree], features: Sequence[Feature], encoding: Encoding
    ) -> None:
        import numpy as np

        single = trees[0].single
        feature = np.concatenate([np.where(tree.left < 0, -1, tree.feature) for tree in trees])
        threshold = np.concatenate([tree.threshold for tree in trees])
        column = np.full(len(feature), -1, dtype=np.int64)
        key = np.zeros(len(feature), dtype=np.int64)
        for place, folded in enumerate(features):
            here = np.flatnonzero(feature == place)
            distinct, inverse = np.unique(threshold[here], return_inverse=True)
            if folded.column is None:
                constant = _compared(folded.apply(np.zeros(1)), single)
                key[here] = np.where(constant <= distinct, 0, -1)[inverse]
            else:
                column[here] = folded.column
                key[here] = _largest_left(folded, distinct, single, encoding)[inverse]
        ends = np.cumsum([len(tree.left) for tree in trees])[:-1]
        self.column = np.split(column, ends)
        self.key = np.split(key, ends)


def _compared(values: npt.NDArray[np.float64], single: bool) -> npt.NDArray[np.float64]:
    import numpy as np

    if not single:
        return values
    with np.errstate(over="ignore"):
        return values.astype(np.float32).astype(np.float64)


def _largest_left(
    feature: Feature, thresholds: npt.NDArray[np.float64], single: bool, encoding: Encoding
) -> npt.NDArray[np.int64]:
    """By bisection: the largest key whose value the estimator sends left, for each threshold."""
    import numpy as np

    bound = _LARGEST_KEY[encoding]
    left = np.full(thresholds.shape, -bound - 1, dtype=np.int64)  # goes left, or is below all keys
    right = np.full(thresholds.shape, bound, dtype=np.int64)  # no key above it goes left
    while (open_ := left < right).any():
        # Halfway, rounded up, without leaving 64 bits.
        middle = (left >> 1) + (right >> 1) + ((left | right) & 1)
        values = _compared(feature.apply(values_of_keys(encoding, middle)), single)
        goes_left = values <= thresholds
        left = np.where(open_ & goes_left, middle, left)
        right = np.where(open_ & ~goes_left, middle - 1, right)
    return left


def _compile_tree(
    tree: FittedTree,
    leaves: Sequence[tuple[int, ...]],
    splits: _Splits,
    number: int,
    table: dict[tuple[int, ...], int],
) -> Tree:
    """In preorder; a split whose two sides give the same leaf is dropped."""
    left, right = tree.left.tolist(), tree.right.tolist()
    column, key = splits.column[number].tolist(), splits.key[number].tolist()

    def resolved(node: int) -> int:
        """The first node from here on that is a leaf or asks for a column."""
        while left[node] >= 0 and column[node] < 0:
            node = left[node] if key[node] >= 0 else right[node]
        return node

    same = _single_leaves(left, right, column, key, leaves)
    feature: list[int] = []
    threshold: list[int] = []
    to_right: list[int] = []
    waiting: list[tuple[int, int, int]] = [(0, -1, 0)]  # node, the split it is right of, depth
    while waiting:
        node, parent, depth = waiting.pop()
        node = resolved(node)
        if depth > MAX_DEPTH:
            raise NoExactProgram(f"It has a tree deeper than {MAX_DEPTH}.")
        here = len(feature)
        if parent >= 0:
            to_right[parent] = here
        to_right.append(0)
        leaf = same[node]
        if leaf is not None:
            feature.append(-1)
            threshold.append(table.setdefault(leaf, len(table)))
            continue
        feature.append(column[node])
        threshold.append(key[node])
        waiting.append((right[node], here, depth + 1))
        waiting.append((left[node], -1, depth + 1))
    return Tree(tuple(feature), tuple(threshold), tuple(to_right))


def _single_leaves(
    left: Sequence[int],
    right: Sequence[int],
    column: Sequence[int],
    key: Sequence[int],
    leaves: Sequence[tuple[int, ...]],
) -> list[tuple[int, ...] | None]:
    """For each node the leaf that every row there ends in, if there is but one."""
    same: list[tuple[int, ...] | None] = [None] * len(left)
    order, waiting = [], [0]
    while waiting:
        node = waiting.pop()
        order.append(node)
        if left[node] >= 0:
            waiting += [left[node], right[node]]
    for node in reversed(order):
        if left[node] < 0:
            same[node] = leaves[node]
        elif column[node] < 0:
            same[node] = same[left[node] if key[node] >= 0 else right[node]]
        elif same[left[node]] == same[right[node]]:
            same[node] = same[left[node]]
    return same
