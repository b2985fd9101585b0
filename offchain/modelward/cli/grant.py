"""`modelward grant`: say who may use and who may serve a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from modelward.cli.options import (
    AccountOption,
    ConfigOption,
    JsonOption,
    NetworkOption,
    YesOption,
    ask_password,
)

if TYPE_CHECKING:
    from modelward.sdk import StandingGrant
    from modelward.terms import Right

app = typer.Typer(no_args_is_help=True)

DataOption = Annotated[
    str | None, typer.Option("--data", metavar="KEY", help="One of your data keys, not a model.")
]
GranteeArgument = Annotated[str, typer.Argument(metavar="GRANTEE", help="A name or an address.")]


@app.command()
def add(
    grantee: GranteeArgument,
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="One of your models.")
    ] = None,
    right: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RIGHT",
            help="infer (to request), serve (to answer) or read (bundle and inputs). Repeatable.",
        ),
    ] = None,
    uses: Annotated[
        int | None, typer.Option(min=1, help="How many requests it is good for; else no limit.")
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Such as 30d, or 2030-01-31T12:00Z; else never."),
    ] = None,
    data: DataOption = None,
    network: NetworkOption = None,
    account: AccountOption = None,
    config: ConfigOption = None,
) -> None:
    """Grant rights on a model, or READ on data, in place of an earlier grant to the grantee.

    Right and key come in one transaction: SERVE and READ bring the key, wrapped for the grantee.
    On a model it opens the bundle, and the inputs that requesters send.
    """
    from modelward.cli.moments import parse_moment
    from modelward.cli.printing import shown_time
    from modelward.errors import BadInput
    from modelward.sdk import Owner, connect
    from modelward.sdk.data import DataOwner
    from modelward.terms import NEVER, UNLIMITED

    if (model is None) == (data is None):
        raise BadInput("Grant on a model or on --data, on one of them.")
    rights = _rights(right or ["infer" if data is None else "read"])
    if data is not None and (_words(rights) != "read" or uses is not None):
        raise BadInput("Data can be granted to be read, and nothing else.")
    connection = connect(
        network, account, config=config, default_role="owner", ask_password=ask_password
    )
    expiry = NEVER if expires is None else parse_moment(expires, connection.now())
    if model is None:
        granted = DataOwner(connection).grant(grantee, data or "", expiry=expiry)
    else:
        granted = Owner(connection).grant(
            grantee, model, rights, expiry=expiry, quota=UNLIMITED if uses is None else uses
        )
    quota = "" if uses is None else f", {uses:,} uses"
    typer.echo(
        f"granted {_words(rights)} on {model or data} to {grantee} ({granted.grantee}){quota}, "
        f"expires {shown_time(expiry)}"
    )


@app.command()
def revoke(
    grantee: GranteeArgument,
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="One model; else everything you ever granted."),
    ] = None,
    data: DataOption = None,
    rotate: Annotated[
        bool,
        typer.Option("--rotate", help="Also begin a new key epoch for those who remain."),
    ] = False,
    yes: YesOption = False,
    network: NetworkOption = None,
    account: AccountOption = None,
    config: ConfigOption = None,
) -> None:
    """End a grant on one model, or every grant to somebody. Placed requests are still answered.

    What the grantee was given a key to stays readable for it; `--rotate` seals what is published
    next with another key.
    """
    from modelward.cli.rotating import carry_out
    from modelward.errors import BadInput
    from modelward.sdk import Owner, connect
    from modelward.sdk.data import DataOwner, data_key

    if model is not None and data is not None:
        raise BadInput("Revoke on a model or on --data, on one of them.")
    if rotate and model is None and data is None:
        raise BadInput("Say whose key is to be rotated: a model, or --data KEY.")

    connection = connect(
        network, account, config=config, default_role="owner", ask_password=ask_password
    )
    owner = Owner(connection)
    if rotate:
        plan = (
            owner.plan_rotation(model, revoke=grantee)
            if model
            else DataOwner(connection).plan_rotation(data or "", revoke=grantee)
        )
        carry_out(connection, plan, model or data or "", yes=yes)
        return
    if data is not None:
        holder = connection.addresses.address(grantee)
        receipt = connection.send(connection.data_share.revoke(holder, data_key(data)))
    else:
        receipt = owner.revoke(grantee, model) if model else owner.revoke_all(grantee)
    named = model or data
    typer.echo(
        f"revoked {f'the grant on {named}' if named else 'every grant'} to {grantee} "
        f"in block {receipt.block_number}, {receipt.gas_used:,} gas"
    )


@app.command(name="list")
def list_grants(
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="Only grants on this model.")
    ] = None,
    owner: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Whose grants; else the model's owner's, else yours."),
    ] = None,
    network: NetworkOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List grants with what is left of them."""
    from modelward.cli.printing import print_json, print_table, shown_time
    from modelward.errors import BadInput
    from modelward.sdk import Catalogue, connect, standing_grants
    from modelward.terms import UNLIMITED, ModelReference, Right

    connection = connect(network, config=config, reading=True)
    resource = None
    if model is not None:
        listed = Catalogue(connection).model(ModelReference.parse(model))
        resource, address = listed.id, listed.owner
        if owner is not None and connection.addresses.address(owner) != address:
            raise BadInput(f"{model} is not a model of {owner}.")
    else:
        default = "owner" if connection.network.development_accounts else None
        named = owner or connection.config.default_account or default
        if named is None:
            raise BadInput("Whose grants?", hint="Name a model, or an owner with --owner.")
        address = connection.addresses.address(named)
    grants = standing_grants(connection, address, resource)
    if json:
        print_json([_document(grant) for grant in grants])
        return
    names: dict[bytes, str] = {
        each.id: each.name for each in Catalogue(connection).models() if each.owner == address
    }
    print_table(
        ("grantee", "on", "rights", "uses left", "expires", "holds"),
        [
            (
                connection.addresses.name(grant.grantee),
                _resource(grant.resource, names),
                _words(grant.granted.rights),
                ""
                if Right.INFER not in grant.granted.rights
                else "no limit"
                if grant.granted.uses == UNLIMITED
                else f"{grant.state.uses:,} of {grant.granted.uses:,}",
                shown_time(grant.granted.expiry),
                _holds(grant),
            )
            for grant in grants
        ],
    )


def _holds(grant: StandingGrant) -> str:
    from modelward.chain.reverts import ACCESS_REASONS

    return ACCESS_REASONS.get(grant.access, "yes")


def _resource(resource: bytes, names: Mapping[bytes, str]) -> str:
    from modelward.terms import EVERYTHING

    if resource == EVERYTHING:
        return "everything"
    return names.get(resource, f"0x{resource.hex()}")


def _rights(names: list[str]) -> Right:
    from modelward.errors import BadInput
    from modelward.terms import Right

    rights = Right(0)
    for name in names:
        try:
            rights |= Right[name.upper()]
        except KeyError as error:
            raise BadInput(
                f"{name!r} is not a right.", hint="Rights are infer, serve and read."
            ) from error
    return rights


def _words(rights: Right) -> str:
    from modelward.terms import Right

    return ", ".join((each.name or "").lower() for each in Right if each in rights)


def _document(grant: StandingGrant) -> dict[str, object]:
    return {
        "grantee": grant.grantee,
        "resource": grant.resource,
        "rights": _words(grant.granted.rights).split(", "),
        "expiry": grant.granted.expiry,
        "uses": grant.granted.uses,
        "uses_left": grant.state.uses,
        "access": grant.access.name.lower(),
    }
