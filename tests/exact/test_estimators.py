"""Every supported estimator on real data: the program predicts what scikit-learn predicts.

Half of each data set is learned from, the other half held out. Scores stay within the error the
compiler states; labels agree on 99.5 % of the rows held out, those of trees on all.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from sklearn import datasets, ensemble, linear_model, neighbors, neural_network, svm, tree
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, StandardScaler

from modelward.errors import NoExactProgram
from modelward.models.estimators import infer_output
from modelward.models.exact.batch import BatchRunner
from modelward.models.exact.compile import compile_program
from modelward.models.exact.inputs import InputEncoding
from modelward.models.schema import infer_schema

LEAST_AGREEMENT = 0.995
FLOAT_NOISE = 1e-11
"""What the estimator's own arithmetic may be off by, relative to its largest score."""

CLASSES = ("breast_cancer", "digits", "wine")
VALUES = ("breast_cancer", "diabetes", "wine")


@cache
def data_set(name: str) -> tuple[Any, Any]:
    inputs, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    order = np.random.default_rng(5).permutation(len(labels))
    return inputs[order], labels[order]


def scaled(estimator):
    return make_pipeline(StandardScaler(), estimator)


def in_columns(estimator):
    """Some columns imputed and standardised, some scaled to a range, some as they are."""
    columns = ColumnTransformer(
        [
            ("imputed", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), [1, 3]),
            ("bounded", MinMaxScaler((-1, 1)), slice(4, None)),
            ("left", "passthrough", [0]),
        ]
    )
    return make_pipeline(columns, estimator)


def perceptron(kind, activation):
    return kind(hidden_layer_sizes=(12,), activation=activation, max_iter=60, random_state=0)


def perceptrons(kind):
    return {
        f"mlp_{activation}": partial(lambda a: scaled(perceptron(kind, a)), activation)
        for activation in ("relu", "identity", "logistic", "tanh")
    }


MLP, MLPR = neural_network.MLPClassifier, neural_network.MLPRegressor
LAYERED_CLASSIFIERS = {
    "logistic": lambda: scaled(linear_model.LogisticRegression()),
    "linear_svc": lambda: scaled(svm.LinearSVC()),
    "sgd": lambda: scaled(linear_model.SGDClassifier(random_state=0)),
    "sgd_log_loss": lambda: scaled(linear_model.SGDClassifier(loss="log_loss", random_state=0)),
    "logistic_of_columns": lambda: in_columns(linear_model.LogisticRegression(max_iter=3000)),
    **perceptrons(MLP),
    "mlp_of_columns": lambda: in_columns(perceptron(MLP, "tanh")),
    "mlp_of_range": lambda: make_pipeline(MinMaxScaler(), perceptron(MLP, "relu")),
}
TREE_CLASSIFIERS = {
    "tree": lambda: tree.DecisionTreeClassifier(random_state=0),
    "tree_of_columns": lambda: in_columns(tree.DecisionTreeClassifier(random_state=0)),
    "forest": lambda: ensemble.RandomForestClassifier(30, random_state=0),
    "forest_scaled": lambda: scaled(ensemble.RandomForestClassifier(30, random_state=0)),
    "extra_trees": lambda: ensemble.ExtraTreesClassifier(30, random_state=0),
    "boosted": lambda: ensemble.GradientBoostingClassifier(n_estimators=12, random_state=0),
    "histogram_boosted": lambda: ensemble.HistGradientBoostingClassifier(max_iter=12),
    "histogram_of_range": lambda: make_pipeline(
        MinMaxScaler(), ensemble.HistGradientBoostingClassifier(max_iter=12)
    ),
}
REGRESSORS = {
    "linear": lambda: linear_model.LinearRegression(),
    "ridge": lambda: scaled(linear_model.Ridge()),
    "ridge_of_columns": lambda: in_columns(linear_model.Ridge()),
    "sgd": lambda: scaled(linear_model.SGDRegressor(random_state=0)),
    **perceptrons(MLPR),
    "tree": lambda: tree.DecisionTreeRegressor(random_state=0),
    "forest": lambda: ensemble.RandomForestRegressor(30, random_state=0),
    "extra_trees_of_columns": lambda: in_columns(ensemble.ExtraTreesRegressor(20, random_state=0)),
    "boosted": lambda: ensemble.GradientBoostingRegressor(n_estimators=30, random_state=0),
    "histogram_boosted": lambda: ensemble.HistGradientBoostingRegressor(max_iter=30),
}


