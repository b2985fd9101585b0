"""Read input rows from CSV or JSON, from a file or standard input.

CSV has a header of feature names, or none when its cells are values in column order. JSON is one
object by feature name, one array of values, or an array of either.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast, get_args

from modelward.errors import InvalidInput
from modelward.json_nesting import depth
from modelward.models.canonical_json import MAX_DEPTH
from modelward.models.schema import InputSchema, Row

Format = Literal["csv", "json"]

STANDARD_INPUT = "-"
MAX_FILE_BYTES = 64 * 2**20


def read_row(
    source: str | Path,
    schema: InputSchema,
    *,
    format: Format | None = None,  # noqa: A002
    stdin: BinaryIO | None = None,
) -> Row:
    """The one row in `source`; `InvalidInput` as `read_rows`, and when there are several."""
    rows = _raw_rows(source, schema, format, stdin)
    if len(rows) != 1:
        raise InvalidInput(f"{_named(source)} holds {len(rows)} rows; one is wanted.")
    return schema.row(rows[0])


def read_rows(
    source: str | Path,
    schema: InputSchema,
    *,
    format: Format | None = None,  # noqa: A002
    stdin: BinaryIO | None = None,
) -> list[Row]:
    """The canonical rows in `source`: a path, or "-" for standard input.

    `format` is told by the file's name, else by its content. Raises `InvalidInput` with one
    sentence for a file that cannot be read, is empty, too large, not text in UTF-8, not what it
    says it is, or has a row that does not fit `schema`.
    """
    rows = _raw_rows(source, schema, format, stdin)
    return [schema.row(rows[0])] if len(rows) == 1 else schema.rows(rows)


def _raw_rows(
    source: str | Path,
    schema: InputSchema,
    format: str | None,  # noqa: A002
    stdin: BinaryIO | None,
) -> list[Any]:
    name = _named(source)
    text = _text(_bytes(source, stdin), name)
    suffix = Path(str(source)).suffix.lower().removeprefix(".")
    if format is None and suffix in get_args(Format):
        format = suffix  # noqa: A001
    looks_like_json = text.lstrip()[0] in "{["
    match format or ("json" if looks_like_json else "csv"):
        case "json":
            rows = _json_rows(text, name)
        case "csv" if looks_like_json:
            raise InvalidInput(f"{name} holds JSON, not CSV.")
        case "csv":
            rows = _csv_rows(text, schema, name)
        case unknown:
            raise InvalidInput(f"Input files are CSV or JSON, not {unknown!r}.")
    if not rows:
        raise InvalidInput(f"{name} holds no rows.")
    return rows


def _named(source: str | Path) -> str:
    return "Standard input" if str(source) == STANDARD_INPUT else str(source)


def _bytes(source: str | Path, stdin: BinaryIO | None) -> bytes:
    try:
        if str(source) == STANDARD_INPUT:
            data = (stdin or sys.stdin.buffer).read(MAX_FILE_BYTES + 1)
        else:
            with Path(source).open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InvalidInput(f"{_named(source)} cannot be read: {reason}.") from error
    if len(data) > MAX_FILE_BYTES:
        raise InvalidInput(f"{_named(source)} is larger than {MAX_FILE_BYTES // 2**20} MiB.")
    return data


def _text(data: bytes, name: str) -> str:
    if b"\0" in data:
        raise InvalidInput(f"{name} is a binary file, neither CSV nor JSON.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{name} is not text in UTF-8 (byte {error.start}).", hint="Save it as UTF-8."
        ) from error
    if not text.strip():
        raise InvalidInput(f"{name} is empty.")
    return text


def _json_rows(text: str, name: str) -> list[Any]:
    if depth(text) > MAX_DEPTH:
        raise InvalidInput(f"{name} is nested too deeply.")
    try:
        value = json.loads(text, object_pairs_hook=_unique)
    except ValueError as error:
        raise InvalidInput(f"{name} is not valid JSON: {error}.") from error
    if isinstance(value, dict):
        return [value]
    if isinstance(value, list):
        nested = [isinstance(item, dict | list) for item in value]
        if all(nested):
            return value
        if not any(nested):
            return [value]
    raise InvalidInput(f"{name} must hold an object, an array of values, or an array of these.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        twice = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        raise ValueError(f"the key {twice!r} appears twice")
    return value


def _csv_rows(text: str, schema: InputSchema, name: str) -> list[Any]:
    delimiter = _delimiter(text, len(schema.columns))
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        lines = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        raise InvalidInput(f"{name} is not valid CSV: {error}.") from error
    if not lines:
        return []
    header: Sequence[str] | None = [cell.strip() for cell in lines[0][1]]
    if _are_values(cast(Sequence[str], header), schema):
        header = None
    else:
        lines = lines[1:]
    return [_csv_row(cells, number, header, schema, name) for number, cells in lines]


def _delimiter(text: str, columns: int) -> str:
    first = next(line for line in text.splitlines() if line.strip())
    counts = {delimiter: first.count(delimiter) for delimiter in ",;\t"}
    fitting = [delimiter for delimiter, count in counts.items() if count == columns - 1]
    return fitting[0] if fitting else max(counts, key=lambda delimiter: counts[delimiter])


def _are_values(cells: Sequence[str], schema: InputSchema) -> bool:
    """Whether a first line is a row already: no feature's name, and something that is a value."""
    if len(cells) != len(schema.columns) or set(cells) & set(schema.names):
        return False
    parsed = [column.parse(cell) for column, cell in zip(schema.columns, cells, strict=True)]
    return any(
        value in column.categories if column.categories else not isinstance(value, str)
        for column, value in zip(schema.columns, parsed, strict=True)
    )


def _csv_row(
    cells: Sequence[str], line: int, header: Sequence[str] | None, schema: InputSchema, name: str
) -> Any:
    if header is None:
        columns = schema.columns
        if len(cells) != len(columns):
            return list(cells)  # the schema says how many there should be
        return [column.parse(cell) for column, cell in zip(columns, cells, strict=True)]
    if len(set(header)) != len(header):
        raise InvalidInput(f"The header of {name} names a column twice.")
    if len(cells) != len(header):
        raise InvalidInput(
            f"Line {line} of {name} has {len(cells)} cells, its header {len(header)}."
        )
    known = {column.name: column for column in schema.columns}
    return {
        label: known[label].parse(cell) if label in known else cell
        for label, cell in zip(header, cells, strict=True)
    }
