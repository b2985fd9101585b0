"""What the verifier named in an offer may do: `hold`, `settle`, `settleWithCallback`, `correct`."""

import pytest

from modelward import commitments
from modelward.chain.events import (
    CallbackRun,
    InferenceCorrected,
    InferenceFulfilled,
    InferenceHeld,
)
from modelward.terms import (
    ETH,
    INLINE_ONLY,
    ZERO_ADDRESS,
    Access,
    GrantTerms,
    RequestState,
    RequestStatus,
    Right,
)
from tests.contracts.inference_escrow.answers import COMMITMENT, OUTPUT, REFERENCE
from tests.contracts.said import event, said
from tests.contracts.specimens import FEE, version_of

MAX_HOLD = 30 * 86_400
SECRET = b"\x5e" * 32


@pytest.fixture
def verifier(sponsor):
    """An account here; in earnest a contract."""
    return sponsor


@pytest.fixture
def verified(registry, owner, verifier, offer):
    """The id of a version whose answers `verifier` decides on."""
    version = version_of(offer.model_id, owner.address, "verified", verifier=verifier.address)
    owner.send(registry.publish_version(version))
    return registry.version_id_of(version)


@pytest.fixture
def placed(place, ask, verified):
    return place(ask(), version=verified)


@pytest.fixture
def until(devchain, placed):
    return placed.terms.deadline + 10_000


@pytest.fixture
def hold(escrow, worker, placed, until):
    return escrow.call("hold", placed.offer, placed.terms, worker.address, until)


@pytest.fixture
def held(verifier, placed, hold):
    """A request with an answer under examination."""
    verifier.send(hold)
    return placed


def settle(escrow, placed, worker, commitment=COMMITMENT, output=OUTPUT):
    return escrow.call("settle", placed.offer, placed.terms, worker.address, commitment, output)


def correct(escrow, placed, commitment=COMMITMENT, output=OUTPUT):
    return escrow.call("correct", placed.offer, placed.terms, commitment, output)


def test_a_hold_is_thirty_days_at_most(escrow):
    assert escrow.view("MAX_HOLD") == MAX_HOLD


class TestHold:
    def test_it_takes_the_place_of_the_deadline(self, escrow, requester, held, until):
        assert escrow.request_of(held.id) == RequestState(
            status=RequestStatus.HELD,
            payer=requester.address,
            token=ETH,
            fee=FEE,
            deadline=until,
            commitment=bytes(31),
        )
        assert escrow.result_of(held.id) == (RequestStatus.HELD, bytes(31))

    def test_it_says_whose_answer_is_examined_until_when(
        self, escrow, verifier, worker, placed, hold, until
    ):
        receipt = verifier.send(hold)

        assert said(receipt, escrow) == [
            event(InferenceHeld, request_id=placed.id, worker=worker.address, until=until)
        ]

    @pytest.mark.parametrize("offset", [0, -100, MAX_HOLD + 1])
    def test_it_ends_after_now_and_not_too_late(
        self, escrow, devchain, verifier, worker, placed, mine_at, reverts, offset
    ):
        now = devchain.time + 100
        call = escrow.call("hold", placed.offer, placed.terms, worker.address, now + offset)

        with reverts("HoldOutOfBounds", until=now + offset, timestamp=now, latest=now + MAX_HOLD):
            mine_at(now, verifier, call)

    @pytest.mark.parametrize("offset", [1, MAX_HOLD])
    def test_the_first_and_the_last_possible_end_are_accepted(
        self, escrow, devchain, verifier, worker, placed, mine_at, offset
    ):
        now = devchain.time + 100
        call = escrow.call("hold", placed.offer, placed.terms, worker.address, now + offset)

        mine_at(now, verifier, call)

        assert escrow.request_of(placed.id).deadline == now + offset

    def test_only_the_verifier_may(self, verifier, worker, outsider, hold, reverts):
        for caller in (worker, outsider):
            with reverts("NotVerifier", verifier=verifier.address, caller=caller.address):
                caller.send(hold)

    def test_nobody_may_where_none_is_named(
        self, escrow, verifier, worker, place, ask, until, reverts
    ):
        attested = place(ask("attested"))
        call = escrow.call("hold", attested.offer, attested.terms, worker.address, until)
        with reverts("NotVerifier", verifier=ZERO_ADDRESS, caller=verifier.address):
            verifier.send(call)

    def test_once(self, verifier, held, hold, reverts):
        with reverts("NotOpen", id=held.id, status=RequestStatus.HELD):
            verifier.send(hold)

    def test_in_time(self, verifier, placed, hold, mine_at, reverts):
        deadline = placed.terms.deadline
        with reverts("DeadlinePassed", deadline=deadline, timestamp=deadline + 1):
            mine_at(deadline + 1, verifier, hold)

    def test_for_a_worker(self, escrow, owner, verifier, outsider, placed, until, reverts):
        call = escrow.call("hold", placed.offer, placed.terms, outsider.address, until)
        with reverts(
            "AccessDenied",
            owner=owner.address,
            grantee=outsider.address,
            resource=placed.offer.model_id,
            right=Right.SERVE,
            reason=Access.NOT_GRANTED,
        ):
            verifier.send(call)

    def test_for_the_one_that_is_named(
        self, escrow, data_share, owner, verifier, worker, keeper, place, ask, verified, reverts
    ):
        owner_offer = place(ask("named", worker=keeper.address), version=verified)
        serve = GrantTerms(Right.SERVE)
        owner.send(data_share.grant(keeper.address, owner_offer.offer.model_id, serve))
        until = owner_offer.terms.deadline + 1
        arguments = owner_offer.offer, owner_offer.terms
        with reverts("NotNamedWorker", worker=keeper.address, caller=worker.address):
            verifier.send(escrow.call("hold", *arguments, worker.address, until))
        verifier.send(escrow.call("hold", *arguments, keeper.address, until))

    @pytest.mark.parametrize("offset", [0, 1])
    def test_the_refund_waits_for_its_end(
        self, escrow, requester, outsider, held, until, mine_at, reverts, offset
    ):
        refund = escrow.refund(held.id)
        if offset == 0:
            with reverts("DeadlineNotPassed", deadline=until, timestamp=until):
                mine_at(until, outsider, refund)
        else:
            mine_at(until + 1, outsider, refund)
            assert escrow.credit_of(requester.address) == FEE
            assert escrow.request_of(held.id).status == RequestStatus.REFUNDED

    def test_no_worker_may_refuse_it(self, escrow, verifier, worker, held, reverts):
        with reverts("NotOpen", id=held.id, status=RequestStatus.HELD):
            worker.send(escrow.refuse(held.offer, held.terms, 1))


