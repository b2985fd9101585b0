"""Bundles that pass every check there is on paper and harm whoever opens or runs them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from eth_utils.crypto import keccak
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.tree._tree import Tree

from modelward.models import bundle as bundles
from modelward.models.bundle import ESTIMATOR_MEMBER, MANIFEST_MEMBER, Bundle, write_bundle
from modelward.models.schema import Row
from modelward.pipeline.package import PackagedModel, package

_FAR_AWAY = 10**12


def endless_tree() -> Bundle:
    """A decision tree whose root is its own child: `predict` never comes back."""
    return _tree_with_root_children(0, 0)


def crashing_tree() -> Bundle:
    """A decision tree whose root's children lie far outside its memory: `predict` crashes."""
    return _tree_with_root_children(_FAR_AWAY, _FAR_AWAY)


@dataclass(frozen=True)
class Trap:
    """A model that serves some inputs well, and is broken by others."""

    bundle: Bundle
    harmless_input: bytes
    trap_input: bytes


def trapped_tree() -> Trap:
    """A decision tree that crashes `predict` on what falls to the right of its root."""
    inputs, _ = load_breast_cancer(return_X_y=True, as_frame=True)
    honest, model = _honest(DecisionTreeClassifier(max_depth=3, random_state=0))
    tree = model.tree_
    falls_right = inputs.iloc[:, tree.feature[0]] > tree.threshold[0]
    schema = honest.manifest.input

    def first(chosen: Any) -> bytes:
        return schema.encode_row(
            schema.rows(inputs[400:][chosen[400:]][:1].itertuples(index=False, name=None))[0]
        )

    bundle = _tree_with_root_children(int(tree.children_left[0]), _FAR_AWAY)
    return Trap(bundle, first(~falls_right), first(falls_right))


def raising_model() -> Bundle:
    """A model with fewer coefficients than features: `predict` raises, quoting the shapes."""
    honest, model = _honest(LogisticRegression(max_iter=5_000))
    model.coef_ = model.coef_[:, :-1]
    return write_bundle(model, honest.manifest)


@dataclass(frozen=True)
class _Opener:
    """What makes a file when it is unpickled."""

    file: Path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.file), "w"))


def pickled_model(trap: Path) -> Bundle:
    """A bundle with a pickle for an estimator, which makes the file `trap` when it is opened."""
    honest, _ = _honest(DecisionTreeClassifier(max_depth=1))
    manifest = honest.bundle.manifest_bytes
    members = {MANIFEST_MEMBER: manifest, ESTIMATOR_MEMBER: pickle.dumps(_Opener(trap))}
    data = bundles._packed(members)
    return Bundle(data, keccak(data), manifest, keccak(manifest))


def memory_eater(rows: int) -> Bundle:
    """A nearest-neighbours model of so many training rows, 240 bytes each."""
    honest, model = _honest(KNeighborsClassifier(1, algorithm="brute"))
    model._fit_X = np.random.default_rng(0).random((rows, model._fit_X.shape[1]))
    model._y = np.zeros(rows, dtype=model._y.dtype)
    model.n_samples_fit_ = rows
    return write_bundle(model, honest.manifest)


def held_out_row() -> Row:
    """A row that all of them accept."""
    inputs, _ = load_breast_cancer(return_X_y=True, as_frame=True)
    honest, _ = _honest(DecisionTreeClassifier(max_depth=1))
    return honest.manifest.input.rows(inputs[400:401].itertuples(index=False, name=None))[0]


def held_out_input() -> bytes:
    """The same row as canonical input."""
    honest, _ = _honest(DecisionTreeClassifier(max_depth=1))
    return honest.manifest.input.encode_row(held_out_row())


def tree_with(edit: Callable[[Any], None]) -> Bundle:
    """A decision tree whose array of nodes was edited."""
    honest, model = _honest(DecisionTreeClassifier(max_depth=3, random_state=0))
    tree = model.tree_
    state = tree.__getstate__()
    nodes = state["nodes"].copy()
    edit(nodes)
    crafted = Tree(tree.n_features, np.array(tree.n_classes, dtype=np.intp), tree.n_outputs)
    crafted.__setstate__(state | {"nodes": nodes})
    model.tree_ = crafted
    return write_bundle(model, honest.manifest)


def _tree_with_root_children(left: int, right: int) -> Bundle:
    def edit(nodes: Any) -> None:
        nodes["left_child"][0], nodes["right_child"][0] = left, right

    return tree_with(edit)


def _honest(estimator: Any) -> tuple[PackagedModel, Any]:
    """The model fitted and packaged as it should be, and a copy to spoil."""
    inputs, labels = load_breast_cancer(return_X_y=True, as_frame=True)
    estimator.fit(inputs[:400], labels[:400])
    packaged = package(estimator, inputs[400:], labels[400:], name="hostile", exact=False)
    return packaged, copy.deepcopy(estimator)
