"""Twelve dirty files through the whole pipeline: each is cleaned or refused, with its reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from modelward.errors import DataNotClean, InvalidInput, ModelwardError
from modelward.pipeline.definition import parse_pipeline
from modelward.pipeline.run import run_pipeline
from tests.pipeline.orchard import NUMBERS_FROM_A_FILE, apples

Dirty = Callable[[pd.DataFrame], bytes]


def csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False).encode()


def with_cells(column: str, *cells: str) -> Dirty:
    """A file whose first rows have other cells in one column."""

    def dirty(table: pd.DataFrame) -> bytes:
        table[column] = [*cells, *table[column][len(cells) :]]
        return csv(table)

    return dirty


def with_column(name: str, cells: Callable[[pd.DataFrame], Any]) -> Dirty:
    """A file with a column made from the others."""

    def dirty(table: pd.DataFrame) -> bytes:
        table[name] = cells(table)
        return csv(table)

    return dirty


def mixed_encodings(table: pd.DataFrame) -> bytes:
    table["variety"] = "Gräfin"
    lines = csv(table).splitlines(keepends=True)
    return b"".join([*lines[:2], lines[2].decode().encode("cp1252"), *lines[3:]])


NUMBER = '[columns.extra]\nkind = "number"\n'
CLEANED: dict[str, tuple[Dirty, str, str]] = {
    "wrong types": (
        with_cells("spots", "many"),
        '[columns.spots]\ninvalid = "drop"\n',
        "spots not readable in 1 row ('many'): dropped",
    ),
    "duplicates": (
        lambda table: csv(pd.concat([table, table[:3]])),
        "",
        "not distinct in 3 rows: dropped",
    ),
    "impossible values": (
        with_cells("weight", "-5"),
        '[columns.weight]\noutside = "clip"\n',
        "weight not in range in 1 row (-5.0): clipped to the range",
    ),
    "mixed encodings": (mixed_encodings, "", "1 of 161 lines (the first is 3) are not UTF-8"),
    "a byte-order mark": (
        lambda table: b"\xef\xbb\xbf" + csv(table),
        "",
        "a byte-order mark was taken off",
    ),
    "thousands separators": (
        with_cells("extra", "1,500", "12,000.5"),
        NUMBER + 'thousands = ","\nmissing = "impute"\n',
        "package: finished",
    ),
    "mixed dates": (
        with_cells("picked", "25/09/2025", "2025-09-26"),
        '[columns.picked]\nkind = "date"\nformats = ["%Y-%m-%d", "%d/%m/%Y"]\n',
        "package: finished",
    ),
    "missing blocks": (
        with_cells("weight", *["n/a"] * 20),
        '[columns.weight]\nmissing = "drop"\n',
        "weight not present in 20 rows: dropped",
    ),
    "constant columns": (
        with_column("extra", lambda _: 7),
        NUMBER,
        "extra is constant: left out",
    ),
}
REFUSED: dict[str, tuple[Dirty, str, type[ModelwardError], str]] = {
    "wrong types": (
        with_cells("spots", "many"),
        "",
        DataNotClean,
        r"spots is not readable in row 1",
    ),
    "impossible values": (
        with_cells("weight", "-5"),
        "",
        DataNotClean,
        r"weight is not in range in row 1 \(-5\.0\)",
    ),
    "thousands separators": (
        with_cells("weight", "1,50"),
        "",
        DataNotClean,
        r"weight is not readable in row 1 \('1,50'\)",
    ),
    "mixed dates": (
        with_cells("picked", "01/02/2025"),
        '[columns.picked]\nkind = "date"\nformats = ["%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y"]\n',
        DataNotClean,
        r"picked is not readable in row 1",
    ),
    "missing blocks": (
        with_cells("weight", *["n/a"] * 80),
        '[columns.weight]\nmissing = "drop"\n',
        DataNotClean,
        "would drop 80 of 160 rows, more than the 20% allowed",
    ),
    "a column that leaks the target": (
        with_column("extra", lambda table: (table["grade"] == "juice").astype(int)),
        NUMBER,
        DataNotClean,
        "'extra' alone tells the target",
    ),
    "an absent class": (
        with_column("grade", lambda _: "juice"),
        "",
        DataNotClean,
        "Of the class 'class one' there are 0 rows",
    ),
    "an empty file": (lambda _: b"", "", InvalidInput, r"dirty\.csv is empty"),
}


def run(folder: Path, dirty: Dirty, changes: str, said: list[str]) -> None:
    """Run over a dirty file; `changes` are more lines of a section, or a new one."""
    header, _, _ = changes.partition("\n")
    text = NUMBERS_FROM_A_FILE.replace("apples.csv", "dirty.csv")
    text = (
        text.replace(f"{header}\n", changes)
        if header and f"{header}\n" in text
        else f"{text}{changes}"
    )
    table = apples()
    if "[columns.extra]" in changes:
        table["extra"] = [str(number % 13) for number in range(len(table))]
    (folder / "dirty.csv").write_bytes(dirty(table))
    pipeline = parse_pipeline(text, Path("pipeline.toml"))
    run_pipeline(pipeline, base=folder, directory=folder / "steps", progress=said.append)


@pytest.mark.parametrize("kind", CLEANED)
def test_it_is_cleaned_and_said_how(tmp_path: Path, kind: str) -> None:
    dirty, changes, words = CLEANED[kind]
    said: list[str] = []
    run(tmp_path, dirty, changes, said)
    assert any(words in line for line in said), said
    assert said[-1] == "package: finished"


@pytest.mark.parametrize("kind", REFUSED)
def test_it_is_refused_with_its_reason_and_nothing_is_made_of_it(tmp_path: Path, kind: str) -> None:
    dirty, changes, error, reason = REFUSED[kind]
    with pytest.raises(error, match=reason) as refused:
        run(tmp_path, dirty, changes, [])
    assert refused.value.exit_code == (3 if error is DataNotClean else 2)
    assert not list(tmp_path.glob("steps/train-*"))