class TestSettle:
    @pytest.mark.parametrize("is_held", [False, True], ids=["open", "held"])
    def test_it_pays_and_says_as_an_answer_does(
        self, escrow, owner, verifier, worker, placed, hold, is_held
    ):
        if is_held:
            verifier.send(hold)

        receipt = verifier.send(settle(escrow, placed, worker))

        assert said(receipt, escrow) == [
            event(
                InferenceFulfilled,
                request_id=placed.id,
                model_id=placed.offer.model_id,
                worker=worker.address,
                commitment=COMMITMENT,
                output=OUTPUT,
            )
        ]
        assert escrow.credit_of(worker.address) == placed.offer.worker_share
        assert escrow.credit_of(owner.address) == placed.offer.payee_share
        result = RequestStatus.FULFILLED, COMMITMENT[:31]
        assert escrow.result_of(placed.id) == result

    def test_a_worker_that_was_held_is_paid_whatever_became_of_its_grant(
        self, escrow, data_share, owner, verifier, worker, held
    ):
        owner.send(data_share.revoke_access(worker.address))

        verifier.send(settle(escrow, held, worker))

        assert escrow.credit_of(worker.address) == held.offer.worker_share

    def test_without_a_hold_it_must_be_a_worker_now(
        self, escrow, data_share, owner, verifier, worker, placed, reverts
    ):
        owner.send(data_share.revoke_access(worker.address))

        with reverts(
            "AccessDenied",
            owner=owner.address,
            grantee=worker.address,
            resource=placed.offer.model_id,
            right=Right.SERVE,
            reason=Access.REVOKED,
        ):
            verifier.send(settle(escrow, placed, worker))

    def test_up_to_the_end_of_the_hold(self, escrow, verifier, worker, held, until, mine_at):
        mine_at(until, verifier, settle(escrow, held, worker))

        assert escrow.request_of(held.id).status == RequestStatus.FULFILLED

    def test_and_no_longer(self, escrow, verifier, worker, held, until, mine_at, reverts):
        with reverts("DeadlinePassed", deadline=until, timestamp=until + 1):
            mine_at(until + 1, verifier, settle(escrow, held, worker))

    def test_without_a_hold_up_to_the_deadline(
        self, escrow, verifier, worker, placed, mine_at, reverts
    ):
        deadline = placed.terms.deadline
        with reverts("DeadlinePassed", deadline=deadline, timestamp=deadline + 1):
            mine_at(deadline + 1, verifier, settle(escrow, placed, worker))

    def test_only_the_verifier_may(self, escrow, verifier, worker, held, reverts):
        with reverts("NotVerifier", verifier=verifier.address, caller=worker.address):
            worker.send(settle(escrow, held, worker))

    def test_once(self, escrow, verifier, worker, held, reverts):
        verifier.send(settle(escrow, held, worker))

        with reverts("NotOpen", id=held.id, status=RequestStatus.FULFILLED):
            verifier.send(settle(escrow, held, worker))

    def test_the_answer_is_checked_as_any(
        self, escrow, verifier, worker, place, ask, verified, held, reverts
    ):
        inline = place(ask("inline", flags=INLINE_ONLY), version=verified)
        for expected, call in (
            (("CommitmentIsZero", {}), settle(escrow, held, worker, commitment=bytes(32))),
            (
                ("OutputTooLong", {"length": 1025, "most": 1024}),
                settle(escrow, held, worker, output=bytes(1025)),
            ),
            (("OutputNotInline", {}), settle(escrow, inline, worker, output=REFERENCE)),
        ):
            error, arguments = expected
            with reverts(error, **arguments):
                verifier.send(call)


