"""Collect: one table from a file, a DataFrame, scikit-learn or a shared dataset.

Nothing is interpreted here beyond what the format itself says: a CSV cell is text, whatever it
looks like. Cleaning decides what it means.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eth_utils.crypto import keccak

from modelward.errors import InvalidInput
from modelward.pipeline.definition import (
    CsvSource,
    FrameSource,
    JsonLinesSource,
    ParquetSource,
    ScikitLearnSource,
    SharedSource,
)
from modelward.pipeline.tables import table_bytes

if TYPE_CHECKING:
    import pandas as pd

MAX_FILE_BYTES = 512 * 2**20
FALLBACK_ENCODING = "cp1252"
"""What a line that is not UTF-8 is read as, when its source does not say."""

_BYTE_ORDER_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)

FetchShared = Callable[[str, str], bytes]
"""Gives the plaintext of what an owner published under a data key."""


@dataclass(frozen=True)
class Collected:
    """A table as its source has it, the hash of the source's bytes, and what was noticed.

    Row numbers, from 1, are the table's index.
    """

    table: pd.DataFrame
    source_hash: bytes
    notes: tuple[str, ...] = ()


def collect(
    source: Any,
    directory: Path,
    *,
    frame: pd.DataFrame | None = None,
    fetch: FetchShared | None = None,
) -> Collected:
    """The table of a pipeline's `source`; its paths are relative to `directory`.

    `frame` is the table of a source of kind "frame", `fetch` opens shared datasets. Raises
    `InvalidInput` for a source that cannot be read as what it is said to be, and what `fetch`
    raises.
    """
    match source:
        case CsvSource():
            return _csv(_read(directory / source.path), source, source.path)
        case JsonLinesSource():
            return _json_lines(_read(directory / source.path), source.path)
        case ParquetSource():
            return _parquet(_read(directory / source.path), source.path)
        case SharedSource():
            if fetch is None:
                raise InvalidInput(
                    "A shared dataset is fetched with an account: name a network and an account."
                )
            return _shared(fetch(source.owner, source.key), source)
        case ScikitLearnSource():
            table = _scikit_learn(source.dataset)
        case FrameSource():
            if frame is None:
                raise InvalidInput("The source is a DataFrame, and none was given.")
            table = frame.reset_index(drop=True)
    return _collected(table, keccak(table_bytes(table)), "the table")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise InvalidInput(f"There is no file {path}.") from error
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error
    if len(data) > MAX_FILE_BYTES:
        raise InvalidInput(f"{path} is larger than {MAX_FILE_BYTES // 2**20} MiB.")
    return data


def _shared(data: bytes, source: SharedSource) -> Collected:
    name = f"{source.owner}'s {source.key}"
    match source.format:
        case "csv":
            return _csv(data, CsvSource(kind="csv", path=name), name)
        case "jsonl":
            return _json_lines(data, name)
        case "parquet":
            return _parquet(data, name)


def _csv(data: bytes, source: CsvSource, name: str) -> Collected:
    text, notes = _text(data, source.encoding, name)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=source.delimiter)
    try:
        records = [record for record in reader if any(cell.strip() for cell in record)]
    except csv.Error as error:
        raise InvalidInput(
            f"{name} is not valid CSV at line {reader.line_num}: {error}.",
            hint="Is a quotation mark missing?",
        ) from error
    if not records:
        raise InvalidInput(f"{name} is empty.")
    header, *rows = records
    names = [cell.strip() for cell in header]
    if len(names) == 1:
        raise InvalidInput(
            f"{name} has a single column, {names[0][:80]!r}.",
            hint="Is the delimiter right? `delimiter` in [source] states it.",
        )
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise InvalidInput(
                f"Row {number} of {name} has {len(row)} cells, its header has {len(names)}.",
                hint="Is the delimiter right? A cell that holds it must be quoted.",
            )
    import pandas as pd

    table = pd.DataFrame(rows, columns=names, dtype=object)
    return _collected(table, keccak(data), name, notes)


def _text(data: bytes, encoding: str | None, name: str) -> tuple[str, tuple[str, ...]]:
    """The text in `data`, and what was noticed about its encoding."""
    marked = next((kind for mark, kind in _BYTE_ORDER_MARKS if data.startswith(mark)), None)
    if marked is None and b"\0" in data:
        raise InvalidInput(f"{name} is a binary file, not text.")
    notes = []
    try:
        if encoding or marked:
            text = data.decode(encoding or marked or "")
        else:
            lines = [_line(line) for line in data.splitlines(keepends=True)]
            text = "".join(line for line, _ in lines)
            if odd := [number for number, (_, utf8) in enumerate(lines, start=1) if not utf8]:
                notes.append(
                    f"{len(odd)} of {len(lines)} lines (the first is {odd[0]}) are not UTF-8 and"
                    f" were read as {FALLBACK_ENCODING}"
                )
    except LookupError as error:
        raise InvalidInput(f"There is no encoding {encoding!r}.") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{name} is not text in {encoding or marked or f'UTF-8 or {FALLBACK_ENCODING}'}.",
            hint="State its encoding in [source].",
        ) from error
    if text.startswith("\ufeff") or marked:
        notes.append("a byte-order mark was taken off")
    return text.removeprefix("\ufeff"), tuple(notes)


def _line(line: bytes) -> tuple[str, bool]:
    try:
        return line.decode("utf-8"), True
    except UnicodeDecodeError:
        return line.decode(FALLBACK_ENCODING), False


def _json_lines(data: bytes, name: str) -> Collected:
    import pandas as pd

    text, notes = _text(data, None, name)
    records = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"Line {number} of {name} is not JSON.") from error
        if not isinstance(record, dict):
            raise InvalidInput(f"Line {number} of {name} is not a JSON object.")
        records.append(record)
    names = list(dict.fromkeys(key for record in records for key in record))
    rows = [[record.get(key) for key in names] for record in records]
    return _collected(pd.DataFrame(rows, columns=names, dtype=object), keccak(data), name, notes)


def _parquet(data: bytes, name: str) -> Collected:
    import pandas as pd
    import pyarrow

    try:
        table = pd.read_parquet(io.BytesIO(data), engine="pyarrow")
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise InvalidInput(f"{name} is not a readable Parquet file.") from error
    return _collected(table.reset_index(drop=True), keccak(data), name)


def _scikit_learn(dataset: str) -> pd.DataFrame:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{dataset}")(as_frame=True)
    table: pd.DataFrame = bunch.frame
    if "target_names" in bunch and dataset != "digits":
        return table.assign(target=bunch.target.map(dict(enumerate(map(str, bunch.target_names)))))
    return table


def _collected(
    table: pd.DataFrame, source_hash: bytes, name: str, notes: tuple[str, ...] = ()
) -> Collected:
    names = [str(column) for column in table.columns]
    if twice := sorted({column for column in names if names.count(column) > 1}):
        raise InvalidInput(f"{name} has two columns called {twice[0]!r}.")
    if table.empty:
        raise InvalidInput(f"{name} has no rows.")
    table = table.set_axis(names, axis="columns")
    return Collected(table.set_axis(range(1, len(table) + 1), axis="index"), source_hash, notes)
