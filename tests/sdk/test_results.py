"""A result is shown only when its commitment, recomputed, is the one on chain."""

from __future__ import annotations

import shutil

import pytest
from eth_abi import encode

from modelward.commitments import result_commitment
from modelward.errors import (
    CommitmentMismatch,
    ContractRefused,
    HashMismatch,
    InvalidOutput,
    NotAnswered,
    PredictionMismatch,
    RequestRefused,
    TimedOut,
    UnknownRequest,
)
from modelward.sdk import timeline, verify
from modelward.sdk.history import opened_input, read_history
from modelward.terms import RefusalReason, RequestId, RequestStatus, Right
from tests.market import MODEL, PRICE


@pytest.fixture
def placed(requester, breast_cancer):
    return requester.send(MODEL, breast_cancer.inputs.iloc[[0]], delay=600)


@pytest.fixture
def rounded(owner, requester, breast_cancer):
    """A request to the same estimator, published without a program."""
    owner.publish(
        breast_cancer.estimator,
        breast_cancer.inputs,
        breast_cancer.labels,
        name="rounded",
        price=PRICE,
        open=True,
        private=False,
        exact=False,
    )
    owner.grant("worker", "rounded", Right.SERVE)
    return requester.send("owner/rounded", breast_cancer.inputs.iloc[[0]], delay=600)


def output_of(label: int, *scores: int) -> bytes:
    """A canonical output of the market's model, whatever the model would say."""
    return encode(["uint8", "uint256", "int256[]"], [1, label, list(scores)])


LIE = output_of(0, 900_000_000, 100_000_000)


# --- results -------------------------------------------------------------------------------------


def test_the_result_is_what_the_estimator_says(requester, worker, placed, breast_cancer):
    worker.answer(placed.id)
    result = requester.wait(placed.id, timeout=10)
    row = breast_cancer.inputs.iloc[[0]]
    assert result.prediction.label == breast_cancer.estimator.predict(row)[0]
    expected = breast_cancer.estimator.predict_proba(row)[0]
    assert [float(score) for score in result.prediction.scores.values()] == pytest.approx(
        list(expected), abs=1e-7
    )
    assert list(result.prediction.scores) == list(breast_cancer.estimator.classes_)
    assert (result.worker, result.fee) == (worker.connection.address, PRICE)


def test_its_commitment_is_the_one_on_chain(requester, worker, placed):
    worker.answer(placed.id)
    result = requester.result(placed.id)
    connection = requester.connection
    secret = opened_input(connection, read_history(connection, placed.id)).secret
    assert result.commitment == result_commitment(placed.id, result.canonical_output, secret)
    assert connection.escrow.request_of(placed.id).commitment == result.commitment[:31]


def test_another_process_without_the_book_reads_it_from_the_chain_alone(
    worker, placed, market, tmp_path
):
    worker.answer(placed.id)
    shutil.rmtree(market.home)
    assert verify(market.connection(), placed.id).delivered.label == "malignant"


def test_an_output_other_than_the_one_committed_to_is_no_result(requester, worker, placed, sandbox):
    worker.answer(placed.id, output=LIE, committed=worker.predict(placed.id))
    with pytest.raises(CommitmentMismatch, match="the escrow records"):
        requester.result(placed.id)
    with pytest.raises(CommitmentMismatch):
        verify(requester.connection, placed.id, sandbox=sandbox)


def test_an_output_that_is_none_of_this_model_is_no_result(requester, worker, placed):
    worker.answer(placed.id, output=output_of(7, 1, 2))
    with pytest.raises(InvalidOutput, match="class number 7 of 2"):
        requester.result(placed.id)


def test_there_is_no_result_before_there_is_an_answer(requester, placed):
    with pytest.raises(NotAnswered, match="no answer yet"):
        requester.result(placed.id)


def test_an_id_that_was_never_placed_is_unknown(requester):
    nobody = RequestId(b"\x01" * 32)
    for ask in (requester.result, requester.wait, requester.refund):
        with pytest.raises(UnknownRequest):
            ask(nobody)


def test_waiting_ends_after_its_own_time(requester, placed):
    with pytest.raises(TimedOut, match=r"within 0\.2 s"):
        requester.wait(placed.id, timeout=0.2)


def test_waiting_ends_at_the_deadline(requester, placed, market):
    market.devchain.increase_time(601)
    with pytest.raises(NotAnswered, match="by its deadline") as late:
        requester.wait(placed.id)
    assert f"request refund 0x{placed.id.hex()}" in str(late.value.hint)


