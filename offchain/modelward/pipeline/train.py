"""Train on the rows that are not held out: one estimator first, a bounded search if need be.

What is chosen is chosen by cross-validation among the training rows; the held-out rows are measured
on once, afterwards, by `modelward.pipeline.evaluate`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from modelward.errors import NoExactProgram, UnsupportedEstimator
from modelward.models import estimators
from modelward.models.exact.compile import compile_program
from modelward.models.output import Task
from modelward.models.schema import Bounds, infer_schema
from modelward.pipeline.candidates import SCORING, chain, first_choice, search_space
from modelward.pipeline.definition import ColumnRules, Pipeline, Privacy
from modelward.pipeline.evaluate import HIGHER_IS_BETTER
from modelward.pipeline.private import train_privately
from modelward.pipeline.tables import filled

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[str], None]

RARE = 0.1
"""Of a class with a smaller share of the training rows, accuracy says little."""


@dataclass(frozen=True)
class Attempt:
    """One estimator's scores in cross-validation, by metric: mean, and standard error of the mean.

    Higher is always better: losses and errors are negative. `exact` says why there is no exact
    program, and is empty where there is one.
    """

    estimator: str
    parameters: Mapping[str, Any]
    scores: Mapping[str, tuple[float, float]]
    exact: str


@dataclass(frozen=True)
class Trained:
    """The estimator that was chosen, fitted to all training rows, and what it was chosen from."""

    estimator: Any
    chosen: Attempt
    attempts: tuple[Attempt, ...]
    searched: bool


def train(
    rows: pd.DataFrame, pipeline: Pipeline, features: Sequence[str], progress: Progress
) -> Trained:
    """Fit and choose on the training `rows`.

    The estimator stated, or the plainest there is, is taken if its cross-validated scores reach the
    thresholds. Otherwise successive halving narrows `pipeline.train.candidates` down to a few, and
    of the best of each kind one with an exact program is preferred to a better one without if it
    is within `tolerance` standard errors of it.
    """
    inputs, labels = rows[list(features)], rows[pipeline.target.column]
    if pipeline.train.privacy is not None:
        return _privately(inputs, labels, pipeline, pipeline.train.privacy, progress)
    if pipeline.target.classes:
        rarest, share = min(labels.value_counts(normalize=True).items(), key=lambda each: each[1])
        if share < RARE:
            progress(
                f"{rarest!r} is {share:.1%} of the rows: look at balanced_accuracy or roc_auc, not"
                " at accuracy"
            )
    name = first_choice(pipeline)
    progress(f"fitting {name} on {len(rows)} rows, {pipeline.train.folds} folds")
    first = _tried(chain(pipeline, features, name), inputs, labels, pipeline, progress)
    if _reaches(first[1], pipeline):
        return Trained(first[0], first[1], (first[1],), searched=False)
    progress(f"{_said(first[1], pipeline)}, below the thresholds: searching")
    tried = [first]
    for unfitted, space in search_space(pipeline, features):
        progress(
            f"narrowing {pipeline.train.candidates} candidates for {estimators.describe(unfitted)}"
        )
        best = _halved(unfitted, space, inputs, labels, pipeline)
        tried.append(_tried(best, inputs, labels, pipeline, progress))
        progress(f"{tried[-1][1].estimator}: {_said(tried[-1][1], pipeline)}")
    estimator, chosen = _preferred(tried, pipeline)
    return Trained(estimator, chosen, tuple(attempt for _, attempt in tried), searched=True)


def _privately(
    inputs: Any, labels: Any, pipeline: Pipeline, privacy: Privacy, progress: Progress
) -> Trained:
    """One fit with noise; cross-validating or choosing would spend more."""
    progress(f"fitting logistic on {len(inputs)} rows with epsilon {privacy.epsilon:g}")
    ranges = {
        rules.rename or name: (rules.minimum, rules.maximum)
        for name, rules in pipeline.columns.items()
        if rules.minimum is not None and rules.maximum is not None
    }
    estimator = train_privately(
        inputs,
        labels,
        classes=sorted(pipeline.target.classes),
        ranges=ranges,
        epsilon=privacy.epsilon,
        strength=privacy.strength,
        norm=privacy.norm,
    )
    parameters = privacy.model_dump(include={"epsilon", "strength", "norm"})
    attempt = Attempt(estimators.describe(estimator), parameters, {}, "")
    return Trained(estimator, attempt, (attempt,), searched=False)


def figure_of(task: Task, metric: str, score: float) -> float:
    """The value of a metric whose score, of which more is better, is `score`."""
    return score if HIGHER_IS_BETTER[task][metric] else -score


def training_ranges(pipeline: Pipeline, inputs: pd.DataFrame) -> dict[str, Bounds]:
    """The ranges and categories of the features in the training rows' `inputs`.

    They are those that the rules state. A bound they do not state is as far beyond the training
    rows as these span, and rounded outwards, so that it gives no cell away.
    """
    rules = {r.rename or name: r for name, r in pipeline.columns.items()}
    return {
        name: bounds
        for name in inputs.columns
        if (bounds := _stated(rules[name]) or _learned(inputs[name], rules[name])) is not None
    }


def _stated(rules: ColumnRules) -> Bounds | None:
    if rules.kind == "category":
        return rules.categories
    if rules.kind == "text":
        return rules.longest
    if rules.minimum is None or rules.maximum is None:
        return None
    return (rules.minimum, rules.maximum)


def _learned(cells: pd.Series[Any], rules: ColumnRules) -> Bounds | None:
    low, high = float(cells.min()), float(cells.max())
    span = high - low or abs(high) or 1.0
    if rules.kind == "boolean" or not math.isfinite(span):
        return None
    place = math.floor(math.log10(span))
    if rules.kind != "number":
        place = max(place, 0)
    minimum = round(math.floor((low - span) / 10.0**place) * 10.0**place, -place)
    maximum = round(math.ceil((high + span) / 10.0**place) * 10.0**place, -place)
    return (
        minimum if rules.minimum is None else rules.minimum,
        maximum if rules.maximum is None else rules.maximum,
    )


def _tried(
    unfitted: Any, inputs: Any, labels: Any, pipeline: Pipeline, progress: Progress
) -> tuple[Any, Attempt]:
    from sklearn.model_selection import cross_validate

    scoring = {name: SCORING[name] for name in _measured(pipeline)}
    results: dict[str, list[float]] = {name: [] for name in scoring}
    folds = pipeline.train.folds
    for number, fold in enumerate(_folds(pipeline).split(inputs, labels), start=1):
        found = cross_validate(
            unfitted, inputs, labels, cv=[fold], scoring=scoring, error_score="raise"
        )
        for name, scores in results.items():
            scores.append(float(found[f"test_{name}"][0]))
        figure = figure_of(pipeline.target.task, pipeline.metric, results[pipeline.metric][-1])
        progress(f"fold {number} of {folds}: {pipeline.metric} {figure:.4f}")
    scored = {name: (fmean(each), stdev(each) / folds**0.5) for name, each in results.items()}
    fitted = unfitted.fit(inputs, labels)
    parameters = {
        key.partition("__")[2]: value
        for key, value in fitted.get_params().items()
        if key.startswith(f"{fitted.steps[-1][0]}__")
    }
    return fitted, Attempt(
        estimators.describe(fitted),
        {key: value for key, value in parameters.items() if value is not None},
        scored,
        _why_not_exact(fitted, inputs, pipeline),
    )


def _folds(pipeline: Pipeline) -> Any:
    from sklearn.model_selection import KFold, StratifiedKFold

    kind = StratifiedKFold if pipeline.target.classes else KFold
    return kind(pipeline.train.folds, shuffle=True, random_state=pipeline.train.seed)


def _measured(pipeline: Pipeline) -> tuple[str, ...]:
    return tuple(dict.fromkeys((pipeline.metric, *pipeline.thresholds)))


def _halved(unfitted: Any, space: Any, inputs: Any, labels: Any, pipeline: Pipeline) -> Any:
    """The parameters that survive successive halving over growing parts of the training rows."""
    from sklearn.base import clone
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingRandomSearchCV

    search = HalvingRandomSearchCV(
        unfitted,
        space,
        n_candidates=pipeline.train.candidates,
        cv=_folds(pipeline),
        scoring=SCORING[pipeline.metric],
        random_state=pipeline.train.seed,
        refit=False,
        min_resources=max(2 * pipeline.train.folds * max(2, len(pipeline.target.classes)), 40),
    ).fit(inputs, labels)
    return clone(unfitted).set_params(**search.best_params_)


def _reaches(attempt: Attempt, pipeline: Pipeline) -> bool:
    return all(
        attempt.scores[name][0] >= (value if _rises(pipeline, name) else -value)
        for name, value in pipeline.thresholds.items()
    )


def _rises(pipeline: Pipeline, metric: str) -> bool:
    return HIGHER_IS_BETTER[pipeline.target.task][metric]


def _said(attempt: Attempt, pipeline: Pipeline) -> str:
    mean, error = attempt.scores[pipeline.metric]
    figure = figure_of(pipeline.target.task, pipeline.metric, mean)
    return f"{pipeline.metric} {figure:.4f} ± {error:.4f} in cross-validation"


def _preferred(tried: Sequence[tuple[Any, Attempt]], pipeline: Pipeline) -> tuple[Any, Attempt]:
    def mean(one: tuple[Any, Attempt]) -> float:
        return one[1].scores[pipeline.metric][0]

    best = max(tried, key=mean)
    slack = pipeline.train.tolerance * best[1].scores[pipeline.metric][1]
    exact = [one for one in tried if not one[1].exact and mean(one) >= mean(best) - slack]
    reaching = [one for one in exact if _reaches(one[1], pipeline)]
    return max(
        reaching or (exact if not _reaches(best[1], pipeline) else []), key=mean, default=best
    )


def _why_not_exact(fitted: Any, inputs: Any, pipeline: Pipeline) -> str:
    try:
        complete = filled(inputs, inputs)
        schema = infer_schema(fitted, complete, training_ranges(pipeline, inputs))
        compile_program(fitted, schema, estimators.infer_output(fitted, complete))
    except (NoExactProgram, UnsupportedEstimator) as error:
        return error.message
    return ""
