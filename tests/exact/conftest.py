"""Programs on a chain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

from modelward.chain.accounts import Account
from modelward.chain.connection import Chain
from modelward.chain.contracts import ExactPrograms
from modelward.chain.sender import Sender
from modelward.devchain import DevChain
from modelward.solidity import load_artifact
from tests.contracts.puppet import Puppet

PROBE = "tests/exact/contracts/ExactProgramProbe.sol"

Ask = Callable[..., Any]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Small models gain nothing from a second thread, and a busy machine loses by it."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def deployer(deployed_chain) -> Sender:
    """Sends on a chain of the module's own."""
    chain = Chain.connect(deployed_chain.config.network("embedded"), DevChain().provider())
    return Sender(chain, Account.development("deployer"))


@pytest.fixture(scope="module")
def ask(deployer, compile_solidity) -> Ask:
    """`ask("run", program, input)` calls a function of the library."""
    probe = Puppet.deploy(deployer, compile_solidity(PROBE)["ExactProgramProbe"])

    def call(function: str, *arguments: Any) -> Any:
        data = probe.abi.encode_call(function, *arguments)
        return probe.abi.decode_result(function, probe.chain.call(probe.address, data))

    return call


@pytest.fixture(scope="module")
def programs(deployer) -> ExactPrograms:
    """The contract that keeps programs."""
    artifact = load_artifact(ExactPrograms.name)
    deployed = Puppet.deploy(deployer, artifact)
    return ExactPrograms(deployer.chain, deployed.address)