def test_a_refusal_says_why_and_where_the_fee_is(requester, worker, placed):
    worker.decline(placed.id, RefusalReason.PREDICTION_FAILED)
    with pytest.raises(RequestRefused, match="could not predict for this input") as refused:
        requester.wait(placed.id)
    assert refused.value.reason == RefusalReason.PREDICTION_FAILED
    assert refused.value.hint == "The fee, 0.001 ether, was credited to requester."
    assert requester.credit() == PRICE


def test_a_reason_of_another_client_is_no_error(requester, worker, placed):
    worker.decline(placed.id, 200)
    with pytest.raises(RequestRefused, match="gave no reason that this client knows"):
        requester.result(placed.id)


# --- verification --------------------------------------------------------------------------------


def test_a_verification_says_what_matched(requester, worker, placed, sandbox):
    worker.answer(placed.id)
    verification = verify(requester.connection, placed.id, sandbox=sandbox)
    assert verification.identical
    assert verification.delivered == verification.replayed
    assert [check.what for check in verification.checks] == [
        "The terms on chain hash to the request's id",
        "The input hashes to what the request commits to",
        "The output opens the commitment on chain",
        "The version hashes to the id the request pins",
        "Bundle and manifest have the hashes the version pins",
        "The pinned model, run again, gives the same output, bit for bit",
    ]


def test_a_lie_that_is_committed_to_is_found_by_the_replay(requester, worker, rounded, sandbox):
    worker.answer(rounded.id, output=LIE)
    assert requester.result(rounded.id).prediction.label == "benign"
    with pytest.raises(PredictionMismatch) as found:
        verify(requester.connection, rounded.id, sandbox=sandbox)
    assert "delivered benign (benign 0.900000000" in found.value.message
    assert "gives malignant (benign 0.0027" in found.value.message


@pytest.mark.parametrize(("off", "agrees"), [(1, True), (2, False)])
def test_a_replay_may_differ_by_one_unit_of_the_last_decimal(
    requester, worker, rounded, off, agrees, sandbox
):
    decimals = requester.quote("owner/rounded").manifest.output.decimals
    result = worker.predict(rounded.id)
    label, scores = 1, [int.from_bytes(result[32 * i : 32 * i + 32]) for i in (4, 5)]
    assert sum(scores) == 10**decimals
    worker.answer(rounded.id, output=output_of(label, scores[0] + off, scores[1] - off))
    if agrees:
        verification = verify(requester.connection, rounded.id, sandbox=sandbox)
        assert not verification.identical
        assert "within one unit" in verification.checks[-1].what
    else:
        with pytest.raises(PredictionMismatch):
            verify(requester.connection, rounded.id, sandbox=sandbox)


def test_a_bundle_that_was_tampered_with_is_never_opened(
    requester, worker, placed, market, sandbox, monkeypatch
):
    worker.answer(placed.id)
    nowhere_else: frozenset[str] = frozenset()
    monkeypatch.setattr("modelward.content.references.FOLLOWED_SCHEMES", nowhere_else)
    pinned = market.published.version.version.bundle_hash.hex()
    [file] = market.store.rglob(pinned)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(HashMismatch, match=pinned):
        verify(requester.connection, placed.id, sandbox=sandbox)


# --- refunds -------------------------------------------------------------------------------------


def test_at_the_deadline_itself_an_answer_counts_and_a_refund_does_not(
    requester, worker, placed, market
):
    output = worker.predict(placed.id)
    market.devchain.set_next_timestamp(placed.deadline)
    market.devchain.mine()
    with pytest.raises(ContractRefused) as early:
        requester.connection.escrow.chain.call(
            requester.connection.escrow.address,
            requester.connection.escrow.refund(placed.id).data,
            sender=requester.address,
        )
    assert early.value.error == "DeadlineNotPassed"
    history = read_history(worker.connection, placed.id)
    secret = opened_input(worker.connection, history).secret
    fulfil = worker.connection.escrow.fulfil(
        history.requested.offer,
        history.requested.request,
        result_commitment(placed.id, output, secret),
        b"\0" + output,
    )
    worker.connection.chain.call(fulfil.to, fulfil.data, sender=worker.connection.address)


