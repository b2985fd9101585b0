"""scikit-learn's own classifiers and regressors, all of them, through a bundle and back."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import gaussian_process as gp
from sklearn import linear_model, neighbors
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.decomposition import NMF, PCA, FastICA, KernelPCA, TruncatedSVD
from sklearn.ensemble import (
    BaggingClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import RFE, SelectFromModel, SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import kernels
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.linear_model import LogisticRegression, Ridge, TweedieRegressor
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators

from modelward.errors import UnsupportedEstimator
from modelward.pipeline.package import PackagedModel, package

SEVERAL_OUTPUTS = {
    "CCA",
    "ClassifierChain",
    "MultiOutputClassifier",
    "MultiOutputRegressor",
    "MultiTaskElasticNet",
    "MultiTaskElasticNetCV",
    "MultiTaskLasso",
    "MultiTaskLassoCV",
    "PLSCanonical",
    "RegressorChain",
}
BINARY = {"FixedThresholdClassifier", "SelfTrainingClassifier", "TunedThresholdClassifierCV"}


def logistic() -> LogisticRegression:
    return LogisticRegression(max_iter=30)


def built(name: str, kind: type, default: Any) -> BaseEstimator:
    """An instance with small defaults; the models that are made of others get `default`."""
    if name.startswith(("Stacking", "Voting")):
        return kind([("one", default), ("other", default)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # deprecated, but still there
        try:
            estimator = kind()
        except TypeError:
            estimator = kind(default)
    if "estimator" in estimator.get_params(deep=False) and estimator.estimator is None:
        estimator.set_params(estimator=default if name == "SelfTrainingClassifier" else None)
    small = {"n_estimators": 3, "max_iter": 3 if "Boosting" in name else 100}
    known = estimator.get_params(deep=False)
    return estimator.set_params(**{key: value for key, value in small.items() if known.get(key)})


def packaged(estimator: Any, X: Any, y: Any) -> PackagedModel:
    """Fit, whatever warnings that gives, then package, which must give none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Class PassiveAggressive", FutureWarning)
        return package(estimator, X[::4], y[::4], name="swept")


@pytest.mark.parametrize(("name", "kind"), all_estimators("classifier"))
def test_every_classifier_of_one_output_is_published(name, kind):
    X, y = load_breast_cancer(return_X_y=True) if name in BINARY else load_wine(return_X_y=True)
    X, y = X[::6, :6], y[::6]
    estimator = built(name, kind, logistic())
    if name in SEVERAL_OUTPUTS:
        with pytest.raises(UnsupportedEstimator, match=f"^{name} predicts several outputs"):
            packaged(estimator, X, np.column_stack([y > 0, y > 1]).astype(int))
    else:
        model = packaged(estimator, X, y)
        assert model.manifest.output.classes == tuple(np.unique(y).tolist())


@pytest.mark.parametrize(("name", "kind"), all_estimators("regressor"))
def test_every_regressor_of_one_output_is_published(name, kind):
    X, y = load_diabetes(return_X_y=True)
    X, y = X[::12] + 0.2, y[::12]
    estimator = built(name, kind, Ridge())
    if name in SEVERAL_OUTPUTS:
        with pytest.raises(UnsupportedEstimator, match=f"^{name} predicts several outputs"):
            packaged(estimator, X, np.column_stack([y, y[::-1]]))
    else:
        model = packaged(estimator, X[:, :1] if name == "IsotonicRegression" else X, y)
        assert model.manifest.output.task == "regression"


COMPOSED = [
    BaggingClassifier(logistic(), 2),
    CalibratedClassifierCV(LinearSVC(), method="isotonic", cv=2),
    CalibratedClassifierCV(logistic(), method="temperature", cv=2),
    FixedThresholdClassifier(logistic()),
    GradientBoostingClassifier(n_estimators=2, init=logistic()),
    GradientBoostingClassifier(n_estimators=2, loss="exponential"),
    GridSearchCV(SVC(), {"C": [1, 2]}, scoring="f1", cv=2),
    RandomizedSearchCV(logistic(), {"C": [1, 2]}, n_iter=2, cv=2),
    RFE(logistic()),
    StackingClassifier([("tree", DecisionTreeClassifier()), ("line", logistic())], cv=2),
    VotingClassifier([("a", RandomForestClassifier(2)), ("b", logistic())], voting="soft"),
    TunedThresholdClassifierCV(logistic(), scoring="f1", cv=2),
    MLPClassifier((3,), solver="sgd", max_iter=5),
    RandomForestClassifier(2, random_state=np.random.RandomState(3)),
    *[KNeighborsClassifier(metric=metric) for metric in ("manhattan", "chebyshev", "canberra")],
    KNeighborsClassifier(p=3, algorithm="kd_tree"),
    KNeighborsClassifier(algorithm="ball_tree"),
    KNeighborsClassifier(metric="mahalanobis", metric_params={"VI": np.eye(5)}),
    KNeighborsClassifier(metric="cosine"),
    neighbors.NearestCentroid(),
    gp.GaussianProcessClassifier(kernels.Matern() + kernels.WhiteKernel(), optimizer=None),
    linear_model.SGDClassifier(loss="modified_huber"),
    linear_model.LogisticRegressionCV(cv=2, Cs=2, scoring="f1", max_iter=30),
    make_pipeline("passthrough", logistic()),
    make_pipeline(StandardScaler().set_output(transform="pandas"), logistic()),
    make_pipeline(make_union(PCA(2), StandardScaler()), logistic()),
    make_pipeline(StandardScaler(), GridSearchCV(logistic(), {"C": [1, 2]}, cv=2)),
    *[
        make_pipeline(step, logistic())
        for step in (
            FunctionTransformer(np.log1p),
            KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"),
            MinMaxScaler(),
            PolynomialFeatures(2),
            PowerTransformer(),
            QuantileTransformer(n_quantiles=9),
            RobustScaler(),
            SplineTransformer(3),
            make_union(NMF(1, max_iter=20_000, tol=1e-2), MinMaxScaler()),
            FastICA(2),
            KernelPCA(2),
            TruncatedSVD(2),
            SelectKBest(k=3),
            SelectFromModel(logistic()),
            SimpleImputer(),
            KNNImputer(),
            Nystroem(n_components=5),
            RBFSampler(),
        )
    ],
]


