"""`answer` and `answerWithCallback` stake the bond and have the escrow hold; `refuse` ends it."""

import pytest

from modelward import commitments
from modelward.chain.events import (
    AnswerPosted,
    InferenceCorrected,
    InferenceHeld,
    RequestRefused,
)
from modelward.terms import (
    INLINE_ONLY,
    ZERO_HASH,
    Access,
    ExactAnswer,
    RequestStatus,
    Right,
)
from tests.contracts.exact_referee.conftest import (
    BOND,
    DAY,
    OUTPUT,
    SEALED,
    SECRET,
    STAKED,
    WINDOW,
    WRONG,
)
from tests.contracts.said import event, said
from tests.contracts.specimens import FEE

REFERENCE = b"\x02" + b"\x0c" * 32 + b"file:///outputs"
REASON = 3


def test_it_is_examined_and_the_bond_staked(referee, escrow, worker, wrong):
    asked, answer, receipt = wrong

    assert said(receipt, referee, escrow) == [
        event(
            InferenceHeld,
            request_id=asked.id,
            worker=worker.address,
            until=answer.settle_after + DAY,
        ),
        event(
            AnswerPosted,
            request_id=asked.id,
            model_id=asked.offer.model_id,
            worker=worker.address,
            answer=answer,
        ),
    ]
    assert referee.balance_of(worker.address) == STAKED - BOND
    assert referee.pending_of(asked.id) == commitments.exact_answer_hash(answer)
    state = escrow.request_of(asked.id)
    assert (state.status, state.deadline) == (RequestStatus.HELD, answer.settle_after + DAY)


def test_a_request_is_answered_once(referee, worker, wrong, reverts):
    asked = wrong.asked
    with reverts("NotOpen", id=asked.id, status=RequestStatus.HELD):
        worker.send(referee.answer(asked.offer, asked.terms, WRONG, SEALED))


def test_the_version_must_be_admitted(referee, worker, staked, inquire, published, reverts):
    asked = inquire()
    with reverts("VersionNotAdmitted", versionId=published):
        worker.send(referee.answer(asked.offer, asked.terms, WRONG, SEALED))


def test_the_bond_must_be_there(referee, worker, asked, reverts):
    worker.send(referee.deposit(BOND - 1))
    call = referee.answer(asked.offer, asked.terms, WRONG, SEALED)
    with reverts("BalanceTooLow", account=worker.address, balance=BOND - 1, needed=BOND):
        worker.send(call)
    worker.send(referee.deposit(1))
    worker.send(call)


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_in_time(referee, worker, staked, asked, mine_at, reverts, offset):
    deadline = asked.terms.deadline
    call = referee.answer(asked.offer, asked.terms, WRONG, SEALED)
    if offset <= 0:
        mine_at(deadline + offset, worker, call)
        return
    with reverts("DeadlinePassed", deadline=deadline, timestamp=deadline + 1):
        mine_at(deadline + offset, worker, call)


def test_by_a_worker(referee, owner, outsider, asked, reverts):
    outsider.send(referee.deposit(BOND))
    with reverts(
        "AccessDenied",
        owner=owner.address,
        grantee=outsider.address,
        resource=asked.offer.model_id,
        right=Right.SERVE,
        reason=Access.NOT_GRANTED,
    ):
        outsider.send(referee.answer(asked.offer, asked.terms, WRONG, SEALED))


def test_only_for_requests_that_name_the_referee(
    referee, worker, staked, place, ask, admitted, reverts
):
    attested = place(ask())
    with reverts("VersionNotAdmitted", versionId=attested.offer.version_id):
        worker.send(referee.answer(attested.offer, attested.terms, WRONG, SEALED))


def test_what_could_not_be_settled_is_refused(referee, worker, staked, inquire, admitted, reverts):
    plain, inline = inquire(), inquire(flags=INLINE_ONLY)
    called = inquire(callback_gas=100_000, reply_key=ZERO_HASH)
    for asked, commitment, output, (error, arguments) in (
        (plain, ZERO_HASH, SEALED, ("CommitmentIsZero", {})),
        (plain, WRONG, bytes(1025), ("OutputTooLong", {"length": 1025, "most": 1024})),
        (inline, WRONG, REFERENCE, ("OutputNotInline", {})),
        (inline, WRONG, b"", ("OutputNotInline", {})),
        (called, WRONG, SEALED, ("CallbackMismatch", {"callbackGas": 100_000})),
    ):
        with reverts(error, **arguments):
            worker.send(referee.answer(asked.offer, asked.terms, commitment, output))


class TestWithCallback:
    @pytest.fixture
    def called(self, inquire, admitted):
        return inquire(callback_gas=100_000, reply_key=ZERO_HASH)

    def test_it_computes_the_commitment(self, referee, chain, worker, staked, called):
        salt = commitments.result_salt(SECRET)
        call = referee.answer_with_callback(called.offer, called.terms, salt, OUTPUT)

        receipt = worker.send(call)

        settle_after = chain.block(receipt.block_hash).timestamp + WINDOW
        answer = ExactAnswer(
            worker.address, settle_after, BOND, called.right, salt, b"\x00" + OUTPUT
        )
        assert referee.pending_of(called.id) == commitments.exact_answer_hash(answer)

    def test_who_asked_for_none_gets_none(self, referee, worker, staked, asked, reverts):
        with reverts("CallbackMismatch", callbackGas=0):
            worker.send(referee.answer_with_callback(asked.offer, asked.terms, WRONG, OUTPUT))

    def test_the_frame_counts(self, referee, worker, staked, called, reverts):
        arguments = called.offer, called.terms, WRONG
        with reverts("OutputTooLong", length=1025, most=1024):
            worker.send(referee.answer_with_callback(*arguments, bytes(1024)))
        worker.send(referee.answer_with_callback(*arguments, bytes(1023)))


class TestRefuse:
    def test_the_payer_has_the_fee_at_once(self, referee, escrow, requester, worker, asked):
        receipt = worker.send(referee.refuse(asked.offer, asked.terms, REASON))

        assert said(receipt, referee, escrow)[1:] == [
            event(
                InferenceCorrected,
                request_id=asked.id,
                model_id=asked.offer.model_id,
                payer=requester.address,
                commitment=referee.refusal(),
                output=b"",
            ),
            event(RequestRefused, request_id=asked.id, worker=worker.address, reason=REASON),
        ]
        assert escrow.credit_of(requester.address) == FEE
        assert escrow.result_of(asked.id) == (RequestStatus.CORRECTED, referee.refusal()[:31])
        assert referee.pending_of(asked.id) == ZERO_HASH

    def test_the_version_need_not_be_admitted(self, referee, escrow, requester, worker, inquire):
        asked = inquire()

        worker.send(referee.refuse(asked.offer, asked.terms, REASON))

        assert escrow.credit_of(requester.address) == FEE

    def test_only_a_worker_may(self, referee, owner, outsider, asked, reverts):
        with reverts(
            "AccessDenied",
            owner=owner.address,
            grantee=outsider.address,
            resource=asked.offer.model_id,
            right=Right.SERVE,
            reason=Access.NOT_GRANTED,
        ):
            outsider.send(referee.refuse(asked.offer, asked.terms, REASON))

    def test_not_what_was_answered(self, referee, worker, wrong, reverts):
        asked = wrong.asked
        with reverts("NotOpen", id=asked.id, status=RequestStatus.HELD):
            worker.send(referee.refuse(asked.offer, asked.terms, REASON))
