"""Hold rows out, for the evaluation alone; look at what is left before anything is fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelward.errors import DataNotClean
from modelward.pipeline.definition import ColumnRules, Pipeline

if TYPE_CHECKING:
    import pandas as pd

TELLING_SCORE = 0.999
"""A single column that alone explains this much of the target is taken for a copy of it."""


@dataclass(frozen=True)
class Parts:
    """The row numbers of the two parts, and the features constant among the training rows."""

    training: tuple[int, ...]
    held_out: tuple[int, ...]
    constant: tuple[str, ...] = ()


def split(table: pd.DataFrame, pipeline: Pipeline) -> Parts:
    """Part a clean `table` as `pipeline` says.

    Classes are held out in proportion. Only the training rows are looked at after that: a feature
    that is constant there, or that tells the target by itself, is refused or left out. For private
    training, neither is looked for.

    Raises `DataNotClean` when a part lacks a class, and for such features.
    """
    training, held_out = _rows(table, pipeline)
    target = pipeline.target
    for part, rows in (("training", training), ("held-out", held_out)):
        present = set(table.loc[rows, target.column])
        if absent := [name for name in target.classes if name not in present]:
            raise DataNotClean(
                f"No {part} row is of the class {absent[0]!r}.", {f"no {absent[0]!r}": ()}
            )
    if pipeline.train.privacy is not None:  # nothing but the noisy fit may look at them
        return Parts(tuple(training), tuple(held_out))
    seen = table.loc[training]
    if telling := _telling(seen, pipeline):
        raise DataNotClean(
            f"{telling[0]!r} alone tells the target: it leaks what is to be predicted.",
            {f"{name}: tells the target": () for name in telling},
        )
    constant = _constant(seen, pipeline)
    return Parts(tuple(training), tuple(held_out), constant)


def _rows(table: pd.DataFrame, pipeline: Pipeline) -> tuple[list[int], list[int]]:
    from sklearn.model_selection import GroupShuffleSplit, train_test_split

    how, index = pipeline.split, table.index.to_numpy()
    if how.order is not None:
        name = _name(pipeline, how.order)
        ordered = table.sort_values(name, kind="stable").index.tolist()
        first = len(ordered) - max(1, round(how.held_out * len(ordered)))
        return sorted(ordered[:first]), sorted(ordered[first:])
    if how.group is not None:
        groups = table[_name(pipeline, how.group)]
        shuffled = GroupShuffleSplit(1, test_size=how.held_out, random_state=how.seed)
        seen, unseen = next(shuffled.split(index, groups=groups))
        return sorted(index[seen].tolist()), sorted(index[unseen].tolist())
    labels = table[pipeline.target.column] if pipeline.target.classes else None
    seen, unseen = train_test_split(
        index, test_size=how.held_out, random_state=how.seed, stratify=labels
    )
    return sorted(seen.tolist()), sorted(unseen.tolist())


def _name(pipeline: Pipeline, column: str) -> str:
    return pipeline.columns[column].rename or column


def _features(pipeline: Pipeline) -> list[tuple[str, ColumnRules]]:
    return [(r.rename or name, r) for name, r in pipeline.columns.items() if r.use]


def _constant(seen: pd.DataFrame, pipeline: Pipeline) -> tuple[str, ...]:
    constant = tuple(
        name for name, _ in _features(pipeline) if seen[name].nunique(dropna=True) <= 1
    )
    if constant and pipeline.clean.constant == "refuse":
        raise DataNotClean(
            f"{constant[0]!r} is constant.", {f"{name}: constant": () for name in constant}
        )
    if len(constant) == len(_features(pipeline)):
        raise DataNotClean(
            "Every feature is constant.", {f"{name}: constant": () for name in constant}
        )
    return constant if pipeline.clean.constant == "drop" else ()


def _telling(seen: pd.DataFrame, pipeline: Pipeline) -> list[str]:
    return [
        name
        for name, rules in _features(pipeline)
        if not rules.may_tell and _score_alone(seen[name], seen[pipeline.target.column], pipeline)
    ]


def _score_alone(feature: pd.Series[Any], target: pd.Series[Any], pipeline: Pipeline) -> bool:
    """Whether a small tree over one feature gets the target right, in cross-validation."""
    import pandas as pd
    from sklearn.model_selection import cross_val_score
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    codes = feature if pd.api.types.is_numeric_dtype(feature) else feature.factorize()[0]
    inputs = pd.DataFrame({"feature": codes}).fillna(-1)
    if inputs["feature"].nunique() < 2:
        return False
    model, scoring = (
        (DecisionTreeClassifier(random_state=0, max_depth=8), "balanced_accuracy")
        if pipeline.target.classes
        else (DecisionTreeRegressor(random_state=0, min_samples_leaf=2), "r2")
    )
    scores = cross_val_score(model, inputs, target, cv=pipeline.train.folds, scoring=scoring)
    return float(scores.mean()) >= TELLING_SCORE
