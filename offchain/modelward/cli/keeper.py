"""`modelward keeper`: what anybody may do for everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from modelward.cli.options import (
    AccountOption,
    ConfigOption,
    JsonOption,
    NetworkOption,
    ask_password,
)

if TYPE_CHECKING:
    from modelward.keepers import Sweep
    from modelward.keepers.watch import Finding
    from modelward.sdk import Connection

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def keeper() -> None:
    """Do what anybody may do for everybody, at one's own cost."""


@app.command()
def sweep(
    everybody: Annotated[
        bool, typer.Option("--all", help="Refund the requests of others too, at your cost.")
    ] = False,
    allow_loss: Annotated[
        bool, typer.Option("--allow-loss", help="Refund your own even if gas costs more than it.")
    ] = False,
    max_gas_price: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="Send nothing while gas costs more.")
    ] = None,
    max_spend: Annotated[
        str, typer.Option(metavar="AMOUNT", help="The most to spend on gas in a day.")
    ] = "0.01 ether",
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and sweep again.")] = False,
    every: Annotated[
        str, typer.Option(metavar="DURATION", help="How often to sweep, with --watch.")
    ] = "1m",
    network: NetworkOption = None,
    account: AccountOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Refund requests that nobody answered in time; the fee is credited to whoever paid it.

    Without --all only those your account paid for, where the fee is above the gas.
    """
    from modelward.cli.interrupts import stop_on_signal
    from modelward.cli.printing import note
    from modelward.errors import FeeTooHigh, Unavailable
    from modelward.keepers import Sweeper, SweepLimits
    from modelward.sdk import connect
    from modelward.terms import parse_amount, parse_duration

    limits = SweepLimits(
        everybody=everybody,
        allow_loss=allow_loss,
        max_gas_price=None if max_gas_price is None else parse_amount(max_gas_price),
        max_spend=parse_amount(max_spend),
    )
    pause = parse_duration(every)
    connection = connect(
        network, account, config=config, default_role="keeper", ask_password=ask_password
    )
    sweeper = Sweeper(connection, limits)
    if not watch:
        _print_sweep(connection, sweeper.sweep(), json=json)
        return
    stop = stop_on_signal()
    while not stop.is_set():
        try:
            swept = sweeper.sweep()
        except (Unavailable, FeeTooHigh) as error:
            note(error.message)
        else:
            if swept.refunds:
                _print_sweep(connection, swept, json=json)
        stop.wait(pause)


@app.command()
def watch(
    once: Annotated[bool, typer.Option("--once", help="Look once at what is there.")] = False,
    least_profit: Annotated[
        str,
        typer.Option(metavar="AMOUNT", help="The least a challenge must bring beyond its gas."),
    ] = "0",
    network: NetworkOption = None,
    account: AccountOption = None,
    config: ConfigOption = None,
) -> None:
    """Re-run every answer to an exact model that is examined, and challenge those that are wrong.

    Judged are requests whose input is in clear, is your own, or opens with a key of the account's.
    A challenge publishes the input for good, and brings half of the bond; whoever copies it and is
    mined first takes that half. Answers of the account's own are settled when their time has come.
    """
    from modelward.cli.interrupts import stop_on_signal
    from modelward.cli.printing import note
    from modelward.errors import Unavailable
    from modelward.keepers.watch import Watchtower, sentence
    from modelward.sdk import connect
    from modelward.terms import format_amount, parse_amount

    def tell(finding: Finding) -> None:
        expected = finding.prospect
        profit = ""
        if expected is not None:
            words = "profit" if expected.profit >= 0 else "loss"
            profit = (
                f"; expected {words}: {format_amount(abs(expected.profit))} "
                f"({format_amount(expected.reward)} less about {format_amount(expected.cost)} gas)"
            )
        typer.echo(sentence(finding) + profit)

    wanted = parse_amount(least_profit)
    connection = connect(
        network, account, config=config, default_role="keeper", ask_password=ask_password
    )
    note(
        "a challenge publishes the request's input for good; a copy of it that is mined first "
        "takes the challenger's half of the bond"
    )
    tower = Watchtower(connection, least_profit=wanted, announce=tell)
    stop = stop_on_signal()
    while not stop.is_set():
        try:
            for finding in tower.look():
                tell(finding)
        except Unavailable as error:
            if once:
                raise
            note(error.message)
        if once:
            return
        stop.wait(connection.network.poll_interval)


def _print_sweep(connection: Connection, swept: Sweep, *, json: bool) -> None:
    from modelward.cli.printing import note, print_json, print_table
    from modelward.terms import format_amount, format_fee

    if json:
        print_json(
            {
                "refunded": [
                    {
                        "id": each.request_id,
                        "payer": each.payer,
                        "token": each.token,
                        "amount": str(each.amount),
                        "cost": str(each.cost),
                        "block": each.block_number,
                        "transaction": each.transaction_hash,
                    }
                    for each in swept.refunds
                ],
                "left": [
                    {"id": each.request_id, "payer": each.payer, "reason": each.reason}
                    for each in swept.left
                ],
            }
        )
        return
    print_table(
        ("request", "payer", "credited", "gas paid", "block"),
        [
            (
                each.request_id,
                connection.addresses.name(each.payer),
                format_fee(each.amount, each.token),
                format_amount(each.cost),
                each.block_number,
            )
            for each in swept.refunds
        ],
    )
    total = sum(each.cost for each in swept.refunds)
    typer.echo(f"{len(swept.refunds)} refunded for {format_amount(total)} of gas")
    reasons = [each.reason for each in swept.left]
    for reason in dict.fromkeys(reasons):
        note(f"{reasons.count(reason)} expired requests were left: {reason}")
