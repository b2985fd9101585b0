"""An exact model on the market: published with its program, answered, disputed, verified."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelward.errors import (
    CheckFailed,
    CommitmentMismatch,
    ContractRefused,
    InvalidTerms,
    NoExactProgram,
    NotAnswered,
    PredictionMismatch,
    TimedOut,
)
from modelward.models.exact.program import load_program
from modelward.sdk import disputes, storage_cost, verify
from modelward.terms import RequestStatus
from tests.exact_market import BOND, EXACT, NAME, WINDOW, one_more, other_label
from tests.market import PRICE

# --- publishing ----------------------------------------------------------------------------------


def test_the_program_is_stored_and_the_version_admitted(published, connection, referee):
    version = published.version.version
    stored = connection.deployment.programs.program_of(version.program_hash)
    assert load_program(stored).hash == version.program_hash == published.program.hash
    assert version.verifier == referee.address
    terms = referee.terms_of(published.version.id)
    assert (terms.program_hash, terms.window, terms.bond) == (version.program_hash, WINDOW, BOND)


def test_publishing_it_again_sends_nothing(published, owner, breast_cancer):
    again = owner.publish(
        breast_cancer.estimator,
        breast_cancer.inputs,
        breast_cancer.labels,
        name=NAME,
        price=PRICE,
        private=False,
        disputes=EXACT,
    )
    assert again.changes == ()
    assert again.version.id == published.version.id


def test_a_stored_program_costs_nothing_and_another_what_is_said(owner, published, connection):
    program = connection.deployment.programs.program_of(published.program.hash)
    assert storage_cost(owner.connection, program) is None
    loaded = load_program(program)
    other = replace(loaded, decimals=loaded.decimals - 1).to_bytes()
    cost = storage_cost(owner.connection, other)
    assert cost is not None
    receipt = owner.connection.send(connection.deployment.programs.store(other))
    assert cost.size == len(other)
    assert receipt.gas_used <= cost.gas <= receipt.gas_used * 1.4


def test_what_does_not_fit_is_refused_before_anything_is_sent(owner):
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier

    inputs, labels = load_digits(return_X_y=True)
    forest = RandomForestClassifier(60, random_state=0).fit(inputs[::2], labels[::2])
    before = owner.connection.chain.balance(owner.address)
    with pytest.raises(ContractRefused, match=r"has \d+ bytes; a contract's code holds 24575"):
        owner.publish(
            forest,
            inputs[1::2],
            labels[1::2],
            name="large",
            price=PRICE,
            private=False,
            disputes=EXACT,
        )
    assert owner.connection.chain.balance(owner.address) == before


def test_a_private_model_cannot_be_disputed(owner, breast_cancer):
    with pytest.raises(InvalidTerms, match="everybody can read it"):
        owner.publish(
            breast_cancer.estimator,
            breast_cancer.inputs,
            breast_cancer.labels,
            name="secret",
            price=PRICE,
            disputes=EXACT,
        )


def test_nor_can_one_without_a_program(owner, breast_cancer):
    from sklearn.naive_bayes import GaussianNB

    with pytest.raises(NoExactProgram, match="GaussianNB"):
        owner.publish(
            GaussianNB().fit(breast_cancer.inputs, breast_cancer.labels),
            breast_cancer.inputs,
            breast_cancer.labels,
            name="naive",
            price=PRICE,
            private=False,
            disputes=EXACT,
        )


# --- right answers -------------------------------------------------------------------------------


def test_a_right_answer_is_verified_bit_for_bit_while_it_is_examined(placed, post, connection):
    post(placed)
    verification = verify(connection, placed.id)
    assert verification.identical
    assert "The program on chain, run again, gives the same output, bit for bit" in {
        check.what for check in verification.checks
    }


def test_a_right_answer_is_waited_for_no_longer_than_until_it_is_posted(placed, post, requester):
    posted = post(placed)
    result = requester.wait(placed.id)
    assert (result.pending, result.pending_until) == (True, posted.answer.settle_after)
    assert result.worker == posted.worker
    with pytest.raises(TimedOut):
        requester.wait(placed.id, timeout=0.1, standing=True)
    disputes.accept(requester.connection, placed.id)
    standing = requester.wait(placed.id, standing=True)
    assert not standing.pending
    assert standing.canonical_output == result.canonical_output


def test_a_wrong_answer_that_was_waited_for_is_no_result(placed, post, requester):
    post(placed, one_more)
    with pytest.raises(CheckFailed, match="does not give the answer that was posted"):
        requester.wait(placed.id)


def test_the_requester_takes_a_right_answer_at_once(placed, post, requester, referee, market):
    post(placed)
    disputes.accept(requester.connection, placed.id)
    assert referee.balance_of(market.connection("worker").address) == BOND
    assert requester.result(placed.id).prediction.label in {"benign", "malignant"}
    assert verify(requester.connection, placed.id).identical


def test_a_challenge_of_a_right_answer_changes_nothing(placed, post, outsider, referee):
    post(placed)
    before = referee.pending_of(placed.id)
    judgement = disputes.judge(outsider.connection, placed.id)
    assert judgement.right
    for attempt in (disputes.prospect, disputes.challenge):
        with pytest.raises(ContractRefused, match="is right; there is nothing to correct"):
            attempt(outsider.connection, judgement)
    assert referee.pending_of(placed.id) == before
    assert referee.balance_of(outsider.address) == 0


def test_anyone_has_it_settled_after_the_window(placed, post, outsider, market, connection):
    posted = post(placed)
    with pytest.raises(InvalidTerms, match="can be challenged for another"):
        disputes.settle(outsider.connection, placed.id)
    market.devchain.increase_time(posted.answer.settle_after - connection.now() + 1)
    disputes.settle(outsider.connection, placed.id)
    assert connection.escrow.request_of(placed.id).status is RequestStatus.FULFILLED
    with pytest.raises(NotAnswered, match="is being examined"):
        disputes.settle(outsider.connection, placed.id)


# --- wrong answers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (one_more, r"the score of 'benign' is 0\.\d+ instead of 0\.\d+"),
        (other_label, "the label is '(malignant|benign)' instead of '(malignant|benign)'"),
    ],
)
def test_a_wrong_answer_is_told_with_the_first_value_that_differs(
    placed, post, connection, change, difference
):
    post(placed, change)
    with pytest.raises(PredictionMismatch, match=f"bit for bit: in the answer {difference}"):
        verify(connection, placed.id)


def test_a_wrong_answer_is_not_accepted(placed, post, requester):
    post(placed, one_more)
    with pytest.raises(CheckFailed, match="was not accepted"):
        disputes.accept(requester.connection, placed.id)


def test_anyone_has_a_wrong_answer_put_right(placed, post, outsider, referee, requester):
    post(placed, one_more)
    judgement = disputes.judge(outsider.connection, placed.id)
    expected = disputes.prospect(outsider.connection, judgement)
    assert (expected.reward, expected.profit) == (BOND // 2, BOND // 2 - expected.cost)
    corrected = disputes.challenge(outsider.connection, judgement)
    assert (corrected.payer_share, corrected.challenger_share) == (BOND - BOND // 2, BOND // 2)
    assert referee.balance_of(requester.address) == BOND - BOND // 2
    assert referee.balance_of(outsider.address) == BOND // 2
    assert requester.credit() == PRICE
    result = requester.result(placed.id)
    assert result.canonical_output == judgement.right_output
    assert verify(requester.connection, placed.id).identical


def test_a_right_output_under_a_wrong_commitment_is_wrong(placed, post, connection):
    post(placed, committed=bytes(range(32)))
    assert not disputes.judge(connection, placed.id).right
    with pytest.raises(CommitmentMismatch, match="but the worker committed to"):
        verify(connection, placed.id)


def test_a_worker_cannot_help_itself_by_a_challenge(placed, post, worker, referee, connection):
    post(placed, other_label)
    judgement = disputes.judge(worker.connection, placed.id)
    disputes.challenge(worker.connection, judgement)
    assert referee.balance_of(worker.connection.address) == BOND // 2
    assert connection.escrow.credit_of(worker.connection.address) == 0


def test_there_is_nothing_to_dispute_about_an_attested_answer(requester, market, breast_cancer):
    placed = requester.send("owner/breast-cancer", breast_cancer.inputs.iloc[[0]])
    with pytest.raises(InvalidTerms, match="a worker's word"):
        disputes.judge(market.connection(), placed.id)


def test_an_attested_version_with_a_program_is_verified_from_its_bundle(
    requester, worker, breast_cancer, sandbox
):
    placed = requester.send("owner/breast-cancer", breast_cancer.inputs.iloc[[0]])
    worker.answer(placed.id)
    verification = verify(requester.connection, placed.id, sandbox=sandbox)
    assert verification.identical
    assert verification.version.version.program_hash != bytes(32)


def test_and_a_single_unit_of_difference_is_a_mismatch(requester, worker, breast_cancer, sandbox):
    placed = requester.send("owner/breast-cancer", breast_cancer.inputs.iloc[[0]])
    worker.answer(placed.id, one_more(worker.predict(placed.id)))
    with pytest.raises(PredictionMismatch, match=r"the score of 'benign' is"):
        verify(requester.connection, placed.id, sandbox=sandbox)
