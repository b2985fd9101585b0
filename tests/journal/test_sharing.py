"""Several workers on one queue: each request is computed and signed once, and no worker that falls
silent takes one with it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import update

from modelward.errors import JournalUnavailable, ReorganisedTooDeep, Superseded
from modelward.journal import Journal, Lease, State, TransactionState, schema

from .specimens import IDENTITY, OWNER, REQUESTER, WORKER, block, ending, fulfilment, place, signed

OTHER = replace(IDENTITY, account=OWNER)


@pytest.fixture
def two(queue, open_journal):
    """Two workers with an account each; the first reads the chain."""
    return open_journal(queue), open_journal(queue, OTHER)


@pytest.fixture
def requests(two):
    placed = [place(tag, block(1), 1_000 + tag) for tag in range(4)]
    two[0].advance(0, block(1), placed=placed)
    return placed


def ids(placed):
    return [each.request_id for each in placed]


def fall_silent(journal):
    """As if the worker had been stopped, and its leases had ended."""
    with journal._engine.begin() as connection:
        for table, until in (
            (schema.jobs, "held_until"),
            (schema.queues, "reader_until"),
            (schema.identity, "sender_until"),
        ):
            holder = {"held_until": "holder", "reader_until": "reader", "sender_until": "sender"}
            mine = table.c[holder[until]] == journal.instance
            connection.execute(update(table).where(mine, table.c[until] > 0).values({until: 1.0}))


# --- reading -------------------------------------------------------------------------------------


def test_one_worker_reads_for_all(two):
    first, second = two

    assert first.hold(Lease.READING)
    assert not second.hold(Lease.READING)
    with pytest.raises(Superseded, match="reading the chain"):
        second.advance(0, block(1))
    first.advance(0, block(1))
    assert second.cursor() == block(1)


def test_the_reader_that_fell_silent_is_replaced_and_cannot_move_the_cursor_back(two):
    first, second = two
    first.advance(0, block(1))
    fall_silent(first)

    assert second.hold(Lease.READING)
    second.advance(2, block(5))

    for step in (lambda: first.advance(2, block(3)), lambda: first.rewind(block(1))):
        with pytest.raises(Superseded):
            step()
    assert first.cursor() == block(5)
    assert not first.hold(Lease.READING)


def test_a_reader_that_closes_hands_over_at_once(two):
    first, second = two
    first.close()
    assert second.hold(Lease.READING)


def test_a_lease_ends_by_the_databases_clock_and_a_heartbeat_prolongs_it(queue, open_journal):
    first, second = open_journal(queue, lease=1.5), open_journal(queue, OTHER)
    with first.beating():
        time.sleep(2.0)
        assert not second.hold(Lease.READING)
    time.sleep(1.8)
    assert second.hold(Lease.READING)


# --- computing -----------------------------------------------------------------------------------


def test_what_one_worker_computes_no_other_is_given(two, requests):
    first, second = two

    assert [job.request_id for job in first.claim(ids(requests)[:3])] == ids(requests)[:3]

    assert [job.request_id for job in second.claim(ids(requests))] == ids(requests)[3:]
    assert second.job_ids(State.CONFIRMED) == []
    with pytest.raises(Superseded, match="taken over"):
        second.record_answer(requests[0].request_id, fulfilment(requests[0]))


def test_a_claim_does_not_wait_for_one_that_is_under_way(two, requests, queue):
    first, second = two
    with first._engine.begin() as connection:
        jobs = schema.jobs.c
        locked = jobs.request_id == requests[0].request_id
        connection.execute(schema.jobs.select().where(locked).with_for_update()).all()
        started = time.monotonic()
        claimed = second.claim(ids(requests))
        assert time.monotonic() - started < 5
    assert {job.request_id for job in claimed} == set(ids(requests)[1:])


def test_the_work_of_a_silent_worker_is_taken_over_and_its_late_answer_refused(two, requests):
    first, second = two
    first.claim(ids(requests))
    fall_silent(first)
    second.heartbeat()

    assert second.job_ids(State.CONFIRMED) == ids(requests)
    (job,) = second.claim(ids(requests)[:1])
    assert job.attempts == 2
    with pytest.raises(Superseded):
        first.record_answer(requests[0].request_id, fulfilment(requests[0]))
    second.record_answer(requests[0].request_id, fulfilment(requests[0]))
    with pytest.raises(Superseded):
        first.record_answer(requests[0].request_id, fulfilment(requests[0]))


def test_a_silent_worker_whose_work_nobody_took_goes_on(two, requests):
    first, _ = two
    first.claim(ids(requests)[:1])
    fall_silent(first)
    first.record_answer(requests[0].request_id, fulfilment(requests[0]))
    assert first.job(requests[0].request_id).state is State.COMPUTED


def test_released_work_is_free_and_does_not_count_as_an_attempt(two, requests):
    first, second = two
    first.claim(ids(requests))
    first.release(ids(requests))
    assert {job.attempts for job in second.claim(ids(requests))} == {1}


def test_a_worker_that_closes_frees_what_it_computes(two, requests):
    first, second = two
    first.claim(ids(requests))
    first.close()
    assert second.job_ids(State.CONFIRMED) == ids(requests)


def test_a_request_that_ends_meanwhile_is_answered_to_nobody(two, requests):
    first, second = two
    second.claim(ids(requests))
    first.advance(2, block(2), ended=[ending(requests[0], block(2), State.LOST)])
    with pytest.raises(Superseded, match="has ended: lost"):
        second.record_answer(requests[0].request_id, fulfilment(requests[0]))


def test_a_request_for_one_account_is_for_that_account_alone(two):
    first, second = two
    placed = place(9, block(1))
    directed = replace(placed, request=replace(placed.request, worker=OWNER))
    first.advance(0, block(1), placed=[directed])

    assert first.job_ids(State.CONFIRMED) == []
    assert first.claim([directed.request_id]) == []
    assert second.job_ids(State.CONFIRMED) == [directed.request_id]
    assert first.accounts() == {WORKER, OWNER}


# --- sending -------------------------------------------------------------------------------------


def test_of_two_workers_on_one_account_one_sends_what_both_compute(queue, open_journal):
    first, second = open_journal(queue), open_journal(queue)
    placed = [place(tag, block(1)) for tag in range(2)]
    first.advance(0, block(1), placed=placed)
    second.claim(ids(placed))
    for each in placed:
        second.record_answer(each.request_id, fulfilment(each))

    with pytest.raises(Superseded, match="sending"):
        second.record_signed(signed(0), ids(placed))
    assert set(first.job_ids(State.COMPUTED)) == set(ids(placed))
    first.record_signed(signed(0), ids(placed))


def test_a_computed_answer_is_signed_by_one_account(two, requests):
    first, second = two
    request_id = requests[0].request_id
    first.claim([request_id])
    first.record_answer(request_id, fulfilment(requests[0]))
    assert second.job_ids(State.COMPUTED) == []
    fall_silent(first)
    assert second.job_ids(State.COMPUTED) == [request_id]

    second.record_signed(signed(0, tag=1), [request_id])

    assert first.hold(Lease.SENDING)
    with pytest.raises(Superseded):
        first.record_signed(signed(0), [request_id])
    assert first.transactions(*TransactionState) == []
    assert first.job_ids(State.SIGNED) == []
    assert second.job_ids(State.SIGNED) == [request_id]


def test_transactions_of_an_account_are_followed_by_who_took_over_its_sending(queue, open_journal):
    first, second = open_journal(queue), open_journal(queue)
    placed = place(1, block(1))
    first.advance(0, block(1), placed=[placed])
    first.record_answer(placed.request_id, fulfilment(placed))
    first.record_signed(signed(0), [placed.request_id])
    fall_silent(first)
    assert second.hold(Lease.SENDING)

    assert second.transactions(TransactionState.SIGNED) == [signed(0)]
    second.record_sent(signed(0).hash)

    for step in (
        lambda: first.record_sent(signed(0).hash),
        lambda: first.record_mined(signed(0).hash, 2, block(2).hash),
        lambda: first.record_dropped(signed(0).hash, ""),
    ):
        with pytest.raises(Superseded):
            step()
    assert second.job(placed.request_id).state is State.SENT


def test_an_account_of_another_queue_is_not_this_ones(two, queue, open_journal):
    elsewhere = open_journal(queue, replace(IDENTITY, escrow=REQUESTER))
    assert elsewhere.accounts() == {WORKER}


# --- halting -------------------------------------------------------------------------------------


def test_a_halted_queue_lets_no_worker_sign(two, requests):
    first, second = two
    second.claim(ids(requests)[:1])
    second.record_answer(requests[0].request_id, fulfilment(requests[0]))

    first.halt("reorganised too deep")

    assert second.halted() == "reorganised too deep"
    with pytest.raises(ReorganisedTooDeep, match="too deep"):
        second.record_signed(signed(0), ids(requests)[:1])
    assert second.transactions(*TransactionState) == []


# --- a race --------------------------------------------------------------------------------------

ROUNDS = 25


def work(journal: Journal, account_tag: int, answered: list[bytes], stop: threading.Event) -> None:
    """Compute, sign and send whatever there is, as a worker does."""
    nonce = 0
    while not stop.is_set():
        for job in journal.claim(journal.job_ids(State.CONFIRMED)):
            try:
                journal.record_answer(job.request_id, fulfilment(job.placement))
            except Superseded:
                continue
        for request_id in journal.job_ids(State.COMPUTED):
            transaction = signed(nonce, account_tag)
            try:
                journal.record_signed(transaction, [request_id])
            except Superseded:
                continue
            nonce += 1
            answered.append(request_id)
            journal.record_sent(transaction.hash)


def test_two_workers_that_race_answer_every_request_once(two):
    first, _ = two
    answered: list[bytes] = []
    stop = threading.Event()
    with ThreadPoolExecutor(2) as threads:
        racing = [threads.submit(work, each, n, answered, stop) for n, each in enumerate(two)]
        placed = []
        try:
            for number in range(ROUNDS):
                batch = [place(10 * number + tag, block(number), 10_000) for tag in range(2)]
                placed += ids(batch)
                first.advance(number, block(number), placed=batch)
            give_up = time.monotonic() + 30
            while first.counts() != {State.SENT: len(placed)} and time.monotonic() < give_up:
                time.sleep(0.05)
        finally:
            stop.set()
        for each in racing:
            each.result()

    assert sorted(answered) == sorted(placed)
    sent = [t for journal in two for t in journal.transactions(*TransactionState)]
    assert len(sent) == len(placed)


def test_a_server_that_goes_away_is_unavailable_and_may_come_back(two, requests, postgres):
    first, _ = two
    postgres.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'modelward'"
    )
    for _ in range(2):
        try:
            assert first.cursor() == block(1)
        except JournalUnavailable:
            continue
    assert first.cursor() == block(1)
