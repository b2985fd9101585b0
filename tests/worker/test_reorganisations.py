"""When the chain takes back what it said, the journal follows, and no answer is lost or doubled."""

from __future__ import annotations

import pytest

from modelward.chain.encoding import to_hex
from modelward.chain.events import InferenceFulfilled
from modelward.errors import BadInput, ReorganisedTooDeep, Superseded
from modelward.journal import State, TransactionState
from modelward.terms import RequestStatus, frame_clear_output
from modelward.worker import Milestone, recovery

from .trading import job


@pytest.fixture
def reorganise(chain):
    """Replace the last blocks by as many others, which hold the given transactions."""

    def replace_blocks(depth, *raw_transactions):
        pairs = [[to_hex(raw), 0] for raw in raw_transactions]
        chain.rpc("anvil_reorg", [depth, pairs])

    return replace_blocks


def raw_of(chain, placed):
    """The signed bytes of the transaction that placed a request."""
    return bytes.fromhex(chain.rpc("eth_getRawTransactionByHash", [to_hex(placed)])[2:])


def test_an_answer_that_was_dropped_is_sent_again_with_the_same_bytes(
    market, model, trained, make_worker, worker, reorganise
):
    placed = market.place(model, trained.row)
    working = make_worker()
    working.step()
    (first,) = market.events(InferenceFulfilled, placed)
    assert job(working.journal, placed).state is State.FINAL

    reorganise(1)
    assert market.status(placed) is RequestStatus.OPEN
    working.drain()

    (second,) = market.events(InferenceFulfilled, placed)
    assert second.transaction_hash == first.transaction_hash
    assert second.block_hash != first.block_hash
    assert job(working.journal, placed).state is State.FINAL
    assert worker.nonce() == 1


def test_it_is_noticed_by_a_worker_that_was_away(market, model, trained, make_worker, reorganise):
    placed = market.place(model, trained.row)
    make_worker().step()
    (first,) = market.events(InferenceFulfilled, placed)

    reorganise(1)
    make_worker().drain()

    (second,) = market.events(InferenceFulfilled, placed)
    assert second.transaction_hash == first.transaction_hash


def test_a_request_that_was_dropped_is_answered_to_nobody(
    market, model, trained, make_worker, worker, reorganise, devchain
):
    placed = market.place(model, trained.row)
    working = make_worker()
    working.step()

    reorganise(2)
    working.drain()

    assert market.status(placed) is RequestStatus.NONE
    assert not job(working.journal, placed).on_chain
    assert worker.nonce() == 0
    devchain.increase_time(4_000)
    working.drain()
    assert job(working.journal, placed).state is State.LOST


def test_a_request_that_moved_to_another_block_is_answered_there_once(
    market, model, trained, make_worker, worker, reorganise, chain
):
    placed = market.place(model, trained.row)
    raw = raw_of(chain, placed.transaction_hash)
    working = make_worker()
    working.step()
    answer = job(working.journal, placed).answer

    reorganise(2, raw)
    working.drain()

    (event,) = market.events(InferenceFulfilled, placed)
    moved = job(working.journal, placed)
    assert (moved.state, moved.answer) == (State.FINAL, answer)
    assert event.output == frame_clear_output(trained.output)
    assert worker.nonce() == 1


def test_another_request_in_the_place_of_a_dropped_one_gets_its_own_answer(
    market, model, trained, make_worker, reorganise
):
    dropped = market.place(model, trained.row)
    working = make_worker()
    working.step()
    reorganise(2)

    other = market.place(model, trained.row)
    working.drain()

    assert market.status(dropped) is RequestStatus.NONE
    assert job(working.journal, other).state is State.FINAL
    first, second = (job(working.journal, each).answer for each in (dropped, other))
    assert first != second  # the same input, another request: another commitment


def test_an_answer_in_a_block_not_yet_confirmed_is_followed_too(
    market, model, trained, make_worker, reorganise, devchain
):
    placed = market.place(model, trained.row)
    devchain.mine(2)
    working = make_worker(network={"confirmations": 3})
    working.step()
    assert job(working.journal, placed).state is State.MINED

    reorganise(1)
    report = working.step()

    assert report.at(Milestone.MINED) == (placed.id,)
    devchain.mine(3)
    working.drain()
    assert job(working.journal, placed).state is State.FINAL
    assert len(market.events(InferenceFulfilled, placed)) == 1


