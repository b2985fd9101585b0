"""Tables as bytes: the same table always gives the same bytes, and so the same hash.

The first line holds the columns' names and kinds, each further line one row: its number and its
cells. All of it is JSON. A missing cell is null.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from modelward.errors import RecordUnavailable

if TYPE_CHECKING:
    import pandas as pd


def table_bytes(table: pd.DataFrame) -> bytes:
    """The bytes of a table whose cells are numbers, booleans, text, or missing."""
    import pandas as pd

    kinds = [str(dtype) for dtype in table.dtypes]
    lines = [_line([[str(name), kind] for name, kind in zip(table.columns, kinds, strict=True)])]
    columns = [table.iloc[:, position].tolist() for position in range(table.shape[1])]
    for number, *cells in zip(table.index.tolist(), *columns, strict=True):
        missing = [pd.api.types.is_scalar(cell) and pd.isna(cell) for cell in cells]
        present = [None if gone else cell for cell, gone in zip(cells, missing, strict=True)]
        lines.append(_line([number, present]))
    return b"\n".join(lines) + b"\n"


def read_table(data: bytes) -> pd.DataFrame:
    """The table that `table_bytes` wrote; `RecordUnavailable` for anything else."""
    import pandas as pd

    try:
        (header, *rows) = [json.loads(line) for line in data.splitlines()]
        names = [name for name, _ in header]
        table = pd.DataFrame(
            [cells for _, cells in rows], columns=names, index=[n for n, _ in rows], dtype=object
        )
        return table.astype({name: kind for name, kind in header if kind != "object"})
    except (ValueError, TypeError, KeyError) as error:
        raise RecordUnavailable("A stored table is damaged.") from error


def filled(table: pd.DataFrame, like: pd.DataFrame) -> pd.DataFrame:
    """`table` without missing cells: numbers have the median of `like`, others what is frequent."""
    missing = [name for name in table.columns if table[name].isna().any()]
    if not missing:
        return table
    return table.fillna({name: _typical(like[name]) for name in missing}).infer_objects()


def _typical(column: pd.Series[Any]) -> Any:
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column):
        return column.median()
    return column.mode(dropna=True).iloc[0]


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).encode(
        errors="surrogatepass"
    )
