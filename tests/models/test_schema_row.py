"""InputSchema.row: what people give, and what they are told when it does not fit."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelward.errors import InvalidInput
from modelward.models.schema import Column, InputSchema

ROW = (52_000.5, 2, True, "south", 5)
NAMES = ("income", "children", "employed", "region", "grade")


@pytest.mark.parametrize(
    "value",
    [
        dict(zip(NAMES, ROW, strict=True)),
        dict(reversed(list(zip(NAMES, ROW, strict=True)))),
        list(ROW),
        ROW,
        [list(ROW)],
        [dict(zip(NAMES, ROW, strict=True))],
        np.array(ROW, dtype=object),
        np.array([ROW], dtype=object),
        pd.DataFrame([ROW], columns=list(NAMES)),
        pd.DataFrame([ROW], columns=list(NAMES))[list(reversed(NAMES))],
        pd.DataFrame([ROW]),
        pd.Series(ROW, index=list(NAMES)),
        pd.Series(ROW),
        (np.float64(52_000.5), np.int8(2), np.bool_(True), np.str_("south"), 5.0),
        (Decimal("52000.5"), 2.0, 1, "south", np.int64(5)),
    ],
)
def test_a_row_may_come_in_any_usual_shape(loan_schema, value):
    row = loan_schema.row(value)
    assert row == ROW
    assert [type(cell) for cell in row] == [float, int, bool, str, int]


def test_numbers_alone_may_come_as_an_array():
    schema = InputSchema((Column("a", "number", -1.0, 1.0), Column("b", "integer", 0, 9)))
    for array in (np.array([0.5, 3.0]), np.array([[0.5, 3.0]]), np.array([0.5, 3], np.float32)):
        assert schema.row(array) == (0.5, 3)


@pytest.mark.parametrize(
    ("feature", "cell", "sentence"),
    [
        ("income", "much", "'income' must be a number, not 'much'."),
        ("income", "52000", "'income' must be a number, not '52000'."),
        ("income", True, "'income' must be a number, not true."),
        ("income", np.bool_(False), "'income' must be a number, not false."),
        ("income", 1 + 2j, "'income' must be a number, not (1+2j)."),
        ("income", [1], "'income' must be a number, not [1]."),
        ("income", None, "'income' is missing."),
        ("income", pd.NA, "'income' must be a number, not <NA>."),
        ("income", math.nan, "'income' must be a finite number, but is NaN."),
        ("income", Decimal("sNaN"), "'income' must be a finite number, but is NaN."),
        ("income", np.float32("inf"), "'income' must be a finite number, but is infinite."),
        ("income", -(10**400), "'income' must be a finite number, but is infinite."),
        ("income", -1, "'income' is -1.0, outside its declared range 0.0 to 1000000.0."),
        ("children", 2.5, "'children' must be a whole number, not 2.5."),
        ("children", True, "'children' must be a whole number, not true."),
        ("children", 13, "'children' is 13, outside its declared range 0 to 12."),
        ("children", 2**53 + 2, "'children' is 9007199254740994, beyond 2^53."),
        ("employed", "yes", "'employed' must be true or false, not 'yes'."),
        ("employed", 2, "'employed' must be true or false, not 2."),
        ("region", "east", "'region' must be one of 'north', 'south', 'west', not 'east'."),
        ("region", 1, "'region' must be one of 'north', 'south', 'west', not 1."),
        ("grade", 3, "'grade' must be one of 1, 2, 5, not 3."),
        ("grade", True, "'grade' must be one of 1, 2, 5, not true."),
        ("grade", {}, "'grade' must be one of 1, 2, 5, not {}."),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_feature(loan_schema, feature, cell, sentence):
    values = dict(zip(NAMES, ROW, strict=True)) | {feature: cell}
    with pytest.raises(InvalidInput) as refusal:
        loan_schema.row(values)
    assert refusal.value.message == sentence


def test_missing_and_unexpected_names_are_both_told_with_the_likely_one(loan_schema):
    values = dict(zip(NAMES, ROW, strict=True))
    values["incom"] = values.pop("income")
    with pytest.raises(InvalidInput) as refusal:
        loan_schema.row(values)
    assert refusal.value.message == (
        "The input lacks 'income' and has 'incom', which the model does not know."
    )
    assert refusal.value.hint == "Did you mean 'income' instead of 'incom'?"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ([1, 2], "The input has 2 values, the model takes 5"),
        ([], "The input has 0 values, the model takes 5"),
        ({}, "The input lacks 'income', 'children', 'employed', 'region', 'grade'."),
        ([list(ROW), list(ROW)], "One row is wanted, 2 were given."),
        (np.zeros((3, 5)), "One row is wanted, 3 were given."),
        (pd.DataFrame([ROW, ROW]), "One row is wanted, 2 were given."),
        (pd.DataFrame([ROW], columns=list("aabcd")), "The input names a feature twice."),
        ("1,2,3", "A row must be an object of feature names or a list of values, not '1,2,3'."),
        (7, "A row must be an object of feature names or a list of values, not 7."),
        (np.float64(7), "A row must be an object of feature names or a list of values, not 7.0."),
        (None, "A row must be an object of feature names or a list of values, not None."),
    ],
)
def test_what_is_not_one_row_of_this_model_is_refused(loan_schema, value, sentence):
    with pytest.raises(InvalidInput) as refusal:
        loan_schema.row(value)
    assert refusal.value.message.startswith(sentence)


def test_the_bounds_themselves_are_in_range(loan_schema):
    for income in (0, 1e6):
        assert loan_schema.row((income, 0, False, "west", 1))[0] == income
    with pytest.raises(InvalidInput):
        loan_schema.row((math.nextafter(1e6, math.inf), 0, False, "west", 1))


def test_in_several_rows_the_wrong_one_is_named(loan_schema):
    with pytest.raises(InvalidInput, match=r"^Row 2: 'children' is 99"):
        loan_schema.rows([ROW, (0, 99, True, "south", 5)])


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.complex_numbers()
    | st.sampled_from(NAMES),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(st.sampled_from(NAMES) | st.integers(), inner, max_size=6)
    ),
    max_leaves=12,
)


@given(value=anything | st.lists(anything, min_size=5, max_size=5))
def test_whatever_is_given_gives_a_canonical_row_or_one_sentence(loan_schema, value):
    try:
        row = loan_schema.row(value)
    except InvalidInput as error:
        refusal = error
    else:
        assert loan_schema.decode_row(loan_schema.encode_row(row)) == row
        return
    assert refusal.message.endswith(".")
    assert "\n" not in refusal.message


@pytest.mark.parametrize(
    "column",
    [
        {"name": "", "kind": "boolean"},
        {"name": "a\nb", "kind": "boolean"},
        {"name": "a", "kind": "vector"},
        {"name": "a", "kind": "number"},
        {"name": "a", "kind": "number", "minimum": 1.0, "maximum": 0.0},
        {"name": "a", "kind": "number", "minimum": 0.0, "maximum": math.inf},
        {"name": "a", "kind": "number", "minimum": math.nan, "maximum": 1.0},
        {"name": "a", "kind": "number", "minimum": 0, "maximum": 1},
        {"name": "a", "kind": "integer", "minimum": 0.0, "maximum": 1.0},
        {"name": "a", "kind": "integer", "minimum": 0, "maximum": 2**53 + 1},
        {"name": "a", "kind": "boolean", "minimum": 0.0, "maximum": 1.0},
        {"name": "a", "kind": "boolean", "categories": ("x",)},
        {"name": "a", "kind": "category"},
        {"name": "a", "kind": "category", "categories": ("x", "x")},
        {"name": "a", "kind": "category", "categories": ("x", 1)},
        {"name": "a", "kind": "category", "categories": (1.5,)},
        {"name": "a", "kind": "category", "categories": (True, False)},
    ],
)
def test_a_column_that_contradicts_itself_cannot_be_declared(column):
    with pytest.raises(InvalidInput):
        Column(**column)


def test_two_features_cannot_share_a_name():
    with pytest.raises(InvalidInput):
        InputSchema((Column("a", "boolean"), Column("a", "boolean")))
    with pytest.raises(InvalidInput):
        InputSchema(())
