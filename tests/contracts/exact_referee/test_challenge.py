"""`challenge` re-executes the program: a wrong answer is put right, a right one stands."""

import pytest
from eth_utils.crypto import keccak

from modelward import commitments
from modelward.chain.events import AnswerCorrected, InferenceCorrected
from modelward.terms import ZERO_HASH, RequestStatus
from tests.contracts.exact_referee.conftest import (
    BOND,
    INPUT,
    OUTPUT,
    PROGRAM,
    SECRET,
    STAKED,
    WRONG,
    Asked,
)
from tests.contracts.said import event, said
from tests.contracts.signing import sign
from tests.contracts.specimens import FEE
from tests.exact.canonical import canonical_input

PAYER_SHARE, CHALLENGER_SHARE = BOND // 2 + 1, BOND // 2


@pytest.fixture
def challenge(referee, outsider):
    """Challenge an answer, as an outsider that was given secret and input."""

    def challenged(answered, input_=INPUT, *, sender=outsider, secret=SECRET):
        return sender.send(referee.challenge(*answered.arguments, secret, input_))

    return challenged


def test_the_right_answer_stands_and_the_bond_is_shared(
    referee, escrow, owner, requester, worker, outsider, wrong, challenge
):
    asked = wrong.asked

    receipt = challenge(wrong)

    assert said(receipt, referee, escrow) == [
        event(
            AnswerCorrected,
            request_id=asked.id,
            worker=worker.address,
            challenger=outsider.address,
            commitment=asked.right,
            payer_share=PAYER_SHARE,
            challenger_share=CHALLENGER_SHARE,
        ),
        event(
            InferenceCorrected,
            request_id=asked.id,
            model_id=asked.offer.model_id,
            payer=requester.address,
            commitment=asked.right,
            output=b"\x00" + OUTPUT,
        ),
    ]
    assert escrow.result_of(asked.id) == (RequestStatus.CORRECTED, asked.right[:31])
    assert escrow.credit_of(requester.address) == FEE
    assert escrow.credit_of(worker.address) == escrow.credit_of(owner.address) == 0
    assert referee.balance_of(worker.address) == STAKED - BOND
    assert referee.balance_of(requester.address) == PAYER_SHARE
    assert referee.balance_of(outsider.address) == CHALLENGER_SHARE
    assert referee.pending_of(asked.id) == ZERO_HASH


def test_a_wrong_challenge_reverts_and_changes_nothing(
    referee, escrow, worker, right, challenge, reverts
):
    with reverts("AnswerIsRight", id=right.asked.id, commitment=right.asked.right):
        challenge(right)

    assert referee.pending_of(right.asked.id) == commitments.exact_answer_hash(right.answer)
    assert escrow.request_of(right.asked.id).status == RequestStatus.HELD
    assert referee.balance_of(worker.address) == STAKED - BOND


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_up_to_the_end_of_the_window(referee, outsider, wrong, mine_at, reverts, offset):
    settle_after = wrong.answer.settle_after
    call = referee.challenge(*wrong.arguments, SECRET, INPUT)
    if offset <= 0:
        mine_at(settle_after + offset, outsider, call)
        return
    with reverts("WindowClosed", settleAfter=settle_after, timestamp=settle_after + 1):
        mine_at(settle_after + 1, outsider, call)


@pytest.mark.parametrize(
    ("secret", "input_"), [(SECRET, canonical_input(PROGRAM, [8])), (b"\0" * 32, INPUT)]
)
def test_only_with_the_requests_own_secret_and_input(wrong, challenge, reverts, secret, input_):
    with reverts(
        "InputMismatch",
        inputHash=wrong.asked.terms.input_hash,
        given=commitments.input_hash(secret, input_),
    ):
        challenge(wrong, input_, secret=secret)


@pytest.mark.parametrize("input_", [b"", INPUT[:-1], INPUT + b"\0", b"\x03" + INPUT[1:]])
@pytest.mark.parametrize("commits_to_refusal", [False, True])
def test_an_input_the_program_does_not_take_has_no_right_answer(
    referee, escrow, requester, inquire, admitted, post, challenge, input_, commits_to_refusal
):
    commitment = referee.refusal() if commits_to_refusal else WRONG
    answered = post(inquire(input_), commitment)

    receipt = challenge(answered, input_)

    _, (_, corrected) = said(receipt, referee, escrow)
    assert (corrected["commitment"], corrected["output"]) == (referee.refusal(), b"")
    assert escrow.credit_of(requester.address) == FEE
    assert referee.balance_of(requester.address) == PAYER_SHARE


class TestInClear:
    @pytest.fixture
    def open_question(self, inquire, admitted):
        return inquire(reply_key=ZERO_HASH)

    @pytest.mark.parametrize(
        "output",
        [b"", b"\x00", b"\x00" + OUTPUT[:-1], b"\x01" + OUTPUT, b"\x02" + b"\x0c" * 32 + b"file:"],
    )
    def test_another_output_is_wrong_whatever_it_commits_to(
        self, referee, requester, open_question, post, challenge, output
    ):
        challenge(post(open_question, open_question.right, output))

        assert referee.balance_of(requester.address) == PAYER_SHARE

    @pytest.mark.parametrize("by_reference", [False, True])
    def test_the_output_or_its_hash_is_right(
        self, open_question, post, challenge, reverts, by_reference
    ):
        reference = b"\x02" + keccak(OUTPUT) + b"file:///store"
        output = reference if by_reference else b"\x00" + OUTPUT
        answered = post(open_question, open_question.right, output)
        with reverts("AnswerIsRight", id=open_question.id, commitment=open_question.right):
            challenge(answered)


def test_a_worker_that_challenges_itself_ends_worse_off_than_an_honest_one(
    referee, escrow, requester, worker, inquire, post, asked, challenge
):
    def wealth():
        return referee.balance_of(worker.address) + escrow.credit_of(worker.address)

    challenge(post(asked), sender=worker)
    lying = wealth()
    second = inquire(deadline=asked.terms.deadline + 1)
    requester.send(referee.accept(*post(second, second.right).arguments))

    assert lying - STAKED == -PAYER_SHARE
    assert wealth() - lying == asked.offer.worker_share


def test_a_requester_that_challenges_has_the_fee_and_the_whole_bond(
    referee, escrow, requester, wrong, challenge
):
    challenge(wrong, sender=requester)

    assert escrow.credit_of(requester.address) == FEE
    assert referee.balance_of(requester.address) == BOND


def test_a_sponsors_fee_and_half_go_to_the_sponsor(
    escrow, referee, registry, chain, requester, sponsor, ask, admitted, offer, post, challenge
):
    terms = ask(
        input_hash=commitments.input_hash(SECRET, INPUT),
        reply_key=b"\x0b" * 32,
        payer=sponsor.address,
    )
    standing = registry.quote(offer.model_id, admitted).offer
    request = commitments.request_id(
        standing, terms, chain_id=chain.chain_id, escrow=escrow.address
    )
    signature = sign(requester, request)
    sponsor.send(
        escrow.request_for(offer.model_id, admitted, terms, b"", signature, value=standing.fee)
    )

    challenge(post(Asked(standing, terms, request)))

    assert escrow.credit_of(sponsor.address) == FEE
    assert referee.balance_of(sponsor.address) == PAYER_SHARE
    assert escrow.credit_of(requester.address) == referee.balance_of(requester.address) == 0
