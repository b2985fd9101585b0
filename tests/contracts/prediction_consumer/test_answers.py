"""Answers are used once, in time, if they come by the escrow for a request that is awaited."""

import pytest
from eth_abi.abi import encode
from eth_utils import keccak

from modelward.chain.events import CallbackRun, decode_event
from modelward.commitments import result_commitment
from modelward.models.output import encode_units
from modelward.terms import PredictionStatus, RequestStatus, frame_clear_output
from tests.contracts.prediction_consumer.conftest import (
    CONTEXT,
    GAS,
    HOUR,
    LABEL,
    OUTPUT,
    SALT,
    SCORES,
    SECRET,
)
from tests.contracts.specimens import request_by, version_of

OTHER_OUTPUT = encode_units(0, (750_000_000, 250_000_000))
NOT_OURS = b"\x01" * 32
"""The id of a request that the consumer did not place."""


@pytest.fixture
def called_back(escrow):
    """Whether the callback in a transaction got through."""

    def found(receipt):
        logs = [log for log in receipt.logs if log.address == escrow.address]
        events = [decode_event(escrow.name, log) for log in logs]
        (run,) = [event for event in events if isinstance(event, CallbackRun)]
        return run.succeeded

    return found


@pytest.fixture
def call_as_escrow(chain, consumer, escrow):
    """Try a callback out, as it would go if the escrow made it."""

    def called(request_id, output):
        data = consumer.call("onInference", request_id, output).data
        chain.call(consumer.address, data, sender=escrow.address)

    return called


@pytest.fixture
def missed(consumer, outsider, worker, asked, answer, called_back):
    """A request whose answer was recorded while the consumer was failing, and no longer is."""
    outsider.send(consumer.call("fail", True))
    assert not called_back(worker.send(answer(asked)))
    outsider.send(consumer.call("fail", False))
    return asked


class TestCallback:
    @pytest.fixture
    def asked_briefly(self, devchain, ask, terms):
        """A request whose answer goes stale before its deadline, and the last second before."""
        usable_until = devchain.time + 600
        return ask(terms, usable_until=usable_until), usable_until

    def test_it_is_told_context_label_and_scores(
        self, consumer, worker, asked, answer, prediction_of
    ):
        receipt = worker.send(answer(asked))

        assert consumer.view("lastContext") == CONTEXT
        assert consumer.view("lastLabel") == LABEL
        assert consumer.view("lastScores") == SCORES
        assert prediction_of(asked).status is PredictionStatus.USED
        (said,) = consumer.said(receipt, "PredictionUsed")
        assert said == {"id": asked.id, "context": CONTEXT, "label": LABEL, "scores": SCORES}

    def test_a_forged_one_is_refused(self, consumer, escrow, outsider, worker, asked, reverts):
        for forger in (outsider, worker):
            with reverts("NotEscrow", escrow=escrow.address, caller=forger.address):
                forger.send(consumer.call("onInference", asked.id, OUTPUT))

        assert consumer.view("answers") == 0

    def test_one_for_another_request_is_refused(self, call_as_escrow, asked, reverts):
        with reverts("NotAwaited", id=NOT_OURS, status=PredictionStatus.NONE):
            call_as_escrow(NOT_OURS, OUTPUT)

    def test_somebody_elses_answer_calls_somebody_else(
        self, consumer, escrow, devchain, requester, worker, place, asked, called_back
    ):
        """The escrow calls who placed the request, so that nobody can aim an answer elsewhere."""
        terms = request_by(requester.address, devchain.time + HOUR, callback_gas=GAS)
        placed = place(terms)
        answering = escrow.fulfil_with_callback(placed.offer, placed.terms, SALT, OUTPUT)

        assert not called_back(worker.send(answering))
        assert consumer.view("answers") == 0

    def test_a_second_one_is_refused(self, call_as_escrow, worker, asked, answer, reverts):
        worker.send(answer(asked))

        with reverts("NotAwaited", id=asked.id, status=PredictionStatus.USED):
            call_as_escrow(asked.id, OTHER_OUTPUT)

    def test_a_stale_one_changes_nothing(
        self,
        consumer,
        escrow,
        worker,
        asked_briefly,
        answer,
        mine_at,
        called_back,
        call_as_escrow,
        reverts,
    ):
        asked, usable_until = asked_briefly

        receipt = mine_at(usable_until + 1, worker, answer(asked))

        assert not called_back(receipt)
        assert consumer.view("answers") == 0
        assert escrow.request_of(asked.id).status is RequestStatus.FULFILLED
        with reverts("PredictionStale", usableUntil=usable_until, timestamp=usable_until + 1):
            call_as_escrow(asked.id, OUTPUT)

    def test_in_the_last_second_it_is_used(
        self, worker, asked_briefly, answer, mine_at, called_back
    ):
        asked, usable_until = asked_briefly
        assert called_back(mine_at(usable_until, worker, answer(asked)))

    @pytest.mark.parametrize(
        "output",
        [b"", b"nonsense", encode(("uint8", "uint256"), (1, 1)), OUTPUT[:-1]],
        ids=["none", "nonsense", "scores missing", "cut short"],
    )
    def test_what_is_no_output_is_not_used(
        self, consumer, worker, asked, answer, called_back, prediction_of, output
    ):
        assert not called_back(worker.send(answer(asked, output)))
        assert prediction_of(asked).status is PredictionStatus.AWAITED

    def test_nor_one_in_a_later_form(self, call_as_escrow, asked, reverts):
        later = encode(("uint8", "uint256", "int256[]"), (2, LABEL, SCORES))
        with reverts("UnknownOutputVersion", version=2, known=1):
            call_as_escrow(asked.id, later)


