"""Preprocessing folded into the columns gives, bit for bit, what scikit-learn computes."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from modelward.errors import NoExactProgram
from modelward.models.exact.fold import fold
from modelward.models.schema import infer_schema

NAMES = ["age", "bmi", "dose", "weight"]
RANDOM = np.random.default_rng(1)
TABLE = RANDOM.normal((50, 25, 1e-3, 70), (20, 4, 1e-4, 15), (60, 4))
FRAME = pd.DataFrame(TABLE, columns=NAMES)
GAPS = TABLE.copy()
GAPS[::7, 1] = np.nan
EMPTY = TABLE.copy()
EMPTY[:, 2] = np.nan


def selected(*parts, **options):
    return make_column_transformer(*parts, **options)


TRANSFORMERS = {
    "standardised": StandardScaler(),
    "only centred": StandardScaler(with_std=False),
    "only scaled": StandardScaler(with_mean=False),
    "to a range": MinMaxScaler((-2, 3)),
    "clipped": MinMaxScaler(clip=True),
    "one after another": make_pipeline(MinMaxScaler(), StandardScaler()),
    "by position": selected((StandardScaler(), [3, 0]), (MinMaxScaler(), [1])),
    "by slice": selected((StandardScaler(), slice(1, None)), remainder="passthrough"),
    "by mask": selected((MinMaxScaler(), [True, False, False, True]), remainder="passthrough"),
    "from the end": selected((MinMaxScaler(), [-1]), ("drop", [0]), remainder=StandardScaler()),
    "one column twice": selected((MinMaxScaler(), [1]), (StandardScaler(), [1, 2])),
    "an empty part": selected((MinMaxScaler(), []), (StandardScaler(), [1, 2])),
    "nested": make_pipeline(
        selected((StandardScaler(), [2, 1]), remainder="passthrough"),
        selected((MinMaxScaler(), [0, 3]), remainder="passthrough"),
    ),
}
NAMED = {
    "by name": selected((StandardScaler(), ["bmi", "age"]), remainder=MinMaxScaler()),
    "by names in between": selected((StandardScaler(), slice("bmi", "weight")), ("drop", ["age"])),
    "by pattern": selected((MinMaxScaler(), make_column_selector("^[bd]")), remainder="drop"),
    "a pipeline in a part": ColumnTransformer(
        [("both", make_pipeline(SimpleImputer(), StandardScaler()), ["dose", "age"])]
    ),
}


def check(transformer, fitted_on, rows):
    estimator = make_pipeline(transformer, Ridge())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(fitted_on, TABLE[:, 0])
    folded = fold(estimator, infer_schema(estimator, rows))
    expected = np.asarray(estimator[:-1].transform(rows))
    table = np.asarray(rows)
    features = [
        feature.apply(np.zeros(len(table)) if feature.column is None else table[:, feature.column])
        for feature in folded.features
    ]
    assert np.array_equal(np.stack(features, axis=1), expected)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_scalers_and_their_combinations(name):
    check(TRANSFORMERS[name], TABLE, TABLE)


@pytest.mark.parametrize("name", NAMED)
def test_columns_chosen_by_name(name):
    check(NAMED[name], FRAME, FRAME)


@pytest.mark.parametrize(
    "imputer",
    [
        SimpleImputer(),
        SimpleImputer(strategy="constant", fill_value=3.0),
        SimpleImputer(add_indicator=True),
    ],
)
def test_imputers_leave_whole_rows_as_they_are(imputer):
    check(make_pipeline(imputer, StandardScaler()), GAPS, TABLE)


@pytest.mark.parametrize("keep", [False, True])
def test_a_column_that_was_always_missing_is_dropped_or_kept(keep):
    imputer = SimpleImputer(keep_empty_features=keep)
    estimator = make_pipeline(imputer, Ridge())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(EMPTY, TABLE[:, 0])
    columns = [
        feature.column for feature in fold(estimator, infer_schema(estimator, TABLE)).features
    ]
    assert columns == ([0, 1, 2, 3] if keep else [0, 1, 3])


def test_a_transformer_in_a_part_is_refused_by_its_name():
    estimator = make_pipeline(selected((SimpleImputer(missing_values=-1), [0, 1])), Ridge())
    estimator.fit(TABLE, TABLE[:, 0])
    with pytest.raises(NoExactProgram, match="missing_values=-1"):
        fold(estimator, infer_schema(estimator, TABLE))
