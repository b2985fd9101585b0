"""Read held-out data: a CSV table with one column of labels."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelward.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

MAX_FILE_BYTES = 512 * 2**20
DEFAULT_TARGET = "target"


def read_held_out(path: str | Path, target: str | None = None) -> tuple[pd.DataFrame, Any]:
    """The inputs and the labels in a CSV file with a header.

    `target` names the column of labels; without it that is the column called "target", else the
    last one. Raises `InvalidInput` with one sentence for a file that is not such a table.
    """
    import pandas as pd

    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error
    if len(data) > MAX_FILE_BYTES:
        raise InvalidInput(f"{path} is larger than {MAX_FILE_BYTES // 2**20} MiB.")
    if b"\0" in data:
        raise InvalidInput(f"{path} is a binary file, not CSV.")
    if data.lstrip()[:1] in (b"{", b"["):
        raise InvalidInput(f"{path} holds JSON, not CSV.")
    try:
        table = pd.read_csv(io.BytesIO(data), encoding="utf-8-sig", skipinitialspace=True)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not text in UTF-8.", hint="Save it as UTF-8.") from error
    except (ValueError, pd.errors.ParserError) as error:
        raise InvalidInput(f"{path} is not valid CSV: {str(error).strip()}.") from error
    if not isinstance(table.index, pd.RangeIndex):
        raise InvalidInput(f"The rows of {path} have more cells than its header.")
    if table.empty or len(table.columns) < 2:
        raise InvalidInput(f"{path} must have a header, rows, and a column of labels.")
    return _split(table, target, path)


def _split(table: pd.DataFrame, target: str | None, path: Path) -> tuple[pd.DataFrame, Any]:
    names = [str(name) for name in table.columns]
    if target is None:
        target = DEFAULT_TARGET if DEFAULT_TARGET in names else names[-1]
    elif target not in names:
        raise InvalidInput(
            f"{path} has no column {target!r} of labels.",
            hint=f"Its columns are {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}.",
        )
    return table.drop(columns=target), table[target]
