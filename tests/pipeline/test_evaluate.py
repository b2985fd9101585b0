"""Evaluation: figures in parts per million, never flattering, and the gate."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from modelward.errors import InvalidInput, InvalidTerms, PredictionFailed, ThresholdNotMet
from modelward.models.estimators import infer_output
from modelward.models.schema import infer_schema
from modelward.pipeline.evaluate import (
    Evaluation,
    check_thresholds,
    evaluate,
    held_out_hash,
    parse_thresholds,
    shown,
    true_labels,
)
from modelward.terms import Metric


def evaluated(estimator, X, y) -> Evaluation:
    schema = infer_schema(estimator, X)
    rows = schema.rows(X)
    return evaluate(estimator, schema, infer_output(estimator, X), rows, y)


def figures(metrics) -> dict[str, float]:
    return {metric.name: metric.ppm / 1e6 for metric in metrics}


@pytest.fixture(scope="module")
def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(X[::2], y[::2])
    return estimator, X[1::2], y[1::2]


def test_a_binary_classifier_has_five_metrics(cancer):
    estimator, X, y = cancer
    predicted, scores = estimator.predict(X), estimator.predict_proba(X)
    evaluation = evaluated(estimator, X, y)
    assert evaluation.rows == len(y)
    assert figures(evaluation.metrics) == pytest.approx(
        {
            "accuracy": reference.accuracy_score(y, predicted),
            "balanced_accuracy": reference.balanced_accuracy_score(y, predicted),
            "f1_macro": reference.f1_score(y, predicted, average="macro"),
            "roc_auc": reference.roc_auc_score(y, scores[:, 1]),
            "log_loss": reference.log_loss(y, scores),
        },
        abs=1e-6,
    )
    assert {metric.name for metric in evaluation.metrics if not metric.higher_is_better} == {
        "log_loss"
    }


def test_several_classes_are_averaged_one_against_the_rest():
    X, y = load_wine(return_X_y=True)
    estimator = RandomForestClassifier(9, max_depth=2, random_state=0).fit(X[::2], y[::2])
    scores = estimator.predict_proba(X[1::2])
    assert figures(evaluated(estimator, X[1::2], y[1::2]).metrics)["roc_auc"] == pytest.approx(
        reference.roc_auc_score(y[1::2], scores, multi_class="ovr"), abs=1e-6
    )


def test_a_regressor_has_three_metrics():
    X, y = load_diabetes(return_X_y=True)
    estimator = Ridge().fit(X[::2], y[::2])
    predicted = estimator.predict(X[1::2])
    evaluation = evaluated(estimator, X[1::2], y[1::2])
    assert figures(evaluation.metrics) == pytest.approx(
        {
            "r2": reference.r2_score(y[1::2], predicted),
            "mae": reference.mean_absolute_error(y[1::2], predicted),
            "rmse": reference.root_mean_squared_error(y[1::2], predicted),
        },
        abs=2e-6,
    )
    assert figures(evaluation.baseline)["r2"] == 0
    assert figures(evaluation.baseline)["rmse"] == pytest.approx(np.std(y[1::2]), abs=2e-6)


def test_the_baseline_guesses_from_the_labels_alone(cancer):
    estimator, X, y = cancer
    baseline = figures(evaluated(estimator, X, y).baseline)
    assert baseline["accuracy"] == pytest.approx(max(np.bincount(y)) / len(y), abs=1e-6)
    assert baseline["balanced_accuracy"] == 0.5
    assert baseline["roc_auc"] == 0.5


@pytest.mark.parametrize(
    ("estimator", "names"),
    [
        (LinearSVC(), ["accuracy", "balanced_accuracy", "f1_macro", "roc_auc"]),
        (NearestCentroid(), ["accuracy", "balanced_accuracy", "f1_macro", "roc_auc", "log_loss"]),
    ],
)
def test_what_can_be_measured_depends_on_the_scores(cancer, estimator, names):
    _, X, y = cancer
    scaled = make_pipeline(StandardScaler(), estimator).fit(X, y)
    assert [metric.name for metric in evaluated(scaled, X, y).metrics] == names


def test_without_rows_of_every_class_there_is_no_roc_auc(cancer):
    estimator, X, y = cancer
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluation = evaluated(estimator, X[y == 1], y[y == 1])
    assert "roc_auc" not in figures(evaluation.metrics)
    assert "log_loss" in figures(evaluation.metrics)


def test_one_row_is_enough(cancer):
    estimator, X, y = cancer
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert figures(evaluated(estimator, X[:1], y[:1]).metrics)["accuracy"] in (0, 1)
        X, y = load_diabetes(return_X_y=True)
        regression = evaluated(Ridge().fit(X, y), X[:1], y[:1])
    assert set(figures(regression.metrics)) == {"mae", "rmse"}


def test_a_prediction_that_is_not_finite_is_told():
    X, y = load_diabetes(return_X_y=True)
    estimator = Ridge().fit(X, y)
    schema, output = infer_schema(estimator, X), infer_output(estimator, X)
    estimator.intercept_ = math.nan
    with pytest.raises(PredictionFailed, match="held-out row 1 is not finite"):
        evaluate(estimator, schema, output, schema.rows(X), y)


# --- labels --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([0, 1], "There are 3 held-out rows, but 2 labels."),
        ([0, 1, 2], "Held-out row 3 is labelled 2, which is no class of this model."),
        (["0", "1", "0"], "Held-out row 1 is labelled '0', which is no class of this model."),
        ([0.0, np.nan, 1.0], "Held-out row 2 is labelled nan, which is no class of this model."),
        (np.zeros((3, 2)), "The held-out labels must be one column."),
        (0, "The held-out labels must be one column."),
    ],
)
def test_labels_that_do_not_go_with_a_classifier_are_refused(cancer, labels, sentence):
    estimator, X, _ = cancer
    with pytest.raises(InvalidInput) as refusal:
        true_labels(infer_output(estimator, X), labels, 3)
    assert refusal.value.message == sentence


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (["low", "high"], "The held-out labels of a regression must be numbers."),
        ([1.0, None], "The held-out labels of a regression must be numbers."),
        ([1.0, math.nan], "The held-out labels have NaN or infinite values."),
        ([1.0, math.inf], "The held-out labels have NaN or infinite values."),
        ([1.0], "There are 2 held-out rows, but 1 labels."),
    ],
)
def test_labels_that_do_not_go_with_a_regressor_are_refused(labels, sentence):
    X, y = load_diabetes(return_X_y=True)
    output = infer_output(Ridge().fit(X, y), X)
    with pytest.raises(InvalidInput) as refusal:
        true_labels(output, labels, 2)
    assert refusal.value.message == sentence


# --- the hash of the held-out data ---------------------------------------------------------------


def test_the_hash_can_be_recomputed_with_the_salt_alone(cancer):
    estimator, X, y = cancer
    schema, output = infer_schema(estimator, X), infer_output(estimator, X)
    rows = schema.rows(X)
    first = evaluate(estimator, schema, output, rows, y)
    second = evaluate(estimator, schema, output, rows, y)
    assert first.data_hash != second.data_hash
    assert len(first.salt) == 32
    truth = true_labels(output, y, len(rows))
    assert held_out_hash(schema, output, rows, truth, first.salt) == first.data_hash


def test_the_hash_binds_every_row_and_label(cancer):
    estimator, X, y = cancer
    schema, output = infer_schema(estimator, X), infer_output(estimator, X)
    rows, truth, salt = schema.rows(X[:3]), true_labels(output, y[:3], 3), bytes(32)
    other = (float(rows[0][0]) + 0.5, *rows[0][1:])
    hashes = {
        held_out_hash(schema, output, rows, truth, salt),
        held_out_hash(schema, output, rows, 1 - truth, salt),
        held_out_hash(schema, output, [other, *rows[1:]], truth, salt),
        held_out_hash(schema, output, rows[:2], truth[:2], salt),
        held_out_hash(schema, output, rows[::-1], truth, salt),
        held_out_hash(schema, output, rows, truth, bytes(31) + b"\1"),
    }
    assert len(hashes) == 6


# --- thresholds ----------------------------------------------------------------------------------


def test_thresholds_know_the_direction_of_their_metric():
    assert parse_thresholds("classification", {"accuracy": 0.95, "log_loss": "0.2"}) == (
        Metric("accuracy", True, 950_000),
        Metric("log_loss", False, 200_000),
    )
    assert parse_thresholds("regression", {"mae": 10, "r2": 0.3333333}) == (
        Metric("mae", False, 10_000_000),
        Metric("r2", True, 333_334),
    )


@pytest.mark.parametrize(
    ("thresholds", "sentence"),
    [
        ({"accurracy": 0.9}, "'accurracy' is not a metric of a classification."),
        ({"r2": 0.9}, "'r2' is not a metric of a classification."),
        ({"accuracy": "high"}, "The threshold 'high' for accuracy is not a number."),
        ({"accuracy": None}, "The threshold None for accuracy is not a number."),
        ({"accuracy": True}, "The threshold True for accuracy is not a number."),
        ({"accuracy": math.nan}, "The threshold nan for accuracy is not a number."),
        ({"accuracy": math.inf}, "inf is too large for a metric."),
        ({"accuracy": "1e999999"}, "1e999999 is too large for a metric."),
    ],
)
def test_thresholds_that_cannot_be_are_refused(thresholds, sentence):
    with pytest.raises(InvalidTerms) as refusal:
        parse_thresholds("classification", thresholds)
    assert refusal.value.message == sentence


@given(value=st.floats(0, 1))
def test_a_threshold_is_never_lowered_by_rounding(value):
    (higher,) = parse_thresholds("classification", {"accuracy": value})
    (lower,) = parse_thresholds("classification", {"log_loss": value})
    shortest = Fraction(str(value)) * 10**6
    assert lower.ppm <= shortest <= higher.ppm
    assert higher.ppm - lower.ppm <= 1


def test_reaching_every_threshold_exactly_is_enough():
    measured = (Metric("accuracy", True, 950_000), Metric("log_loss", False, 100))
    check_thresholds(measured, measured)
    check_thresholds(measured, ())


def test_every_shortfall_is_named():
    measured = (
        Metric("accuracy", True, 949_999),
        Metric("f1_macro", True, 990_000),
        Metric("log_loss", False, 100_001),
    )
    asked = parse_thresholds(
        "classification", {"accuracy": 0.95, "f1_macro": 0.9, "log_loss": 0.1, "roc_auc": 0.5}
    )
    with pytest.raises(ThresholdNotMet) as refusal:
        check_thresholds(measured, asked)
    assert refusal.value.message == (
        "The model is below its thresholds: accuracy is 0.949999, below 0.95 by 0.000001;"
        " log_loss is 0.100001, above 0.1 by 0.000001; roc_auc could not be measured."
    )
    assert refusal.value.exit_code == 3


@pytest.mark.parametrize(
    ("ppm", "text"),
    [(0, "0"), (950_000, "0.95"), (1, "0.000001"), (-2_500_000, "-2.5"), (10**8, "100")],
)
def test_a_metric_reads_as_a_plain_number(ppm, text):
    assert shown(Metric("r2", True, ppm)) == text
