"""`modelward model`: publish models, look at them, retire them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelward.cli.options import (
    AccountOption,
    ConfigOption,
    JsonOption,
    ModelArgument,
    NetworkOption,
    YesOption,
    ask_password,
    assignments,
)

if TYPE_CHECKING:
    from modelward.models.manifest import ProgramRecord
    from modelward.models.schema import InputSchema
    from modelward.sdk import Connection, ListedModel, ListedVersion, PublishedVersion

app = typer.Typer(no_args_is_help=True)


@app.command()
def publish(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A fitted estimator, by skops.")],
    held_out: Annotated[
        Path,
        typer.Option(metavar="CSV", help="Rows the estimator has not seen, with their labels."),
    ],
    name: Annotated[str, typer.Option(metavar="NAME", help="What to call the model.")],
    price: Annotated[
        str, typer.Option(metavar="AMOUNT", help='Of one prediction, such as "0.001 ether".')
    ],
    target: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help='The column of labels; else "target", else the last one.'
        ),
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=VALUE", help="The least a metric must reach, now and later. Repeatable."
        ),
    ] = None,
    ranges: Annotated[
        list[str] | None,
        typer.Option(
            "--range",
            metavar="FEATURE=LOW:HIGH",
            help="The range of a feature, where the one observed would not do; of a text "
            "TEXT=BYTES, the most it may take. Repeatable.",
        ),
    ] = None,
    agreement: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="The least share of rows on which the exact program must agree with the "
            "estimator, such as 0.999; else one that does not reach 0.995 is left out.",
        ),
    ] = None,
    payee: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who gets the owner's share.")
    ] = None,
    payee_bps: Annotated[
        int | None,
        typer.Option(help="That share, in hundredths of a percent; 5000 for a new model."),
    ] = None,
    max_delay: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Longest a request may wait; 1d for a new model."),
    ] = None,
    open_: Annotated[
        bool | None,
        typer.Option("--open/--by-grant", help="Who may request; by grant for a new model."),
    ] = None,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact/--attested",
            help="Store the model's exact program on chain, which then settles disputes about "
            "answers; or leave answers a worker's word.",
        ),
    ] = False,
    window: Annotated[
        str, typer.Option(metavar="DURATION", help="With --exact, how long to challenge an answer.")
    ] = "1h",
    bond: Annotated[
        str, typer.Option(metavar="AMOUNT", help="With --exact, what a worker stakes on an answer.")
    ] = "0.01 ether",
    yes: YesOption = False,
    clear: Annotated[
        bool, typer.Option("--clear", help="Store the bundle in clear, for everybody to read.")
    ] = False,
    registrant: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Who registered the model, if it was transferred to you."
        ),
    ] = None,
    network: NetworkOption = None,
    account: AccountOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Measure a fitted estimator on held-out rows and publish it as a version of a model."""
    from modelward.cli.printing import print_json
    from modelward.models.estimators import read_estimator
    from modelward.pipeline.held_out import read_held_out
    from modelward.pipeline.package import package
    from modelward.sdk import DisputeTerms, Owner, connect
    from modelward.terms import parse_amount, parse_duration

    disputes = DisputeTerms(parse_duration(window), parse_amount(bond)) if exact else None
    wei = parse_amount(price)
    thresholds = assignments(threshold or [], "--threshold METRIC=VALUE")
    stated = {
        feature: _bounds(feature, value)
        for feature, value in assignments(ranges or [], "--range FEATURE=LOW:HIGH").items()
    }
    delay = parse_duration(max_delay) if max_delay is not None else None
    inputs, labels = read_held_out(held_out, target)
    estimator = read_estimator(file)
    connection = connect(
        network, account, config=config, default_role="owner", ask_password=ask_password
    )
    packaged = package(
        estimator,
        inputs,
        labels,
        name=name,
        thresholds=thresholds,
        ranges=stated,
        exact=True if exact else None,
        agreement=agreement,
    )
    if exact and clear and packaged.program is not None:
        _confirm_storing(connection, packaged.program, yes=yes)
    published = Owner(connection).publish_packaged(
        packaged,
        price=wei,
        payee=payee,
        payee_bps=payee_bps,
        max_delay=delay,
        open=open_,
        private=not clear,
        disputes=disputes,
        registrant=registrant,
    )
    if json:
        print_json({**_version_document(published.version), "changes": published.changes})
        return
    for words in published.changes or ("this very version was published before; nothing was sent",):
        typer.echo(words)
    _print_version(connection, published)


