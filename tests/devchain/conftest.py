"""A chain to talk to, web3 on it, and a contract that shows what a client may meet."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from eth_account import Account
from web3 import Web3

from modelward.chain.development import (
    DEVELOPMENT_CHAIN_ID,
    DevelopmentAccount,
    development_account,
)
from modelward.devchain import DevChain
from modelward.solidity import Artifact

PROBE = "tests/devchain/contracts/Probe.sol"
GWEI = 10**9

Rpc = Callable[..., Any]


class RpcFailed(Exception):
    """The face answered with an error object."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: Any = error.get("data")


def rpc_of(chain: DevChain) -> Rpc:
    """A function that calls a method by name; it gives the result or raises `RpcFailed`."""

    def call(method: str, *params: Any) -> Any:
        answer = chain.handle({"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)})
        assert answer is not None
        assert answer["id"] == 7
        if "error" in answer:
            raise RpcFailed(answer["error"])
        return answer["result"]

    return call


def sign(account: DevelopmentAccount, **fields: Any) -> str:
    """Sign a transaction of any type; 1 wei to `spare` unless fields say otherwise."""
    transaction = {
        "chainId": DEVELOPMENT_CHAIN_ID,
        "nonce": 0,
        "to": development_account("spare").address,
        "value": 1,
        "gas": 21_000,
        **fields,
    }
    if "gasPrice" not in fields:
        transaction.setdefault("maxFeePerGas", 4 * GWEI)
        transaction.setdefault("maxPriorityFeePerGas", GWEI)
    signed = Account.sign_transaction(transaction, account.private_key)
    return f"0x{bytes(signed.raw_transaction).hex()}"


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
    return rpc_of(chain)


@pytest.fixture
def web3(chain):
    return Web3(chain.provider())


@pytest.fixture(scope="session")
def probe_artifact(compile_solidity) -> Artifact:
    return compile_solidity(PROBE)["Probe"]


@pytest.fixture
def probe(web3, probe_artifact, deployer):
    """The contract, deployed by `deployer` with the value 5."""
    return deploy_probe(web3, probe_artifact, deployer)


def deploy_probe(web3, artifact, deployer):
    factory = web3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
    transaction_hash = factory.constructor(5).transact({"from": deployer.address})
    receipt = web3.eth.wait_for_transaction_receipt(transaction_hash, poll_latency=0.01)
    assert receipt["status"] == 1
    return web3.eth.contract(address=receipt["contractAddress"], abi=artifact.abi)


@pytest.fixture(scope="session")
def deployer() -> DevelopmentAccount:
    return development_account("deployer")


@pytest.fixture(scope="session")
def requester() -> DevelopmentAccount:
    return development_account("requester")


@pytest.fixture(scope="session")
def worker() -> DevelopmentAccount:
    return development_account("worker")


@pytest.fixture(scope="session")
def spare() -> DevelopmentAccount:
    return development_account("spare")


@pytest.fixture(scope="session")
def stranger() -> str:
    """An address that holds nothing."""
    return "0x" + "12" * 20
