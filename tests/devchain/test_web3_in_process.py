"""web3.py deploys, calls, sends, reads logs and sees custom errors through the provider."""

import pytest
from eth_utils import keccak
from web3.exceptions import ContractCustomError, ContractLogicError, ContractPanicError


def test_a_contract_is_deployed_called_and_changed(web3, probe, requester):
    assert probe.functions.value().call() == 5
    receipt = web3.eth.wait_for_transaction_receipt(
        probe.functions.set(9, "hello").transact({"from": requester.address})
    )
    assert receipt["status"] == 1
    assert probe.functions.value().call() == 9
    assert probe.functions.value().call(block_identifier=receipt["blockNumber"] - 1) == 5


def test_a_signed_transaction_is_mined(web3, probe, requester):
    call = probe.functions.set(7, "signed").build_transaction(
        {"from": requester.address, "nonce": web3.eth.get_transaction_count(requester.address)}
    )
    signed = web3.eth.account.sign_transaction(call, requester.private_key)
    receipt = web3.eth.get_transaction_receipt(
        web3.eth.send_raw_transaction(signed.raw_transaction)
    )
    assert receipt["status"] == 1
    assert receipt["from"] == requester.address
    (event,) = probe.events.Changed().process_receipt(receipt)
    assert event["args"] == {"by": requester.address, "value": 7, "note": "signed"}


def test_events_are_found_by_their_indexed_arguments(probe, requester, worker):
    for account, value in ((requester, 1), (worker, 2), (requester, 3)):
        probe.functions.set(value, "").transact({"from": account.address})
    found = probe.events.Changed().get_logs(
        from_block=0, argument_filters={"by": requester.address}
    )
    assert [event["args"]["value"] for event in found] == [1, 3]


@pytest.mark.parametrize("action", ["call", "estimate_gas"])
def test_a_custom_error_keeps_its_arguments(probe, action):
    with pytest.raises(ContractCustomError) as caught:
        getattr(probe.functions.set(101, ""), action)()
    selector = keccak(text="TooHigh(uint256,uint256)")[:4]
    expected = selector + (101).to_bytes(32, "big") + (100).to_bytes(32, "big")
    assert caught.value.data == f"0x{expected.hex()}"


def test_a_reason_string_and_a_panic_are_named(probe):
    with pytest.raises(ContractLogicError, match="not today"):
        probe.functions.failWithString().call()
    with pytest.raises(ContractPanicError, match="zero"):
        probe.functions.failWithPanic(0).call()


def test_a_transaction_with_its_own_gas_is_mined_even_if_it_fails(web3, probe, requester):
    transaction_hash = probe.functions.set(101, "").transact(
        {"from": requester.address, "gas": 200_000}
    )
    assert web3.eth.get_transaction_receipt(transaction_hash)["status"] == 0


def test_requests_in_a_batch_are_answered_in_their_order(web3, probe, requester):
    with web3.batch_requests() as batch:
        batch.add(web3.eth.get_balance(requester.address))
        batch.add(probe.functions.value())
        batch.add(web3.eth.get_block(0))
        balance, value, genesis = batch.execute()
    assert balance == web3.eth.get_balance(requester.address)
    assert value == 5
    assert genesis["number"] == 0
