"""`modelward account`: keep accounts in encrypted keystores, and take out what they are owed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelward.cli.options import (
    AccountOption,
    ConfigOption,
    NetworkOption,
    ask_password,
    choose_password,
)

if TYPE_CHECKING:
    from modelward.chain.accounts import StoredKey
    from modelward.config import Config

app = typer.Typer(no_args_is_help=True)
bond_app = typer.Typer(no_args_is_help=True)
app.add_typer(bond_app, name="bond", help="What a worker stakes on answers of exact models.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What to call the account.")]


@app.command()
def new(name: NameArgument, config: ConfigOption = None) -> None:
    """Make a new account and store it encrypted."""
    from modelward.chain.accounts import Keystore
    from modelward.config import load_config

    settings = load_config(config)
    keystore = Keystore(settings.keystore_directory)
    keystore.check_name(name)
    _show(keystore.new(name, _password(settings, name)))


@app.command(name="import")
def import_account(
    name: NameArgument,
    keystore: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="An encrypted V3 keystore, as geth and others write."),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A file that holds a private key in hex."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Store an existing account encrypted; without an option its private key is asked for."""
    from modelward.chain.accounts import Keystore
    from modelward.config import load_config
    from modelward.errors import BadInput, InvalidKeystore

    if keystore and key_file:
        raise BadInput("Import from --keystore or from --key-file, not from both.")
    settings = load_config(config)
    store = Keystore(settings.keystore_directory)
    store.check_name(name)
    if keystore is not None:
        password = settings.password
        if password is None:
            password = ask_password(f"Password of {keystore}: ")
        _show(store.import_file(name, keystore, password))
        return
    if key_file is not None:
        try:
            key = key_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidKeystore(f"No private key can be read from {key_file}.") from error
    else:
        key = ask_password("Private key in hex: ").strip()
    _show(store.import_key(name, key, _password(settings, name)))


@app.command(name="list")
def list_accounts(config: ConfigOption = None) -> None:
    """List the accounts there are."""
    from modelward.chain.accounts import Keystore
    from modelward.chain.development import DEVELOPMENT_ACCOUNTS
    from modelward.config import load_config

    settings = load_config(config)
    stored = Keystore(settings.keystore_directory).list()
    typer.echo(f"In {settings.keystore_directory}:")
    for key in stored:
        typer.echo(f"  {key.name:<12} {key.address or 'not a V3 keystore'}")
    if not stored:
        typer.echo("  none; make one with `modelward account new NAME`")
    typer.echo("On development networks only, with keys that everybody knows:")
    for account in DEVELOPMENT_ACCOUNTS:
        typer.echo(f"  {account.name:<12} {account.address}")


@app.command()
def balance(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name or an address.")],
    network: NetworkOption = None,
    config: ConfigOption = None,
) -> None:
    """Show what an account has, and what the escrow owes it."""
    from modelward.cli.printing import print_fields
    from modelward.sdk import connect
    from modelward.terms import format_amount

    connection = connect(network, config=config, reading=True)
    address = connection.addresses.address(name)
    credit = connection.escrow.credit_of(address)
    fields = [
        ("account", address),
        ("balance", format_amount(connection.chain.balance(address))),
        ("owed by the escrow", format_amount(credit)),
    ]
    if "ExactReferee" in connection.deployment.addresses:
        bond = connection.deployment.referee.balance_of(address)
        fields.append(("free at the referee", format_amount(bond)))
    print_fields(fields)


@app.command()
def withdraw(
    to: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who receives it; else the account itself.")
    ] = None,
    network: NetworkOption = None,
    account: AccountOption = None,
    config: ConfigOption = None,
) -> None:
    """Take out all that the escrow owes an account: earnings and refunds."""
    from modelward.sdk import Participant, connect
    from modelward.terms import format_amount

    connection = connect(network, account, config=config, ask_password=ask_password)
    withdrawn = Participant(connection).withdraw(to)
    typer.echo(
        f"{format_amount(withdrawn.amount)} paid out to {connection.addresses.name(withdrawn.to)} "
        f"in block {withdrawn.block_number}"
    )


@bond_app.command()
def deposit(
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help='Such as "0.05 ether".')],
    network: NetworkOption = None,
    account: AccountOption = None,
    config: ConfigOption = None,
) -> None:
    """Give the referee money to stake on answers of exact models, as a worker."""
    from modelward.sdk import Participant, connect
    from modelward.terms import format_amount, parse_amount

    wei = parse_amount(amount)
    connection = connect(
        network, account, config=config, default_role="worker", ask_password=ask_password
    )
    free = Participant(connection).deposit_bond(wei)
    typer.echo(f"deposited {format_amount(wei)}; {format_amount(free)} can be staked")


@bond_app.command(name="withdraw")
def withdraw_bond(
    amount: Annotated[
        str | None, typer.Argument(metavar="[AMOUNT]", help="Else all that is not staked.")
    ] = None,
    to: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who receives it; else the account itself.")
    ] = None,
    network: NetworkOption = None,
    account: AccountOption = None,
    config: ConfigOption = None,
) -> None:
    """Take out what is not staked: deposits, bonds that came back, shares of others' bonds."""
    from modelward.sdk import Participant, connect
    from modelward.terms import format_amount, parse_amount

    wei = parse_amount(amount) if amount is not None else None
    connection = connect(
        network, account, config=config, default_role="worker", ask_password=ask_password
    )
    withdrawn = Participant(connection).withdraw_bond(wei, to)
    typer.echo(
        f"{format_amount(withdrawn.amount)} paid out to {connection.addresses.name(withdrawn.to)} "
        f"in block {withdrawn.block_number}"
    )


def _password(settings: Config, name: str) -> str:
    password = settings.password
    return choose_password(name) if password is None else password


def _show(key: StoredKey) -> None:
    typer.echo(f"{key.name} is {key.address}, stored in {key.path}.")
