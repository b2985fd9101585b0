"""Which columns of a table a fitted estimator takes as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def text_columns(estimator: Any) -> frozenset[str | int]:
    """The names, or positions, of the columns that vectorisers of a fitted `estimator` take.

    A vectoriser takes the one column that a ColumnTransformer gives it by name or position.
    """
    return frozenset(_columns(estimator))


def _columns(estimator: Any) -> Iterator[str | int]:
    from sklearn.compose import ColumnTransformer

    first = _first_step(estimator)
    if not isinstance(first, ColumnTransformer):
        return
    for _, transformer, columns in first.transformers_:
        if isinstance(columns, str | int) and _is_vectoriser(_first_step(transformer)):
            yield columns


def _first_step(estimator: Any) -> Any:
    from sklearn.pipeline import Pipeline

    while isinstance(estimator, Pipeline):
        steps = [step for _, step in estimator.steps if step not in (None, "passthrough")]
        if not steps:
            return None
        estimator = steps[0]
    return estimator


def _is_vectoriser(transformer: Any) -> bool:
    from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer

    return isinstance(transformer, CountVectorizer | HashingVectorizer)
