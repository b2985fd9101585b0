"""package: from a fitted estimator to a bundle that was checked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelward.errors import (
    InvalidInput,
    InvalidTerms,
    PredictionMismatch,
    ThresholdNotMet,
    UnfittedEstimator,
    UnsupportedEstimator,
)
from modelward.models.bundle import open_bundle
from modelward.models.output import decode_output
from modelward.models.runner import Runner
from modelward.pipeline.package import package
from modelward.terms import Metric

X, Y = load_breast_cancer(return_X_y=True, as_frame=True)


@pytest.fixture
def estimator():
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X[::2], Y[::2])


def test_what_is_packaged_is_what_will_be_registered(estimator):
    model = package(estimator, X[1::2], Y[1::2], name="breast-cancer", thresholds={"accuracy": 0.9})
    opened = open_bundle(model.bundle.data, model.bundle.hash, model.bundle.manifest_hash)
    assert opened.manifest == model.manifest
    assert model.name == model.manifest.name == "breast-cancer"
    assert model.metrics == model.manifest.metrics
    assert model.thresholds == (Metric("accuracy", True, 900_000),)
    assert model.manifest.evaluation is not None
    assert model.manifest.evaluation.data_hash == model.evaluation_hash
    assert model.evaluation.salt.hex() not in model.bundle.manifest_bytes.decode()
    (output,) = Runner(opened).predict([opened.manifest.input.row(X.iloc[[1]])])
    assert decode_output(model.manifest.output, output).label == 0


def test_below_a_threshold_nothing_is_packaged(estimator):
    with pytest.raises(ThresholdNotMet, match=r"accuracy is 0\.95\d+, below 0\.99"):
        package(estimator, X[1::2], Y[1::2], name="m", thresholds={"accuracy": 0.99})


def test_ranges_and_lineage_are_the_owners_to_state(estimator):
    lineage = {"training rows": bytes(range(32))}
    model = package(estimator, X, Y, name="m", ranges={"mean radius": (5, 30)}, lineage=lineage)
    column = model.manifest.input.columns[0]
    assert (column.minimum, column.maximum) == (5.0, 30.0)
    assert model.manifest.lineage == lineage


def test_held_out_rows_outside_a_stated_range_are_refused(estimator):
    with pytest.raises(InvalidInput, match=r"^Row \d+: 'mean radius' is .*, outside"):
        package(estimator, X, Y, name="m", ranges={"mean radius": (0, 10)})


def test_inputs_may_be_an_array_in_the_fitted_order(estimator):
    by_name = package(estimator, X[list(reversed(X.columns))], Y, name="m")
    by_position = package(estimator, X.to_numpy(), Y.to_list(), name="m")
    assert by_name.metrics == by_position.metrics
    assert by_name.manifest.input == by_position.manifest.input


def test_the_estimator_is_left_as_it_was(estimator):
    before = estimator.get_params()
    state = estimator[-1].coef_.copy()
    package(estimator, X[:50], Y[:50], name="m")
    assert str(estimator.get_params()) == str(before)
    assert np.array_equal(estimator[-1].coef_, state)


def test_the_best_estimator_of_a_search_is_packaged():
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression()),
        {"logisticregression__C": [0.1, 1]},
        cv=2,
    ).fit(X, Y)
    model = package(search, X, Y, name="m")
    assert model.manifest.estimator == "sklearn.Pipeline(StandardScaler, LogisticRegression)"


def test_ten_classes_and_64_features_fit():
    digits, labels = load_digits(return_X_y=True)
    model = package(GaussianNB().fit(digits, labels), digits[:200], labels[:200], name="digits")
    assert model.manifest.output.classes == tuple(range(10))
    assert len(model.manifest.input.columns) == 64


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (LogisticRegression, UnfittedEstimator),
        (lambda: KMeans(2).fit(X), UnsupportedEstimator),
        (lambda: "a model", UnsupportedEstimator),
        (lambda: Ridge().fit(X, np.column_stack([Y, Y])), UnsupportedEstimator),
    ],
)
def test_what_cannot_be_published_is_refused(make, error):
    with pytest.raises(error):
        package(make(), X, Y, name="m")


@pytest.mark.parametrize(
    ("inputs", "labels", "sentence"),
    [
        (X.drop(columns="mean area"), Y, "The inputs lack 'mean area'"),
        (X.assign(extra=1), Y, "The inputs have 'extra' beyond its features"),
        (X.to_numpy()[:, 1:], Y, "The inputs have 29 columns, the estimator takes 30."),
        (X[:0], Y[:0], "The inputs are empty."),
        (X.mask(X > 1000), Y, "'mean area' has missing values"),
        (X, Y[:-1], "There are 569 held-out rows, but 568 labels."),
        (X, Y.map({0: "malignant", 1: "benign"}), "Held-out row 1 is labelled 'malignant'"),
        (X, pd.DataFrame({"a": Y, "b": Y}), "The held-out labels must be one column."),
    ],
)
def test_held_out_data_that_do_not_fit_are_refused(estimator, inputs, labels, sentence):
    with pytest.raises(InvalidInput) as refusal:
        package(estimator, inputs, labels, name="m")
    assert refusal.value.message.startswith(sentence)


@pytest.mark.parametrize(
    "terms",
    [
        {"name": ""},
        {"name": "two words"},
        {"name": "m", "thresholds": {"r2": 0.5}},
        {"name": "m", "thresholds": {"accuracy": "high"}},
    ],
)
def test_terms_that_cannot_be_are_refused(estimator, terms):
    with pytest.raises(InvalidTerms):
        package(estimator, X, Y, **terms)


def test_an_estimator_that_guesses_is_not_packaged():
    guesser = DummyClassifier(strategy="uniform").fit(X, Y)
    with pytest.raises(PredictionMismatch, match="something else than the one in memory"):
        package(guesser, X, Y, name="m")
