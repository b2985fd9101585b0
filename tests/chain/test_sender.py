"""`Sender`: nothing is spent in vain, nothing is sent twice, every failure has a reason."""

import threading
from dataclasses import replace

import pytest

from modelward.chain.accounts import Account
from modelward.chain.connection import Chain
from modelward.chain.fees import Fees
from modelward.chain.sender import Sender
from modelward.chain.transactions import Call, SignedTransaction
from modelward.devchain import launch
from modelward.errors import (
    ContractRefused,
    InsufficientFunds,
    RpcUnavailable,
    TimedOut,
    TransactionFailed,
    Underpriced,
    WrongNonce,
)
from modelward.terms import GWEI, Address

NOBODY = Address("0x" + 40 * "1")
PAYMENT = Call(NOBODY, b"", GWEI)


@pytest.fixture
def pauper(chain) -> Sender:
    return Sender(chain, Account.from_key("pauper", b"\7" * 32))


@pytest.fixture
def by_http(remote) -> Sender:
    """The owner, through the endpoint."""
    return Sender(remote, Account.development("owner"))


def test_a_call_is_sent_and_its_receipt_says_what_it_cost(owner, requester, data_share, chain):
    before = chain.balance(owner.address)

    receipt = owner.send(data_share.grant_access(requester.address))

    assert receipt.succeeded
    assert (receipt.sender, receipt.to) == (owner.address, data_share.address)
    assert before - chain.balance(owner.address) == receipt.fee > 0
    assert receipt.block_hash == chain.head().hash


def test_a_refusal_surfaces_before_anything_is_spent(owner, data_share, chain, reverts):
    before = chain.balance(owner.address)

    with reverts("ContentHashIsZero"):
        owner.send(data_share.publish_data(b"\1" * 32, bytes(32), ""))

    assert chain.balance(owner.address) == before
    assert owner.nonce() == 0


def test_gas_named_by_the_caller_does_not_skip_the_dry_run(owner, data_share, reverts):
    with reverts("ContentHashIsZero"):
        owner.send(data_share.publish_data(b"\1" * 32, bytes(32), ""), gas=500_000)
    assert owner.nonce() == 0


def test_preparing_sends_nothing(owner, chain):
    height = chain.head().number

    signed = owner.prepare(PAYMENT)

    assert chain.head().number == height
    assert not owner.is_known(signed.hash)


def test_a_prepared_transaction_is_all_in_its_bytes(owner, data_share, requester):
    for call in (PAYMENT, data_share.grant_access(requester.address)):
        signed = owner.prepare(call)
        assert SignedTransaction.from_raw(signed.raw) == signed


def test_a_creation_is_all_in_its_bytes_too(owner):
    signed = owner.sign(Call(None, b"\x00"), gas=100_000, nonce=0, fees=Fees(9, 1))

    assert SignedTransaction.from_raw(signed.raw) == signed


def test_what_is_no_transaction_is_not_read():
    for raw in (b"", b"\x02\x01\x02", b"\xff" * 40):
        with pytest.raises(ValueError, match="no signed transaction"):
            SignedTransaction.from_raw(raw)


def test_signing_the_same_twice_gives_the_same_bytes(owner):
    first = owner.sign(PAYMENT, gas=21_000, nonce=0, fees=Fees(9, 1))

    assert owner.sign(PAYMENT, gas=21_000, nonce=0, fees=Fees(9, 1)) == first


def test_a_transaction_is_broadcast_twice_and_mined_once(owner, chain):
    signed = owner.prepare(PAYMENT)

    assert owner.broadcast(signed) == owner.broadcast(signed) == signed.hash

    assert owner.wait(signed.hash).succeeded
    assert owner.nonce() == 1
    assert chain.balance(NOBODY) == GWEI


def test_a_broadcast_whose_answer_is_lost_succeeds(by_http, endpoint, chain):
    signed = by_http.prepare(PAYMENT)
    endpoint.requests.clear()
    endpoint.faults = ["lost"]

    assert by_http.broadcast(signed) == signed.hash

    assert endpoint.methods.count("eth_sendRawTransaction") == 1
    assert chain.balance(NOBODY) == GWEI