@dataclass(frozen=True)
class Compared:
    """The share of held-out labels that agree, and how far scores are apart, in their units."""

    agreement: float
    furthest: float
    stated: float


def compared(estimator: Any, name: str) -> Compared:
    inputs, labels = data_set(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(inputs[::2], labels[::2])
    held_out = inputs[1::2]
    schema, output = infer_schema(estimator, inputs), infer_output(estimator, held_out)
    compiled = compile_program(estimator, schema, output)
    encoding = InputEncoding(schema, compiled.program.encoding)
    indices, units = BatchRunner(compiled.program).run(encoding.quantise_table(held_out))
    agreement, floats = 1.0, None
    predicted = estimator.predict(held_out)
    match output.scores:
        case "value":
            floats = predicted
        case "probability":
            floats = estimator.predict_proba(held_out)
        case "decision":
            floats = estimator.decision_function(held_out)
    if output.task == "classification":
        agreement = float(np.mean(np.asarray(output.classes)[indices] == predicted))
    expected = np.asarray(floats, np.float64).reshape(units.shape) * 10.0**output.decimals
    noise = FLOAT_NOISE * max(1.0, float(np.abs(expected).max()))
    return Compared(agreement, float(np.abs(units - expected).max()), compiled.score_error + noise)


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("kind", LAYERED_CLASSIFIERS)
def test_linear_classifiers_and_networks_agree(kind, name):
    outcome = compared(LAYERED_CLASSIFIERS[kind](), name)
    assert outcome.agreement >= LEAST_AGREEMENT
    assert outcome.furthest <= outcome.stated


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("kind", TREE_CLASSIFIERS)
def test_classifying_trees_agree_on_every_row(kind, name):
    outcome = compared(TREE_CLASSIFIERS[kind](), name)
    assert outcome.agreement == 1
    assert outcome.furthest <= outcome.stated


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("kind", REGRESSORS)
def test_regressors_are_within_the_stated_error(kind, name):
    outcome = compared(REGRESSORS[kind](), name)
    assert outcome.furthest <= outcome.stated


OWN = type("Own", (linear_model.Ridge,), {"__module__": __name__})

REFUSED = {
    "KNeighborsRegressor has no exact form": neighbors.KNeighborsRegressor,
    "SVR has no exact form": svm.SVR,
    "PolynomialFeatures has no exact form": lambda: make_pipeline(
        PolynomialFeatures(), linear_model.Ridge()
    ),
    r"SimpleImputer\(missing_values=0\.0\) has no exact form": lambda: make_pipeline(
        SimpleImputer(missing_values=0.0), linear_model.Ridge()
    ),
    "MinMaxScaler clips": lambda: make_pipeline(
        MinMaxScaler((0, 1), clip=True), StandardScaler(), linear_model.Ridge()
    ),
    "Own is not one of scikit-learn's own": OWN,
    "splits on categories": lambda: ensemble.HistGradientBoostingRegressor(
        categorical_features=[1], max_iter=2
    ),
    "predicts an exponential": lambda: ensemble.HistGradientBoostingRegressor(
        loss="poisson", max_iter=2
    ),
    "ends in exp": lambda: neural_network.MLPRegressor(loss="poisson", max_iter=2),
    "starts from another estimator": lambda: ensemble.GradientBoostingRegressor(
        init=linear_model.Ridge(), n_estimators=2
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_has_no_exact_form_is_refused_by_name_with_the_reason(reason):
    inputs, labels = data_set("diabetes")
    inputs = inputs.copy()
    inputs[:, 1] = inputs[:, 1] > 0
    estimator = REFUSED[reason]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(inputs[::2], labels[::2])
    schema = infer_schema(estimator, inputs)
    output = infer_output(estimator, inputs[:5])
    with pytest.raises(NoExactProgram, match=reason):
        compile_program(estimator, schema, output)
