"""The canonical input: one byte string a row, and one row a byte string."""

from __future__ import annotations

import struct
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelward.errors import InvalidInput
from modelward.models.schema import LARGEST_INTEGER, Column, InputSchema


def finite(low: float | None = None, high: float | None = None) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False, allow_infinity=False)


@st.composite
def columns(draw: st.DrawFn, name: str) -> Column:
    match draw(st.sampled_from(["number", "integer", "boolean", "category", "text"])):
        case "number":
            low, high = sorted(draw(st.tuples(finite(), finite())))
            low, high = low + 0.0, high + 0.0  # no -0.0, which hypothesis holds to be below 0.0
            return Column(name, "number", low, high)
        case "integer":
            whole = st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
            low, high = sorted(draw(st.tuples(whole, whole)))
            return Column(name, "integer", low, high)
        case "boolean":
            return Column(name, "boolean")
        case "text":
            return Column(name, "text", maximum=draw(st.integers(1, 20)))
    categories: st.SearchStrategy[Any] = draw(st.sampled_from([st.text(max_size=3), st.integers()]))
    listed = draw(st.lists(categories, min_size=1, max_size=5, unique=True))
    return Column(name, "category", categories=tuple(listed))


@st.composite
def schemas(draw: st.DrawFn) -> InputSchema:
    count = draw(st.integers(1, 5))
    return InputSchema(tuple(draw(columns(f"f{i}")) for i in range(count)), draw(st.booleans()))


def cell_of(column: Column) -> st.SearchStrategy[object]:
    match column.kind:
        case "number":
            return finite(column.minimum, column.maximum)
        case "integer":
            return st.integers(cast(int, column.minimum), cast(int, column.maximum))
        case "boolean":
            return st.booleans()
        case "category":
            return st.sampled_from(column.categories)
        case "text":
            longest = cast(int, column.maximum)
            texts = st.text(max_size=longest)
            return texts.filter(lambda text: len(text.encode()) <= longest)


@given(data=st.data())
def test_decoding_gives_back_the_row_that_was_encoded(data):
    schema = data.draw(schemas())
    row = schema.row(data.draw(st.tuples(*map(cell_of, schema.columns))))
    encoded = schema.encode_row(row)
    texts = [str(row[i]) for i, column in enumerate(schema.columns) if column.kind == "text"]
    assert len(encoded) == 1 + 8 * len(schema.columns) + len("".join(texts).encode())
    assert schema.decode_row(encoded) == row
    assert [type(cell) for cell in schema.decode_row(encoded)] == [type(cell) for cell in row]


@given(data=st.data())
def test_any_bytes_are_refused_or_encode_to_themselves(data):
    schema = data.draw(schemas())
    word = st.builds(struct.Struct(">d").pack, st.floats() | st.integers(-3, 3).map(float))
    body = data.draw(st.tuples(*[word] * len(schema.columns)).map(b"".join))
    body += data.draw(st.binary(max_size=4))
    tag = data.draw(st.sampled_from([b"\x01", b"\x05", b"\x05", b"\x01", b"\x00", b"\x02", b""]))
    try:
        row = schema.decode_row(tag + body)
    except InvalidInput:
        return
    assert schema.encode_row(row) == tag + body
    assert schema.row(row) == row


@given(data=st.data())
def test_a_schema_survives_its_json(data):
    schema = data.draw(schemas())
    assert InputSchema.from_json(schema.to_json()) == schema


def test_the_bytes_are_a_tag_and_a_big_endian_double_a_column(loan_schema):
    encoded = loan_schema.encode_row((1.5, 2, True, "west", 5))
    assert encoded.hex() == (
        "01"
        "3ff8000000000000"  # 1.5
        "4000000000000000"  # 2
        "3ff0000000000000"  # true
        "4000000000000000"  # the third region
        "4000000000000000"  # the third grade
    )


def test_minus_zero_and_zero_are_one_input():
    schema = InputSchema((Column("x", "number", -1.0, 1.0),))
    assert schema.encode_row(schema.row([-0.0])) == b"\x01" + bytes(8)
    with pytest.raises(InvalidInput, match="canonical"):
        schema.decode_row(b"\x01\x80" + bytes(7))


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ((2e6, 0, 0, 0, 0), "'income' is 2000000.0, outside"),
        ((1, 0.5, 0, 0, 0), "'children' must be encoded as a whole number"),
        ((1, 13, 0, 0, 0), "'children' is 13, outside"),
        ((1, 1, 2, 0, 0), "'employed' must be encoded as 0 or 1"),
        ((1, 1, 0, 3, 0), "'region' has 3 categories"),
        ((1, 1, 0, -1, 0), "'region' has 3 categories"),
        ((float("nan"), 1, 0, 0, 0), "'income' is not in canonical form"),
        ((float("inf"), 1, 0, 0, 0), "'income' is not in canonical form"),
    ],
)
def test_a_word_outside_its_column_is_refused(loan_schema, cells, sentence):
    with pytest.raises(InvalidInput) as refusal:
        loan_schema.decode_row(struct.pack(">B5d", 1, *cells))
    assert refusal.value.message.startswith(sentence)


def test_length_and_tag_are_checked(loan_schema):
    encoded = loan_schema.encode_row((1.5, 2, True, "west", 5))
    for wrong in (b"", encoded[:-1], encoded + b"\0", b"\x02" + encoded[1:]):
        with pytest.raises(InvalidInput):
            loan_schema.decode_row(wrong)
