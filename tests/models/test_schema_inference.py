"""infer_schema: names, kinds and ranges from a fitted estimator and a table."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelward.errors import InvalidInput
from modelward.models.schema import Column, infer_schema, input_frame

UNNAMED = SimpleNamespace()

LOANS = pd.DataFrame(
    {
        "income": [10.0, 30.0],
        "children": [0, 3],
        "employed": [True, False],
        "region": ["south", "north"],
        "grade": pd.Categorical([1, 2], categories=[1, 2, 5]),
    }
)


def test_kinds_and_ranges_come_from_the_columns():
    schema = infer_schema(SimpleNamespace(feature_names_in_=LOANS.columns.to_numpy()), LOANS)
    assert schema.named
    assert schema.columns == (
        Column("income", "number", -10.0, 50.0),
        Column("children", "integer", -3, 6),
        Column("employed", "boolean"),
        Column("region", "category", categories=("north", "south")),
        Column("grade", "category", categories=(1, 2, 5)),
    )


def test_stated_ranges_replace_the_observed_ones():
    schema = infer_schema(
        UNNAMED,
        LOANS,
        {"income": (0, 99), "children": (0, 4), "region": ["north", "south", "west"]},
    )
    assert schema.columns[:2] == (
        Column("income", "number", 0.0, 99.0),
        Column("children", "integer", 0, 4),
    )
    assert schema.columns[3].categories == ("north", "south", "west")


@pytest.mark.parametrize(
    ("ranges", "sentence"),
    [
        ({"incom": (0, 1)}, "Ranges are stated for 'incom'"),
        ({"income": (5, 1)}, "The minimum of 'income'"),
        ({"income": (0, float("inf"))}, "The range of 'income' must be a pair of finite"),
        ({"income": (0, 1, 2)}, "The range of 'income' must be a pair of finite"),
        ({"income": "01"}, "The range of 'income' must be a pair of finite"),
        ({"children": (0.5, 3)}, "'children' takes whole numbers"),
        ({"employed": (0, 1)}, "'employed' is true or false"),
        ({"region": ["north", 1]}, "The categories of 'region'"),
    ],
)
def test_ranges_that_cannot_be_are_refused(ranges, sentence):
    with pytest.raises(InvalidInput) as refusal:
        infer_schema(UNNAMED, LOANS, ranges)
    assert refusal.value.message.startswith(sentence)


def test_a_column_with_one_value_is_widened_by_that_values_size():
    schema = infer_schema(UNNAMED, np.array([[5.0, 0.0], [5.0, 0.0]]))
    assert schema.columns == (
        Column("x0", "number", 0.0, 10.0),
        Column("x1", "number", -1.0, 1.0),
    )


def test_a_pipelines_names_are_those_it_was_fitted_with():
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    for first in (StandardScaler(), "passthrough"):
        estimator = make_pipeline(first, LogisticRegression(max_iter=5)).set_params()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.fit(X, y)
        assert infer_schema(estimator, X.to_numpy()).names == tuple(X.columns)
        shuffled = infer_schema(estimator, X[list(reversed(X.columns))])
        assert shuffled.names == tuple(X.columns)
        assert shuffled.columns[0].maximum == pytest.approx(28.11 + 28.11 - 6.981)


def test_without_fitted_names_a_frame_lends_its_own_but_the_estimator_gets_an_array():
    X, y = load_wine(return_X_y=True, as_frame=True)
    estimator = LogisticRegression(max_iter=5000).fit(X.to_numpy(), y)
    schema = infer_schema(estimator, X)
    assert schema.names == tuple(X.columns)
    assert not schema.named
    assert infer_schema(estimator, X.to_numpy()).names[:2] == ("x0", "x1")
    given = schema.to_frame(schema.rows(X.to_numpy()[:3]))
    assert isinstance(given, np.ndarray)
    assert np.array_equal(given, X.to_numpy()[:3])


def test_the_estimator_gets_the_kinds_it_was_fitted_with():
    schema = infer_schema(SimpleNamespace(feature_names_in_=LOANS.columns.to_numpy()), LOANS)
    frame = schema.to_frame(schema.rows(LOANS.itertuples(index=False, name=None)))
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == list(LOANS.columns)
    assert [str(dtype) for dtype in frame.dtypes] == [
        "float64",
        "int64",
        "bool",
        "category",
        "category",
    ]
    assert list(frame["grade"].cat.categories) == [1, 2, 5]
    assert frame.to_dict("list") == LOANS.to_dict("list")


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        (np.zeros(3), "Inputs must be a table of rows"),
        (np.zeros((0, 3)), "The inputs are empty."),
        ([[1, 2], [3]], "The rows of the inputs differ in length."),
        (pd.DataFrame({"a": [1.0, None]}), "'a' has missing values"),
        (pd.DataFrame({"a": [1.0, np.inf]}), "'a' has infinite values."),
        (pd.DataFrame({"a": [{}, 1]}), "'a' holds values of the type object"),
        (pd.DataFrame({"a": pd.to_datetime(["2024-01-01"])}), "'a' holds values of the type date"),
        (pd.DataFrame({"a": [2**60]}), "'a' has whole numbers beyond 2^53"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "Two features of the inputs have the same"),
    ],
)
def test_a_table_that_cannot_be_an_input_is_refused(inputs, sentence):
    with pytest.raises(InvalidInput) as refusal:
        infer_schema(UNNAMED, inputs)
    assert refusal.value.message.startswith(sentence)


def test_a_sparse_matrix_is_refused():
    sparse = OneHotEncoder().fit_transform([["a"], ["b"]])
    with pytest.raises(InvalidInput, match="dense"):
        infer_schema(UNNAMED, sparse)


def test_columns_that_are_not_the_estimators_are_named():
    estimator = SimpleNamespace(feature_names_in_=np.array(["a", "b"]), n_features_in_=2)
    with pytest.raises(InvalidInput, match=r"lack 'b' and have 'c' beyond its features"):
        input_frame(estimator, pd.DataFrame({"a": [1], "c": [2]}))
    with pytest.raises(InvalidInput, match="3 columns, the estimator takes 2"):
        input_frame(estimator, np.zeros((1, 3)))
