"""The cursor, the requests it leads to, their ends, and reorganisations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelward.journal import KEPT_CHECKPOINTS, Refusal, State, TransactionState
from modelward.terms import RefusalReason

from .specimens import START, block, ending, fulfilment, place, signed


def test_a_new_journal_has_read_nothing(journal):
    assert journal.cursor() is None
    assert journal.counts() == {}


def test_the_cursor_moves_with_what_was_read(journal):
    request = place(1, block(7))
    advance = journal.advance(0, block(9), placed=[request])

    assert advance.placed == (request.request_id,)
    assert journal.cursor() == block(9)
    job = journal.job(request.request_id)
    assert job.placement == request
    assert (job.state, job.on_chain, job.answer, job.failures) == (State.CONFIRMED, True, None, 0)


@pytest.mark.parametrize(("first", "last"), [(11, 12), (9, 12), (0, 12), (10, 9)])
def test_no_block_is_left_out_and_none_read_twice(journal, first, last):
    journal.advance(0, block(9))
    with pytest.raises(ValueError, match="do not follow"):
        journal.advance(first, block(last), placed=[place(1, block(last))])
    assert journal.cursor() == block(9)
    assert journal.counts() == {}


def test_a_request_seen_again_keeps_what_was_done_for_it(journal):
    request = place(1, block(1))
    journal.advance(0, block(1), placed=[request])
    journal.record_answer(request.request_id, fulfilment(request))

    advance = journal.advance(2, block(2), placed=[request])

    assert advance.placed == ()
    assert journal.job(request.request_id).state is State.COMPUTED


def test_a_request_that_was_placed_and_ended_meanwhile_is_left_out(journal):
    request = place(1, block(1))
    advance = journal.advance(
        0, block(5), placed=[request], ended=[ending(request, block(4), State.LOST)]
    )
    assert (advance.placed, advance.ended) == ((), ())
    assert journal.job(request.request_id) is None


def test_the_end_of_an_unknown_request_is_passed_over(journal):
    advance = journal.advance(0, block(5), ended=[ending(place(1, block(1)), block(4))])
    assert advance.ended == ()


@pytest.mark.parametrize("state", [State.FINAL, State.REFUSED, State.EXPIRED, State.LOST])
def test_a_known_request_ends_as_the_chain_says(journal, state):
    request = place(1, block(1))
    journal.advance(0, block(1), placed=[request])

    advance = journal.advance(2, block(2), ended=[ending(request, block(2), state)])

    assert advance.ended == (request.request_id,)
    assert journal.job(request.request_id).state is state


def test_an_end_that_is_none_is_a_defect_and_moves_nothing(journal):
    request = place(1, block(1))
    journal.advance(0, block(1), placed=[request])
    with pytest.raises(ValueError, match="no end"):
        journal.advance(2, block(2), ended=[ending(request, block(2), State.SENT)])
    assert journal.cursor() == block(1)


@pytest.mark.parametrize(("lifetime", "expired"), [(10, False), (9, True)])
def test_a_request_expires_with_the_first_block_after_its_deadline(journal, lifetime, expired):
    request = place(1, block(1), lifetime)
    journal.advance(0, block(1), placed=[request])

    journal.advance(2, block(11))  # 10 seconds after block 1

    assert (journal.job(request.request_id).state is State.EXPIRED) == expired


def test_an_answer_in_time_counts_even_when_the_same_reading_passes_the_deadline(journal):
    request = place(1, block(1), lifetime=5)
    journal.advance(0, block(1), placed=[request])

    journal.advance(2, block(50), ended=[ending(request, block(6))])

    assert journal.job(request.request_id).state is State.FINAL


def test_jobs_are_told_by_state_nearest_deadline_first(journal):
    late, soon, done = place(1, block(1), 900), place(2, block(1), 300), place(3, block(1))
    journal.advance(0, block(1), placed=[late, soon, done])
    journal.record_answer(done.request_id, fulfilment(done))

    assert journal.job_ids(State.CONFIRMED) == [soon.request_id, late.request_id]
    assert journal.counts() == {State.CONFIRMED: 2, State.COMPUTED: 1}


def test_only_the_newest_checkpoints_are_kept(journal):
    for number in range(KEPT_CHECKPOINTS + 10):
        journal.advance(number, block(number))
    kept = [checkpoint.number for checkpoint in journal.checkpoints(limit=1_000)]
    assert kept == list(range(KEPT_CHECKPOINTS + 9, 9, -1))


# --- reorganisations -----------------------------------------------------------------------------


def test_rewinding_takes_the_cursor_to_the_common_ancestor(journal):
    for number in range(5):
        journal.advance(number, block(number))

    journal.rewind(block(2))

    assert journal.cursor() == block(2)
    journal.advance(3, block(3, "b"))


def test_rewinding_to_a_block_that_is_no_checkpoint_is_a_defect(journal):
    journal.advance(0, block(0))
    with pytest.raises(ValueError, match="not a checkpoint"):
        journal.rewind(block(0, "b"))


def test_a_request_that_was_dropped_is_no_work_until_it_is_placed_again(journal):
    request = place(1, block(2))
    journal.advance(0, block(1))
    journal.advance(2, block(2), placed=[request])

    assert journal.rewind(block(1)) == [request.request_id]
    assert journal.job_ids(State.CONFIRMED) == []
    assert not journal.job(request.request_id).on_chain

    again = replace(request, block_number=4, block_hash=block(4, "b").hash)
    journal.advance(2, block(4, "b"), placed=[again])
    assert journal.job_ids(State.CONFIRMED) == [request.request_id]
    assert journal.job(request.request_id).placement == again


def test_a_request_that_stays_dropped_is_lost_at_its_deadline(journal):
    request = place(1, block(2), lifetime=5)
    journal.advance(0, block(1))
    journal.advance(2, block(2), placed=[request])
    journal.rewind(block(1))

    journal.advance(2, block(20, "b"))

    job = journal.job(request.request_id)
    assert (job.state, job.reason) == (State.LOST, "a reorganisation dropped the request")


def final_answer(journal, request, transaction):
    """Take a request placed in block 1 to a final answer in block 2."""
    journal.advance(0, block(1), placed=[request])
    journal.record_answer(request.request_id, fulfilment(request))
    journal.record_signed(transaction, [request.request_id])
    journal.record_sent(transaction.hash)
    journal.record_mined(transaction.hash, 2, block(2).hash)
    journal.advance(2, block(2), ended=[ending(request, block(2), by=transaction.hash)])


def test_a_final_answer_that_was_dropped_is_sent_again_with_the_same_bytes(journal):
    request, transaction = place(1, block(1)), signed(0)
    final_answer(journal, request, transaction)

    assert journal.rewind(block(1)) == [request.request_id]

    job = journal.job(request.request_id)
    assert (job.state, job.transaction_hash) == (State.SENT, transaction.hash)
    (found,) = journal.transactions(TransactionState.SENT)
    assert found.raw == transaction.raw
    assert found.block_hash is None


def test_an_answer_mined_above_the_cursor_is_sent_again_too(journal):
    request, transaction = place(1, block(1)), signed(0)
    journal.advance(0, block(0))
    journal.advance(1, block(1), placed=[request])
    journal.record_answer(request.request_id, fulfilment(request))
    journal.record_signed(transaction, [request.request_id])
    journal.record_mined(transaction.hash, 3, block(3).hash)

    journal.rewind(block(0))

    assert journal.job(request.request_id).state is State.SENT
    assert not journal.job(request.request_id).on_chain


@pytest.mark.parametrize("answer", [None, "result", "refusal"])
def test_an_end_by_somebody_else_that_was_dropped_leaves_what_there_was(journal, answer):
    request = place(1, block(1))
    journal.advance(0, block(1), placed=[request])
    if answer == "result":
        journal.record_answer(request.request_id, fulfilment(request))
    if answer == "refusal":
        refusal = Refusal(RefusalReason.PREDICTION_FAILED, "it crashed")
        journal.record_answer(request.request_id, refusal)
    journal.advance(2, block(2), ended=[ending(request, block(2), State.LOST)])

    journal.rewind(block(1))

    expected = State.COMPUTED if answer else State.CONFIRMED
    assert journal.job(request.request_id).state is expected


def test_an_expiry_that_was_dropped_is_taken_back(journal):
    request = place(1, block(1), lifetime=3)
    journal.advance(0, block(1), placed=[request])
    journal.advance(2, block(10))
    assert journal.job(request.request_id).state is State.EXPIRED

    journal.rewind(block(1))

    assert journal.job(request.request_id).state is State.CONFIRMED
    journal.advance(2, block(4, "b"))  # the deadline itself: START + 4
    assert block(4, "b").timestamp == START + 4
    assert journal.job(request.request_id).state is State.CONFIRMED