class TestSettleWithCallback:
    @pytest.fixture
    def called_back(self, place, ask, verified):
        return place(ask(callback_gas=100_000), version=verified)

    @pytest.fixture
    def settle_with_callback(self, escrow, worker):
        salt = commitments.result_salt(SECRET)

        def call(placed):
            return escrow.call(
                "settleWithCallback", placed.offer, placed.terms, worker.address, salt, b"output"
            )

        return call

    def test_it_computes_the_commitment_and_calls(
        self, escrow, verifier, worker, called_back, settle_with_callback
    ):
        receipt = verifier.send(settle_with_callback(called_back))

        assert said(receipt, escrow) == [
            event(
                InferenceFulfilled,
                request_id=called_back.id,
                model_id=called_back.offer.model_id,
                worker=worker.address,
                commitment=commitments.result_commitment(called_back.id, b"output", SECRET),
                output=b"\x00output",
            ),
            event(CallbackRun, request_id=called_back.id, succeeded=False),
        ]

    def test_who_asked_for_a_callback_is_not_settled_without(
        self, escrow, verifier, worker, called_back, reverts
    ):
        with reverts("CallbackMismatch", callbackGas=100_000):
            verifier.send(settle(escrow, called_back, worker))

    def test_nor_the_other_way_round(self, verifier, held, settle_with_callback, reverts):
        with reverts("CallbackMismatch", callbackGas=0):
            verifier.send(settle_with_callback(held))

    def test_only_the_verifier_may(
        self, verifier, worker, called_back, settle_with_callback, reverts
    ):
        with reverts("NotVerifier", verifier=verifier.address, caller=worker.address):
            worker.send(settle_with_callback(called_back))


class TestCorrect:
    def test_it_records_the_right_answer_and_credits_the_payer(
        self, escrow, owner, requester, verifier, worker, held
    ):
        receipt = verifier.send(correct(escrow, held))

        assert said(receipt, escrow) == [
            event(
                InferenceCorrected,
                request_id=held.id,
                model_id=held.offer.model_id,
                payer=requester.address,
                commitment=COMMITMENT,
                output=OUTPUT,
            )
        ]
        assert escrow.result_of(held.id) == (RequestStatus.CORRECTED, COMMITMENT[:31])
        assert escrow.credit_of(requester.address) == FEE
        assert escrow.credit_of(owner.address) == escrow.credit_of(worker.address) == 0

    def test_only_what_is_held(self, escrow, verifier, placed, reverts):
        with reverts("NotHeld", id=placed.id, status=RequestStatus.OPEN):
            verifier.send(correct(escrow, placed))

    def test_once(self, escrow, verifier, held, reverts):
        verifier.send(correct(escrow, held))

        with reverts("NotHeld", id=held.id, status=RequestStatus.CORRECTED):
            verifier.send(correct(escrow, held))

    def test_up_to_the_end_of_the_hold(self, escrow, verifier, held, until, mine_at, reverts):
        with reverts("DeadlinePassed", deadline=until, timestamp=until + 1):
            mine_at(until + 1, verifier, correct(escrow, held))

    def test_only_the_verifier_may(self, escrow, verifier, worker, held, reverts):
        with reverts("NotVerifier", verifier=verifier.address, caller=worker.address):
            worker.send(correct(escrow, held))

    def test_the_answer_is_checked(self, escrow, verifier, held, reverts):
        with reverts("CommitmentIsZero"):
            verifier.send(correct(escrow, held, commitment=bytes(32)))
        with reverts("OutputTooLong", length=1025, most=1024):
            verifier.send(correct(escrow, held, output=bytes(1025)))
