"""Floats become the same numbers one by one and in a table, and nothing else does."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelward.errors import InvalidInput
from modelward.models.exact.inputs import InputEncoding
from modelward.models.exact.program import LARGEST_UNIT, Encoding
from modelward.models.schema import Column, InputSchema

BOUND = st.floats(-1e30, 1e30)
COLUMNS = st.lists(
    st.tuples(BOUND, BOUND).map(sorted).filter(lambda ends: not 0 < ends[1] - ends[0] < 1e-290),
    min_size=1,
    max_size=5,
)


def encoding_of(ranges, encoding=Encoding.UNITS):
    columns = [Column(f"x{i}", "number", low, high) for i, (low, high) in enumerate(ranges)]
    return InputEncoding(InputSchema(tuple(columns), named=False), encoding)


@st.composite
def encodings_and_rows(draw):
    ranges = draw(COLUMNS)
    row = st.tuples(*(st.sampled_from([low, high]) | st.floats(low, high) for low, high in ranges))
    rows = draw(st.lists(row, min_size=1, max_size=4))
    return encoding_of(ranges, draw(st.sampled_from(Encoding))), rows * draw(
        st.just(1) | st.just(70)
    )


@given(encodings_and_rows())
def test_a_row_a_column_and_a_table_have_the_same_numbers(case):
    encoding, rows = case
    numbers = [encoding.quantise(row) for row in rows]
    table = np.asarray(rows)
    assert encoding.quantise_table(table).tolist() == [list(row) for row in numbers]
    assert encoding.numbers(table).tolist() == [list(row) for row in numbers]
    if encoding.encoding is Encoding.UNITS:
        columns = [encoding.column(row) for row in rows]
        assert [column.ravel().tolist() for column in columns] == [list(row) for row in numbers]


@pytest.mark.parametrize("encoding", Encoding)
def test_a_table_may_lie_in_memory_in_any_order(encoding):
    into = encoding_of([(0.0, 1.0), (-5.0, 7.0), (2.0, 3.0)], encoding)
    table = np.linspace([0.0, -5.0, 2.0], [1.0, 7.0, 3.0], 130)
    expected = [list(into.quantise(row)) for row in table.tolist()]
    for order in (np.asfortranarray(table), np.repeat(table, 2, axis=0)[::2], table[:, :]):
        assert into.quantise_table(order).tolist() == expected


@given(BOUND, BOUND, st.data())
def test_units_are_as_near_as_binary64_can_tell_and_end_at_the_bounds(a, b, data):
    low, high = min(a, b), max(a, b)
    if not high - low >= 1e-290:
        return
    encoding = encoding_of([(low, high)])
    assert encoding.quantise([low]) == (0,)
    assert encoding.quantise([high]) == (LARGEST_UNIT,)
    value = data.draw(st.floats(low, high))
    (unit,) = encoding.quantise([value])
    true = (Fraction(value) - Fraction(low)) / (Fraction(high) - Fraction(low)) * LARGEST_UNIT
    assert abs(unit - true) <= Fraction(1, 2) + Fraction(1, 2**18)


@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize("value", [1.5, -0.5, math.nan, math.inf, -math.inf])
def test_a_value_outside_its_range_is_refused_by_name(encoding, value):
    into = encoding_of([(0.0, 1.0), (0.0, 1.0)], encoding)
    reads = [into.quantise, lambda row: into.numbers(np.asarray([[0.5, 0.5], row]))]
    if encoding is Encoding.UNITS:
        reads.append(into.column)
    for read in reads:
        with pytest.raises(InvalidInput, match="'x1'"):
            read([0.5, value])


@pytest.mark.parametrize("encoding", Encoding)
def test_a_row_of_another_length_is_refused(encoding):
    into = encoding_of([(0.0, 1.0), (0.0, 1.0)], encoding)
    for row in ([0.5], [0.5, 0.5, 0.5]):
        with pytest.raises(InvalidInput, match=f"{len(row)} values, the model takes 2"):
            into.quantise(row)
        with pytest.raises(InvalidInput, match=f"{len(row)} values, the model takes 2"):
            into.numbers(np.asarray([row]))


@pytest.mark.parametrize("encoding", Encoding)
def test_a_table_may_be_empty(encoding):
    assert encoding_of([(0.0, 1.0)], encoding).numbers(np.empty((0, 1))).shape == (0, 1)
