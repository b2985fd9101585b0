"""Fixtures every folder of tests may use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from modelward.chain.accounts import Account
from modelward.chain.connection import Chain
from modelward.chain.contracts import (
    DataShare,
    ExactPrograms,
    ExactReferee,
    InferenceEscrow,
    ModelRegistry,
)
from modelward.chain.sender import Sender
from modelward.config import Config, load_config
from modelward.deployment import Deployment, deploy
from modelward.devchain import DevChain
from modelward.errors import ContractRefused
from modelward.solidity import Artifact
from modelward.solidity.build import compile_once
from modelward.solidity.compiler import Compiler, find_compiler
from tests.postgres import PostgresServer, running_server

settings.register_profile("modelward", deadline=None)  # a first call may import for seconds
settings.load_profile("modelward")

REPOSITORY = Path(__file__).resolve().parents[1]


@cache
def find_compiler_once() -> Compiler:
    explicit = os.environ.get("MODELWARD_SOLC")
    return find_compiler(Path(explicit) if explicit else None, project=REPOSITORY)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def compiler() -> Compiler:
    """The pinned Solidity compiler, wherever this machine has it."""
    return find_compiler_once()


@pytest.fixture(scope="session")
def compile_solidity(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], dict[str, Artifact]]:
    """Compile a test's own Solidity source, named from the repository's root.

    Gives the contracts of that file by name. Results are kept in pytest's cache folder.
    """
    folder = (
        pytestconfig.cache.mkdir("solidity")
        if pytestconfig.cache
        else tmp_path_factory.mktemp("solidity")
    )

    def compile_or_recall(source_name: str) -> dict[str, Artifact]:
        return compile_once(find_compiler_once, REPOSITORY, source_name, folder)

    return compile_or_recall


# --- a chain with the contracts on it ------------------------------------------------------------


@dataclass(frozen=True)
class DeployedChain:
    """A development chain in process, reached as any other, and what is deployed on it."""

    devchain: DevChain
    config: Config
    deployment: Deployment

    @property
    def chain(self) -> Chain:
        return self.deployment.chain


def configuration(root: Path) -> Config:
    """The repository's deploy.toml, with its files under `root` and nothing from outside."""
    config = load_config(REPOSITORY / "deploy.toml", environ={"MODELWARD_HOME": str(root / "home")})
    return replace(config, root=root)


@pytest.fixture(scope="session")
def deployed_chain(tmp_path_factory: pytest.TempPathFactory) -> DeployedChain:
    """One chain for all tests of a session; ask for `chain` or `devchain` instead."""
    config = configuration(tmp_path_factory.mktemp("project"))
    devchain = DevChain()
    chain = Chain.connect(config.network("embedded"), devchain.provider())
    deployment = deploy(chain, Account.development("deployer"), config)
    return DeployedChain(devchain, config, deployment)


@pytest.fixture
def devchain(deployed_chain: DeployedChain) -> Iterator[DevChain]:
    """The chain with the contracts on it; whatever a test does to it is undone afterwards.

    Its head is new, however long ago the contracts were deployed.
    """
    snapshot = deployed_chain.devchain.snapshot()
    deployed_chain.devchain.mine()
    yield deployed_chain.devchain
    deployed_chain.devchain.revert(snapshot)


@pytest.fixture
def chain(deployed_chain: DeployedChain, devchain: DevChain) -> Chain:
    """The connection to `devchain`."""
    return deployed_chain.chain


@pytest.fixture
def config(deployed_chain: DeployedChain) -> Config:
    """The configuration the contracts were deployed with; its files are the session's own."""
    return deployed_chain.config


@pytest.fixture
def deployment(deployed_chain: DeployedChain, devchain: DevChain) -> Deployment:
    """The contracts on `devchain`, deployed as users deploy them."""
    return deployed_chain.deployment


@pytest.fixture
def data_share(deployment: Deployment) -> DataShare:
    return deployment.data_share


@pytest.fixture
def registry(deployment: Deployment) -> ModelRegistry:
    return deployment.registry


@pytest.fixture
def escrow(deployment: Deployment) -> InferenceEscrow:
    return deployment.escrow


@pytest.fixture
def programs(deployment: Deployment) -> ExactPrograms:
    return deployment.programs


@pytest.fixture
def referee(deployment: Deployment) -> ExactReferee:
    return deployment.referee


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of the tests' own; without one, the test is skipped."""
    with running_server() as server:
        yield server


def _actor(role: str) -> Callable[[Chain], Sender]:
    def actor(chain: Chain) -> Sender:
        return Sender(chain, Account.development(role))

    actor.__doc__ = f"The {role}: has an `address`, and sends calls with `send`."
    return pytest.fixture(name=role)(actor)


deployer = _actor("deployer")
owner = _actor("owner")
requester = _actor("requester")
worker = _actor("worker")
outsider = _actor("outsider")
sponsor = _actor("sponsor")
evaluator = _actor("evaluator")
keeper = _actor("keeper")


class Reverts:
    """What a `reverts` block caught: the error once the block has ended."""

    error: ContractRefused


@pytest.fixture(scope="session")
def reverts() -> Callable[..., AbstractContextManager[Reverts]]:
    """`with reverts("WrongFee", sent=1, fee=2):` demands that very custom error.

    Arguments not named may have any value; one that the error does not have fails the test.
    """

    @contextmanager
    def refused_with(error: str, **arguments: Any) -> Iterator[Reverts]:
        caught = Reverts()
        try:
            yield caught
        except ContractRefused as refused:
            caught.error = refused
        else:
            pytest.fail(f"nothing was refused; {error} was expected")
        raised = caught.error
        assert raised.error == error, f"refused with {raised.error}: {raised}"
        assert {name: raised.arguments.get(name) for name in arguments} == arguments

    return refused_with
