"""Requests that are signed by their requester and paid for by another; what counts as a signature
is in `test_signatures`.
"""

from dataclasses import replace

import pytest

from modelward import commitments
from modelward.chain.events import InferenceRequested, RequestCancelled
from modelward.terms import ETH, ZERO_ADDRESS, Access, RequestState, RequestStatus, Right
from tests.contracts.inference_escrow.answers import COMMITMENT, OUTPUT
from tests.contracts.said import event, said
from tests.contracts.signing import recovered, sign
from tests.contracts.specimens import FEE, INPUT, QUOTA, TERMS


@pytest.fixture
def terms(ask, sponsor):
    """A request in `requester`'s name that `sponsor` is to pay for."""
    return ask(payer=sponsor.address)


@pytest.fixture
def request_id(chain, escrow, offer, terms):
    return commitments.request_id(offer, terms, chain_id=chain.chain_id, escrow=escrow.address)


@pytest.fixture
def request_for(escrow, offer):
    def call(terms, signature, value=FEE):
        return escrow.request_for(
            offer.model_id, offer.version_id, terms, INPUT, signature, value=value
        )

    return call


@pytest.fixture
def signature(requester, request_id):
    return sign(requester, request_id)


@pytest.fixture
def sponsored(sponsor, request_for, terms, signature):
    return sponsor.send(request_for(terms, signature))


class TestRequestFor:
    def test_it_is_open_and_the_payers_fee_is_held(
        self, escrow, chain, sponsor, terms, request_id, sponsored
    ):
        state = escrow.request_of(request_id)

        assert (state.status, state.payer, state.fee) == (
            RequestStatus.OPEN,
            sponsor.address,
            FEE,
        )
        assert chain.balance(escrow.address) == FEE

    def test_it_is_said_in_the_signers_name(
        self, escrow, requester, offer, terms, request_id, sponsored
    ):
        assert said(sponsored, escrow) == [
            event(
                InferenceRequested,
                request_id=request_id,
                model_id=offer.model_id,
                requester=requester.address,
                offer=offer,
                request=terms,
                input=INPUT,
            )
        ]

    def test_it_takes_a_use_of_the_signers_grant(
        self, data_share, owner, requester, offer, sponsored
    ):
        grant = data_share.grant_of(owner.address, requester.address, offer.model_id)
        assert grant.uses == QUOTA - 1

    def test_the_payer_is_credited_if_there_is_no_answer(
        self, escrow, wait_until, requester, sponsor, outsider, terms, request_id, sponsored
    ):
        wait_until(terms.deadline + 1)
        outsider.send(escrow.refund(request_id))

        assert escrow.credit_of(sponsor.address) == FEE
        assert escrow.credit_of(requester.address) == 0

    def test_the_payer_is_credited_if_it_is_refused(
        self, escrow, sponsor, worker, offer, terms, sponsored
    ):
        worker.send(escrow.refuse(offer, terms, 1))

        assert escrow.credit_of(sponsor.address) == FEE

    def test_a_requester_may_pay_for_itself(
        self, escrow, chain, requester, offer, ask, request_for
    ):
        own = ask()
        own_id = commitments.request_id(offer, own, chain_id=chain.chain_id, escrow=escrow.address)

        requester.send(request_for(own, sign(requester, own_id)))

        assert escrow.request_of(own_id).payer == requester.address

    def test_only_the_payer_named_may_place_it(
        self, sponsor, requester, outsider, terms, signature, request_for, reverts
    ):
        for caller in (requester, outsider):
            with reverts("NotPayer", payer=sponsor.address, caller=caller.address):
                caller.send(request_for(terms, signature))

    def test_once(self, sponsor, terms, signature, request_id, request_for, sponsored, reverts):
        with reverts("RequestExists", id=request_id, status=RequestStatus.OPEN):
            sponsor.send(request_for(terms, signature))

    def test_and_not_again_when_it_has_ended(
        self,
        escrow,
        sponsor,
        worker,
        offer,
        terms,
        signature,
        request_id,
        request_for,
        sponsored,
        reverts,
    ):
        worker.send(escrow.fulfil(offer, terms, COMMITMENT, OUTPUT))

        with reverts("RequestExists", id=request_id, status=RequestStatus.FULFILLED):
            sponsor.send(request_for(terms, signature))

    @pytest.mark.parametrize("changes", [{"fee": 0}, {"payee_bps": 0}], ids=str)
    def test_a_signature_is_for_the_offer_that_stood(
        self,
        chain,
        escrow,
        registry,
        owner,
        requester,
        sponsor,
        offer,
        terms,
        signature,
        request_for,
        reverts,
        changes,
    ):
        owner.send(registry.set_terms(offer.model_id, replace(TERMS, **changes)))
        now_offered = registry.quote(offer.model_id, offer.version_id).offer
        digest = commitments.request_id(
            now_offered, terms, chain_id=chain.chain_id, escrow=escrow.address
        )

        with reverts(
            "WrongSigner",
            expected=requester.address,
            recovered=recovered(digest, signature),
        ):
            sponsor.send(request_for(terms, signature, value=now_offered.fee))

    def test_the_signer_needs_the_grant_and_not_the_payer(
        self,
        data_share,
        owner,
        requester,
        sponsor,
        offer,
        terms,
        signature,
        request_for,
        reverts,
    ):
        owner.send(data_share.revoke_access(requester.address))

        with reverts(
            "AccessDenied",
            owner=owner.address,
            grantee=requester.address,
            resource=offer.model_id,
            right=Right.INFER,
            reason=Access.REVOKED,
        ):
            sponsor.send(request_for(terms, signature))

    @pytest.mark.parametrize("sent", [0, FEE + 1])
    def test_the_fee_must_be_sent_exactly(
        self, sponsor, terms, signature, request_for, reverts, sent
    ):
        with reverts("WrongFee", sent=sent, fee=FEE):
            sponsor.send(request_for(terms, signature, value=sent))


