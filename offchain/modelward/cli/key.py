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
    choose_password,
)

if TYPE_CHECKING:
    from pathlib import Path

    from modelward.sdk.encryption_keys import EncryptionKeys, RegisteredKey

app = typer.Typer(no_args_is_help=True)


SignatureOption = Annotated[
    bool,
    typer.Option(
        "--from-signature",
        help="For accounts a node or wallet signs for: derive the key from a signature of theirs, "
        "so that the same wallet gives it again. Whoever sees that signature has the key.",
    ),
]


@app.command()
def register(
    from_signature: SignatureOption = False,
    network: NetworkOption = None,
    account: AccountOption = None,
    config: ConfigOption = None,
) -> None:
    """Register the account's encryption key.

    It follows from the account's private key, and nothing is stored. Where a node or wallet signs,
    it is random, and kept in an encrypted file; back that up.
    """
    keys = _keys(network, account, config, from_signature=from_signature)
    before = keys.current()
    registered = keys.register(from_signature=from_signature)
    if before is not None and before.index == registered.index:
        typer.echo(f"key {registered.index} is registered already; nothing was sent")
    _print(keys, registered)


@app.command()
def rotate(
    from_signature: SignatureOption = False,
    network: NetworkOption = None,
    account: AccountOption = None,
    config: ConfigOption = None,
) -> None:
    """Register the account's next key. What was wrapped to earlier ones stays readable."""
    keys = _keys(network, account, config, from_signature=from_signature)
    _print(keys, keys.rotate(from_signature=from_signature))


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
    file = connection.key_files.find(public_key)
    if json:
        kept = str(file) if file else None
        print_json({"account": address, "index": index, "public_key": public_key, "file": kept})
        return
    fields: list[tuple[str, object]] = [
        ("account", address),
        ("key number", index),
        ("public key", public_key),
    ]
    if file:
        fields.append(("secret", f"encrypted in {file}"))
    print_fields(fields)


def _keys(
    network: str | None, account: str | None, config: Path | None, *, from_signature: bool
) -> EncryptionKeys:
    from modelward.sdk import connect
    from modelward.sdk.encryption_keys import EncryptionKeys
    from modelward.sdk.wallet_keys import WARNING

    connection = connect(
        network, account, config=config, default_role="worker", ask_password=ask_password
    )
    if from_signature:
        typer.echo(f"The wallet is asked to sign this, twice: {WARNING}", err=True)
    return EncryptionKeys(connection, choose_password)


def _print(keys: EncryptionKeys, key: RegisteredKey) -> None:
    from modelward.cli.printing import print_fields

    print_fields(
        (
            ("account", f"{keys.connection.account_name} ({keys.address})"),
            ("key number", key.index),
            ("public key", key.public_key),
            ("secret", _whereabouts(keys, key)),
        )
    )


def _whereabouts(keys: EncryptionKeys, key: RegisteredKey) -> str:
    file = keys.connection.key_files.find(key.public_key)
    return f"{key.custody}, {file}" if file else str(key.custody)
