"""`modelward worker`: answer requests, for pay."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from modelward.cli.options import AccountOption, ConfigOption, NetworkOption, ask_password

if TYPE_CHECKING:
    from modelward.chain.accounts import Account
    from modelward.deployment import Deployment
    from modelward.journal import Journal

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def worker() -> None:
    """Answer requests, for pay."""


@app.command("run")
def run_worker(
    network: NetworkOption = None,
    account: AccountOption = None,
    store: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where bundles are; else the store of deploy.toml."),
    ] = None,
    gateway: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Ask this gateway for bundles first; else that of deploy.toml."
        ),
    ] = None,
    min_fee: Annotated[
        str | None,
        typer.Option(
            metavar="AMOUNT",
            help='The least its share of a fee must be, such as "0.001 ether" or "50 gwei".',
        ),
    ] = None,
    allow_loss: Annotated[
        bool, typer.Option("--allow-loss", help="Answer even when the gas costs more than it pays.")
    ] = False,
    once: Annotated[
        bool, typer.Option("--once", help="Answer what there is to answer, then exit.")
    ] = False,
    journal: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="The journal's file; else one a chain and account under its home."
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Answer the requests for every model this account may serve, until interrupted."""
    from modelward.chain.accounts import open_account
    from modelward.chain.connection import Chain
    from modelward.config import load_config
    from modelward.content.store import ContentStore
    from modelward.deployment import load_deployment
    from modelward.sdk.key_files import open_key_files
    from modelward.terms import parse_amount
    from modelward.worker import Worker, open_journal

    settings = load_config(config)
    policy = settings.worker
    if min_fee is not None:
        policy = replace(policy, min_pay=parse_amount(min_fee))
    policy = replace(policy, allow_loss=allow_loss or policy.allow_loss)
    bundles = ContentStore(store or settings.store_url)
    chain = Chain.connect(settings.network(network))
    deployment = load_deployment(chain, settings)
    signer = open_account(
        settings, chain, account, default_role="worker", ask_password=ask_password
    )
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)-7s %(message)s"
    )
    key_files = open_key_files(settings, ask_password)
    _, public_key = deployment.data_share.key_of(signer.address)
    if key_files.find(public_key):
        key_files.open(public_key)  # asks for its password now rather than in the middle
    with (
        open_journal(
            chain, deployment, signer, directory=settings.journal_directory, place=journal
        ) as opened,
        Worker(
            chain,
            deployment,
            signer,
            bundles,
            opened,
            policy=policy,
            gateway=gateway or settings.gateway_url,
            key_files=key_files,
        ) as running,
    ):
        _introduce(deployment, signer, opened)
        stop = _stop_on_signal()
        if once:
            running.drain(stop)
        else:
            running.run(stop)
    typer.echo("stopped")


def _introduce(deployment: Deployment, account: Account, journal: Journal) -> None:
    from modelward.terms import format_amount
    from modelward.worker import servable_models

    chain = deployment.chain
    balance = format_amount(chain.balance(account.address))
    typer.echo(f"worker   {account.name} {account.address}, balance {balance}")
    typer.echo(f"chain    {chain.chain_id}, genesis 0x{chain.genesis_hash.hex()[:8]}…")
    typer.echo(f"escrow   {deployment.escrow.address}")
    typer.echo(f"journal  {journal.place}")
    models = servable_models(chain, deployment, account.address)
    for model in models:
        name = model.name if model.name.isprintable() else ascii(model.name)
        typer.echo(f"serves   {model.owner}/{name}")
    if not models:
        typer.echo("serves   nothing yet: no owner has granted this account SERVE")
    index, _ = deployment.data_share.key_of(account.address)
    if index:
        typer.echo(f"key      number {index} opens what is sealed for this account")
    else:
        typer.echo("note     no encryption key: `modelward key register` lets owners of private")
        typer.echo("         models grant SERVE to this account")


def _stop_on_signal() -> threading.Event:
    """An event that the first SIGINT or SIGTERM sets; the second one acts as usual."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    usual = {number: signal.getsignal(number) for number in numbers}

    def ask_to_stop(*_: object) -> None:
        stop.set()
        for number, handler in usual.items():
            signal.signal(number, handler)

    for number in numbers:
        signal.signal(number, ask_to_stop)
    return stop
