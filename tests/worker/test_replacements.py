"""What is stuck is replaced by a higher bid, within the cap; what is in the way is cleared."""

from __future__ import annotations

import itertools
from contextlib import contextmanager

import pytest
from eth_utils.crypto import keccak

from modelward.chain.events import InferenceFulfilled
from modelward.chain.fees import Fees
from modelward.chain.transactions import Call
from modelward.config import Policy
from modelward.journal import State, TransactionState
from modelward.terms import GWEI, RequestStatus

from .trading import failing, job, why

PATIENT = Policy(allow_loss=True, patience=30, batch=1)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr("modelward.chain.connection._FIRST_PAUSE", 0)
    monkeypatch.setattr("modelward.worker.service._FIRST_PAUSE", 0)


@pytest.fixture
def control(chain):
    """Calls a method that only a development chain has."""
    yield lambda method, *params: chain.rpc(method, list(params))
    chain.rpc("evm_setAutomine", [True])


@pytest.fixture
def unmined(market, model, trained, make_worker, control):
    """A worker and its request, whose answer is in the pool; blocks are mined by hand from here."""

    def sent(**options):
        placed = market.place(model, trained.row)
        control("evm_setAutomine", False)
        working = make_worker(policy=PATIENT, **options)
        working.step()
        (transaction,) = working.journal.transactions(TransactionState.SENT)
        return working, placed, transaction

    return sent


@pytest.fixture
def empty_block(control, chain):
    """Mine a block that holds none of the transactions that wait, `seconds` after the last one.

    They are dropped for it, and the pool is given them back, as if the block had been full.
    """

    def mine(*waiting, seconds=1):
        for each in waiting:
            assert control("anvil_dropTransaction", "0x" + each.hash.hex())
        control("evm_setNextBlockTimestamp", chain.head().timestamp + seconds)
        control("evm_mine")
        for each in waiting:
            control("eth_sendRawTransaction", "0x" + each.raw.hex())

    return mine


@pytest.fixture
def base_fee_of(endpoint):
    """The node's blocks tell of another base fee, as long as the context lasts."""

    @contextmanager
    def told(base_fee):
        def tell(answer):
            said = answer()
            said["result"] = said["result"] | {"baseFeePerGas": hex(base_fee)}
            return said

        endpoint.faults["eth_getBlockByNumber"] = tell
        yield
        del endpoint.faults["eth_getBlockByNumber"]

    return told


def pending(working):
    """The one transaction in flight."""
    (transaction,) = working.journal.transactions(TransactionState.SIGNED, TransactionState.SENT)
    return transaction


def assert_bids_rise_by_an_eighth(working, nonce=0):
    """Whatever was signed for the nonce outbids what was signed before, by 12.5 % in both parts."""
    rivals = working.journal.transactions_of_nonce(nonce)
    for lower, higher in itertools.pairwise(rivals):
        assert 8 * higher.max_fee >= 9 * lower.max_fee
        assert 8 * higher.tip >= 9 * lower.tip
    return len(rivals)


def test_a_transaction_that_no_block_takes_is_replaced_by_a_higher_bid(
    market, unmined, empty_block, control
):
    working, placed, first = unmined()
    for _ in range(3):
        empty_block(pending(working), seconds=31)
        working.step()
    control("evm_mine")
    working.step()

    assert assert_bids_rise_by_an_eighth(working) == 4
    (answer,) = market.events(InferenceFulfilled, placed)
    assert answer.transaction_hash != first.hash
    assert job(working.journal, placed).state is State.FINAL


def test_before_that_it_is_given_time(unmined, empty_block):
    working, _, first = unmined()
    empty_block(first, seconds=10)
    working.step()
    assert pending(working).hash == first.hash


def test_below_the_base_fee_it_is_replaced_at_once(
    unmined, empty_block, chain, market, control, base_fee_of
):
    working, placed, first = unmined()
    raised = chain.head().base_fee * 10
    empty_block(first)
    with base_fee_of(raised):
        working.step()
        assert pending(working).max_fee > raised
    assert assert_bids_rise_by_an_eighth(working) == 2
    control("evm_mine")
    working.step()
    assert market.status(placed) is RequestStatus.FULFILLED


def test_above_the_cap_nothing_is_bid_and_that_is_said(
    unmined, empty_block, chain, control, base_fee_of
):
    base_fee = chain.head().base_fee
    working, placed, first = unmined(network={"max_fee_per_gas": 3 * base_fee})
    raised = 10 * base_fee
    empty_block(first)

    with base_fee_of(raised):
        working.step()
        assert pending(working).hash == first.hash
        assert "cannot be replaced: Gas costs at least" in why(working.journal, placed)
    control("evm_mine")
    working.step()

    assert job(working.journal, placed).state is State.FINAL


def test_a_replacement_that_would_cost_more_than_it_pays_is_not_made(
    market, model, trained, make_worker, chain, control, empty_block, base_fee_of
):
    placed = market.place(model, trained.row)
    control("evm_setAutomine", False)
    working = make_worker()
    working.step()
    first = pending(working)
    raised = 100 * chain.head().base_fee
    empty_block(first)

    with base_fee_of(raised):
        working.step()

    assert pending(working).hash == first.hash
    assert "answering costs about" in why(working.journal, placed)