def test_below_everything_remembered_the_worker_halts_and_sends_nothing(
    market, model, trained, make_worker, worker, reorganise, monkeypatch
):
    monkeypatch.setattr("modelward.journal.following.KEPT_CHECKPOINTS", 2)
    working = make_worker()
    for _ in range(3):
        market.place(model, b"")
        working.step()
    nonce = worker.nonce()

    reorganise(5)
    placed = market.place(model, trained.row)

    for _ in range(2):
        with pytest.raises(ReorganisedTooDeep):
            working.step()
    assert market.status(placed) is RequestStatus.OPEN
    assert worker.nonce() <= nonce
    assert not working.journal.transactions(TransactionState.SIGNED)


def test_deeper_than_the_network_says_every_worker_halts_for_good(
    market, model, trained, make_worker, worker, reorganise, devchain, caplog
):
    working = make_worker(network={"reorg_depth": 3})
    for _ in range(4):
        devchain.mine(1)
        working.step()
    reorganise(5)
    placed = market.place(model, trained.row)

    for _ in range(2):
        with pytest.raises(ReorganisedTooDeep, match="more than 3 confirmed blocks"):
            working.step()
        working = make_worker(network={"reorg_depth": 100})

    assert any(record.levelname == "CRITICAL" for record in caplog.records)
    assert "more than 3 confirmed blocks" in working.journal.halted()
    assert market.status(placed) is RequestStatus.OPEN
    assert not working.journal.transactions(*TransactionState)


@pytest.mark.parametrize("kept", [2, 128])
def test_after_a_halt_it_goes_on_from_the_newest_block_still_there(
    market, model, trained, make_worker, reorganise, devchain, monkeypatch, kept
):
    monkeypatch.setattr("modelward.journal.following.KEPT_CHECKPOINTS", kept)
    working = make_worker(network={"reorg_depth": 3})
    dropped = market.place(model, trained.row)
    working.drain()
    for _ in range(3):
        devchain.mine(1)
        working.step()
    reorganise(5)
    placed = market.place(model, trained.row)
    devchain.mine(1)
    with pytest.raises(ReorganisedTooDeep):
        working.step()

    found = recovery.survey(working.chain, working.journal)
    assert (found.ancestor is None) == (kept == 2)
    touched = recovery.resume(working.chain, working.journal, found)
    assert dropped.id in touched
    assert working.journal.halted() is None
    working.drain()

    assert len(market.events(InferenceFulfilled, placed)) == 1
    assert job(working.journal, placed).state is State.FINAL
    assert not job(working.journal, dropped).on_chain


def test_there_is_nothing_to_resume_unless_it_halted(model, make_worker):
    working = make_worker()
    working.step()
    with pytest.raises(BadInput, match="not halted"):
        recovery.survey(working.chain, working.journal)


def test_a_chain_reorganised_again_has_to_be_looked_at_again(
    market, model, make_worker, reorganise, devchain
):
    working = make_worker(network={"reorg_depth": 2})
    for _ in range(5):
        devchain.mine(1)
        working.step()
    reorganise(3)
    with pytest.raises(ReorganisedTooDeep):
        working.step()
    found = recovery.survey(working.chain, working.journal)
    reorganise(5)
    with pytest.raises(Superseded, match="once more"):
        recovery.resume(working.chain, working.journal, found)
    assert working.journal.halted()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_as_deep_as_the_network_says_is_followed(
    market, model, trained, make_worker, reorganise, devchain, depth
):
    working = make_worker(network={"reorg_depth": 3})
    for _ in range(4):
        devchain.mine(1)
        working.step()
    reorganise(depth)
    placed = market.place(model, trained.row)
    working.drain()
    assert market.status(placed) is RequestStatus.FULFILLED


def test_a_node_that_lags_behind_is_not_taken_for_a_reorganisation(
    market, model, trained, make_worker, devchain
):
    placed = market.place(model, trained.row)
    working = make_worker()
    working.step()
    devchain.mine(3)
    working.step()
    lagging = make_worker(network={"confirmations": 6})  # its head is below the answer

    assert lagging.step().idle
    assert job(lagging.journal, placed).state is State.FINAL
