"""The estimators a pipeline may choose from: what comes before them, and what a search varies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelward.pipeline.definition import CLASSIFIERS, REGRESSORS, ColumnRules, Pipeline

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline as Chain

TEXT_FEATURES = 2**12
"""How many numbers the words of a text become."""

_DENSE = frozenset({"boosting"})
"""What does not take the sparse tables that texts become."""

_SCALED = frozenset({"logistic", "linear", "ridge", "mlp"})

SCORING = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced_accuracy",
    "f1_macro": "f1_macro",
    "roc_auc": "roc_auc_ovr",
    "log_loss": "neg_log_loss",
    "r2": "r2",
    "mae": "neg_mean_absolute_error",
    "rmse": "neg_root_mean_squared_error",
}
"""scikit-learn's scorer of each metric; more is always better there."""


def first_choice(pipeline: Pipeline) -> str:
    """The estimator that is tried before any search."""
    if pipeline.train.estimator is not None:
        return pipeline.train.estimator
    return CLASSIFIERS[0] if pipeline.target.classes else "ridge"


def chain(pipeline: Pipeline, features: Sequence[str], name: str) -> Chain:
    """An unfitted scikit-learn Pipeline over `features` that ends in the estimator `name`.

    Numbers are imputed where a rule asks for it and scaled where that helps; categories become one
    column each, texts weighted counts of their words (tf-idf). Everything learned is learned by
    `fit`.
    """
    from sklearn.pipeline import make_pipeline

    return make_pipeline(*_before(pipeline, features, name in _SCALED), _estimator(pipeline, name))


def search_space(pipeline: Pipeline, features: Sequence[str]) -> list[tuple[Any, dict[str, Any]]]:
    """What a search tries: chains, each with the distributions of its parameters."""
    known: Sequence[str] = CLASSIFIERS if pipeline.target.classes else REGRESSORS
    if any(rules.kind == "text" for rules in _rules(pipeline, features).values()):
        known = [name for name in known if name not in _DENSE]
    return [
        (chain(pipeline, features, name), _distributions(pipeline, name))
        for name in pipeline.train.search or known
    ]


def _rules(pipeline: Pipeline, features: Sequence[str]) -> dict[str, ColumnRules]:
    rules = {r.rename or name: r for name, r in pipeline.columns.items()}
    return {name: rules[name] for name in features}


def _before(pipeline: Pipeline, features: Sequence[str], scaled: bool) -> list[Any]:
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    rules = _rules(pipeline, features)
    categories = [name for name in features if rules[name].kind == "category"]
    texts = [name for name in features if rules[name].kind == "text"]
    numbers = [name for name in features if name not in categories and name not in texts]
    steps: list[Any] = []
    if any(rules[name].missing == "impute" for name in numbers):
        steps.append(SimpleImputer(strategy="median"))
    if scaled:
        steps.append(StandardScaler())
    if not categories and not texts:
        return steps
    parts: list[tuple[Any, Any]] = []
    if numbers:
        parts.append((make_pipeline(*steps) if steps else "passthrough", numbers))
    if categories:
        listed = [list(rules[name].categories) for name in categories]
        encode: list[Any] = [OneHotEncoder(categories=listed, sparse_output=False)]
        if any(rules[name].missing == "impute" for name in categories):
            encode.insert(0, SimpleImputer(strategy="most_frequent", missing_values=None))
        parts.append((make_pipeline(*encode), categories))
    parts += [(_word_weights(), name) for name in texts]
    return [make_column_transformer(*parts)]


def _word_weights() -> Chain:
    """Words and pairs of them, each by its hash: a model that is published holds no word."""
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
    from sklearn.pipeline import make_pipeline

    words = HashingVectorizer(
        n_features=TEXT_FEATURES, ngram_range=(1, 2), alternate_sign=False, norm=None
    )
    return make_pipeline(words, TfidfTransformer(sublinear_tf=True))


def _estimator(pipeline: Pipeline, name: str) -> Any:
    from sklearn import ensemble, linear_model, neural_network, tree

    seed = pipeline.train.seed
    mlp = {"hidden_layer_sizes": (16,), "max_iter": 1000, "random_state": seed}
    if pipeline.target.classes:
        return {
            "logistic": lambda: linear_model.LogisticRegression(max_iter=5000),
            "tree": lambda: tree.DecisionTreeClassifier(max_depth=6, random_state=seed),
            "forest": lambda: ensemble.RandomForestClassifier(max_depth=8, random_state=seed),
            "extra-trees": lambda: ensemble.ExtraTreesClassifier(max_depth=8, random_state=seed),
            "boosting": lambda: ensemble.HistGradientBoostingClassifier(random_state=seed),
            "mlp": lambda: neural_network.MLPClassifier(**mlp),
        }[name]()
    return {
        "linear": linear_model.LinearRegression,
        "ridge": linear_model.Ridge,
        "tree": lambda: tree.DecisionTreeRegressor(max_depth=6, random_state=seed),
        "forest": lambda: ensemble.RandomForestRegressor(max_depth=8, random_state=seed),
        "extra-trees": lambda: ensemble.ExtraTreesRegressor(max_depth=8, random_state=seed),
        "boosting": lambda: ensemble.HistGradientBoostingRegressor(random_state=seed),
        "mlp": lambda: neural_network.MLPRegressor(**mlp),
    }[name]()


def _distributions(pipeline: Pipeline, name: str) -> dict[str, Any]:
    from scipy.stats import loguniform, randint

    step = type(_estimator(pipeline, name)).__name__.lower()
    trees = {"max_depth": randint(3, 9), "min_samples_leaf": randint(1, 10)}
    distributions: dict[str, Any] = {
        "logistic": {"C": loguniform(1e-3, 1e3)},
        "linear": {"fit_intercept": [True]},
        "ridge": {"alpha": loguniform(1e-3, 1e3)},
        "tree": trees,
        "forest": {**trees, "n_estimators": [30, 60, 100]},
        "extra-trees": {**trees, "n_estimators": [30, 60, 100]},
        "boosting": {
            "learning_rate": loguniform(0.02, 0.3),
            "max_iter": [30, 60, 100],
            "max_leaf_nodes": [7, 15, 31],
        },
        "mlp": {"hidden_layer_sizes": [(8,), (16,), (32,)], "alpha": loguniform(1e-5, 1)},
    }[name]
    return {f"{step}__{parameter}": values for parameter, values in distributions.items()}
