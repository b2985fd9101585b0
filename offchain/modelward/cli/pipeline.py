"""`modelward pipeline`: from raw data to a published model, by a file of rules."""

from __future__ import annotations

from pathlib import Path
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
    from modelward.pipeline.definition import Pipeline, Publishing
    from modelward.pipeline.run import Finished
    from modelward.pipeline.sources import FetchShared
    from modelward.sdk import Connection

app = typer.Typer(no_args_is_help=True)


@app.callback()
def pipeline() -> None:
    """Make models from data, by a file of rules."""


@app.command()
def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A pipeline.toml.")],
    publish: Annotated[
        bool, typer.Option("--publish", help="Publish the model if it is good enough.")
    ] = False,
    directory: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where finished steps are kept, in clear; else .modelward beside FILE.",
        ),
    ] = None,
    network: NetworkOption = None,
    account: AccountOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Collect, clean, train, evaluate and package; what was finished before is not repeated.

    Exit code 3, and nothing is published, if the data cannot be made clean or no estimator reaches
    the thresholds.
    """
    require_pipeline_packages()
    from modelward.cli.printing import note, print_fields, print_json, printable
    from modelward.errors import BadInput
    from modelward.pipeline.definition import read_pipeline
    from modelward.pipeline.evaluate import shown
    from modelward.pipeline.run import run_pipeline
    from modelward.sdk import connect
    from modelward.sdk.privacy import PrivacyBudgets

    definition = read_pipeline(file)
    terms = definition.publish
    if publish and terms is None:
        raise BadInput(f"{file} has no section [publish].", hint="It states at least a price.")
    connection = None
    privacy = definition.train.privacy
    if publish or definition.source.kind == "shared" or (privacy and privacy.owner):
        connection = connect(
            network, account, config=config, default_role="owner", ask_password=ask_password
        )
    finished = run_pipeline(
        definition,
        base=file.parent,
        directory=directory or file.parent / ".modelward" / definition.name,
        fetch=shared_data(connection) if connection else None,
        spend=PrivacyBudgets(connection).spend if connection else None,
        progress=lambda words: typer.echo(printable(words), err=True),
    )
    metrics = {metric.name: shown(metric) for metric in finished.packaged.metrics}
    baseline = {metric.name: shown(metric) for metric in finished.packaged.evaluation.baseline}
    reference = None
    if publish and terms and connection:
        reference = _published(connection, definition, terms, file.parent, finished)
    else:
        note("it is not published; --publish publishes it")
    if json:
        document = {"metrics": metrics, "baseline": baseline, "card": str(finished.card)}
        print_json({**document, "version": reference})
        return
    fields: list[tuple[str, object]] = [
        (name, f"{value} (a constant guess: {baseline[name]})") for name, value in metrics.items()
    ]
    fields.append(("card", finished.card))
    if reference:
        fields.append(("version", reference))
    print_fields(fields)


def require_pipeline_packages() -> None:
    """Raise `ConfigurationError` unless the packages of modelward[pipeline] are there."""
    from importlib.util import find_spec

    from modelward.errors import ConfigurationError

    for name in ("matplotlib", "pandera", "pyarrow", "pydantic"):
        if find_spec(name) is None:
            raise ConfigurationError(
                f"Pipelines need {name}, which is not installed.",
                hint="Install modelward[pipeline].",
            )


def shared_data(connection: Connection) -> FetchShared:
    """A function that fetches and opens shared data with the connection's account."""

    def fetch(owner: str, key: str) -> bytes:
        from tempfile import TemporaryDirectory

        from modelward.sdk.data import fetch_data

        with TemporaryDirectory(prefix="modelward-") as folder:
            target = Path(folder) / "clear"
            fetch_data(connection, owner, key, target)
            return target.read_bytes()

    return fetch


def _published(
    connection: Connection, definition: Pipeline, terms: Publishing, base: Path, run: Finished
) -> str:
    """The reference of the version that was published, now or before."""
    from modelward.sdk.pipelines import publish_run

    published = publish_run(connection, definition, terms, base, run)
    for words in published.changes or ("it was published before; nothing was sent",):
        typer.echo(words)
    return published.reference
