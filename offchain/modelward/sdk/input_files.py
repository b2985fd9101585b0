"""Reads one input row from a JSON or CSV file, or from standard input.

JSON is an object of feature names, a list of values in column order, or a list holding one of
either. CSV has a line of feature names and one line of values; its cells are read as the types the
model declares.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelward.errors import InvalidInput

if TYPE_CHECKING:
    from modelward.models.schema import InputSchema

STANDARD_INPUT = "-"
MAX_INPUT_BYTES = 4 * 2**20


def read_input(source: str | Path, schema: InputSchema) -> object:
    """The input in `source`, a path or `-`, ready for `schema.row`.

    Whether it is JSON or CSV follows from the file's extension, else from its first character.

    Raises:
        InvalidInput: it cannot be read, is neither, is not what its name says, or is not one row.
    """
    name = "standard input" if str(source) == STANDARD_INPUT else str(source)
    text = _text(source, name)
    if not text.strip():
        raise InvalidInput(f"There is nothing in {name}.")
    suffix = Path(source).suffix.lower()
    if suffix not in (".json", ".csv"):
        suffix = ".json" if text.lstrip()[0] in "{[" else ".csv"
    return _json(text, name) if suffix == ".json" else _csv(text, name, schema)


def read_assignments(assignments: Mapping[str, str], schema: InputSchema) -> dict[str, object]:
    """The row of `name=value` pairs, each value read as the type its feature has."""
    columns = {column.name: column for column in schema.columns}
    return {
        name: columns[name].parse(value) if name in columns else value
        for name, value in assignments.items()
    }


def _text(source: str | Path, name: str) -> str:
    try:
        if str(source) == STANDARD_INPUT:
            data = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
        else:
            with Path(source).open("rb") as file:
                data = file.read(MAX_INPUT_BYTES + 1)
    except OSError as error:
        raise InvalidInput(f"The input file {name} cannot be read: {error.strerror}.") from error
    if len(data) > MAX_INPUT_BYTES:
        raise InvalidInput(f"There are more than {MAX_INPUT_BYTES} bytes in {name}: no one row.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"What is in {name} is not text in UTF-8.") from error


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_repetition)
    except RecursionError as error:
        raise InvalidInput(f"What is in {name} is nested too deeply for a row.") from error
    except ValueError as error:
        where = f": {error}"
        raise InvalidInput(f"What is in {name} is not JSON{where}.") from error


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"The input names {twice!r} twice.")
    return document


def _csv(text: str, name: str, schema: InputSchema) -> dict[str, object]:
    try:
        lines = [line for line in csv.reader(io.StringIO(text), strict=True) if line]
    except csv.Error as error:
        raise InvalidInput(f"What is in {name} is not CSV: {error}.") from error
    header, *rows = lines
    header = [cell.strip() for cell in header]
    if len(rows) != 1:
        raise InvalidInput(
            f"There are {len(rows)} rows of values in {name}, and one is wanted.",
            hint="CSV is a line of feature names and one line of values.",
        )
    if len(rows[0]) != len(header):
        raise InvalidInput(
            f"The row in {name} has {len(rows[0])} values under {len(header)} feature names."
        )
    return read_assignments(
        _without_repetition(list(zip(header, rows[0], strict=True))),
        schema,
    )