class TestDelivery:
    def test_what_missed_its_callback_is_handed_in_by_anyone(
        self, consumer, outsider, missed, prediction_of
    ):
        outsider.send(consumer.call("deliver", missed.id, OUTPUT, SALT))

        assert consumer.view("lastScores") == SCORES
        assert prediction_of(missed).status is PredictionStatus.USED

    def test_once(self, consumer, outsider, missed, reverts):
        outsider.send(consumer.call("deliver", missed.id, OUTPUT, SALT))
        with reverts("NotAwaited", id=missed.id, status=PredictionStatus.USED):
            outsider.send(consumer.call("deliver", missed.id, OUTPUT, SALT))

    @pytest.mark.parametrize(
        ("output", "salt"), [(OTHER_OUTPUT, SALT), (OUTPUT, b"\x01" * 32)], ids=["output", "salt"]
    )
    def test_another_output_or_salt_is_refused(
        self, consumer, outsider, missed, reverts, output, salt
    ):
        recorded = result_commitment(missed.id, OUTPUT, SECRET)[:31]
        fields = encode(["bytes32", "bytes", "bytes32"], [missed.id, output, salt])
        with reverts("WrongResult", recorded=recorded, given=keccak(fields)[:31]):
            outsider.send(consumer.call("deliver", missed.id, output, salt))

    def test_the_answer_to_another_request_is_refused(
        self, consumer, outsider, worker, ask, terms, missed, answer, reverts
    ):
        other = ask(terms, input_hash=b"\x77" * 32)
        with reverts("NoResult", id=other.id, status=RequestStatus.OPEN):
            outsider.send(consumer.call("deliver", other.id, OUTPUT, SALT))
        with reverts("NotAwaited", id=NOT_OURS, status=PredictionStatus.NONE):
            outsider.send(consumer.call("deliver", NOT_OURS, OUTPUT, SALT))

    def test_after_it_has_become_stale_it_is_refused(
        self, consumer, outsider, missed, terms, mine_at, reverts
    ):
        late = terms.usable_until + 1
        with reverts("PredictionStale", usableUntil=terms.usable_until, timestamp=late):
            mine_at(late, outsider, consumer.call("deliver", missed.id, OUTPUT, SALT))

    def test_without_a_callback_it_is_the_way(self, consumer, escrow, outsider, worker, ask, terms):
        asked = ask(terms, callback_gas=0)
        commitment = result_commitment(asked.id, OUTPUT, SECRET)
        framed = frame_clear_output(OUTPUT)
        worker.send(escrow.fulfil(asked.offer, asked.terms, commitment, framed))

        outsider.send(consumer.call("deliver", asked.id, OUTPUT, SALT))

        assert consumer.view("answers") == 1

    def test_a_corrected_answer_is_delivered_and_its_fee_comes_back(
        self, registry, consumer, escrow, owner, requester, sponsor, worker, offer, ask, terms
    ):
        verified = version_of(offer.model_id, owner.address, "verified", verifier=sponsor.address)
        owner.send(registry.publish_version(verified))
        asked = ask(terms, version_id=registry.version_id_of(verified))
        until = terms.deadline + HOUR // 2
        commitment = result_commitment(asked.id, OUTPUT, SECRET)
        framed = frame_clear_output(OUTPUT)
        sponsor.send(escrow.call("hold", asked.offer, asked.terms, worker.address, until))
        sponsor.send(escrow.call("correct", asked.offer, asked.terms, commitment, framed))

        sponsor.send(consumer.call("deliver", asked.id, OUTPUT, SALT))

        assert consumer.view("answers") == 1
        assert consumer.view("feesOf", asked.offer.token, requester.address) == asked.offer.fee
