"""A chain to talk to, web3 on it, and a contract that shows what a client may meet."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from web3 import Web3

from modelward.chain.development import DevelopmentAccount, development_account
from modelward.devchain import DevChain

PROBE = "tests/devchain/contracts/Probe.sol"

Rpc = Callable[..., Any]


class RpcFailed(Exception):
    """The face answered with an error object."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: Any = error.get("data")


@pytest.fixture(scope="module")
def shared_chain() -> DevChain:
    """One chain for a module; use `chain`, which puts it back after each test."""
    return DevChain()


@pytest.fixture
def chain(shared_chain: DevChain) -> Iterator[DevChain]:
    snapshot = shared_chain.snapshot()
    yield shared_chain
    shared_chain.revert(snapshot)


@pytest.fixture
def rpc(chain: DevChain) -> Rpc:
    """Call a method by name; gives the result or raises `RpcFailed`."""

    def call(method: str, *params: Any) -> Any:
        answer = chain.handle({"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)})
        assert answer is not None
        assert answer["id"] == 7
        if "error" in answer:
            raise RpcFailed(answer["error"])
        return answer["result"]

    return call


@pytest.fixture
def web3(chain):
    return Web3(chain.provider())


@pytest.fixture(scope="session")
def probe_artifact(compile_solidity):
    return compile_solidity(PROBE)["Probe"]


@pytest.fixture
def probe(web3, probe_artifact, deployer):
    """The contract, deployed by `deployer` with the value 5."""
    factory = web3.eth.contract(abi=probe_artifact.abi, bytecode=probe_artifact.bytecode)
    transaction_hash = factory.constructor(5).transact({"from": deployer.address})
    receipt = web3.eth.get_transaction_receipt(transaction_hash)
    assert receipt["status"] == 1
    return web3.eth.contract(address=receipt["contractAddress"], abi=probe_artifact.abi)


@pytest.fixture(scope="session")
def deployer() -> DevelopmentAccount:
    return development_account("deployer")


@pytest.fixture(scope="session")
def requester() -> DevelopmentAccount:
    return development_account("requester")


@pytest.fixture(scope="session")
def worker() -> DevelopmentAccount:
    return development_account("worker")