def test_a_broadcast_that_never_gets_through_leaves_the_bytes_to_send_again(by_http, endpoint):
    signed = by_http.prepare(PAYMENT)
    endpoint.faults = 5 * ["reset"]  # once when it is sent, then when it is looked for

    with pytest.raises(RpcUnavailable):
        by_http.broadcast(signed)

    assert by_http.broadcast(signed) == signed.hash
    assert by_http.wait(signed.hash).succeeded


@pytest.mark.parametrize("words", ["already known", "transaction already imported", "AlreadyKnown"])
def test_a_transaction_the_node_has_is_success(by_http, endpoint, words):
    signed = by_http.prepare(PAYMENT)
    endpoint.faults = [{"code": -32000, "message": words}]

    assert by_http.broadcast(signed) == signed.hash


def test_a_nonce_used_by_another_transaction_is_said(owner):
    owner.send(PAYMENT)
    late = owner.prepare(PAYMENT, nonce=0)

    with pytest.raises(WrongNonce, match="has used the nonce 0") as caught:
        owner.broadcast(late)
    assert caught.value.nonce == 0


def test_a_nonce_after_a_gap_is_said_where_the_node_refuses_it(by_http, endpoint):
    early = by_http.prepare(PAYMENT, nonce=5)
    endpoint.faults = [{"code": -32000, "message": "nonce too high"}]

    with pytest.raises(WrongNonce, match="before the nonce 5 are missing"):
        by_http.broadcast(early)


