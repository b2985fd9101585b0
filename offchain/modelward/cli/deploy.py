"""`modelward deploy`: bring a network's contracts up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from modelward.cli.options import AccountOption, ConfigOption, NetworkOption, ask_password

if TYPE_CHECKING:
    from modelward.chain.transactions import Receipt
    from modelward.deployment import DeployedContract, Step


def deploy_contracts(
    network: NetworkOption = None,
    account: AccountOption = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only show what would be done, and the gas it takes.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Deploy what is new or has changed; keep what has not."""
    from modelward.chain.accounts import open_account
    from modelward.chain.connection import Chain
    from modelward.config import load_config
    from modelward.deployment import deploy, plan_deployment
    from modelward.terms import format_amount

    settings = load_config(config)
    chain = Chain.connect(settings.network(network))
    if plan:
        _header()
        steps, found = plan_deployment(chain, settings)
        for step in steps:
            gas = step.estimate(chain, found.addresses)
            _row(step.spec.name, step.action, step.address, gas, step.reason)
        return

    spent: list[int] = []

    def show(step: Step, contract: DeployedContract, receipt: Receipt | None) -> None:
        gas = receipt.gas_used if receipt else 0
        spent.append(receipt.fee if receipt else 0)
        _row(contract.name, step.action, contract.address, gas, step.reason)

    payer = open_account(
        settings, chain, account, default_role="deployer", ask_password=ask_password
    )
    _header()
    deployment = deploy(chain, payer, settings, progress=show)
    if any(spent):
        typer.echo(f"{payer.address} spent {format_amount(sum(spent))}.")
    else:
        typer.echo("Everything is up to date.")
    typer.echo(f"Recorded in {deployment.path}.")


def _header() -> None:
    typer.echo(f"{'contract':<16} {'action':<8} {'address':<42} {'gas':>10}  why")


def _row(name: str, action: str, address: str | None, gas: int | None, reason: str) -> None:
    used = f"{gas:,}" if gas else ""
    typer.echo(f"{name:<16} {action:<8} {address or '':<42} {used:>10}  {reason}".rstrip())