@pytest.mark.parametrize("estimator", COMPOSED, ids=lambda estimator: str(estimator)[:60])
def test_what_is_composed_of_them_is_published(estimator):
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    packaged(estimator, X.iloc[::12, :5], y[::12])


@pytest.mark.parametrize(
    "estimator",
    [
        GridSearchCV(Ridge(), {"alpha": [1, 2]}),
        HistGradientBoostingRegressor(max_iter=2, loss="poisson"),
        HistGradientBoostingRegressor(max_iter=2, loss="quantile", quantile=0.5),
        HistGradientBoostingRegressor(max_iter=2, loss="gamma"),
        HistGradientBoostingRegressor(max_iter=2, loss="absolute_error"),
        GradientBoostingRegressor(n_estimators=2, loss="huber"),
        GradientBoostingRegressor(n_estimators=2, loss="quantile"),
        TweedieRegressor(power=1.5, max_iter=1000),
        TweedieRegressor(power=0),
        TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1),
        TransformedTargetRegressor(Ridge(), transformer=QuantileTransformer(n_quantiles=9)),
        *[
            gp.GaussianProcessRegressor(kernel, optimizer=None, alpha=0.1)
            for kernel in (
                kernels.RationalQuadratic(),
                kernels.ExpSineSquared(),
                kernels.DotProduct(),
                kernels.Exponentiation(kernels.RBF(), 2),
                kernels.ConstantKernel() * kernels.PairwiseKernel(),
            )
        ],
    ],
    ids=lambda estimator: str(estimator)[:60],
)
def test_their_losses_and_kernels_are_published(estimator):
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    packaged(estimator, X.iloc[::12, :5], y[::12])


def test_a_frozen_estimator_is_published():
    X, y = load_wine(return_X_y=True)
    packaged(FrozenEstimator(DecisionTreeClassifier().fit(X, y)), X, y)


def loans() -> tuple[pd.DataFrame, pd.Series]:
    noise = np.random.default_rng(5)
    table = pd.DataFrame(
        {
            "income": noise.normal(50, 9, 40),
            "children": noise.integers(0, 5, 40),
            "employed": noise.random(40) < 0.7,
            "region": noise.choice(["north", "south", "west"], 40),
            "grade": pd.Categorical(noise.choice([1, 2, 5], 40)),
        }
    )
    return table, pd.Series(np.where(table["income"] > 50, "granted", "refused"))


@pytest.mark.parametrize(
    ("encoders", "remainder"),
    [
        ((OneHotEncoder(handle_unknown="ignore"), OrdinalEncoder()), "passthrough"),
        ((OneHotEncoder(), TargetEncoder(cv=2)), StandardScaler()),
        ((TargetEncoder(cv=2), OneHotEncoder()), "drop"),
    ],
    ids=["passthrough", "scaled", "dropped"],
)
def test_mixed_columns_go_through_a_column_transformer(encoders, remainder):
    X, y = loans()
    columns = make_column_transformer(
        (encoders[0], ["region"]),
        (encoders[1], ["grade"]),
        (StandardScaler(), make_column_selector(dtype_include=float)),
        remainder=remainder,
    )
    model = packaged(make_pipeline(columns, logistic()), X, y)
    assert [column.kind for column in model.manifest.input.columns] == [
        "number",
        "integer",
        "boolean",
        "category",
        "category",
    ]
    assert model.manifest.output.classes == ("granted", "refused")


def test_categories_go_straight_into_histogram_boosting():
    X, y = loans()
    X["region"] = X["region"].astype("category")
    packaged(HistGradientBoostingClassifier(max_iter=3), X, y)