def test_after_the_deadline_anyone_has_the_fee_credited_to_the_payer_once(
    requester, outsider, worker, placed, market
):
    market.devchain.set_next_timestamp(placed.deadline + 1)
    market.devchain.mine()
    with pytest.raises(ContractRefused) as late:
        worker.answer(placed.id)
    assert late.value.error == "DeadlinePassed"
    refunded = outsider.refund(placed.id)
    assert (refunded.payer, refunded.amount) == (requester.address, PRICE)
    assert (requester.credit(), outsider.credit()) == (PRICE, 0)
    for again in (outsider, requester):
        with pytest.raises(ContractRefused) as refused:
            again.refund(placed.id)
        assert refused.value.error == "NotOpen"
    assert requester.credit() == PRICE


def test_what_was_refunded_can_be_withdrawn_once(requester, placed, market):
    market.devchain.increase_time(601)
    requester.refund(placed.id)
    chain = requester.connection.chain
    before = chain.balance(requester.address)
    withdrawn = requester.withdraw()
    fee = requester.connection.receipt(withdrawn.transaction_hash).fee
    assert chain.balance(requester.address) == before + PRICE - fee
    with pytest.raises(ContractRefused, match="is owed nothing"):
        requester.withdraw()


def test_it_can_be_withdrawn_to_another_account(requester, placed, market):
    market.devchain.increase_time(601)
    requester.refund(placed.id)
    chain, sponsor = requester.connection.chain, requester.connection.addresses.address("sponsor")
    before = chain.balance(sponsor)
    requester.withdraw(to="sponsor")
    assert chain.balance(sponsor) == before + PRICE


# --- lists and timelines -------------------------------------------------------------------------


def test_a_request_shows_how_it_stands(requester, worker, placed, market, breast_cancer):
    row = breast_cancer.inputs.iloc[[1]]
    answered, declined = requester.send(MODEL, row), requester.send(MODEL, row)
    worker.answer(answered.id)
    worker.decline(declined.id, 0)
    market.devchain.increase_time(601)
    requester.refund(placed.id)
    late = requester.send(MODEL, row)
    assert {each.id: each.status for each in requester.list()} == {
        placed.id: RequestStatus.REFUNDED,
        answered.id: RequestStatus.FULFILLED,
        declined.id: RequestStatus.REFUSED,
        late.id: RequestStatus.OPEN,
    }


def test_the_list_is_of_one_account(requester, placed, owner, market, breast_cancer):
    other = type(requester)(market.connection("owner"))
    own = other.send(MODEL, breast_cancer.inputs.iloc[[0]])
    assert [each.id for each in requester.list()] == [placed.id]
    assert [each.id for each in other.list()] == [own.id]


def test_the_timeline_follows_the_money_to_the_last_withdrawal(
    requester, worker, placed, owner, market
):
    worker.answer(placed.id)
    owner.withdraw()
    told = timeline(requester.connection, placed.id)
    assert [(step.words, step.actor, step.money) for step in told] == [
        ("requested a prediction", requester.address, "0.001 ether held in escrow"),
        (
            "answered",
            worker.connection.address,
            "0.0005 ether credited to owner, 0.0005 ether to worker",
        ),
        ("withdrew", owner.address, "0.0005 ether paid out to owner"),
    ]
    blocks = [step.block for step in told]
    assert blocks == sorted(blocks)
    for step in told:
        receipt = requester.connection.receipt(step.transaction_hash)
        assert (step.block, step.gas) == (receipt.block_number, receipt.gas_used)
        assert step.timestamp == requester.connection.chain.block(step.block).timestamp


def test_the_timeline_of_a_refund_says_who_asked_and_who_was_credited(
    requester, outsider, placed, market
):
    market.devchain.increase_time(601)
    outsider.refund(placed.id)
    requester.withdraw()
    told = timeline(requester.connection, placed.id)
    assert [(step.words, step.actor, step.money) for step in told][1:] == [
        (
            "had the fee refunded: nobody answered in time",
            outsider.address,
            "0.001 ether credited to requester",
        ),
        ("withdrew", requester.address, "0.001 ether paid out to requester"),
    ]


def test_an_earlier_withdrawal_is_not_of_this_request(requester, worker, placed, breast_cancer):
    first = requester.send(MODEL, breast_cancer.inputs.iloc[[1]])
    worker.answer(first.id)
    from modelward.sdk import Participant

    Participant(worker.connection).withdraw()
    worker.answer(placed.id)
    assert [step.words for step in timeline(requester.connection, placed.id)] == [
        "requested a prediction",
        "answered",
    ]
