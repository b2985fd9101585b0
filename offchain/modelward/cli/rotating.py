"""Rotations, whose cost is shown before it is paid."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from modelward.cli.options import ask_password
from modelward.errors import BadInput

if TYPE_CHECKING:
    from modelward.sdk import Connection
    from modelward.sdk.rotation import RotationPlan


def rotate(
    plan: Callable[[Connection], RotationPlan],
    what: str,
    *,
    yes: bool,
    network: str | None,
    account: str | None,
    config: Path | None,
) -> None:
    """Connect as an owner, plan the rotation of `what`, and go on as `carry_out`."""
    from modelward.sdk import connect

    connection = connect(
        network, account, config=config, default_role="owner", ask_password=ask_password
    )
    carry_out(connection, plan(connection), what, yes=yes)


def carry_out(connection: Connection, plan: RotationPlan, what: str, *, yes: bool) -> None:
    """Show a plan, have it confirmed unless `yes`, and carry it out.

    Raises `BadInput` when nobody is there to confirm.
    """
    from modelward.sdk import rotation
    from modelward.terms import format_amount

    for grantee in plan.revoked:
        typer.echo(f"revokes    the grant to {connection.addresses.name(grantee)}")
    typer.echo(f"begins     key epoch {plan.epoch} of {what}")
    names = ", ".join(map(connection.addresses.name, plan.remaining)) or "nobody"
    typer.echo(f"re-wraps   for {len(plan.remaining)}: {names}")
    typer.echo(
        f"costs      about {plan.gas:,} gas in {len(plan.calls)} transactions, "
        f"{format_amount(plan.cost)} at most"
    )
    typer.echo("What was given before stays readable for those who have its key.")
    if not yes:
        if not sys.stdin.isatty():
            raise BadInput("Nothing was sent.", hint="Say --yes to pay that.")
        typer.confirm("Go on?", abort=True)
    receipts = rotation.carry_out(connection, plan)
    gas = sum(receipt.gas_used for receipt in receipts)
    typer.echo(f"done in block {receipts[-1].block_number}, {gas:,} gas")
