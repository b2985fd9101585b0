"""Text is an input like any other: its length stated, its bytes committed to, never executed."""

from __future__ import annotations

import struct

import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from modelward.errors import InvalidBundle, InvalidInput, NoExactProgram
from modelward.models.bundle import open_bundle
from modelward.models.exact.compile import compile_program
from modelward.models.rows import read_row
from modelward.models.runner import Runner
from modelward.models.sandbox import Limits, Sandbox
from modelward.models.schema import DEFAULT_TEXT, MAX_TEXT, Column, InputSchema, infer_schema
from modelward.pipeline.package import PackagedModel, package
from tests.pipeline.orchard import apples_with_notes

NOTE = InputSchema((Column("note", "text", maximum=9), Column("x", "boolean")))
TABLE = apples_with_notes()
INPUTS = pd.DataFrame({"note": TABLE["note"], "weight": TABLE["weight"].astype(float)})
LABELS = TABLE["grade"]


def fitted(vectoriser=None):
    columns = make_column_transformer(
        (vectoriser or TfidfVectorizer(), "note"), ("passthrough", ["weight"])
    )
    return make_pipeline(columns, LogisticRegression(max_iter=5000)).fit(INPUTS[:120], LABELS[:120])


@pytest.fixture(scope="module")
def packaged() -> PackagedModel:
    return package(fitted(), INPUTS[120:], LABELS[120:], name="notes", ranges={"weight": (0, 400)})


# --- schema --------------------------------------------------------------------------------------


@pytest.mark.parametrize("maximum", [None, 0, -1, 1.5, 9.0, True, MAX_TEXT + 1])
def test_a_text_declares_how_many_bytes_it_may_take(maximum):
    with pytest.raises(InvalidInput, match="must declare how many bytes it may take"):
        Column("note", "text", maximum=maximum)


def test_a_text_has_neither_minimum_nor_categories():
    with pytest.raises(InvalidInput, match="and no minimum"):
        Column("note", "text", minimum=1, maximum=9)
    with pytest.raises(InvalidInput, match="for a category only"):
        Column("note", "text", maximum=9, categories=("a",))


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        (None, "'note' is missing."),
        (5, "'note' must be text, not 5."),
        (b"bytes", "'note' must be text, not b'bytes'."),
        ("ten bytes!", "'note' takes 10 bytes, more than the 9 declared."),
        ("äöüäö", "'note' takes 10 bytes, more than the 9 declared."),
        ("\ud800", "'note' has half a surrogate pair, which is no text."),
    ],
)
def test_a_cell_that_is_no_such_text_is_refused(cell, sentence):
    with pytest.raises(InvalidInput) as refusal:
        NOTE.row([cell, True])
    assert refusal.value.message == sentence


@pytest.mark.parametrize("cell", ["", " ", "äöü", "a\0b", "\u2028", "=1+1", "<b>"])
def test_any_other_text_is_taken_as_it_is(cell):
    row = NOTE.row([cell, True])
    assert row == (cell, True)
    assert NOTE.decode_row(NOTE.encode_row(row)) == row
    (given,) = NOTE.to_frame([row])["note"]
    assert given == cell


def test_texts_follow_the_columns_which_hold_their_lengths():
    schema = InputSchema((*NOTE.columns, Column("more", "text", maximum=9)))
    encoded = schema.encode_row(schema.row(["zwölf", True, ""]))
    assert encoded == b"\x05" + struct.pack(">3d", 6, 1, 0) + "zwölf".encode()
    assert schema.decode_row(encoded) == ("zwölf", True, "")


@pytest.mark.parametrize(
    ("length", "text", "sentence"),
    [
        (10.0, b"0123456789", "'note' takes 10.0 bytes, not 0 to the 9 declared."),
        (-1.0, b"", "'note' takes -1.0 bytes"),
        (1.5, b"a", "'note' takes 1.5 bytes"),
        (float("nan"), b"", "'note' takes nan bytes"),
        (float("inf"), b"", "'note' takes inf bytes"),
        (-0.0, b"", "'note' is not in canonical form."),
        (3.0, b"ab", "The texts of the input take 2 bytes, not 3."),
        (3.0, b"abcd", "The texts of the input take 4 bytes, not 3."),
        (2.0, b"\xc3\x28", "'note' is not text in UTF-8."),
        (3.0, b"\xed\xa0\x80", "'note' is not text in UTF-8."),
        (2.0, b"\xc0\x80", "'note' is not text in UTF-8."),
    ],
)
def test_bytes_that_are_no_such_text_are_refused(length, text, sentence):
    with pytest.raises(InvalidInput) as refusal:
        NOTE.decode_row(struct.pack(">B2d", 5, length, 1.0) + text)
    assert refusal.value.message.startswith(sentence)


