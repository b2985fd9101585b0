"""`modelward node`: run a development chain for several terminals."""

from __future__ import annotations

import signal
import threading
from typing import Annotated

import typer

from modelward.chain.development import DEVELOPMENT_ACCOUNTS, DEVELOPMENT_CHAIN_ID


def run_node(
    host: Annotated[str, typer.Option(help="Loopback address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, envvar="MODELWARD_PORT", help="0 takes a free one."),
    ] = 8545,
    block_time: Annotated[
        float,
        typer.Option(min=0, help="Seconds between empty blocks; 0 mines for transactions only."),
    ] = 1,
    chain_id: Annotated[int, typer.Option(min=1, help="The chain's id.")] = DEVELOPMENT_CHAIN_ID,
    accounts: Annotated[
        int,
        typer.Option(min=1, max=len(DEVELOPMENT_ACCOUNTS), help="How many funded accounts."),
    ] = len(DEVELOPMENT_ACCOUNTS),
) -> None:
    """Run a development chain until interrupted. Nothing of it is kept."""
    from modelward.devchain import DevChain, serve

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    chain = DevChain(chain_id, accounts)
    with serve(chain, host, port, block_time) as server:
        typer.echo("Accounts, with 10,000 ETH each. These keys are public: never use them, or")
        typer.echo("send anything to these addresses, on another chain.")
        for index, account in enumerate(DEVELOPMENT_ACCOUNTS[:accounts]):
            typer.echo(f"  {index} {account.name:<10} {account.address} {account.private_key}")
        typer.echo(f"chain id      {chain.chain_id}")
        typer.echo(f"genesis hash  {chain.genesis_hash}")
        typer.echo(f"listening on  {server.url}")
        stop.wait()
    typer.echo("stopped")
