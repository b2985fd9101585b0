"""Fold the preprocessing of a Pipeline into one function of one column for each feature.

StandardScaler, MinMaxScaler, SimpleImputer and ColumnTransformers of them leave every feature a
function of one column of the input: a chain of operations on floats, each monotone. Linear
models and networks take the chain as an affine map, trees as the exact order of its results.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from modelward.errors import NoExactProgram
from modelward.models.exact.inputs import column_range
from modelward.models.schema import InputSchema

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Operation = Literal["add", "subtract", "multiply", "divide", "clip"]


@dataclass(frozen=True)
class Step:
    """One operation in binary64; `other` is the upper bound of a clip."""

    operation: Operation
    operand: float
    other: float = 0.0


@dataclass(frozen=True)
class Feature:
    """What the estimator is given in one place: a column, or zero (None), after some steps."""

    column: int | None
    steps: tuple[Step, ...] = ()

    def apply(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The feature's values for values of its column, as scikit-learn computes them."""
        import numpy as np

        with np.errstate(over="ignore"):
            for step in self.steps:
                match step.operation:
                    case "add":
                        values = values + step.operand
                    case "subtract":
                        values = values - step.operand
                    case "multiply":
                        values = values * step.operand
                    case "divide":
                        values = values / step.operand
                    case "clip":
                        values = np.clip(values, step.operand, step.other)
        return values


@dataclass(frozen=True)
class Folded:
    """An estimator, and the features it is given in terms of the input's columns."""

    estimator: Any
    features: tuple[Feature, ...]


def fold(estimator: Any, schema: InputSchema) -> Folded:
    """Take a fitted estimator's preprocessing apart.

    `NoExactProgram` names what has no exact form.
    """
    from sklearn.pipeline import Pipeline

    features: Sequence[Feature] = [Feature(column) for column in range(len(schema.columns))]
    names: Sequence[str] | None = schema.names if schema.named else None
    while isinstance(estimator, Pipeline):
        for _, transformer in estimator.steps[:-1]:
            features, names = _transformed(transformer, features, names), None
        estimator = estimator.steps[-1][1]
    return Folded(estimator, tuple(features))


def affine_over_range(feature: Feature, schema: InputSchema) -> tuple[float, float]:
    """A feature's value at the minimum of its column, and how much it gains up to the maximum.

    `NoExactProgram` where a clip bends it in between.
    """
    import numpy as np

    if feature.column is None:
        return float(feature.apply(np.zeros(1))[0]), 0.0
    column = schema.columns[feature.column]
    ends = np.asarray(column_range(column))
    straight = Feature(
        feature.column, tuple(step for step in feature.steps if step.operation != "clip")
    )
    low, high = feature.apply(ends)
    if feature != straight and tuple(straight.apply(ends)) != (low, high):
        raise NoExactProgram(
            f"MinMaxScaler clips {column.name!r} within its declared range.",
            hint="Declare a range within the one the scaler was fitted on, or do not clip.",
        )
    if not math.isfinite(high - low):
        raise NoExactProgram(f"Scaling {column.name!r} overflows at the ends of its range.")
    return float(low), float(high - low)


def _transformed(
    transformer: Any, features: Sequence[Feature], names: Sequence[str] | None
) -> list[Feature]:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    if _changes_nothing(transformer):
        return list(features)
    kinds: dict[type, Callable[[Any, Sequence[Feature]], list[Feature]]] = {
        StandardScaler: _standard_scaled,
        MinMaxScaler: _min_max_scaled,
        SimpleImputer: _imputed,
    }
    kind = type(transformer)
    if kind in kinds:
        return kinds[kind](transformer, features)
    if kind is Pipeline:
        for _, step in transformer.steps:
            features, names = _transformed(step, features, names), None
        return list(features)
    if kind is ColumnTransformer:
        return _columns_transformed(transformer, features, names)
    raise NoExactProgram(f"{kind.__name__} has no exact form.", hint=_FOLDED)


def _changes_nothing(transformer: Any) -> bool:
    from sklearn.preprocessing import FunctionTransformer

    return (
        transformer is None
        or (isinstance(transformer, str) and transformer == "passthrough")
        or (type(transformer) is FunctionTransformer and transformer.func is None)
    )


_FOLDED = "StandardScaler, MinMaxScaler, SimpleImputer and ColumnTransformers of them have one."


def _standard_scaled(scaler: Any, features: Sequence[Feature]) -> list[Feature]:
    means = scaler.mean_ if scaler.with_mean else None
    scales = scaler.scale_ if scaler.with_std else None
    return [
        _then(
            feature,
            *([Step("subtract", float(means[i]))] if means is not None else []),
            *([Step("divide", float(scales[i]))] if scales is not None else []),
        )
        for i, feature in enumerate(features)
    ]


def _min_max_scaled(scaler: Any, features: Sequence[Feature]) -> list[Feature]:
    clip = [Step("clip", *map(float, scaler.feature_range))] if scaler.clip else []
    return [
        _then(
            feature,
            Step("multiply", float(scaler.scale_[i])),
            Step("add", float(scaler.min_[i])),
            *clip,
        )
        for i, feature in enumerate(features)
    ]


def _imputed(imputer: Any, features: Sequence[Feature]) -> list[Feature]:
    """A row has no missing values, so that nothing is imputed."""
    marker = imputer.missing_values
    if marker is not None and not (isinstance(marker, numbers.Real) and math.isnan(marker)):
        raise NoExactProgram(
            f"SimpleImputer(missing_values={marker!r}) has no exact form: it changes values that a"
            " row may have."
        )
    kept = [
        feature
        for feature, statistic in zip(features, imputer.statistics_, strict=True)
        if imputer.keep_empty_features
        or not (isinstance(statistic, numbers.Real) and math.isnan(statistic))
    ]
    indicated = len(imputer.indicator_.features_) if imputer.add_indicator else 0
    return [*kept, *[Feature(None)] * indicated]


def _columns_transformed(
    transformer: Any, features: Sequence[Feature], names: Sequence[str] | None
) -> list[Feature]:
    outcome: list[Feature] = []
    for _, part, columns in transformer.transformers_:
        if isinstance(part, str) and part == "drop":
            continue
        places = _places(columns, len(features), names)
        if not places:
            continue
        part_names = None if names is None else [names[place] for place in places]
        outcome += _transformed(part, [features[place] for place in places], part_names)
    return outcome


def _places(columns: Any, count: int, names: Sequence[str] | None) -> list[int]:
    """The positions a fitted ColumnTransformer's column specification stands for."""
    import numpy as np

    if isinstance(columns, str | numbers.Integral):
        columns = [columns]
    if isinstance(columns, slice):
        if isinstance(columns.start or columns.stop, str):
            start = 0 if columns.start is None else _place(columns.start, count, names)
            stop = count - 1 if columns.stop is None else _place(columns.stop, count, names)
            return list(range(start, stop + 1, columns.step or 1))
        return list(range(count))[columns]
    chosen = np.asarray(list(columns))
    if chosen.dtype == bool:
        return [int(place) for place in np.flatnonzero(chosen)]
    return [_place(column, count, names) for column in chosen.tolist()]


def _place(column: Any, count: int, names: Sequence[str] | None) -> int:
    if isinstance(column, str):
        if names is None or column not in names:
            raise NoExactProgram(f"A ColumnTransformer's column {column!r} cannot be traced back.")
        return list(names).index(column)
    return int(column) % count


def _then(feature: Feature, *steps: Step) -> Feature:
    return Feature(feature.column, (*feature.steps, *steps))