def test_a_row_with_texts_has_a_tag_of_its_own():
    encoded = NOTE.encode_row(("a", True))
    with pytest.raises(InvalidInput, match="unknown encoding tag 0x01"):
        NOTE.decode_row(b"\x01" + encoded[1:])
    for wrong in (b"", encoded[:16], encoded + b"\0"):
        with pytest.raises(InvalidInput):
            NOTE.decode_row(wrong)


@pytest.mark.parametrize("field", [{"maximum": None}, {"maximum": 2**17}, {"minimum": 1}])
def test_a_manifest_cannot_declare_another_kind_of_text(field):
    document = NOTE.to_json()
    document["columns"][0] |= field
    with pytest.raises(InvalidBundle, match="malformed"):
        InputSchema.from_json(document)


# --- models --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "vectoriser", [TfidfVectorizer(), CountVectorizer(), HashingVectorizer(n_features=64)]
)
def test_what_a_vectoriser_takes_is_text_and_none_of_it_is_public(vectoriser):
    columns = infer_schema(fitted(vectoriser), INPUTS).columns
    assert columns[0] == Column("note", "text", maximum=DEFAULT_TEXT)
    assert columns[1].kind == "number"


def test_it_is_text_too_where_columns_have_no_names():
    columns = make_column_transformer((TfidfVectorizer(), 0), ("passthrough", [1]))
    array = INPUTS.to_numpy(dtype=object)
    estimator = make_pipeline(columns, LogisticRegression(max_iter=5000)).fit(array, LABELS)
    schema = infer_schema(estimator, array, {"x0": 300})
    assert schema.columns[0] == Column("x0", "text", maximum=300)
    rows = schema.rows(array)
    assert estimator.predict(schema.to_frame(rows)).tolist() == estimator.predict(array).tolist()


@pytest.mark.parametrize("stated", [(0, 9), ["a", "b"]])
def test_of_a_text_only_its_length_is_stated(stated):
    with pytest.raises(InvalidInput, match="the most bytes it may take"):
        infer_schema(fitted(), INPUTS, {"note": stated})


def test_a_text_column_that_holds_numbers_is_refused():
    with pytest.raises(InvalidInput, match="'note' is taken as text, and holds something else"):
        infer_schema(fitted(), INPUTS.assign(note=1.5))


def test_the_bundle_predicts_as_the_estimator_did_in_a_sandbox_too(packaged):
    bundle = packaged.bundle
    opened = open_bundle(bundle.data, bundle.hash, bundle.manifest_hash)
    rows = opened.manifest.input.rows(INPUTS[120:].itertuples(index=False, name=None))
    outputs = Runner(opened).predict(rows)
    inputs = [opened.manifest.canonical_input(row) for row in rows]
    with Sandbox(Limits(seconds=20)) as sandbox:
        sandbox.open(bundle.data, bundle.hash, bundle.manifest_hash)
        assert sandbox.predict_each(bundle.hash, inputs) == outputs


def test_exact_programs_refuse_text_by_name(packaged):
    assert packaged.program is None
    assert packaged.without_program == "'note' is a text, which exact programs do not take."
    with pytest.raises(NoExactProgram, match="'note' is a text"):
        compile_program(fitted(), packaged.manifest.input, packaged.manifest.output)
    with pytest.raises(NoExactProgram, match="'note' is a text"):
        package(fitted(), INPUTS[120:], LABELS[120:], name="notes", exact=True)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("row.json", '{"note": " crisp, shiny ", "weight": 150}'),
        ("row.csv", 'note,weight\n" crisp, shiny ",150\n'),
        ("row.csv", 'weight;note\n150;" crisp, shiny "\n'),
    ],
)
def test_text_is_read_from_files_as_it_stands(packaged, tmp_path, name, content):
    file = tmp_path / name
    file.write_text(content)
    assert read_row(file, packaged.manifest.input) == (" crisp, shiny ", 150.0)
