"""Dirty data are cleaned as their rules say, or refused with what fails and where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pytest

from modelward.errors import DataNotClean, InvalidInput
from modelward.pipeline.clean import clean
from modelward.pipeline.definition import (
    CsvSource,
    JsonLinesSource,
    ParquetSource,
    ScikitLearnSource,
)
from modelward.pipeline.sources import collect
from modelward.pipeline.split import split
from modelward.pipeline.tables import read_table, table_bytes
from tests.pipeline.orchard import ROWS, apples, column_rule, rules


def dirty(column: str, cells: Mapping[int, str]) -> pd.DataFrame:
    table = apples()
    for row, cell in cells.items():
        table.loc[row, column] = cell
    return table


def csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False).encode()


def collected(tmp_path: Path, data: bytes, **options: object) -> pd.DataFrame:
    (tmp_path / "apples.csv").write_bytes(data)
    source = CsvSource(kind="csv", path="apples.csv", **options)  # type: ignore[arg-type]
    return collect(source, tmp_path).table


def test_clean_data_stay_as_they_are() -> None:
    cleaned = clean(apples(), rules())
    assert cleaned.rounds == 0
    assert cleaned.changes == ()
    assert len(cleaned.table) == ROWS
    kinds = [str(kind) for kind in cleaned.table.dtypes]
    assert kinds == ["float64", "int64", "str", "int64", "bool", "str"]


# --- twelve kinds of dirt ------------------------------------------------------------------------


def test_wrong_types_are_refused_with_their_rows() -> None:
    with pytest.raises(DataNotClean, match=r"spots is not readable in rows 3, 9 \('many', '2\.5'"):
        clean(dirty("spots", {3: "many", 9: "2.5"}), rules())


def test_wrong_types_go_where_a_rule_says_so() -> None:
    table = dirty("spots", {3: "many", 9: "2.5"})
    cleaned = clean(table, rules(column_rule("spots", 'invalid = "drop"')))
    assert not {3, 9} & set(cleaned.table.index)
    assert [str(change) for change in cleaned.changes] == [
        "round 1: spots not readable in 2 rows ('many', '2.5'): dropped"
    ]


def test_wrong_types_can_become_missing_and_be_filled_in_the_next_round() -> None:
    table = dirty("spots", {3: "many"})
    rule = column_rule("spots", 'invalid = "missing"', 'missing = "fill"', "value = 0")
    cleaned = clean(table, rules(rule))
    assert cleaned.table.at[3, "spots"] == 0
    assert [(change.round, change.remedy) for change in cleaned.changes] == [
        (1, "now missing"),
        (2, "filled with 0.0"),
    ]


def test_duplicates_are_dropped_and_counted() -> None:
    table = apples()
    table.loc[ROWS + 1] = table.loc[5]
    cleaned = clean(table, rules())
    assert len(cleaned.table) == ROWS
    [change] = cleaned.changes
    assert str(change) == "round 1: not distinct in 1 row: dropped"
    with pytest.raises(DataNotClean, match=f"not distinct in row {ROWS + 1}"):
        clean(table, rules(extra='[clean]\nduplicates = "refuse"\n'))


def test_impossible_values_are_refused_clipped_or_dropped() -> None:
    table = dirty("weight", {4: "-5", 8: "9000"})
    with pytest.raises(DataNotClean, match="weight is not in range in rows 4, 8") as refused:
        clean(table, rules())
    assert refused.value.failures == {"weight: in range": (4, 8)}
    clipped = clean(table, rules(column_rule("weight", 'outside = "clip"'))).table
    assert clipped.loc[[4, 8], "weight"].tolist() == [40, 400]
    dropped = clean(table, rules(column_rule("weight", 'outside = "drop"'))).table
    assert not {4, 8} & set(dropped.index)


def test_mixed_encodings_are_read_line_by_line_and_said(tmp_path: Path) -> None:
    table = apples()
    table["variety"] = table["variety"].str.replace("Gala", "Grafensteiner")
    lines = csv(table).splitlines(keepends=True)
    lines[1] = lines[1].replace(lines[1].split(b",")[2], "Gräfensteiner".encode())
    lines[2] = lines[2].replace(lines[2].split(b",")[2], "Gräfensteiner".encode("cp1252"))
    (tmp_path / "apples.csv").write_bytes(b"".join(lines))
    found = collect(CsvSource(kind="csv", path="apples.csv"), tmp_path)
    assert found.table.loc[[1, 2], "variety"].tolist() == ["Gräfensteiner", "Gräfensteiner"]
    assert found.notes == (
        f"1 of {ROWS + 1} lines (the first is 3) are not UTF-8 and were read as cp1252",
    )
    with pytest.raises(InvalidInput, match="not text in utf-8"):
        collect(CsvSource(kind="csv", path="apples.csv", encoding="utf-8"), tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_taken_off(tmp_path: Path, encoding: str) -> None:
    text = csv(apples()).decode()
    (tmp_path / "apples.csv").write_bytes(text.encode(encoding))
    found = collect(CsvSource(kind="csv", path="apples.csv"), tmp_path)
    assert found.table.columns[0] == "weight"
    assert found.notes == ("a byte-order mark was taken off",)


def test_thousands_separators_are_read_where_a_rule_states_them() -> None:
    table = dirty("spots", {1: "1,002"})
    wide = ("maximum = 100", "maximum = 2000")
    with pytest.raises(DataNotClean, match="'1,002'"):
        clean(table, rules(wide))
    cleaned = clean(table, rules(wide, column_rule("spots", 'thousands = ","')))
    assert cleaned.table.at[1, "spots"] == 1002
    with pytest.raises(DataNotClean, match="'1,02'"):
        clean(dirty("spots", {1: "1,02"}), rules(wide, column_rule("spots", 'thousands = ","')))


def test_mixed_dates_are_read_unless_they_could_mean_two_days() -> None:
    formats = 'formats = ["%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y"]'
    table = dirty("picked", {1: "25/09/2025", 2: "09/25/2025", 3: "2025-09-25"})
    cleaned = clean(table, rules(column_rule("picked", formats)))
    assert cleaned.table.loc[[1, 2, 3], "picked"].tolist() == [20356, 20356, 20356]
    table.loc[4, "picked"] = "01/02/2025"
    with pytest.raises(DataNotClean, match=r"picked is not readable in row 4 \('01/02/2025'\)"):
        clean(table, rules(column_rule("picked", formats)))


def test_missing_blocks_are_refused_dropped_filled_or_left_to_the_estimator() -> None:
    block = dict.fromkeys(range(10, 30), "n/a")
    table = dirty("weight", block)
    with pytest.raises(DataNotClean, match="weight is not present in rows 10, 11") as refused:
        clean(table, rules())
    assert refused.value.failures["weight: present"] == tuple(block)
    assert len(clean(table, rules(column_rule("weight", 'missing = "drop"'))).table) == ROWS - 20
    left = clean(table, rules(column_rule("weight", 'missing = "impute"')))
    assert left.table["weight"].isna().sum() == 20
    assert left.changes == ()


def test_too_many_dropped_rows_stop_the_pipeline() -> None:
    table = dirty("weight", dict.fromkeys(range(1, 50), ""))
    with pytest.raises(DataNotClean, match="would drop 49 of 160 rows, more than the 20%"):
        clean(table, rules(column_rule("weight", 'missing = "drop"')))


def test_a_column_that_leaks_the_target_is_refused() -> None:
    table = apples()
    table["washed"] = table["grade"].map({"class one": "yes", "juice": "no"})
    cleaned = clean(table, rules()).table
    with pytest.raises(DataNotClean, match="'washed' alone tells the target"):
        split(cleaned, rules())
    split(cleaned, rules(column_rule("washed", "may_tell = true")))


def test_an_absent_class_is_refused() -> None:
    table = apples()
    table["grade"] = "juice"
    with pytest.raises(DataNotClean, match="Of the class 'class one' there are 0 rows"):
        clean(table, rules())


def test_a_class_that_no_rule_knows_is_refused_with_its_rows() -> None:
    with pytest.raises(DataNotClean, match=r"grade is not readable in row 7 \('cider'\)"):
        clean(dirty("grade", {7: "cider"}), rules())


def test_constant_columns_are_left_out_or_refused() -> None:
    table = apples()
    table["washed"] = "yes"
    cleaned = clean(table, rules()).table
    assert split(cleaned, rules()).constant == ("washed",)
    with pytest.raises(DataNotClean, match="'washed' is constant"):
        split(cleaned, rules(extra='[clean]\nconstant = "refuse"\n'))


@pytest.mark.parametrize("data", [b"", b"\n\n", b"weight,grade\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"is empty|no rows"):
        collected(tmp_path, data)


# --- other dirt ----------------------------------------------------------------------------------


def test_spelling_is_forgiven_and_aliases_are_known() -> None:
    table = dirty("variety", {1: " gala ", 2: "GALA", 3: "Royal Gala"})
    alias = column_rule("variety", 'aliases = { "Royal Gala" = "Gala" }')
    cleaned = clean(table, rules(alias)).table
    assert cleaned.loc[[1, 2, 3], "variety"].tolist() == ["Gala"] * 3


def test_remedies_that_undo_each_other_are_stopped_after_the_bound() -> None:
    table = dirty("weight", {1: "9000"})
    rule = column_rule("weight", 'outside = "missing"', 'missing = "fill"', "value = 9000.0")
    with pytest.raises(DataNotClean, match="not clean after 3 rounds: weight is not present"):
        clean(table, rules(rule, extra="[clean]\nrounds = 3\n"))


def test_an_identifier_that_occurs_twice_is_refused() -> None:
    table = apples()
    table["tag"] = [str(number) for number in range(ROWS)]
    table.loc[8, "tag"] = "3"
    tagged = '[columns.tag]\nkind = "integer"\nunique = true\nuse = false\n'
    with pytest.raises(DataNotClean, match="tag is not unique in row 8"):
        clean(table, rules(extra=tagged))


def test_a_missing_column_is_named() -> None:
    with pytest.raises(InvalidInput, match="no column 'weight'"):
        clean(apples().drop(columns="weight"), rules())


def test_a_row_with_too_many_cells_is_named(tmp_path: Path) -> None:
    lines = csv(apples()).splitlines()
    lines[3] += b",surplus"
    with pytest.raises(InvalidInput, match=r"Row 3 of apples\.csv has 7 cells"):
        collected(tmp_path, b"\n".join(lines))


def test_another_delimiter_is_asked_for_and_taken(tmp_path: Path) -> None:
    data = apples().to_csv(index=False, sep=";").encode()
    with pytest.raises(InvalidInput, match="has a single column, 'weight;spots") as refused:
        collected(tmp_path, data)
    assert "delimiter" in (refused.value.hint or "")
    assert len(collected(tmp_path, data, delimiter=";")) == ROWS


def test_a_missing_quotation_mark_is_named_with_its_line(tmp_path: Path) -> None:
    data = csv(apples(9000)).replace(b"Gala", b'"Gala', 1)
    with pytest.raises(InvalidInput, match=r"not valid CSV at line \d+|has \d+ cells"):
        collected(tmp_path, data)


def test_index_columns_and_others_that_no_rule_names_are_left_alone(tmp_path: Path) -> None:
    table = collected(tmp_path, apples().to_csv(index=True).encode())
    assert clean(table, rules()).table.columns.tolist() == apples().columns.tolist()


@pytest.mark.parametrize(
    ("classes", "cells"),
    [
        ("[true, false]", (True, False)),
        ("[true, false]", ("TRUE", "false")),
        ("[0, 1]", (0, 1)),
        ("[0, 1]", (0.0, 1.0)),
        ("[0, 1]", ("0", "1")),
    ],
)
def test_a_target_may_be_a_boolean_or_a_number(classes: str, cells: tuple[object, ...]) -> None:
    pipeline = rules(('["class one", "juice"]', classes))
    table = apples()
    table["grade"] = pd.Series([*cells] * (ROWS // 2), index=table.index, dtype=object)
    assert set(clean(table, pipeline).table["grade"]) == set(pipeline.target.classes)


def test_a_column_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="two columns called 'weight'"):
        collected(tmp_path, csv(apples()).replace(b"weight,spots", b"weight,weight"))


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="binary"):
        collected(tmp_path, b"PK\x03\x04\0\0")


# --- sources -------------------------------------------------------------------------------------


def _as_json_lines(folder: Path, table: pd.DataFrame) -> JsonLinesSource:
    table.to_json(folder / "apples.jsonl", orient="records", lines=True)
    return JsonLinesSource(kind="jsonl", path="apples.jsonl")


def _as_parquet(folder: Path, table: pd.DataFrame) -> ParquetSource:
    table.to_parquet(folder / "apples.parquet")
    return ParquetSource(kind="parquet", path="apples.parquet")


def _as_csv(folder: Path, table: pd.DataFrame) -> CsvSource:
    table.to_csv(folder / "apples.csv", index=False)
    return CsvSource(kind="csv", path="apples.csv")


@pytest.mark.parametrize("write", [_as_csv, _as_json_lines, _as_parquet])
def test_every_kind_of_file_gives_the_same_clean_rows(
    tmp_path: Path, write: Callable[[Path, pd.DataFrame], object]
) -> None:
    found = collect(write(tmp_path, apples()), tmp_path)
    expected = clean(apples(), rules()).table
    pd.testing.assert_frame_equal(clean(found.table, rules()).table, expected)


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    source = _as_parquet(tmp_path, apples())
    (tmp_path / "apples.parquet").write_bytes((tmp_path / "apples.parquet").read_bytes()[:-9])
    with pytest.raises(InvalidInput, match="not a readable Parquet file"):
        collect(source, tmp_path)


@pytest.mark.parametrize("line", ["{", "[1]", '"text"'])
def test_a_line_that_is_no_object_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "apples.jsonl").write_text(f'{{"a": 1}}\n{line}\n')
    with pytest.raises(InvalidInput, match=r"Line 2 of apples\.jsonl"):
        collect(JsonLinesSource(kind="jsonl", path="apples.jsonl"), tmp_path)


def test_scikit_learns_own_datasets_are_collected(tmp_path: Path) -> None:
    table = collect(ScikitLearnSource(kind="sklearn", dataset="wine"), tmp_path).table
    assert set(table["target"]) == {"class_0", "class_1", "class_2"}


def test_tables_come_back_from_their_bytes_as_they_were() -> None:
    cleaned = clean(
        dirty("weight", {5: ""}), rules(column_rule("weight", 'missing = "impute"'))
    ).table
    pd.testing.assert_frame_equal(read_table(table_bytes(cleaned)), cleaned)
