"""From seen to mined, one step at a time, and no other way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelward.errors import Superseded
from modelward.journal import (
    Balance,
    Checkpoint,
    Ending,
    Hold,
    Mining,
    Refusal,
    State,
    TransactionState,
)
from modelward.journal.states import PENDING
from modelward.terms import GWEI, ExactAnswer, RefusalReason

from .specimens import REQUESTER, START, WORKER, block, ending, fulfilment, place, signed


@pytest.fixture
def request_(journal):
    placed = place(1, block(1))
    journal.advance(0, block(1), placed=[placed])
    return placed


def test_a_result_is_kept_to_the_byte(journal, request_):
    answer = fulfilment(request_)
    journal.record_answer(request_.request_id, answer)

    job = journal.job(request_.request_id)
    assert (job.state, job.answer) == (State.COMPUTED, answer)


def test_a_refusal_is_kept_with_its_reason(journal, request_):
    answer = Refusal(RefusalReason.INPUT_MALFORMED, "in words")
    journal.record_answer(request_.request_id, answer)

    job = journal.job(request_.request_id)
    assert (job.state, job.answer) == (State.COMPUTED, answer)


def test_a_second_answer_is_not_taken(journal, request_):
    journal.record_answer(request_.request_id, fulfilment(request_))
    with pytest.raises(ValueError, match="computed"):
        journal.record_answer(request_.request_id, Refusal(RefusalReason.UNSPECIFIED, ""))
    assert journal.job(request_.request_id).answer == fulfilment(request_)


def test_an_answer_to_an_unknown_request_is_not_taken(journal):
    stranger = place(9, block(1))
    with pytest.raises(ValueError, match="no such request"):
        journal.record_answer(stranger.request_id, fulfilment(stranger))


def test_a_transaction_is_on_disk_to_the_byte_before_it_is_sent(journal, request_):
    journal.record_answer(request_.request_id, fulfilment(request_))
    transaction = signed(5)

    journal.record_signed(transaction, [request_.request_id])

    assert journal.transactions(TransactionState.SIGNED) == [transaction]
    job = journal.job(request_.request_id)
    assert (job.state, job.transaction_hash) == (State.SIGNED, transaction.hash)
    assert journal.jobs_of(transaction.hash) == [job]


def test_nothing_is_signed_for_what_was_not_computed(journal, request_):
    with pytest.raises(ValueError, match="signed"):
        journal.record_signed(signed(5), [request_.request_id])
    assert journal.transactions(*TransactionState) == []


def test_one_transaction_may_carry_several_answers(journal):
    requests = [place(tag, block(1)) for tag in range(3)]
    journal.advance(0, block(1), placed=requests)
    for each in requests:
        journal.record_answer(each.request_id, fulfilment(each))
    transaction = signed(0)

    journal.record_signed(transaction, [each.request_id for each in requests])
    journal.record_sent(transaction.hash)
    journal.record_mined(transaction.hash, 2, block(2).hash)

    assert journal.counts() == {State.MINED: 3}


def taken_to(journal, request_, state):
    """Take a request to a state on the usual way."""
    transaction = signed(0)
    journal.record_answer(request_.request_id, fulfilment(request_))
    journal.record_signed(transaction, [request_.request_id])
    if state in (State.SENT, State.MINED):
        journal.record_sent(transaction.hash)
    if state is State.MINED:
        journal.record_mined(transaction.hash, 2, block(2).hash)
    return transaction


@pytest.mark.parametrize("state", [State.SIGNED, State.SENT])
def test_a_mined_transaction_is_mined_whether_sending_was_recorded_or_not(journal, request_, state):
    transaction = taken_to(journal, request_, state)
    journal.record_mined(transaction.hash, 2, block(2).hash)

    assert journal.job(request_.request_id).state is State.MINED
    found = journal.transaction(transaction.hash)
    assert (found.state, found.block_number, found.block_hash) == (
        TransactionState.MINED,
        2,
        block(2).hash,
    )


def test_a_transaction_out_of_its_block_is_sent_and_may_be_mined_again(journal, request_):
    transaction = taken_to(journal, request_, State.MINED)

    journal.record_unmined(transaction.hash)

    assert journal.job(request_.request_id).state is State.SENT
    journal.record_mined(transaction.hash, 3, block(3).hash)
    assert journal.transaction(transaction.hash).block_number == 3


@pytest.mark.parametrize("state", [State.SIGNED, State.SENT])
def test_a_dropped_transaction_leaves_the_answer_to_be_sent_in_another(journal, request_, state):
    transaction = taken_to(journal, request_, state)

    journal.record_dropped(transaction.hash, "its nonce is gone")

    job = journal.job(request_.request_id)
    assert (job.state, job.transaction_hash, job.failures) == (State.COMPUTED, None, 0)
    assert (job.reason, job.answer) == ("its nonce is gone", fulfilment(request_))
    journal.record_signed(signed(1), [request_.request_id])


def test_a_dropped_transaction_may_be_signed_again_to_the_same_bytes(journal, request_):
    transaction = taken_to(journal, request_, State.SIGNED)
    journal.record_dropped(transaction.hash, "it was bid too low")

    journal.record_signed(transaction, [request_.request_id])

    assert journal.transactions(*TransactionState) == [transaction]
    assert journal.job(request_.request_id).transaction_hash == transaction.hash


def test_a_failed_transaction_is_counted(journal, request_):
    for nonce in range(2):
        transaction = signed(nonce)
        if nonce == 0:
            journal.record_answer(request_.request_id, fulfilment(request_))
        journal.record_signed(transaction, [request_.request_id])
        journal.record_failed(transaction.hash, 2, block(2).hash, "it reverted")

    job = journal.job(request_.request_id)
    assert (job.state, job.failures, job.reason) == (State.COMPUTED, 2, "it reverted")
    assert len(journal.transactions(TransactionState.FAILED)) == 2


@pytest.mark.parametrize(
    "step",
    [
        lambda journal, hash_: journal.record_sent(hash_),
        lambda journal, hash_: journal.record_mined(hash_, 2, block(2).hash),
        lambda journal, hash_: journal.record_failed(hash_, 2, block(2).hash, ""),
        lambda journal, hash_: journal.record_dropped(hash_, ""),
    ],
)
def test_a_mined_transaction_takes_no_other_step(journal, request_, step):
    transaction = taken_to(journal, request_, State.MINED)
    with pytest.raises(ValueError, match="can become"):
        step(journal, transaction.hash)
    assert journal.job(request_.request_id).state is State.MINED


def test_a_request_that_ended_is_not_touched_by_its_transaction(journal, request_):
    transaction = taken_to(journal, request_, State.SENT)
    journal.advance(2, block(2), ended=[ending(request_, block(2), State.LOST)])

    journal.record_dropped(transaction.hash, "it is not open any more")

    job = journal.job(request_.request_id)
    assert (job.state, job.reason) == (State.LOST, "told by the test")


def test_our_end_on_chain_settles_the_transaction_that_brought_it(journal, request_):
    transaction = taken_to(journal, request_, State.SENT)

    journal.advance(2, block(2), ended=[ending(request_, block(2), by=transaction.hash)])

    assert journal.transaction(transaction.hash).state is TransactionState.MINED
    assert journal.job(request_.request_id).state is State.FINAL


def test_transactions_come_in_the_order_of_their_nonces(journal):
    requests = [place(tag, block(1)) for tag in range(3)]
    journal.advance(0, block(1), placed=requests)
    for nonce, each in zip((7, 5, 6), requests, strict=True):
        journal.record_answer(each.request_id, fulfilment(each))
        journal.record_signed(signed(nonce), [each.request_id])

    nonces = [t.nonce for t in journal.transactions(TransactionState.SIGNED)]
    assert nonces == [5, 6, 7]


def test_why_a_request_waits_is_kept(journal, request_):
    journal.record_reason(request_.request_id, "no grant yet")
    job = journal.job(request_.request_id)
    assert (job.state, job.reason) == (State.CONFIRMED, "no grant yet")


@pytest.fixture
def batch(journal):
    """Two answered requests, and the sent transaction that carries both."""
    requests = [place(tag, block(1)) for tag in (1, 2)]
    journal.advance(0, block(1), placed=requests)
    for request_ in requests:
        journal.record_answer(request_.request_id, fulfilment(request_))
    transaction = replace(signed(0), signed_at=START, price=GWEI)
    journal.record_signed(transaction, [request_.request_id for request_ in requests])
    journal.record_sent(transaction.hash)
    return transaction, *(request_.request_id for request_ in requests)


def test_a_replacement_carries_on_what_the_replaced_one_carried(journal, batch):
    first, *carried = batch
    second = signed(0, tag=1)

    journal.record_signed(second, carried, replaces=first.hash)

    assert journal.transaction(first.hash).state is TransactionState.REPLACED
    assert {job.request_id for job in journal.jobs_of(second.hash)} == set(carried)
    assert journal.carried_by(first.hash) == journal.carried_by(second.hash) == set(carried)
    assert [t.hash for t in journal.transactions_of_nonce(0)] == [first.hash, second.hash]


def test_what_a_replacement_no_longer_carries_is_computed_again(journal, batch):
    first, kept, left = batch

    journal.record_signed(signed(0, tag=1), [kept], replaces=first.hash)

    assert journal.job(left).state is State.COMPUTED
    assert journal.job(left).transaction_hash is None


@pytest.mark.parametrize("outcome", ["mined", "failed"])
def test_whichever_transaction_of_a_nonce_is_mined_counts(journal, batch, outcome):
    first, *carried = batch
    second = signed(0, tag=1)
    journal.record_signed(second, carried, replaces=first.hash)

    if outcome == "mined":
        journal.record_mined(first.hash, 2, block(2).hash)
    else:
        journal.record_failed(first.hash, 2, block(2).hash, "told by the test")

    jobs = [journal.job(request_id) for request_id in carried]
    if outcome == "mined":
        assert {(job.state, job.transaction_hash) for job in jobs} == {(State.MINED, first.hash)}
    else:
        assert {(job.state, job.failures) for job in jobs} == {(State.COMPUTED, 1)}
    assert journal.transactions(*PENDING) == []


def test_a_request_that_a_batch_passed_over_is_computed_again(journal, batch):
    transaction, taken, passed_over = batch

    journal.record_mined(transaction.hash, 2, block(2).hash, skipped={passed_over: "not open"})

    assert journal.job(taken).state is State.MINED
    again = journal.job(passed_over)
    assert (again.state, again.reason, again.failures) == (State.COMPUTED, "not open", 1)


def test_a_batch_of_which_one_end_is_known_still_waits_for_its_receipt(journal, batch):
    transaction, taken, _ = batch
    end = Ending(taken, State.FINAL, None, 2, block(2).hash, transaction.hash)

    journal.advance(2, block(2), ended=[end])

    assert journal.transaction(transaction.hash).state is TransactionState.SENT
    assert journal.job(taken).state is State.FINAL


def test_outlays_share_the_cost_of_a_transaction_and_count_a_nonce_once(journal, batch):
    first, *carried = batch
    later = replace(signed(0, tag=1), signed_at=START + 60, price=2 * GWEI)
    journal.record_signed(later, carried, replaces=first.hash)

    outlays = journal.outlays(START)

    assert {(o.request_id, o.wei) for o in outlays} == {(i, later.gas * GWEI) for i in carried}
    assert {(o.requester, o.at, o.refuses) for o in outlays} == {(REQUESTER, START + 60, False)}
    assert journal.outlays(START + 61) == []


def test_an_end_that_a_reorganisation_takes_back_finds_a_replaced_transaction(journal, batch):
    first, ended, other = batch
    end = Ending(ended, State.LOST, "answered by another", 2, block(2).hash, b"\1" * 32)
    journal.advance(2, block(2), ended=[end])
    journal.record_signed(signed(0, tag=1), [other], replaces=first.hash)

    journal.rewind(block(1))

    assert journal.job(ended).state is State.COMPUTED


# --- many at once --------------------------------------------------------------------------------


@pytest.fixture
def crowd(journal):
    """Five confirmed requests."""
    placed = [place(tag, block(1)) for tag in range(5)]
    journal.advance(0, block(1), placed=placed)
    return placed


def sign_each(journal, requests, nonce=0):
    """Answer these and sign a transaction for each, in one step each; the transactions."""
    assert journal.record_answers({each.request_id: fulfilment(each) for each in requests}) == {}
    transactions = [signed(nonce + number) for number in range(len(requests))]
    journal.record_all_signed(
        [(one, [each.request_id]) for one, each in zip(transactions, requests, strict=True)]
    )
    return transactions


def test_of_many_answers_those_that_can_be_taken_are(journal, crowd):
    first, second, third, *others = crowd
    journal.record_answer(first.request_id, fulfilment(first))
    journal.advance(2, block(2), ended=[ending(second, block(2), State.LOST)])

    faults = journal.record_answers(
        {each.request_id: fulfilment(each) for each in (first, second, third)}
    )

    assert {each: type(why) for each, why in faults.items()} == {
        first.request_id: ValueError,
        second.request_id: Superseded,
    }
    assert journal.job(third.request_id).answer == fulfilment(third)
    assert journal.counts()[State.CONFIRMED] == len(others)


def test_many_transactions_are_stored_and_sent_in_one_step_each(journal, crowd):
    transactions = sign_each(journal, crowd)
    assert journal.transactions(TransactionState.SIGNED) == transactions
    assert journal.counts() == {State.SIGNED: 5}

    journal.record_sent(*(each.hash for each in transactions))
    assert journal.counts() == {State.SENT: 5}
    assert [each.raw for each in journal.bids_in_flight()] == [b""] * 5
    assert journal.transactions_from_nonce(3) == journal.transactions(*PENDING)[3:]


def test_of_many_transactions_all_are_stored_or_none(journal, crowd):
    *good, ended = crowd
    journal.record_answers({each.request_id: fulfilment(each) for each in crowd})
    journal.advance(2, block(2), ended=[ending(ended, block(2), State.LOST)])

    with pytest.raises(Superseded):
        journal.record_all_signed(
            [(signed(nonce), [each.request_id]) for nonce, each in enumerate(crowd)]
        )

    assert journal.transactions(*TransactionState) == []
    assert journal.counts() == {State.COMPUTED: len(good), State.LOST: 1}


def test_many_transactions_mined_at_once_supersede_their_rivals(journal, crowd):
    transactions = sign_each(journal, crowd)
    rival = signed(0, tag=1)
    journal.record_signed(rival, [crowd[0].request_id], replaces=transactions[0].hash)

    journal.record_all_mined([Mining(each.hash, 2, block(2).hash, 7) for each in transactions])

    assert journal.counts() == {State.MINED: 5}
    assert journal.transaction(rival.hash).state is TransactionState.REPLACED
    assert journal.job(crowd[0].request_id).transaction_hash == transactions[0].hash
    assert journal.balance().spent == 35
    with pytest.raises(ValueError, match="not all"):
        journal.record_all_mined([Mining(each.hash, 2, block(2).hash, 7) for each in transactions])


def test_what_relies_on_a_transaction_is_told_for_many(journal, crowd):
    transactions = sign_each(journal, crowd)
    hashes = [each.hash for each in transactions]
    journal.advance(2, block(2), ended=[ending(crowd[0], block(2), State.LOST)])
    journal.supplement(dropped=[crowd[1].request_id])

    assert journal.relied_upon(hashes) == {
        hashes[1]: False,
        **dict.fromkeys(hashes[2:], True),
    }
    carried = {each.hash: {one.request_id} for each, one in zip(transactions, crowd, strict=True)}
    assert journal.carried_by_each(hashes) == carried


# --- money ---------------------------------------------------------------------------------------


def test_what_was_earned_and_spent_follows_the_chain(journal, crowd):
    transactions = sign_each(journal, crowd[:2])
    at = block(2)
    journal.advance(
        2,
        at,
        ended=[
            ending(each, at, by=one.hash) for each, one in zip(crowd, transactions, strict=False)
        ],
    )
    assert set(journal.unaccounted(9)) == {each.hash for each in transactions}
    much = 9 * 10**18 + 1
    journal.record_spent({each.hash: much for each in transactions})

    share = crowd[0].offer.worker_share
    assert journal.unaccounted(9) == []
    assert journal.balance() == Balance({crowd[0].offer.token: 2 * share}, 2 * much)

    journal.rewind(block(1))
    assert journal.balance() == Balance({}, 0)


# --- answers that a verifier holds ---------------------------------------------------------------


@pytest.fixture
def held(journal, crowd):
    """A request whose answer is held since block 2, and until when."""
    (transaction,) = sign_each(journal, crowd[:1])
    answer = ExactAnswer(
        worker=WORKER,
        settle_after=START + 100,
        bond=2**100,
        commitment=fulfilment(crowd[0]).commitment,
        result_salt=bytes(32),
        output=fulfilment(crowd[0]).output,
    )
    at = block(2)
    hold = Hold(crowd[0].request_id, answer, START + 5_000, at.number, at.hash, transaction.hash)
    journal.advance(2, at, held=[hold])
    return hold


def test_a_held_answer_is_settled_by_a_transaction_of_its_own(journal, held):
    job = journal.job(held.request_id)
    assert (job.state, job.settle_after, job.bond) == (State.HELD, START + 100, 2**100)
    assert journal.transaction(held.transaction_hash).state is TransactionState.MINED
    assert journal.settleable(START + 100) == []
    assert journal.settleable(START + 101) == [held.request_id]

    journal.record_signed(signed(1), [held.request_id])
    assert journal.job(held.request_id).state is State.SIGNED
    journal.record_dropped(signed(1).hash, "given up")
    assert journal.job(held.request_id).state is State.HELD


def test_a_held_answer_expires_when_the_verifier_lets_go_of_it(journal, held):
    late = Checkpoint(3, b"\3" * 32, held.until)
    assert held.request_id not in journal.advance(3, late).ended
    later = Checkpoint(4, b"\4" * 32, held.until + 1)
    assert journal.advance(4, later).ended == (held.request_id,)
    assert journal.job(held.request_id).state is State.EXPIRED


def test_a_hold_that_a_reorganisation_drops_leaves_the_answer_in_flight(journal, held):
    journal.rewind(block(1))
    job = journal.job(held.request_id)
    assert (job.state, job.settle_after) == (State.SENT, None)
    journal.advance(2, Checkpoint(2, b"\2" * 32, job.request.deadline + 1))
    assert journal.job(held.request_id).state is State.EXPIRED


def test_a_settlement_that_a_reorganisation_drops_is_held_again(journal, held, crowd):
    at = block(3)
    journal.advance(3, at, ended=[ending(crowd[0], at)])
    assert journal.job(held.request_id).state is State.FINAL
    journal.rewind(block(2))
    assert journal.job(held.request_id).state is State.HELD


def lapse(journal, held, first, *, refunded=False):
    """Let the time pass in which the held answer could be settled; the block that it passes in."""
    at = Checkpoint(first, bytes([first]) * 32, held.until + 1)
    end = Ending(held.request_id, State.EXPIRED, "refunded", at.number, at.hash, b"\7" * 32)
    journal.advance(first, at, ended=[end] if refunded else [])
    return at


@pytest.mark.parametrize("refunded", [False, True])
def test_the_bond_of_an_answer_that_ended_unpaid_is_looked_after_until_it_is_free(
    journal, held, refunded
):
    assert journal.lapsed_holds() == []
    lapse(journal, held, 3, refunded=refunded)
    assert journal.lapsed_holds() == [held.request_id]
    job = journal.job(held.request_id)
    assert job.bond == 2**100
    assert job.answer.commitment == held.answer.commitment

    journal.record_bond_free(held.request_id, 3)

    assert journal.lapsed_holds() == []
    assert journal.job(held.request_id).bond == 2**100


def test_no_bond_of_an_answer_that_was_paid_or_corrected_is_looked_after(journal, held, crowd):
    at = block(3)
    for state in (State.FINAL, State.CORRECTED):
        journal.supplement(ended=[ending(crowd[0], at, state)])
        assert journal.lapsed_holds() == []


def test_a_release_that_a_reorganisation_drops_has_the_bond_looked_after_again(journal, held):
    at = lapse(journal, held, 3)
    journal.advance(4, Checkpoint(4, b"\4" * 32, at.timestamp + 1))
    journal.record_bond_free(held.request_id, 4)
    assert journal.lapsed_holds() == []

    journal.rewind(at)
    assert journal.lapsed_holds() == [held.request_id]

    journal.rewind(block(2))
    assert journal.lapsed_holds() == []
    assert journal.job(held.request_id).state is State.HELD


def test_an_answer_to_a_verifier_that_expired_unheld_is_told_for_a_while(journal):
    plain, judged, unanswered = (place(tag, block(1)) for tag in (1, 2, 3))
    judged, unanswered = (
        replace(each, offer=replace(each.offer, verifier=REQUESTER))
        for each in (judged, unanswered)
    )
    journal.advance(0, block(1), placed=[plain, judged, unanswered])
    sign_each(journal, [plain, judged])
    deadline = judged.request.deadline
    assert journal.expired_unheld(0) == []

    journal.advance(2, Checkpoint(2, b"\2" * 32, deadline + 1))

    assert journal.counts() == {State.EXPIRED: 3}
    assert journal.expired_unheld(deadline) == [judged.request_id]
    assert journal.expired_unheld(deadline + 1) == []
