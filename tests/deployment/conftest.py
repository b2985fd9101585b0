"""A project of its own on a chain of its own, with nothing deployed yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from modelward.chain.accounts import Account
from modelward.chain.connection import Chain
from modelward.chain.transactions import Receipt
from modelward.config import Config
from modelward.deployment import DeployedContract, Deployment, Step, deploy
from modelward.devchain import DevChain

CONTRACTS = ("DataShare", "ModelRegistry", "InferenceEscrow")


@pytest.fixture
def project(config: Config, tmp_path: Path) -> Config:
    """The repository's configuration of three contracts, with its files in an empty directory."""
    contracts = {name: config.contracts[name] for name in CONTRACTS}
    return replace(config, root=tmp_path, home=tmp_path / "home", contracts=contracts)


@pytest.fixture
def bare() -> DevChain:
    """A chain with nothing on it."""
    return DevChain()


@pytest.fixture
def empty(bare: DevChain, project: Config) -> Chain:
    """The connection to `bare`."""
    return Chain.connect(project.network("embedded"), bare.provider())


@pytest.fixture
def run(project: Config) -> Callable[..., tuple[Deployment, dict[str, str]]]:
    """Deploy and tell what was done to each contract."""

    def deploy_to(
        chain: Chain, config: Config | None = None, role: str = "deployer"
    ) -> tuple[Deployment, dict[str, str]]:
        done: dict[str, str] = {}

        def note(step: Step, contract: DeployedContract, receipt: Receipt | None) -> None:
            done[contract.name] = step.action

        account = Account.development(role)
        return deploy(chain, account, config or project, progress=note), done

    return deploy_to
