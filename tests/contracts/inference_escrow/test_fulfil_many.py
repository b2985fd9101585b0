from dataclasses import replace

import pytest

from modelward.chain.abi import contract_abi
from modelward.chain.events import AnswerSkipped, InferenceFulfilled
from modelward.terms import (
    INLINE_ONLY,
    Access,
    Answer,
    Outcome,
    RequestStatus,
    Right,
)
from tests.contracts.inference_escrow.answers import COMMITMENT, OUTPUT, REFERENCE
from tests.contracts.said import event, said
from tests.contracts.specimens import FEE, TERMS, version_of


@pytest.fixture
def three(place, ask):
    return [place(ask(f"input {number}")) for number in range(3)]


def answer_to(placed, **changes):
    return replace(Answer(placed.terms, COMMITMENT, OUTPUT), **changes)


def test_each_is_answered_and_all_are_paid(escrow, owner, worker, offer, three):
    answers = [
        answer_to(placed, commitment=bytes([number + 1]) * 32)
        for number, placed in enumerate(three)
    ]

    receipt = worker.send(escrow.fulfil_many(offer, answers))

    assert said(receipt, escrow) == [
        event(
            InferenceFulfilled,
            request_id=placed.id,
            model_id=offer.model_id,
            worker=worker.address,
            commitment=answer.commitment,
            output=OUTPUT,
        )
        for placed, answer in zip(three, answers, strict=True)
    ]
    for placed, answer in zip(three, answers, strict=True):
        result = RequestStatus.FULFILLED, answer.commitment[:31]
        assert escrow.result_of(placed.id) == result
    assert escrow.credit_of(owner.address) == 3 * offer.payee_share
    assert escrow.credit_of(worker.address) == 3 * offer.worker_share


def late(place, ask, **_):
    return place(ask("late", deadline=ask().deadline - 3_000))


def named(place, ask, keeper, **_):
    return place(ask("named", worker=keeper.address))


def inline(place, ask, **_):
    return place(ask("inline", flags=INLINE_ONLY))


def with_callback(place, ask, **_):
    return place(ask("callback", callback_gas=1))


def plain(place, ask, **_):
    return place(ask("plain"))


@pytest.mark.parametrize(
    ("requested", "changes", "outcome"),
    [
        (late, {}, Outcome.DEADLINE_PASSED),
        (named, {}, Outcome.NOT_NAMED_WORKER),
        (plain, {"commitment": bytes(32)}, Outcome.COMMITMENT_IS_ZERO),
        (plain, {"output": bytes(1025)}, Outcome.OUTPUT_TOO_LONG),
        (inline, {"output": REFERENCE}, Outcome.OUTPUT_NOT_INLINE),
        (inline, {"output": b""}, Outcome.OUTPUT_NOT_INLINE),
        (with_callback, {}, Outcome.CALLBACK_REQUIRED),
    ],
    ids=lambda value: value.name if isinstance(value, Outcome) else "",
)
def test_one_that_cannot_be_taken_is_passed_over(
    escrow, wait_until, worker, keeper, offer, place, ask, three, requested, changes, outcome
):
    bad = requested(place=place, ask=ask, keeper=keeper)
    if requested is late:
        wait_until(bad.terms.deadline + 1)
    answers = [answer_to(three[0]), answer_to(bad, **changes), answer_to(three[1])]

    receipt = worker.send(escrow.fulfil_many(offer, answers))

    said_of_each = said(receipt, escrow)
    assert [kind for kind, _ in said_of_each] == [
        InferenceFulfilled,
        AnswerSkipped,
        InferenceFulfilled,
    ]
    assert said_of_each[1] == event(
        AnswerSkipped, request_id=bad.id, worker=worker.address, outcome=outcome
    )
    assert escrow.request_of(bad.id).status == RequestStatus.OPEN
    assert escrow.credit_of(worker.address) == 2 * offer.worker_share


def test_it_returns_what_became_of_each(chain, escrow, worker, offer, three):
    answers = [answer_to(three[0]), answer_to(three[0]), answer_to(three[1], commitment=bytes(32))]
    call = escrow.fulfil_many(offer, answers)

    returned = chain.call(call.to, call.data, sender=worker.address)

    decoded = contract_abi("InferenceEscrow").decode_result("fulfilMany", returned)
    assert decoded == (Outcome.FULFILLED, Outcome.NOT_OPEN, Outcome.COMMITMENT_IS_ZERO)


def test_the_same_request_twice_is_paid_once(escrow, worker, offer, three):
    worker.send(escrow.fulfil_many(offer, [answer_to(three[0])] * 2))

    assert escrow.credit_of(worker.address) == offer.worker_share


def test_requests_under_another_offer_are_passed_over(
    escrow, registry, owner, worker, offer, place, ask, three
):
    owner.send(registry.set_terms(offer.model_id, replace(TERMS, fee=2 * FEE)))
    dearer = place(ask("dearer"))

    receipt = worker.send(escrow.fulfil_many(offer, [answer_to(three[0]), answer_to(dearer)]))

    assert [fields.get("outcome") for _, fields in said(receipt, escrow)] == [
        None,
        Outcome.NOT_OPEN,
    ]
    assert escrow.request_of(dearer.id).status == RequestStatus.OPEN


def test_none_at_all_pay_nothing(escrow, worker, offer):
    assert worker.send(escrow.fulfil_many(offer, [])).logs == ()
    assert escrow.credit_of(worker.address) == 0


def test_the_caller_must_be_a_worker(escrow, owner, outsider, offer, three, reverts):
    with reverts(
        "AccessDenied",
        owner=owner.address,
        grantee=outsider.address,
        resource=offer.model_id,
        right=Right.SERVE,
        reason=Access.NOT_GRANTED,
    ):
        outsider.send(escrow.fulfil_many(offer, [answer_to(three[0])]))


def test_where_a_verifier_decides_no_worker_may(
    escrow, registry, owner, worker, sponsor, offer, place, ask, reverts
):
    verified = version_of(offer.model_id, owner.address, "verified", verifier=sponsor.address)
    owner.send(registry.publish_version(verified))
    placed = place(ask(), version=registry.version_id_of(verified))

    with reverts("NotVerifier", verifier=sponsor.address, caller=worker.address):
        worker.send(escrow.fulfil_many(placed.offer, [answer_to(placed)]))