@app.command(name="list")
def list_models(
    owner: Annotated[
        str | None, typer.Argument(metavar="[OWNER]", help="Only models of this account.")
    ] = None,
    network: NetworkOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List what is published."""
    from modelward.cli.printing import print_json, print_table
    from modelward.sdk import Catalogue, connect
    from modelward.terms import format_fee

    connection = connect(network, config=config, reading=True)
    models = Catalogue(connection).models(owner)
    if json:
        print_json([_model_document(model) for model in models])
        return
    rows = []
    for model in models:
        newest = model.newest_servable
        rows.append(
            (
                f"{connection.addresses.name(model.registrant)}/{model.name}",
                f"@{newest.number}" if newest else "none",
                format_fee(model.state.terms.fee, model.state.terms.token),
                "everybody" if model.state.terms.open else "by grant",
                _metrics(newest) if newest else ("retired" if model.state.retired else ""),
            )
        )
    print_table(("model", "version", "price", "requests", "metrics"), rows)


@app.command()
def show(
    model: ModelArgument,
    network: NetworkOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show a model's terms, versions and input."""
    from modelward.cli.printing import print_fields, print_json, print_table, shown_time
    from modelward.pipeline.evaluate import shown
    from modelward.sdk import Catalogue, connect
    from modelward.terms import ModelReference, format_duration, format_fee

    reference = ModelReference.parse(model)
    connection = connect(network, config=config, reading=True)
    catalogue = Catalogue(connection)
    listed = catalogue.model(reference)
    version = catalogue.version(reference) if reference.version else listed.newest_servable
    manifest = catalogue.manifest(version) if version else None
    if json:
        document = _model_document(listed)
        if version and manifest:
            document["input"] = manifest.input.to_json()
            document["output"] = manifest.output.to_json()
        print_json(document)
        return
    terms, name = listed.state.terms, connection.addresses.name
    payee = listed.owner if int(terms.payee, 16) == 0 else terms.payee
    share = f"{terms.payee_bps / 100:g} %"
    print_fields(
        (
            ("model", f"{name(listed.registrant)}/{listed.name}"),
            ("id", listed.id),
            ("owner", listed.owner),
            ("price", f"{format_fee(terms.fee, terms.token)}, {share} of it to {name(payee)}"),
            ("requests", "everybody" if terms.open else "by grant"),
            ("wait at most", format_duration(terms.max_delay)),
            ("thresholds", ", ".join(f"{m.name} {shown(m)}" for m in listed.thresholds) or "none"),
            ("status", "retired" if listed.state.retired else "offered"),
        )
    )
    typer.echo()
    print_table(
        ("version", "status", "published", "metrics", "id"),
        [
            (
                f"@{each.number}",
                each.status.name.lower(),
                shown_time(each.published_at),
                _metrics(each),
                each.id,
            )
            for each in listed.versions
        ],
    )
    if version is None or manifest is None:
        return
    typer.echo()
    classes = ", ".join(map(str, manifest.output.classes))
    print_fields(
        (
            ("estimator", manifest.estimator),
            ("gives", classes or "a number"),
            ("takes", f"{len(manifest.input.columns)} features"),
            ("exact", _program(manifest.program) if manifest.program else "no"),
        )
    )
    typer.echo()
    _print_columns(manifest.input)


@app.command()
def lineage(
    model: ModelArgument,
    network: NetworkOption = None,
    account: AccountOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Follow a version back to its data, and check every link; exit code 1 if one is broken."""
    from dataclasses import asdict

    from modelward.cli.pipeline import require_pipeline_packages, shared_data
    from modelward.cli.printing import print_json, print_table
    from modelward.sdk import connect

    require_pipeline_packages()
    from modelward.sdk.lineage import trace

    connection = connect(
        network, account, config=config, default_role="owner", ask_password=ask_password
    )
    traced = trace(connection, model, fetch=shared_data(connection))
    if json:
        print_json(
            {"version": traced.version.reference, "links": [asdict(each) for each in traced.links]}
        )
    else:
        words = {True: "holds", False: "BROKEN", None: "not checked"}
        print_table(
            ("link", "", "value", "where"),
            [(each.name, words[each.holds], each.value, each.note) for each in traced.links],
        )
    traced.require_whole()


@app.command()
def card(
    model: ModelArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write it.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    network: NetworkOption = None,
    config: ConfigOption = None,
) -> None:
    """Write the model card of a version, an HTML page, to a file."""
    from modelward.cli.pipeline import require_pipeline_packages
    from modelward.errors import BadInput
    from modelward.sdk import connect

    require_pipeline_packages()
    from modelward.sdk.lineage import model_card

    if output.exists() and not force:
        raise BadInput(f"There is a file {output} already.", hint="Say --force to replace it.")
    page = model_card(connect(network, None, config=config), model)
    try:
        output.write_bytes(page)
    except OSError as error:
        raise BadInput(f"{output} cannot be written: {error.strerror}.") from error
    typer.echo(f"wrote {len(page):,} bytes to {output}")


@app.command()
def retire(
    model: ModelArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether a model may go.")] = False,
    network: NetworkOption = None,
    account: AccountOption = None,
    config: ConfigOption = None,
) -> None:
    """Withdraw a version, or a model with all its versions for good."""
    import sys

    from modelward.errors import BadInput
    from modelward.sdk import Owner, connect
    from modelward.terms import ModelReference

    reference = ModelReference.parse(model)
    connection = connect(
        network, account, config=config, default_role="owner", ask_password=ask_password
    )
    if reference.version is None and not yes:
        if not sys.stdin.isatty():
            raise BadInput(
                f"Retiring {model} with all its versions cannot be undone; it was not done.",
                hint="Say --yes to do it, or name one version.",
            )
        typer.confirm(f"Retire {model} with all its versions, for good?", abort=True)
    receipt = Owner(connection).retire(model)
    typer.echo(f"retired {model} in block {receipt.block_number}, {receipt.gas_used:,} gas")


@app.command()
def rotate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="One of your models.")],
    yes: YesOption = False,
    network: NetworkOption = None,
    account: AccountOption = None,
    config: ConfigOption = None,
) -> None:
    """Begin a model's next key epoch, and give its key to those with live grants only."""
    from modelward.cli.rotating import rotate as rotate_as_owner
    from modelward.sdk import Owner

    rotate_as_owner(
        lambda connection: Owner(connection).plan_rotation(model),
        model,
        yes=yes,
        network=network,
        account=account,
        config=config,
    )


@app.command()
def audit(
    model: ModelArgument,
    network: NetworkOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List who was ever given which key of a model, from the chain's events."""
    from modelward.cli.printing import print_json, print_table, shown_time
    from modelward.sdk import Catalogue, connect
    from modelward.sdk.audit import keys_given

    connection = connect(network, config=config, reading=True)
    listed = Catalogue(connection).model(model)
    given = keys_given(connection, listed.owner, listed.id)
    if json:
        print_json(
            [
                {
                    "grantee": each.grantee,
                    "epoch": each.epoch,
                    "block": each.block_number,
                    "timestamp": each.timestamp,
                    "transaction": each.transaction_hash,
                    "live": each.live,
                }
                for each in given
            ]
        )
        return
    print_table(
        ("grantee", "up to epoch", "block", "given", "grant"),
        [
            (
                connection.addresses.name(each.grantee),
                each.epoch,
                each.block_number,
                shown_time(each.timestamp),
                "live" if each.live else "ended",
            )
            for each in given
        ],
    )


def _print_version(connection: Connection, published: PublishedVersion) -> None:
    from modelward.cli.printing import print_fields
    from modelward.pipeline.evaluate import shown

    version = published.version
    owner = connection.addresses.name(version.registrant)
    print_fields(
        (
            ("version", f"{owner}/{version.name}@{version.number}"),
            ("metrics", _metrics(version)),
            ("by guessing", ", ".join(f"{m.name} {shown(m)}" for m in published.baseline)),
            ("version id", version.id),
            ("bundle hash", version.version.bundle_hash),
            ("bundle", "sealed" if version.is_sealed else "in clear, for everybody to read"),
            ("exact", _exact(published)),
            ("stored in", version.version.uri),
        )
    )


def _confirm_storing(connection: Connection, program: bytes, *, yes: bool) -> None:
    """Say what storing a program costs before it is paid; refused where it does not fit."""
    import sys

    from modelward.errors import BadInput
    from modelward.sdk import storage_cost
    from modelward.terms import format_amount

    cost = storage_cost(connection, program)
    if cost is None:
        return
    typer.echo(
        f"storing the program's {cost.size:,} bytes on chain, for everybody to read, takes at most "
        f"{cost.gas:,} gas, about {format_amount(cost.cost)}",
        err=True,
    )
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadInput("Nothing was sent.", hint="Say --yes to store the program at that cost.")
    typer.confirm("Store it?", abort=True)


def _exact(published: PublishedVersion) -> str:
    record = published.program
    return f"no: {published.without_program}" if record is None else _program(record)


def _program(record: ProgramRecord) -> str:
    """What a manifest says of a program, in words."""
    measured = [(record.held_out, "held-out rows")]
    if record.boundary is not None:
        measured.append((record.boundary, "next to the decision boundary"))
    words = ", ".join(f"{each.agreeing} of {each.rows} {where}" for each, where in measured)
    return f"a program of {record.size:,} bytes answers; agrees on {words}"


def _print_columns(schema: InputSchema) -> None:
    from modelward.cli.printing import print_table

    rows = []
    for column in schema.columns:
        values = (
            ", ".join(map(str, column.categories))
            if column.categories
            else f"{column.maximum} bytes at most"
            if column.kind == "text"
            else ""
            if column.minimum is None
            else f"{column.minimum:g} to {column.maximum:g}"
        )
        rows.append((column.name, column.kind, values))
    print_table(("feature", "kind", "values"), rows)


def _metrics(version: ListedVersion) -> str:
    from modelward.pipeline.evaluate import shown

    figures = ", ".join(f"{metric.name} {shown(metric)}" for metric in version.version.metrics)
    by = "self-attested" if version.self_attested else f"attested by {version.version.attestor}"
    return f"{figures} ({by})"


def _model_document(model: ListedModel) -> dict[str, Any]:
    terms = model.state.terms
    return {
        "reference": model.reference,
        "id": model.id,
        "owner": model.owner,
        "name": model.name,
        "retired": model.state.retired,
        "terms": {
            "fee": str(terms.fee),
            "token": terms.token,
            "payee": terms.payee,
            "payee_bps": terms.payee_bps,
            "max_delay": terms.max_delay,
            "open": terms.open,
        },
        "thresholds": {metric.name: metric.ppm for metric in model.thresholds},
        "versions": [_version_document(version) for version in model.versions],
    }


def _version_document(version: ListedVersion) -> dict[str, Any]:
    from modelward.terms import ZERO_HASH

    pinned = version.version
    return {
        "reference": version.reference,
        "id": version.id,
        "number": version.number,
        "status": version.status.name.lower(),
        "published_at": version.published_at,
        "metrics": {metric.name: metric.ppm for metric in pinned.metrics},
        "attestor": pinned.attestor,
        "self_attested": version.self_attested,
        "bundle_hash": pinned.bundle_hash,
        "content_hash": pinned.content_hash,
        "sealed": version.is_sealed,
        "manifest_hash": pinned.manifest_hash,
        "program_hash": None if pinned.program_hash == ZERO_HASH else pinned.program_hash,
        "uri": pinned.uri,
    }


def _bounds(feature: str, text: str) -> tuple[float, float] | int:
    from modelward.errors import BadInput

    low, colon, high = text.partition(":")
    try:
        return (float(low), float(high)) if colon else int(text)
    except ValueError as error:
        raise BadInput(
            f"{text!r} is not a range for {feature!r}.", hint="Write it as LOW:HIGH, such as 0:1."
        ) from error
