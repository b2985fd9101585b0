from dataclasses import replace

import pytest

from modelward.chain.abi import contract_abi
from modelward.chain.events import InferenceRequested
from modelward.chain.fees import choose_fees
from modelward.chain.transactions import Call
from modelward.errors import ContractRefused
from modelward.terms import (
    ETH,
    INLINE_ONLY,
    UNLIMITED,
    Access,
    GrantTerms,
    RequestState,
    RequestStatus,
    Right,
    VersionStatus,
)
from tests.contracts.said import event, said
from tests.contracts.specimens import ACCURACY, FEE, INPUT, QUOTA, TERMS, request_by, version_of


def test_it_holds_the_fee_until_the_deadline(escrow, chain, requester, placed):
    assert escrow.request_of(placed.id) == RequestState(
        status=RequestStatus.OPEN,
        payer=requester.address,
        token=ETH,
        fee=FEE,
        deadline=placed.terms.deadline,
        commitment=bytes(31),
    )
    assert chain.balance(escrow.address) == FEE


def test_it_says_all_the_terms_and_passes_the_input_on(
    escrow, data_share, offer, ask, place, worker
):
    terms = ask(reply_key=b"\x0a" * 32, worker=worker.address, flags=INLINE_ONLY)

    placed = place(terms)

    assert said(placed.receipt, escrow) == [
        event(
            InferenceRequested,
            request_id=placed.id,
            model_id=offer.model_id,
            requester=terms.requester,
            offer=offer,
            request=terms,
            input=INPUT,
        )
    ]


def test_it_returns_the_requests_id(escrow, chain, offer, ask, place, requester):
    terms = ask()
    call = escrow.request(offer.model_id, offer.version_id, terms, INPUT, value=FEE)
    returned = chain.call(call.to, call.data, sender=requester.address, value=call.value)

    expected = place(terms).id
    assert contract_abi("InferenceEscrow").decode_result("request", returned) == expected


def test_it_consumes_a_use_of_the_grant(data_share, owner, requester, offer, place, ask):
    for number in (1, 2):
        place(ask(f"input {number}"))
        grant = data_share.grant_of(owner.address, requester.address, offer.model_id)
        assert grant.uses == QUOTA - number


def test_an_unlimited_grant_stays_unlimited(
    data_share, escrow, owner, requester, offer, place, ask
):
    infer = GrantTerms(Right.INFER, uses=UNLIMITED, meter=escrow.address)
    owner.send(data_share.grant(requester.address, offer.model_id, infer))

    place(ask())

    grant = data_share.grant_of(owner.address, requester.address, offer.model_id)
    assert grant.uses == UNLIMITED


def test_an_owner_needs_no_grant_for_its_own_model(escrow, owner, devchain, place):
    placed = place(request_by(owner.address, devchain.time + 60), sender=owner)

    assert escrow.request_of(placed.id).payer == owner.address


def test_an_open_model_needs_no_grant(escrow, registry, owner, outsider, devchain, offer, place):
    owner.send(registry.set_terms(offer.model_id, replace(TERMS, open=True)))

    placed = place(request_by(outsider.address, devchain.time + 60), sender=outsider)

    assert escrow.request_of(placed.id).payer == outsider.address


def test_an_open_model_consumes_no_quota(data_share, registry, owner, requester, offer, place, ask):
    owner.send(registry.set_terms(offer.model_id, replace(TERMS, open=True)))

    place(ask())

    grant = data_share.grant_of(owner.address, requester.address, offer.model_id)
    assert grant.uses == QUOTA


def test_a_prediction_may_cost_nothing(escrow, registry, chain, owner, offer, place, ask):
    owner.send(registry.set_terms(offer.model_id, replace(TERMS, fee=0)))

    placed = place(ask())

    state = escrow.request_of(placed.id)
    assert (state.status, state.fee) == (RequestStatus.OPEN, 0)
    assert chain.balance(escrow.address) == 0


def test_the_highest_fee_is_held_to_the_wei(
    escrow, registry, chain, owner, requester, offer, place, ask
):
    highest = (2**48 - 1) * 10**9
    owner.send(registry.set_terms(offer.model_id, replace(TERMS, fee=highest)))
    chain.rpc("anvil_setBalance", [requester.address, hex(highest + 10**18)])

    assert escrow.request_of(place(ask()).id).fee == highest


def test_the_input_may_be_of_any_length(escrow, offer, ask, requester):
    for label, input_ in (("nothing", b""), ("much", bytes(range(256)) * 40)):
        call = escrow.request(offer.model_id, offer.version_id, ask(label), input_, value=FEE)
        [(_, fields)] = said(requester.send(call), escrow)
        assert fields["input"] == input_


