"""Results on standard output: tables for people, JSON for programs.

What comes from a chain or a manifest was written by strangers; nothing of it reaches a terminal
unescaped.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from modelward.terms import NEVER

if TYPE_CHECKING:
    from rich.console import Console

    from modelward.sdk.result import Progress

_UNBOUNDED = 10_000


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under a header; columns of numbers only are aligned to the right.

    Cells wrap at a terminal's width and are never cut; elsewhere a row is one line.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_shown(cell)) for cell in row))
    console = _console()
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        typer.echo(line.rstrip())


def print_fields(fields: Sequence[tuple[str, object]]) -> None:
    """Print names and values, one a line."""
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        typer.echo(f"{name:<{width}}  {_shown(value)}".rstrip())


def print_json(document: object) -> None:
    """Print one JSON document. Bytes are 0x-prefixed hex; amounts of wei are for the caller to
    turn into text, since many readers take numbers for floats.
    """
    typer.echo(json.dumps(document, indent=2, default=_plain))


def note(text: str) -> None:
    """Say something beside the result, on standard error."""
    typer.echo(f"note: {printable(text)}", err=True)


def printable(text: str) -> str:
    """The text with everything escaped that could steer a terminal."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def shown_time(seconds: int) -> str:
    """A moment as people read it, in UTC."""
    if seconds >= NEVER:
        return "never"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


@contextmanager
def progress_line() -> Iterator[Progress]:
    """Show how far something has come on standard error.

    On a terminal that is one line, kept up to date; elsewhere a line for each new stage.
    """
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    if console.is_terminal:
        with console.status("") as status:
            yield lambda stage, detail: status.update(printable(f"{stage} ({detail})"))
        return
    last = ""

    def tell(stage: str, detail: str) -> None:
        nonlocal last
        if stage != last:
            typer.echo(printable(f"{stage} ({detail})"), err=True)
        last = stage

    yield tell


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else _UNBOUNDED)


def _shown(cell: object) -> str:
    if isinstance(cell, bytes):
        return f"0x{cell.hex()}"
    if isinstance(cell, int) and not isinstance(cell, bool):
        return f"{cell:,}"
    return "" if cell is None else printable(str(cell))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    return str(value)
