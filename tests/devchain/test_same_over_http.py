"""web3.py sees the same in process and over HTTP."""

from typing import Any

import pytest
from eth_utils import keccak
from web3 import HTTPProvider, Web3

from modelward.devchain import serve
from tests.devchain.conftest import sign

CALLS: list[tuple[str, list[Any]]] = [
    ("web3_clientVersion", []),
    ("eth_chainId", []),
    ("eth_accounts", []),
    ("eth_blockNumber", []),
    ("eth_getBlockByNumber", ["latest", True]),
    ("eth_getBlockByNumber", ["0x0", False]),
    ("eth_getBlockByNumber", ["0xffff", False]),
    ("eth_getBlockReceipts", ["latest"]),
    ("eth_getLogs", [{"fromBlock": "0x0"}]),
    ("eth_getLogs", [{"fromBlock": "0x5", "toBlock": "0x1"}]),
    ("eth_feeHistory", ["0x4", "latest", [10, 90]]),
    ("eth_call", [{"data": "0x5f5ffd"}, "latest"]),
    ("eth_call", [{"data": "0xfe"}, "latest"]),
    ("eth_getBalance", ["0x12", "latest"]),
    ("eth_subscribe", ["newHeads"]),
    ("eth_sendRawTransaction", ["0x00"]),
]


@pytest.fixture
def served(chain):
    with serve(chain) as server:
        yield Web3(HTTPProvider(server.url))


@pytest.fixture
def history(web3, probe, requester):
    for value in (1, 2):
        probe.functions.set(value, "note").transact({"from": requester.address})


@pytest.mark.parametrize(("method", "params"), CALLS, ids=lambda value: str(value)[:40])
def test_every_answer_is_the_same(web3, served, history, method, params):
    inside = web3.provider.make_request(method, params)
    outside = served.provider.make_request(method, params)
    inside.pop("id"), outside.pop("id")
    assert inside == outside


def test_a_contract_behaves_the_same(web3, served, probe, requester):
    there = served.eth.contract(address=probe.address, abi=probe.abi)
    sent = there.functions.set(42, "over HTTP").transact({"from": requester.address})
    assert served.eth.get_transaction_receipt(sent) == web3.eth.get_transaction_receipt(sent)
    assert there.functions.value().call() == probe.functions.value().call() == 42
    assert there.events.Changed().get_logs(from_block=0) == probe.events.Changed().get_logs(
        from_block=0
    )


def test_an_error_is_the_same(web3, served, probe):
    there = served.eth.contract(address=probe.address, abi=probe.abi)
    for name, arguments in (
        ("set", [101, ""]),
        ("failWithString", []),
        ("failLikeAString", []),
        ("failWithPanic", [0]),
        ("failWithNothing", []),
        ("failWithInvalid", []),
    ):
        errors = []
        for contract in (probe, there):
            with pytest.raises(Exception) as caught:
                contract.functions[name](*arguments).call()
            error = caught.value
            errors.append((type(error), str(error), getattr(error, "data", None)))
        assert errors[0] == errors[1]


def test_a_nonce_error_is_the_same(web3, served, worker):
    web3.eth.send_raw_transaction(sign(worker))
    messages = set()
    for client in (web3, served):
        with pytest.raises(Exception, match="nonce too low") as caught:
            client.eth.send_raw_transaction(sign(worker))
        messages.add(str(caught.value))
    assert len(messages) == 1


def test_a_batch_is_the_same(web3, served, probe, requester):
    answers = []
    for client in (web3, served):
        with client.batch_requests() as batch:
            batch.add(client.eth.get_balance(requester.address))
            batch.add(client.eth.get_block("latest"))
            batch.add(client.eth.get_storage_at(probe.address, 0))
            answers.append(batch.execute())
    assert answers[0] == answers[1]
    assert answers[0][2] == (5).to_bytes(32, "big")


def test_an_event_signature_is_found(served, probe, requester):
    probe.functions.touch(b"\1" * 32, 2).transact({"from": requester.address})
    (first, second) = served.eth.get_logs({"topics": [keccak(text="Touched(bytes32)")]})
    assert (first["logIndex"], second["logIndex"]) == (0, 1)
