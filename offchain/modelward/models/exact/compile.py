"""Compile a fitted scikit-learn estimator to an exact program, or say why there is none.

Only the very classes named here are compiled, never a subclass: what a subclass changes is not
known. The program predicts what the manifest's output specification announces, whatever that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modelward.errors import NoExactProgram
from modelward.models.estimators import served
from modelward.models.exact.compile_layers import (
    Affine,
    compile_layers,
    linear_layers,
    perceptron_layers,
)
from modelward.models.exact.compile_trees import (
    FittedTree,
    Sum,
    compile_trees,
    fitted_tree,
    histogram_tree,
    scaled_sum,
    shares_of,
)
from modelward.models.exact.fold import Folded, fold
from modelward.models.exact.inputs import column_range
from modelward.models.exact.program import (
    MAX_PROGRAM_BYTES,
    Decision,
    Program,
    Scores,
    load_program,
)
from modelward.models.exact.scores import Finish, finish_for
from modelward.models.output import OutputSpec
from modelward.models.schema import InputSchema

_LINEAR = (
    "ARDRegression BayesianRidge ElasticNet ElasticNetCV HuberRegressor Lars LarsCV Lasso LassoCV"
    " LassoLars LassoLarsCV LassoLarsIC LinearRegression LinearSVR OrthogonalMatchingPursuit"
    " OrthogonalMatchingPursuitCV QuantileRegressor Ridge RidgeCV SGDRegressor TheilSenRegressor"
    " LinearSVC LogisticRegression LogisticRegressionCV Perceptron RidgeClassifier"
    " RidgeClassifierCV SGDClassifier"
)
_TREES = "DecisionTreeClassifier DecisionTreeRegressor ExtraTreeClassifier ExtraTreeRegressor"
_FORESTS = "ExtraTreesClassifier ExtraTreesRegressor RandomForestClassifier RandomForestRegressor"


@dataclass(frozen=True)
class Compiled:
    """A program, and how many units its scores can differ from the estimator's by its roundings.

    The bound is proven from weights and declared ranges; the rounding noise of the estimator's own
    floating-point arithmetic comes on top.
    """

    program: Program
    data: bytes
    score_error: int


def compile_program(
    estimator: Any, schema: InputSchema, output: OutputSpec, *, weight_bytes: int = 4
) -> Compiled:
    """The exact program of a fitted `estimator`.

    Fewer `weight_bytes` (1 to 4) make a linear model or network smaller and less precise. Raises
    `NoExactProgram` with the reason why there is none.
    """
    for column in schema.columns:
        if column.kind == "text":  # say so, rather than that its vectoriser has no exact form
            column_range(column)
    folded = fold(served(estimator), schema)
    kind = type(folded.estimator)
    if not kind.__module__.startswith("sklearn."):
        raise NoExactProgram(f"{kind.__name__} is not one of scikit-learn's own estimators.")
    if len(folded.features) != getattr(folded.estimator, "n_features_in_", len(folded.features)):
        raise NoExactProgram("What the preprocessing leaves is not what the estimator takes.")
    name = kind.__name__
    if name in _LINEAR.split():
        program, error = _linear(folded, schema, output, weight_bytes)
    elif name in ("MLPClassifier", "MLPRegressor"):
        program, error = _perceptron(folded, schema, output, weight_bytes)
    elif name in _TREES.split():
        trees = [fitted_tree(folded.estimator.tree_)]
        program, error = _forest(trees, folded, schema, output)
    elif name in _FORESTS.split():
        trees = [fitted_tree(tree.tree_) for tree in folded.estimator.estimators_]
        program, error = _forest(trees, folded, schema, output)
    elif name.startswith("GradientBoosting"):
        program, error = _boosted(folded, schema, output)
    elif name.startswith("HistGradientBoosting"):
        program, error = _histogram_boosted(folded, schema, output)
    else:
        raise NoExactProgram(
            f"{name} has no exact form.",
            hint="Linear models, multi-layer perceptrons, trees, forests and boosted trees have.",
        )
    data = program.to_bytes()
    if len(data) > MAX_PROGRAM_BYTES:
        raise NoExactProgram(
            f"Its program would take {len(data)} bytes, more than the {MAX_PROGRAM_BYTES} allowed."
        )
    return Compiled(load_program(data), data, error)


# --- linear models and networks ------------------------------------------------------------------


def _linear(
    folded: Folded, schema: InputSchema, output: OutputSpec, weight_bytes: int
) -> tuple[Program, int]:
    estimator = folded.estimator
    layers = linear_layers(estimator)
    decision = _decision(output, layers[-1].weights.shape[1])
    probability = _linear_probability(estimator, output)
    finish = finish_for(output, decision, probability=probability)
    return _layered(layers, folded, schema, finish, weight_bytes)


def _linear_probability(estimator: Any, output: OutputSpec) -> Scores:
    """How a linear classifier makes probabilities of its decision values."""
    if output.scores != "probability":
        return Scores.NONE
    name = type(estimator).__name__
    if name == "SGDClassifier":
        if estimator.loss != "log_loss":
            raise NoExactProgram(
                f"The probabilities of SGDClassifier(loss={estimator.loss!r}) have no exact form."
            )
        against_rest = True
    else:
        strategy = getattr(estimator, "multi_class", None)  # before scikit-learn 1.8
        if strategy == "multinomial" and len(output.classes) == 2:
            raise NoExactProgram(f"{name}(multi_class='multinomial') of two classes has none.")
        against_rest = strategy == "ovr" or estimator.solver == "liblinear"
    if against_rest and len(output.classes) > 2:
        return Scores.ONE_AGAINST_REST
    return Scores.EXPONENTIAL


def _perceptron(
    folded: Folded, schema: InputSchema, output: OutputSpec, weight_bytes: int
) -> tuple[Program, int]:
    estimator = folded.estimator
    if estimator.out_activation_ not in ("identity", "logistic", "softmax"):
        raise NoExactProgram(
            f"{type(estimator).__name__} ends in {estimator.out_activation_}, which has no exact"
            " form."
        )
    layers = perceptron_layers(estimator)
    decision = _decision(output, layers[-1].weights.shape[1])
    return _layered(layers, folded, schema, finish_for(output, decision), weight_bytes)


def _layered(
    layers: Sequence[Affine], folded: Folded, schema: InputSchema, finish: Finish, weight_bytes: int
) -> tuple[Program, int]:
    compiled = compile_layers(layers, folded, schema, finish, weight_bytes=weight_bytes)
    return compiled.program, finish.score_error(compiled.error, compiled.program.outputs)


# --- trees ---------------------------------------------------------------------------------------


def _forest(
    trees: Sequence[FittedTree], folded: Folded, schema: InputSchema, output: OutputSpec
) -> tuple[Program, int]:
    if output.task == "regression":
        finish = finish_for(output, Decision.VALUE)
        total = scaled_sum(trees, [0.0], finish.scale, mean=True)
    else:
        total = shares_of(trees)
        finish = finish_for(output, _decision(output, len(total.starts)), probability=Scores.SHARES)
    return _treed(trees, total, folded, schema, finish)


def _boosted(folded: Folded, schema: InputSchema, output: OutputSpec) -> tuple[Program, int]:
    import numpy as np

    estimator = folded.estimator
    if estimator.init is not None and estimator.init != "zero":
        raise NoExactProgram(f"{type(estimator).__name__} starts from another estimator.")
    members = [tree.tree_ for tree in estimator.estimators_.ravel()]
    rate = estimator.learning_rate
    trees = [_times(fitted_tree(tree), rate) for tree in members]
    outputs = estimator.estimators_.shape[1]
    # Where the sum starts is what the trees leave of a prediction, here that for zeros.
    zeros = np.zeros((1, estimator.n_features_in_), dtype=np.float32)
    classifies = output.task == "classification"
    raw = np.ravel(_unnamed(estimator, "decision_function" if classifies else "predict", zeros))
    grown = np.asarray([tree.predict(zeros)[0, 0] for tree in members]).reshape(-1, outputs)
    starts = raw - rate * grown.sum(axis=0)
    decision = _decision(output, outputs)
    if decision is Decision.POSITIVE:
        decision = Decision.NOT_NEGATIVE
    logit = 2.0 if classifies and estimator.loss == "exponential" else 1.0
    finish = finish_for(output, decision, logit=logit)
    total = scaled_sum(trees, starts.tolist(), finish.scale)
    return _treed(trees, total, folded, schema, finish)


def _histogram_boosted(
    folded: Folded, schema: InputSchema, output: OutputSpec
) -> tuple[Program, int]:
    import numpy as np

    estimator = folded.estimator
    if estimator.is_categorical_ is not None and np.any(estimator.is_categorical_):
        raise NoExactProgram(f"{type(estimator).__name__} splits on categories.")
    if output.task == "regression" and estimator.loss in ("poisson", "gamma"):
        raise NoExactProgram(
            f"{type(estimator).__name__}(loss={estimator.loss!r}) predicts an exponential."
        )
    trees = [histogram_tree(tree) for iteration in estimator._predictors for tree in iteration]
    starts = np.ravel(estimator._baseline_prediction).astype(np.float64).tolist()
    finish = finish_for(output, _decision(output, len(starts)))
    total = scaled_sum(trees, starts, finish.scale)
    return _treed(trees, total, folded, schema, finish)


def _treed(
    trees: Sequence[FittedTree], total: Sum, folded: Folded, schema: InputSchema, finish: Finish
) -> tuple[Program, int]:
    program = compile_trees(trees, total, folded, schema, finish)
    return program, finish.score_error(total.error, program.outputs)


def _times(tree: FittedTree, rate: float) -> FittedTree:
    return FittedTree(
        tree.left, tree.right, tree.feature, tree.threshold, tree.values * rate, tree.single
    )


def _unnamed(estimator: Any, method: str, rows: Any) -> Any:
    """Call a method with an array, whatever names the estimator was fitted with."""
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        return getattr(estimator, method)(rows)


def _decision(output: OutputSpec, outputs: int) -> Decision:
    if output.task == "regression":
        return Decision.VALUE
    if len(output.classes) == 2 and outputs == 1:
        return Decision.POSITIVE
    if outputs != len(output.classes):
        raise NoExactProgram(f"It has {outputs} outputs for {len(output.classes)} classes.")
    return Decision.LARGEST