class TestCancel:
    def test_it_voids_a_signature_and_says_so(
        self,
        escrow,
        requester,
        sponsor,
        offer,
        terms,
        signature,
        request_id,
        request_for,
        reverts,
    ):
        receipt = requester.send(escrow.cancel(offer, terms))

        assert said(receipt, escrow) == [
            event(RequestCancelled, request_id=request_id, requester=requester.address)
        ]
        assert escrow.request_of(request_id).status == RequestStatus.CANCELLED
        with reverts("RequestExists", id=request_id, status=RequestStatus.CANCELLED):
            sponsor.send(request_for(terms, signature))

    def test_nothing_is_held_for_it_and_nothing_can_be_had(
        self, escrow, wait_until, requester, worker, outsider, offer, terms, request_id, reverts
    ):
        requester.send(escrow.cancel(offer, terms))

        assert escrow.request_of(request_id) == RequestState(
            status=RequestStatus.CANCELLED,
            payer=ZERO_ADDRESS,
            token=ETH,
            fee=0,
            deadline=0,
            commitment=bytes(31),
        )
        for caller, call in (
            (worker, escrow.fulfil(offer, terms, COMMITMENT, OUTPUT)),
            (outsider, escrow.refund(request_id)),
        ):
            with reverts("NotOpen", id=request_id, status=RequestStatus.CANCELLED):
                caller.send(call)

    def test_only_the_requester_may(self, escrow, requester, sponsor, offer, terms, reverts):
        with reverts("NotRequester", requester=requester.address, caller=sponsor.address):
            sponsor.send(escrow.cancel(offer, terms))

    def test_what_was_placed_stays(
        self, escrow, requester, offer, terms, request_id, sponsored, reverts
    ):
        with reverts("RequestExists", id=request_id, status=RequestStatus.OPEN):
            requester.send(escrow.cancel(offer, terms))

    def test_twice_is_once(self, escrow, requester, offer, terms, request_id, reverts):
        requester.send(escrow.cancel(offer, terms))

        with reverts("RequestExists", id=request_id, status=RequestStatus.CANCELLED):
            requester.send(escrow.cancel(offer, terms))
