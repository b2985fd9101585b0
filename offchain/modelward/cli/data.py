"""`modelward data`: share files, sealed for those who were granted them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelward.cli.options import (
    AccountOption,
    ConfigOption,
    NetworkOption,
    YesOption,
    ask_password,
)

app = typer.Typer(no_args_is_help=True)

KeyOption = Annotated[str, typer.Option("--key", metavar="NAME", help="The data key to use.")]


@app.command()
def publish(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What to share.")],
    key: KeyOption,
    network: NetworkOption = None,
    account: AccountOption = None,
    config: ConfigOption = None,
) -> None:
    """Seal a file, store it, and publish its hash under a data key."""
    from modelward.cli.printing import print_fields
    from modelward.sdk import connect
    from modelward.sdk.data import DataOwner

    connection = connect(
        network, account, config=config, default_role="owner", ask_password=ask_password
    )
    shared = DataOwner(connection).publish(file, key)
    print_fields(
        (
            ("data key", f"{key} (0x{shared.key.hex()})"),
            ("key epoch", shared.epoch),
            ("content hash", shared.content_hash),
            ("stored in", shared.uri),
            ("published", f"in block {shared.block_number}"),
        )
    )
    typer.echo(f"`modelward grant add GRANTEE --data {key}` lets somebody read it")


@app.command()
def fetch(
    owner: Annotated[str, typer.Argument(metavar="OWNER", help="A name or an address.")],
    key: Annotated[str, typer.Argument(metavar="KEY", help="The data key.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write it.")
    ],
    gateway: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Ask this gateway first; else that of deploy.toml."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    network: NetworkOption = None,
    account: AccountOption = None,
    config: ConfigOption = None,
) -> None:
    """Fetch what an owner shares with this account, open it, and write it to a file."""
    from modelward.sdk import connect
    from modelward.sdk.data import fetch_data

    connection = connect(
        network, account, config=config, default_role="requester", ask_password=ask_password
    )
    shared = fetch_data(connection, owner, key, output, overwrite=force, gateway=gateway)
    typer.echo(
        f"wrote {output.stat().st_size:,} bytes to {output}, published in block "
        f"{shared.block_number}, key epoch {shared.epoch}"
    )


@app.command()
def budget(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The data key.")],
    grantee: Annotated[str, typer.Argument(metavar="GRANTEE", help="Who trains on the data.")],
    epsilon: Annotated[
        str | None,
        typer.Option(metavar="EPSILON", help="Set what it may spend in all, such as 2.5."),
    ] = None,
    owner: Annotated[
        str | None, typer.Option(metavar="OWNER", help="Whose data; else this account's.")
    ] = None,
    network: NetworkOption = None,
    account: AccountOption = None,
    config: ConfigOption = None,
) -> None:
    """Show, or set, the privacy budget of somebody who trains on shared data, and its runs.

    Private pipelines record themselves against it and are refused when they would overspend; the
    ledger cannot stop who has the data from training without it.
    """
    from modelward.cli.printing import print_fields, print_table
    from modelward.errors import BadInput
    from modelward.sdk import connect
    from modelward.sdk.privacy import PrivacyBudgets, epsilon_in_words

    if epsilon is not None and owner is not None:
        raise BadInput("Only the owner of data can set a budget; leave out --owner.")
    connection = connect(
        network, account, config=config, default_role="owner", ask_password=ask_password
    )
    budgets = PrivacyBudgets(connection)
    whose = owner or budgets.address
    found = (
        budgets.of(whose, key, grantee) if epsilon is None else budgets.set(key, grantee, epsilon)
    )
    runs = [run for run in budgets.runs(whose, key) if run.grantee == found.grantee]
    print_fields(
        (
            ("budget", epsilon_in_words(found.budget)),
            ("spent", f"{epsilon_in_words(found.spent)} in {len(runs)} runs"),
            ("left", epsilon_in_words(found.left)),
        )
    )
    if runs:
        typer.echo()
        rows = [(run.block_number, epsilon_in_words(run.epsilon), run.run) for run in runs]
        print_table(("block", "epsilon", "run"), rows)


@app.command()
def rotate(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The data key.")],
    yes: YesOption = False,
    network: NetworkOption = None,
    account: AccountOption = None,
    config: ConfigOption = None,
) -> None:
    """Seal what is published under a data key anew, with a key for those with live grants only."""
    from modelward.cli.rotating import rotate as rotate_as_owner
    from modelward.sdk.data import DataOwner

    rotate_as_owner(
        lambda connection: DataOwner(connection).plan_rotation(key),
        key,
        yes=yes,
        network=network,
        account=account,
        config=config,
    )