class TestRefusals:
    @pytest.fixture
    def request_refused(self, escrow, requester, reverts, offer):
        """Expect that `terms` are refused as a request of `sender`'s."""

        def refused(
            error, terms, *, sender=requester, version_id=offer.version_id, value=FEE, **arguments
        ):
            call = escrow.request(offer.model_id, version_id, terms, INPUT, value=value)
            with reverts(error, **arguments):
                sender.send(call)

        return refused

    @pytest.mark.parametrize("sent", [0, 1, FEE - 1, FEE + 1, 2 * FEE])
    def test_the_fee_must_be_sent_exactly(self, request_refused, ask, sent):
        request_refused("WrongFee", ask(), value=sent, sent=sent, fee=FEE)

    def test_nothing_may_be_sent_for_a_prediction_that_costs_nothing(
        self, request_refused, registry, owner, offer, ask
    ):
        owner.send(registry.set_terms(offer.model_id, replace(TERMS, fee=0)))

        request_refused("WrongFee", ask(), value=FEE, sent=FEE, fee=0)

    @pytest.mark.parametrize("offset", [-10_000, -1, 0, TERMS.max_delay + 1, 10 * TERMS.max_delay])
    def test_the_deadline_must_be_later_than_now_and_within_the_longest_delay(
        self, escrow, devchain, requester, offer, ask, mine_at, reverts, offset
    ):
        now = devchain.time + 100
        terms = ask(deadline=now + offset)
        call = escrow.request(offer.model_id, offer.version_id, terms, INPUT, value=FEE)

        with reverts(
            "DeadlineOutOfBounds",
            deadline=now + offset,
            timestamp=now,
            latest=now + TERMS.max_delay,
        ):
            mine_at(now, requester, call)

    @pytest.mark.parametrize("offset", [1, TERMS.max_delay])
    def test_the_first_and_the_last_possible_deadline_are_accepted(
        self, escrow, devchain, requester, offer, ask, mine_at, offset
    ):
        now = devchain.time + 100
        terms = ask(deadline=now + offset)
        call = escrow.request(offer.model_id, offer.version_id, terms, INPUT, value=FEE)

        mine_at(now, requester, call)

        assert escrow.request_of(escrow.id_of(offer, terms)).deadline == now + offset

    @pytest.mark.parametrize("flags", [2, 3, 128, 255])
    def test_a_flag_that_means_nothing_is_refused(self, request_refused, ask, flags):
        request_refused("UnknownFlags", ask(flags=flags), flags=flags, known=INLINE_ONLY)

    def test_exactly_the_same_request_is_refused_while_open(self, request_refused, placed):
        request_refused("RequestExists", placed.terms, id=placed.id, status=RequestStatus.OPEN)

    def test_and_once_it_was_answered(self, request_refused, escrow, worker, placed):
        worker.send(escrow.fulfil(placed.offer, placed.terms, b"\xcc" * 32, b""))

        request_refused("RequestExists", placed.terms, id=placed.id, status=RequestStatus.FULFILLED)

    def test_and_once_it_was_refused(self, request_refused, escrow, worker, placed):
        worker.send(escrow.refuse(placed.offer, placed.terms, 1))

        request_refused("RequestExists", placed.terms, id=placed.id, status=RequestStatus.REFUSED)

    def test_a_request_that_differs_in_anything_is_another(self, placed, place, worker):
        first = placed.terms
        for terms in (
            replace(first, worker=worker.address),
            replace(first, input_hash=b"\x01" * 32),
            replace(first, reply_key=b"\x01" * 32),
            replace(first, deadline=first.deadline + 1),
            replace(first, flags=INLINE_ONLY),
        ):
            assert place(terms).id != placed.id

    def test_an_unknown_model_answers_nothing(self, escrow, requester, reverts, offer, ask):
        call = escrow.request(b"\x77" * 32, offer.version_id, ask(), INPUT, value=FEE)
        with reverts("UnknownModel", modelId=b"\x77" * 32):
            requester.send(call)

    def test_nor_does_a_retired_one(self, request_refused, registry, owner, offer, ask):
        owner.send(registry.retire_model(offer.model_id))

        request_refused("ModelIsRetired", ask(), modelId=offer.model_id)

    def test_nor_an_unknown_version(self, request_refused, offer, ask):
        request_refused(
            "UnknownVersion",
            ask(),
            version_id=b"\x55" * 32,
            modelId=offer.model_id,
            versionId=b"\x55" * 32,
        )

    def test_nor_a_retired_version(self, request_refused, registry, owner, offer, ask):
        owner.send(registry.retire_version(offer.model_id, offer.version_id))

        request_refused(
            "VersionNotServable", ask(), versionId=offer.version_id, status=VersionStatus.RETIRED
        )

    def test_nor_a_rejected_version(self, request_refused, registry, owner, offer, ask):
        owner.send(registry.raise_thresholds(offer.model_id, [ACCURACY]))
        rejected = version_of(offer.model_id, owner.address, "rejected", metrics=())
        owner.send(registry.publish_version(rejected))

        request_refused(
            "VersionNotServable",
            ask(),
            version_id=registry.version_id_of(rejected),
            versionId=registry.version_id_of(rejected),
            status=VersionStatus.REJECTED,
        )

    def test_an_outsider_has_no_grant(self, request_refused, owner, outsider, offer, ask):
        request_refused(
            "AccessDenied",
            ask(),
            sender=outsider,
            owner=owner.address,
            grantee=outsider.address,
            resource=offer.model_id,
            right=Right.INFER,
            reason=Access.NOT_GRANTED,
        )

    @pytest.mark.parametrize(
        ("ended_by", "reason"),
        [
            ("revoke", Access.NOT_GRANTED),
            ("revoke_access", Access.REVOKED),
            ("expiry", Access.EXPIRED),
            ("read instead", Access.RIGHT_MISSING),
            ("quota", Access.QUOTA_EXHAUSTED),
        ],
    )
    def test_without_a_live_grant_the_requester_is_denied(
        self,
        request_refused,
        data_share,
        devchain,
        escrow,
        owner,
        requester,
        offer,
        place,
        ask,
        wait_until,
        ended_by,
        reason,
    ):
        expiry = devchain.time + 100
        infer = GrantTerms(Right.INFER, expiry, uses=1, meter=escrow.address)
        owner.send(data_share.grant(requester.address, offer.model_id, infer))
        match ended_by:
            case "revoke":
                owner.send(data_share.revoke(requester.address, offer.model_id))
            case "revoke_access":
                owner.send(data_share.revoke_access(requester.address))
            case "expiry":
                wait_until(expiry + 1)
            case "read instead":
                read = GrantTerms(Right.READ)
                owner.send(data_share.grant(requester.address, offer.model_id, read))
            case "quota":
                place(ask("the only one"))

        request_refused(
            "AccessDenied",
            ask(),
            owner=owner.address,
            grantee=requester.address,
            resource=offer.model_id,
            right=Right.INFER,
            reason=reason,
        )

    def test_a_grant_is_good_up_to_its_last_second(
        self, data_share, devchain, escrow, owner, requester, offer, ask, mine_at
    ):
        expiry = devchain.time + 100
        infer = GrantTerms(Right.INFER, expiry, uses=1, meter=escrow.address)
        owner.send(data_share.grant(requester.address, offer.model_id, infer))
        terms = ask()

        call = escrow.request(offer.model_id, offer.version_id, terms, INPUT, value=FEE)
        mine_at(expiry, requester, call)

        assert escrow.request_of(escrow.id_of(offer, terms)).status == RequestStatus.OPEN

    def test_read_on_everything_of_the_owner_is_no_right_to_infer(
        self, request_refused, data_share, owner, outsider, offer, ask
    ):
        owner.send(data_share.grant_access(outsider.address))

        request_refused(
            "AccessDenied",
            ask(),
            sender=outsider,
            owner=owner.address,
            grantee=outsider.address,
            resource=offer.model_id,
            right=Right.INFER,
            reason=Access.NOT_GRANTED,
        )

    def test_a_grant_metered_by_another_contract_is_not_for_this_escrow(
        self, request_refused, data_share, owner, requester, sponsor, escrow, offer, ask
    ):
        infer = GrantTerms(Right.INFER, meter=sponsor.address)
        owner.send(data_share.grant(requester.address, offer.model_id, infer))

        request_refused("NotMeter", ask(), meter=sponsor.address, caller=escrow.address)

    def test_who_is_refused_pays_nothing_but_gas(self, escrow, chain, outsider, offer, ask):
        call = escrow.request(offer.model_id, offer.version_id, ask(), INPUT, value=FEE)
        before = chain.balance(outsider.address)
        signed = outsider.sign(
            call, gas=200_000, nonce=outsider.next_nonce(), fees=choose_fees(chain)
        )
        outsider.broadcast(signed)

        receipt = outsider.wait(signed.hash)

        assert not receipt.succeeded
        assert chain.balance(outsider.address) == before - receipt.fee
        assert chain.balance(escrow.address) == 0

    def test_money_sent_without_a_request_is_refused(self, escrow, chain, sponsor):
        with pytest.raises(ContractRefused):
            sponsor.send(Call(escrow.address, b"", FEE))

        assert chain.balance(escrow.address) == 0

    @pytest.mark.parametrize(
        ("word", "width"), [(2, 160), (5, 40), (6, 32), (7, 8)], ids=lambda value: str(value)
    )
    def test_a_term_too_wide_for_its_type_is_refused_not_cut(
        self, escrow, requester, offer, ask, word, width
    ):
        call = escrow.request(offer.model_id, offer.version_id, ask(), INPUT, value=FEE)
        place = 4 + 32 * word
        wide = int.from_bytes(call.data[place : place + 32]) | 1 << width
        data = call.data[:place] + wide.to_bytes(32) + call.data[place + 32 :]

        with pytest.raises(ContractRefused) as refusal:
            requester.send(Call(escrow.address, data, FEE))

        assert refusal.value.error == ""
