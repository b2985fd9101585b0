"""`modelward key`: the encryption key that what others share with an account is wrapped to."""

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
    from pathlib import Path

    from modelward.sdk.encryption_keys import EncryptionKeys, RegisteredKey

app = typer.Typer(no_args_is_help=True)


@app.command()
def register(
    network: NetworkOption = None, account: AccountOption = None, config: ConfigOption = None
) -> None:
    """Register the account's encryption key; it follows from the private key, nothing is stored."""
    keys = _keys(network, account, config)
    before = keys.current()
    registered = keys.register()
    if before == registered:
        typer.echo(f"key {registered.index} is registered already; nothing was sent")
    _print(keys, registered)


@app.command()
def rotate(
    network: NetworkOption = None, account: AccountOption = None, config: ConfigOption = None
) -> None:
    """Register the account's next key. What was wrapped to earlier ones stays readable."""
    keys = _keys(network, account, config)
    _print(keys, keys.rotate())


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key: a name or an address.")],
    network: NetworkOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show the encryption key an account has registered."""
    from modelward.cli.printing import print_fields, print_json
    from modelward.errors import NoEncryptionKey
    from modelward.sdk import connect

    connection = connect(network, config=config, reading=True)
    address = connection.addresses.address(name)
    index, public_key = connection.data_share.key_of(address)
    if index == 0:
        raise NoEncryptionKey(name)
    if json:
        print_json({"account": address, "index": index, "public_key": public_key})
        return
    print_fields((("account", address), ("key number", index), ("public key", public_key)))


def _keys(network: str | None, account: str | None, config: Path | None) -> EncryptionKeys:
    from modelward.sdk import connect
    from modelward.sdk.encryption_keys import EncryptionKeys

    connection = connect(
        network, account, config=config, default_role="worker", ask_password=ask_password
    )
    return EncryptionKeys(connection)


def _print(keys: EncryptionKeys, key: RegisteredKey) -> None:
    from modelward.cli.printing import print_fields

    print_fields(
        (
            ("account", f"{keys.connection.account_name} ({keys.address})"),
            ("key number", key.index),
            ("public key", key.public_key),
        )
    )
