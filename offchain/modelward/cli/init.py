"""`modelward init`: write a starter deploy.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelward.config import FILE_NAME, starter
from modelward.errors import ConfigurationError


def write_starter(
    directory: Annotated[
        Path, typer.Argument(help="Where to write it; the working directory by default.")
    ] = Path(),
) -> None:
    """Write a starter deploy.toml: networks, contracts, account names."""
    file = directory / FILE_NAME
    if file.exists():
        raise ConfigurationError(f"{file.absolute()} exists, and is not written over.", file=file)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as out:
            out.write(starter())
    except OSError as error:
        raise ConfigurationError(
            f"{file.absolute()} cannot be written: {error.strerror}.", file=file
        ) from error
    typer.echo(f"Wrote {file}.")
    typer.echo("Next: `modelward node` in one terminal, `modelward deploy` in another.")
