"""Reading input rows from files and standard input."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelward.errors import InvalidInput
from modelward.models.rows import read_row, read_rows

ROW = (52000.5, 2, True, "south", 5)
HEADER = "income,children,employed,region,grade"
CSV_LINE = "52000.5,2,true,south,5"
OBJECT = {"income": 52000.5, "children": 2, "employed": True, "region": "south", "grade": 5}


@pytest.fixture
def written(tmp_path):
    def write(content: str | bytes, name: str = "input.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (f"{HEADER}\n{CSV_LINE}\n", "input.csv"),
        (f"{HEADER}\r\n{CSV_LINE}\r\n\r\n", "INPUT.CSV"),
        (f"\ufeff{HEADER}\n{CSV_LINE}", "input.csv"),
        (f"{HEADER}\n{CSV_LINE}".replace(",", ";"), "input.csv"),
        (f"{HEADER}\n{CSV_LINE}".replace(",", "\t"), "input.tsv"),
        ('grade,"region",employed,income,children\n5,"south",TRUE, 52000.5 ,2\n', "input.csv"),
        (CSV_LINE, "input.csv"),
        ("52000.5,2,1,south,5\n", "input.txt"),
        (json.dumps(OBJECT), "input.json"),
        (json.dumps([OBJECT], indent=2), "input.json"),
        (json.dumps(list(ROW)), "input.json"),
        (json.dumps([list(ROW)]), "input"),
        ("\ufeff" + json.dumps(OBJECT), "input.json"),
    ],
)
def test_csv_and_json_give_the_same_row(loan_schema, written, content, name):
    assert read_row(written(content, name), loan_schema) == ROW


def test_standard_input_is_a_dash(loan_schema):
    for content in (f"{HEADER}\n{CSV_LINE}\n", json.dumps(OBJECT)):
        assert read_row("-", loan_schema, stdin=io.BytesIO(content.encode())) == ROW
    with pytest.raises(InvalidInput, match=r"^Standard input is empty\.$"):
        read_row("-", loan_schema, stdin=io.BytesIO(b" \n"))


def test_several_rows_are_read_in_order(loan_schema, written):
    path = written(f"{HEADER}\n{CSV_LINE}\n0,0,false,west,1\n")
    assert read_rows(path, loan_schema) == [ROW, (0.0, 0, False, "west", 1)]
    with pytest.raises(InvalidInput, match="holds 2 rows; one is wanted"):
        read_row(path, loan_schema)


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        ("", "input.csv", "{} is empty."),
        ("\n \n", "input.json", "{} is empty."),
        (b"\x80\x04\x95\0", "input.csv", "{} is a binary file, neither CSV nor JSON."),
        (b"PK\x03\x04\x14\0\0\0", "input.json", "{} is a binary file, neither CSV nor JSON."),
        ("größe\n1".encode("latin-1"), "input.csv", "{} is not text in UTF-8 (byte 2)."),
        (json.dumps(OBJECT), "input.csv", "{} holds JSON, not CSV."),
        (f"{HEADER}\n{CSV_LINE}", "input.json", "{} is not valid JSON: Expecting value"),
        ("[" * 100_000, "input.json", "{} is nested too deeply."),
        ('{"income": 1, "income": 2}', "input.json", "{} is not valid JSON: the key 'income'"),
        ("[]", "input.json", "{} holds no rows."),
        ("3", "input.json", "{} must hold an object"),
        ('[1, {"a": 2}]', "input.json", "{} must hold an object"),
        (HEADER, "input.csv", "{} holds no rows."),
        (f"{HEADER}\n{CSV_LINE},9", "input.csv", "Line 2 of {} has 6 cells, its header 5."),
        (f"income,{HEADER}\n1,{CSV_LINE}", "input.csv", "The header of {} names a column twice."),
        (f'{HEADER}\n"52000', "input.csv", "{} is not valid CSV"),
        (f"{HEADER},target\n{CSV_LINE},1", "input.csv", "The input has 'target', which"),
        (f"{HEADER}\n52000.5,two,true,south,5", "input.csv", "'children' must be a whole number"),
        (f"{HEADER}\n1_000,2,true,south,5", "input.csv", "'income' must be a number, not '1_000'"),
        (f"{HEADER}\nnan,2,true,south,5", "input.csv", "'income' must be a finite number"),
        (f"{HEADER}\n1e999,2,true,south,5", "input.csv", "'income' must be a finite number"),
        (f"{HEADER}\n,2,true,south,5", "input.csv", "'income' is missing."),
        (f"{HEADER}\n1,2,maybe,south,5", "input.csv", "'employed' must be true or false"),
        (f"{HEADER}\n{CSV_LINE}\n1,99,true,south,5", "input.csv", "Row 2: 'children' is 99"),
        ("1,2,true,south", "input.csv", "{} holds no rows."),
        ('{"income": NaN}', "input.json", "The input lacks"),
        (json.dumps(OBJECT | {"income": "5"}), "input.json", "'income' must be a number, not '5'"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_gets_one_sentence(
    loan_schema, written, content, name, sentence
):
    path = written(content, name)
    with pytest.raises(InvalidInput) as refusal:
        read_rows(path, loan_schema)
    assert refusal.value.message.startswith(sentence.format(path))
    assert "\n" not in refusal.value.message


def test_an_unreadable_path_gets_one_sentence(loan_schema, tmp_path):
    with pytest.raises(InvalidInput, match="cannot be read: No such file"):
        read_row(tmp_path / "absent.csv", loan_schema)
    with pytest.raises(InvalidInput, match="cannot be read: Is a directory"):
        read_row(tmp_path, loan_schema)
    with pytest.raises(InvalidInput, match="cannot be read: embedded null"):
        read_row("a\0b", loan_schema)


def test_a_stated_format_beats_the_name(loan_schema, written):
    assert read_row(written(json.dumps(OBJECT), "input.csv"), loan_schema, format="json") == ROW
    with pytest.raises(InvalidInput, match="Input files are CSV or JSON, not 'xml'"):
        read_row(written(CSV_LINE), loan_schema, format="xml")  # type: ignore[arg-type]


scraps = st.sampled_from([HEADER, CSV_LINE, ",", "\n", '"', "{", "[", "]", "}", ":", "1", "\ufeff"])


@given(pieces=st.lists(scraps | st.text(max_size=3), max_size=12), name=st.sampled_from("jc"))
def test_whatever_is_in_a_file_gives_rows_or_one_sentence(loan_schema, pieces, name):
    content = io.BytesIO("".join(pieces).encode())
    try:
        rows = read_rows("-", loan_schema, stdin=content, format="json" if name == "j" else "csv")
    except InvalidInput:
        return
    assert all(loan_schema.row(row) == row for row in rows)
