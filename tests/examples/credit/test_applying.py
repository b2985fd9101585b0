"""Applying for credit: who may, with what, and what the answer makes of the line."""

from dataclasses import replace

import pytest

from modelward.errors import ContractRefused
from modelward.models.output import encode_units
from modelward.terms import ETH, ZERO_HASH, PredictionStatus, RequestStatus
from tests.contracts.specimens import FEE, TERMS
from tests.examples.conftest import SALT
from tests.examples.credit.conftest import (
    APPLIED,
    COIN,
    CUTOFF,
    DECLINED,
    GRACE,
    INPUT,
    MAX_LIMIT,
    NONE,
    OPEN,
    TERM,
    WHOLE,
)


class TestScore:
    @pytest.mark.parametrize(
        ("score", "limit"),
        [
            (800_000_000, MAX_LIMIT // 2),
            (CUTOFF + 1, MAX_LIMIT // 400_000_000),
            (WHOLE, MAX_LIMIT),
        ],
    )
    def test_above_the_cutoff_it_opens_a_line_in_proportion(
        self, chain, credit, borrower, scored, line_of, score, limit
    ):
        answered = scored(borrower, score)

        at = chain.block(answered.receipt.block_number).timestamp
        line = line_of(borrower)
        assert (line.status, line.score, line.limit, line.owed) == (OPEN, score, limit, 0)
        assert (line.expiry, line.due) == (at + TERM, at + TERM + GRACE)
        assert line.basis == answered.request.request_id
        (said,) = credit.said(answered.receipt, "LineOpened")
        assert (said["borrower"], said["limit"]) == (borrower.address, limit)

    @pytest.mark.parametrize("score", [0, CUTOFF - 1, CUTOFF])
    def test_up_to_the_cutoff_it_declines(
        self, credit, borrower, scored, line_of, draw, reverts, score
    ):
        answered = scored(borrower, score)

        line = line_of(borrower)
        assert (line.status, line.score, line.limit) == (DECLINED, score, 0)
        (said,) = credit.said(answered.receipt, "LineDeclined")
        assert said == {
            "borrower": borrower.address,
            "requestId": answered.request.request_id,
            "score": score,
            "cutoff": CUTOFF,
        }
        with reverts("LineNotOpen", status=DECLINED):
            draw(borrower, 1)

    def test_who_was_declined_may_apply_again(self, borrower, scored, line_of):
        scored(borrower, 0)
        scored(borrower, WHOLE, "second")
        assert line_of(borrower).status == OPEN

    def test_a_line_on_which_nothing_is_owed_can_be_scored_anew(
        self, borrower, opened, scored, line_of
    ):
        scored(borrower, 0, "second")
        assert (line_of(borrower).status, line_of(borrower).limit) == (DECLINED, 0)

    def test_a_cutoff_at_certainty_could_open_no_line(self, deploy, reverts):
        with reverts("CutoffTooHigh", cutoff=WHOLE, whole=WHOLE):
            deploy(cutoff=WHOLE)


class TestReport:
    def test_it_is_about_the_caller(self, credit, sign, borrower, outsider, reverts):
        report, signature = sign(borrower)
        with reverts("NotBorrower", borrower=borrower.address, caller=outsider.address):
            outsider.send(credit.call("applyForCredit", report, INPUT, signature, value=FEE))

    def test_the_bureau_signs_it(self, credit, sign, borrower, bureau, reverts):
        report, signature = sign(borrower, by=borrower)
        with reverts("WrongSigner", expected=bureau.address, recovered=borrower.address):
            borrower.send(credit.call("applyForCredit", report, INPUT, signature, value=FEE))

    def test_for_these_figures(self, credit, sign, borrower, bureau):
        (who, _, until), signature = sign(borrower, "first")
        (_, other, _), _ = sign(borrower, "better")
        call = credit.call("applyForCredit", (who, other, until), INPUT, signature, value=FEE)
        with pytest.raises(ContractRefused) as refused:
            borrower.send(call)
        assert refused.value.error == "WrongSigner"
        assert refused.value.arguments["expected"] == bureau.address

    def test_until_it_expires(self, credit, sign, borrower, mine_at, reverts):
        report, signature = sign(borrower)
        late = report[2] + 1
        call = credit.call("applyForCredit", report, INPUT, signature, value=FEE)
        with reverts("ReportExpired", validUntil=report[2], timestamp=late):
            mine_at(late, borrower, call)

    def test_for_one_application(self, credit, sign, borrower, scored, reverts):
        scored(borrower, 0)
        report, signature = sign(borrower)
        with reverts("ReportUsed", inputHash=report[1]):
            borrower.send(credit.call("applyForCredit", report, INPUT, signature, value=FEE))

    def test_while_one_is_being_answered_there_is_no_other(
        self, borrower, apply_for_credit, reverts
    ):
        apply_for_credit(borrower)
        with reverts("CannotApply", status=APPLIED, owed=0):
            apply_for_credit(borrower, "second")

    def test_nor_while_something_is_owed(
        self, borrower, opened, draw, apply_for_credit, line_of, reverts
    ):
        draw(borrower, COIN)
        with reverts("CannotApply", status=OPEN, owed=line_of(borrower).owed):
            apply_for_credit(borrower, "second")


class TestUnanswered:
    def test_the_application_lapses_and_its_fee_comes_back(
        self, credit, borrower, outsider, apply_for_credit, wait_until, line_of
    ):
        applied = apply_for_credit(borrower)
        wait_until(applied.request.deadline + 1)

        receipt = outsider.send(credit.call("clear", applied.request_id))

        assert line_of(borrower).status == NONE
        assert credit.view("feesOf", ETH, borrower.address) == FEE
        (said,) = credit.said(receipt, "ApplicationLapsed")
        assert said == {"borrower": borrower.address, "requestId": applied.request_id}

    def test_so_it_does_if_the_worker_refuses(
        self, credit, escrow, borrower, worker, outsider, apply_for_credit, line_of
    ):
        applied = apply_for_credit(borrower)
        worker.send(escrow.refuse(applied.offer, applied.request, 1))
        outsider.send(credit.call("clear", applied.request_id))
        assert (line_of(borrower).status, line_of(borrower).basis) == (NONE, ZERO_HASH)


class TestForgery:
    def test_nobody_but_the_escrow_brings_scores(
        self, credit, escrow, borrower, worker, apply_for_credit, line_of, reverts
    ):
        applied = apply_for_credit(borrower)
        output = encode_units(1, (0, WHOLE))
        for forger in (borrower, worker):
            with reverts("NotEscrow", escrow=escrow.address, caller=forger.address):
                forger.send(credit.call("onInference", applied.request_id, output))
        assert line_of(borrower).status == APPLIED

    def test_another_borrowers_score_is_another_borrowers(
        self, credit, borrower, outsider, scored, apply_for_credit, line_of, reverts
    ):
        applied = apply_for_credit(borrower)
        scored(outsider, WHOLE, "outsider's")

        assert (line_of(borrower).status, line_of(outsider).status) == (APPLIED, OPEN)
        output = encode_units(1, (0, WHOLE))
        with reverts("NoResult", id=applied.request_id, status=RequestStatus.OPEN):
            borrower.send(credit.call("deliver", applied.request_id, output, SALT))

    def test_a_score_is_used_once(self, chain, credit, escrow, borrower, opened, reverts):
        again = encode_units(1, (0, WHOLE))
        data = credit.call("onInference", opened.request.request_id, again).data
        identity = opened.request.request_id
        with reverts("NotAwaited", id=identity, status=PredictionStatus.USED):
            chain.call(credit.address, data, sender=escrow.address)

    def test_a_stale_one_opens_nothing(
        self, chain, credit, escrow, borrower, apply_for_credit, wait_until, reverts
    ):
        applied = apply_for_credit(borrower)
        usable_until = credit.view("predictionOf", applied.request_id).usable_until
        wait_until(usable_until + 1)
        data = credit.call("onInference", applied.request_id, encode_units(1, (0, WHOLE))).data
        with reverts("PredictionStale", usableUntil=usable_until, timestamp=usable_until + 1):
            chain.call(credit.address, data, sender=escrow.address)

    @pytest.mark.parametrize(
        ("scores", "error"),
        [
            ((WHOLE,), ("WrongScoreCount", {"count": 1, "expected": 2})),
            ((0, WHOLE + 1), ("ScoreOutOfRange", {"score": WHOLE + 1, "most": WHOLE})),
            ((0, -1), ("ScoreOutOfRange", {"score": -1, "most": WHOLE})),
        ],
    )
    def test_nor_does_one_of_another_model(
        self, chain, credit, escrow, borrower, apply_for_credit, reverts, scores, error
    ):
        applied = apply_for_credit(borrower)
        data = credit.call("onInference", applied.request_id, encode_units(0, scores)).data
        name, arguments = error
        with reverts(name, **arguments):
            chain.call(credit.address, data, sender=escrow.address)


def test_the_prediction_can_be_paid_for_in_the_token_that_is_lent(
    registry,
    deploy,
    let_ask,
    owner,
    offer,
    token,
    borrower,
    worker,
    sign_for,
    answering,
    requested,
):
    owner.send(registry.set_terms(offer.model_id, replace(TERMS, fee=COIN, token=token.address)))
    credit = deploy(feeToken=token.address)
    let_ask(credit.address)
    borrower.send(token.call("mint", borrower.address, COIN))
    borrower.send(token.call("approve", credit.address, COIN))
    report, signature = sign_for(credit, borrower)

    applied = requested(borrower.send(credit.call("applyForCredit", report, INPUT, signature)))
    worker.send(answering(applied, 0, WHOLE, label=1))

    assert credit.view("lineOf", borrower.address)["status"] == OPEN
    assert token.view("balanceOf", borrower.address) == 0