def test_whichever_of_the_two_is_mined_counts(market, unmined, empty_block, control, endpoint):
    working, placed, first = unmined()
    empty_block(first, seconds=31)
    endpoint.faults["eth_sendRawTransaction"] = acknowledging(endpoint)
    working.step()
    endpoint.faults.clear()
    second = pending(working)
    assert second.hash != first.hash

    control("evm_mine")  # the first: the second never came to the pool
    working.step()

    (answer,) = market.events(InferenceFulfilled, placed)
    assert answer.transaction_hash == first.hash
    states = {t.hash: t.state for t in working.journal.transactions(*TransactionState)}
    assert states == {first.hash: TransactionState.MINED, second.hash: TransactionState.REPLACED}
    assert job(working.journal, placed).state is State.FINAL


def acknowledging(endpoint):
    """The node says yes, and does nothing."""

    def yes(_):
        _, (raw,) = endpoint.calls[-1]
        return {"jsonrpc": "2.0", "id": 1, "result": "0x" + keccak(hexstr=raw).hex()}

    return yes


def test_what_needs_no_answer_any_more_makes_way_for_nothing_but_its_nonce(
    market, model, unmined, empty_block, control, outsider, worker
):
    market.let_serve(model, outsider.address)
    working, placed, first = unmined()
    control("anvil_dropTransaction", "0x" + first.hash.hex())
    answer = market.escrow.fulfil(placed.offer, placed.request, b"\1" * 32, b"\0theirs")
    outsider.broadcast(outsider.prepare(answer))
    control("evm_mine")
    control("eth_sendRawTransaction", "0x" + first.raw.hex())

    working.step()
    filler = pending(working)
    control("evm_mine")
    working.step()

    assert job(working.journal, placed).state is State.LOST
    assert working.journal.carried_by(filler.hash) == frozenset()
    assert worker.receipt(filler.hash).gas_used == 21_000
    assert worker.nonce() == 1
    assert assert_bids_rise_by_an_eighth(working) == 2


def test_a_gap_that_somebody_elses_transaction_left_is_filled(
    market, model, trained, make_worker, worker, control
):
    control("evm_setAutomine", True)
    placed = market.place(model, trained.row)
    control("evm_setAutomine", False)
    foreign = worker.sign(Call(worker.address, b""), gas=21_000, nonce=0, fees=Fees(5 * GWEI, GWEI))
    worker.broadcast(foreign)
    working = make_worker(policy=PATIENT)
    working.step()
    assert pending(working).nonce == 1
    control("anvil_dropTransaction", "0x" + foreign.hash.hex())

    working.step()
    control("evm_mine")
    working.step()

    assert worker.nonce() == 2
    assert job(working.journal, placed).state is State.FINAL


def test_a_nonce_that_somebody_else_holds_for_more_is_left_to_them(
    market, model, trained, make_worker, worker, endpoint, control
):
    placed = market.place(model, trained.row)
    control("evm_setAutomine", False)
    working = make_worker(policy=PATIENT)
    endpoint.faults["eth_sendRawTransaction"] = failing("replacement transaction underpriced")
    working.step()
    assert working.journal.transactions(TransactionState.SIGNED, TransactionState.SENT) == []
    foreign = worker.sign(
        Call(worker.address, b""), gas=21_000, nonce=0, fees=Fees(500 * GWEI, 50 * GWEI)
    )
    worker.broadcast(foreign)
    endpoint.faults.clear()

    working = make_worker(policy=PATIENT)
    working.step()
    control("evm_mine")
    working.step()

    assert worker.receipt(foreign.hash) is not None
    assert job(working.journal, placed).state is State.FINAL
    assert worker.nonce() == 2


def test_a_bid_that_a_node_finds_too_low_is_raised_at_once_and_not_for_ever(
    market, model, trained, make_worker, endpoint
):
    market.place(model, trained.row)
    working = make_worker(policy=PATIENT)
    endpoint.faults["eth_sendRawTransaction"] = failing("transaction underpriced")

    working.step()

    assert assert_bids_rise_by_an_eighth(working) == 4
    assert working.journal.counts() == {State.COMPUTED: 1}


def test_no_more_transactions_are_in_flight_than_the_window_has_room_for(
    market, model, trained, make_worker, control, worker
):
    requests = [market.place(model, trained.row) for _ in range(5)]
    control("evm_setAutomine", False)
    working = make_worker(policy=Policy(window=2, batch=1))
    for sent in (2, 4, 5):
        working.step()
        working.step()
        assert worker.next_nonce() == sent
        control("evm_mine")
    working.step()
    assert {market.status(each) for each in requests} == {RequestStatus.FULFILLED}


def test_what_the_network_forgot_at_the_cap_is_no_obstacle(
    market, model, trained, make_worker, endpoint, chain
):
    placed = market.place(model, trained.row)
    capped = {"max_fee_per_gas": chain.head().base_fee + GWEI // 10}
    endpoint.faults["eth_sendRawTransaction"] = failing("not today")
    make_worker(network=capped).step()
    endpoint.faults.clear()

    working = make_worker(network=capped)
    working.drain()

    assert job(working.journal, placed).state is State.FINAL
    assert {t.nonce for t in working.journal.transactions(*TransactionState)} == {0}