def test_a_bid_below_the_base_fee_is_refused(owner, chain):
    base_fee = chain.head().base_fee
    low = owner.prepare(PAYMENT, fees=Fees(max_fee=base_fee // 4, tip=0))

    with pytest.raises(Underpriced):
        owner.broadcast(low)


def test_a_replacement_that_adds_too_little_is_refused_and_a_bump_is_taken(owner, devchain):
    owner.chain.rpc("evm_setAutomine", [False])
    signed = owner.prepare(PAYMENT)
    owner.broadcast(signed)
    slightly = Fees(signed.fees.max_fee + 1, signed.fees.tip + 1)

    with pytest.raises(Underpriced):
        owner.broadcast(owner.prepare(PAYMENT, nonce=signed.nonce, fees=slightly))

    bumped = owner.prepare(PAYMENT, nonce=signed.nonce, fees=signed.fees.bumped())
    owner.broadcast(bumped)
    devchain.mine()
    assert owner.wait(bumped.hash).succeeded
    assert owner.receipt(signed.hash) is None


def test_who_cannot_pay_for_gas_is_told_what_it_takes(pauper, chain):
    with pytest.raises(InsufficientFunds) as caught:
        pauper.send(Call(NOBODY, b"", 0))

    assert caught.value.have == 0
    assert caught.value.need > 21_000 * chain.head().base_fee
    assert "pauper" in caught.value.message
    assert caught.value.exit_code == 3


def test_who_cannot_pay_the_value_is_told_what_it_takes(owner, chain):
    everything = chain.balance(owner.address)

    with pytest.raises(InsufficientFunds) as caught:
        owner.send(Call(NOBODY, b"", 2 * everything))

    assert caught.value.have == everything
    assert caught.value.need >= 2 * everything


def test_a_node_that_finds_the_account_short_at_the_last_moment_is_believed(by_http, endpoint):
    signed = by_http.prepare(PAYMENT)
    endpoint.faults = [{"code": -32000, "message": "insufficient funds for gas * price + value"}]

    with pytest.raises(InsufficientFunds):
        by_http.broadcast(signed)


def test_a_transaction_that_failed_in_its_block_is_told_by_its_custom_error(
    owner, registry, model_terms, reverts
):
    call = registry.register_model("twice", model_terms)
    first = owner.prepare(call)
    second = owner.prepare(call, nonce=first.nonce + 1, gas=first.gas)
    owner.broadcast(first)
    owner.broadcast(second)

    receipt = owner.wait(second.hash)

    assert not receipt.succeeded
    failure = owner.failure(second, receipt)
    assert isinstance(failure, ContractRefused)
    assert failure.error == "ModelExists"


def test_send_never_takes_a_mined_failure_for_success(owner, registry, model_terms, monkeypatch):
    call = registry.register_model("twice", model_terms)
    owner.send(call)
    monkeypatch.setattr(Sender, "estimate", lambda *_: 300_000)

    with pytest.raises(ContractRefused, match="of that name already"):
        owner.send(call)
    assert owner.nonce() == 2


def test_a_transaction_that_ran_out_of_gas_says_so(owner, registry, model_terms, monkeypatch):
    monkeypatch.setattr(Sender, "estimate", lambda *_: 40_000)

    with pytest.raises(TransactionFailed, match="used up its 40000 gas"):
        owner.send(registry.register_model("short", model_terms))


def test_waiting_for_a_transaction_nobody_mines_ends(owner):
    owner.chain.rpc("evm_setAutomine", [False])
    signed = owner.prepare(PAYMENT)
    owner.broadcast(signed)

    with pytest.raises(TimedOut, match="was not mined within 0") as caught:
        owner.wait(signed.hash, timeout=0)
    assert caught.value.exit_code == 4


def test_a_mined_transaction_is_waited_for_until_it_is_deep_enough(owner, devchain, configured):
    slow = Sender(configured(owner.chain, confirmations=3, poll_interval=0.01), owner.account)
    signed = slow.prepare(PAYMENT)
    slow.broadcast(signed)

    with pytest.raises(TimedOut, match="mined but not confirmed"):
        slow.wait(signed.hash, timeout=0)
    assert slow.wait(signed.hash, timeout=0, confirmations=1).succeeded

    devchain.mine(2)
    assert slow.wait(signed.hash, timeout=0).succeeded


def test_a_receipt_of_an_abandoned_block_does_not_count(by_http, endpoint):
    signed = by_http.prepare(PAYMENT)
    by_http.broadcast(signed)
    receipt = by_http.receipt(signed.hash)
    raw = by_http.chain.rpc("eth_getTransactionReceipt", ["0x" + signed.hash.hex()])
    endpoint.faults = [{"result": {**raw, "blockHash": "0x" + 64 * "a"}}]

    waited = by_http.wait(signed.hash)

    assert waited == receipt
    assert endpoint.methods.count("eth_getTransactionReceipt") >= 3


def test_threads_that_send_for_one_account_take_turns(owner, chain):
    other = Sender(chain, replace(owner.account, name="the same account"))
    receipts, failures = [], []

    def send(sender):
        try:
            receipts.append(sender.send(PAYMENT))
        except Exception as failure:  # noqa: BLE001 - reported by the assertion below
            failures.append(failure)

    threads = [threading.Thread(target=send, args=(sender,)) for sender in 4 * [owner, other]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert len({receipt.transaction_hash for receipt in receipts}) == 8
    assert owner.nonce() == 8


@pytest.mark.slow
def test_anvil_is_sent_to_through_the_same_code(config):
    with launch() as anvil:
        network = replace(config.network("local"), url=anvil.url, poll_interval=0.01)
        owner = Sender(Chain.connect(network), Account.development("owner"))
        signed = owner.prepare(PAYMENT)
        assert owner.broadcast(signed) == owner.broadcast(signed) == signed.hash
        assert owner.wait(signed.hash).succeeded

        with pytest.raises(WrongNonce):
            owner.broadcast(owner.prepare(Call(NOBODY, b"", 1), nonce=0))
        with pytest.raises(InsufficientFunds):
            owner.send(Call(NOBODY, b"", 10**24))


def test_a_transaction_that_a_reorganisation_dropped_is_waited_for_again(owner, devchain):
    snapshot = devchain.snapshot()
    signed = owner.prepare(PAYMENT)
    owner.broadcast(signed)
    assert owner.wait(signed.hash).succeeded

    devchain.revert(snapshot)
    with pytest.raises(TimedOut, match="was not mined"):
        owner.wait(signed.hash, timeout=0)

    assert owner.broadcast(signed) == signed.hash
    assert owner.wait(signed.hash).succeeded
