"""Options that several commands share, and how a password is asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from modelward.errors import BadInput, WrongPassword

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The deploy.toml to use; else MODELWARD_CONFIG, else the nearest one upwards.",
    ),
]
NetworkOption = Annotated[
    str | None,
    typer.Option(
        "--network",
        metavar="NAME",
        help="A network of deploy.toml; else MODELWARD_NETWORK, else its default_network.",
    ),
]
AccountOption = Annotated[
    str | None,
    typer.Option(
        "--account",
        metavar="NAME",
        help="An account's name or address; else MODELWARD_ACCOUNT, else, on a development "
        "network, the usual one.",
    ),
]

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document; amounts are wei, in quotes.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask whether to go on.")]
ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="owner/name or owner/name@version.")
]


def assignments(options: list[str], form: str) -> dict[str, str]:
    """The names and values of options such as ``--set name=value``; `form` is how to write them.

    Raises `BadInput` for one without an equals sign, or a name given twice.
    """
    assigned: dict[str, str] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals or not name:
            raise BadInput(f"{option!r} assigns nothing.", hint=f"Write it as {form}.")
        if name in assigned:
            raise BadInput(f"{name!r} is given twice.")
        assigned[name] = value
    return assigned


def ask_password(prompt: str) -> str:
    """Ask for a password at the terminal, without showing it.

    Raises `WrongPassword` when there is no terminal to ask at.
    """
    if not sys.stdin.isatty():
        raise WrongPassword(
            "A password is needed, and there is no terminal to ask for it at.",
            hint="Set MODELWARD_PASSWORD_FILE to a file that holds it.",
        )
    password: str = typer.prompt(prompt.removesuffix(": "), hide_input=True, default="")
    return password


def choose_password(name: str) -> str:
    """Ask for a new password twice. Raises `WrongPassword` when it is empty or the two differ."""
    password = ask_password(f"New password for {name}: ")
    if not password:
        raise WrongPassword("An empty password protects nothing; none was set.")
    if ask_password("The same again: ") != password:
        raise WrongPassword("The two passwords differ; nothing was stored.")
    return password
