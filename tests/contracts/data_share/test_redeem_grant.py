from dataclasses import replace

import pytest
from eth_account.messages import encode_typed_data
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from modelward import commitments
from modelward.chain.events import AccessGranted
from modelward.terms import (
    EVERYTHING,
    NEVER,
    UNLIMITED,
    ZERO_ADDRESS,
    Access,
    Grant,
    GrantTerms,
    Right,
    SignedGrant,
)
from tests.contracts.said import event, said
from tests.contracts.signing import recovered, sign
from tests.contracts.strategies import addresses, examples, hashes
from tests.contracts.unchecked import unchecked

MODEL = b"\x22" * 32
WRAPPED_KEY = bytes(range(80))


@pytest.fixture
def draw_up(data_share, devchain, owner, requester):
    """A grant from `owner` to `requester` that can be redeemed for an hour, if it is signed now."""

    def drawn(**changes):
        signed = SignedGrant(
            owner=owner.address,
            grantee=requester.address,
            resource=MODEL,
            terms=GrantTerms(Right.READ, expiry=2**39),
            generation=data_share.generation_of(owner.address, requester.address),
            nonce=data_share.nonce_of(owner.address, requester.address),
            deadline=devchain.time + 3_600,
        )
        return replace(signed, **changes)

    return drawn


@pytest.fixture
def redeem(data_share, chain, owner):
    """The call that redeems a grant, as `owner` signs it."""

    def redeemed(signed, wrapped_key=b"", *, signer=owner, handed_in=None):
        digest = commitments.signed_grant_digest(
            signed, wrapped_key, chain_id=chain.chain_id, data_share=data_share.address
        )
        return data_share.redeem_grant(handed_in or signed, wrapped_key, sign(signer, digest))

    return redeemed


@pytest.fixture(autouse=True)
def allowed(data_share, owner, isolation):
    """`owner` allows grants by its signature."""
    owner.send(data_share.allow_signed_grants(True))


def test_anyone_can_hand_it_in_and_the_grant_is_the_owners(
    data_share, owner, requester, outsider, escrow, draw_up, redeem
):
    terms = GrantTerms(Right.READ | Right.INFER, 2**39, uses=7, meter=escrow.address)

    outsider.send(redeem(draw_up(terms=terms)))

    assert data_share.grant_of(owner.address, requester.address, MODEL) == Grant(
        meter=escrow.address,
        expiry=2**39,
        uses=7,
        generation=0,
        rights=Right.READ | Right.INFER,
    )


def test_it_says_what_a_grant_says(data_share, owner, requester, outsider, draw_up, redeem):
    requester.send(data_share.register_key(b"\x0a" * 32))

    receipt = outsider.send(redeem(draw_up(), WRAPPED_KEY))

    assert said(receipt, data_share) == [
        event(
            AccessGranted,
            owner=owner.address,
            grantee=requester.address,
            resource=MODEL,
            rights=Right.READ,
            expiry=2**39,
            uses=UNLIMITED,
            meter=ZERO_ADDRESS,
            generation=0,
            wrapped_key=WRAPPED_KEY,
        )
    ]


def test_it_can_be_handed_in_once(data_share, owner, requester, outsider, draw_up, redeem, reverts):
    signed = draw_up()
    outsider.send(redeem(signed))

    with reverts("WrongNonce", signed=signed.nonce, current=signed.nonce + 1):
        outsider.send(redeem(signed))
    assert data_share.nonce_of(owner.address, requester.address) == signed.nonce + 1


def test_signatures_are_handed_in_one_after_the_other(outsider, draw_up, redeem, reverts):
    first = draw_up()
    second = replace(first, resource=b"\x23" * 32, nonce=first.nonce + 1)

    with reverts("WrongNonce", signed=second.nonce, current=first.nonce):
        outsider.send(redeem(second))
    outsider.send(redeem(first))
    outsider.send(redeem(second))


def test_each_grantee_has_a_nonce_of_its_own(data_share, owner, worker, outsider, draw_up, redeem):
    outsider.send(redeem(draw_up()))

    nonce = data_share.nonce_of(owner.address, worker.address)
    outsider.send(redeem(draw_up(grantee=worker.address, nonce=nonce)))

    access = data_share.access_of(owner.address, worker.address, MODEL, Right.READ)
    assert access == Access.GRANTED


@pytest.mark.parametrize("offset", [-1, 0])
def test_up_to_and_in_its_last_second_it_can_be_handed_in(
    data_share, owner, requester, outsider, draw_up, redeem, mine_at, offset
):
    signed = draw_up()

    mine_at(signed.deadline + offset, outsider, redeem(signed))

    access = data_share.access_of(owner.address, requester.address, MODEL, Right.READ)
    assert access == Access.GRANTED


def test_from_the_next_second_on_it_can_not(outsider, draw_up, redeem, mine_at, reverts):
    signed = draw_up()
    late = signed.deadline + 1

    with reverts("SignatureExpired", deadline=signed.deadline, timestamp=late):
        mine_at(late, outsider, redeem(signed))


OTHER = {
    "grantee": "0x" + "Ee" * 20,
    "resource": b"\x23" * 32,
    "terms": GrantTerms(Right.SERVE, expiry=2**39),
    "deadline": 2**40,
}


@pytest.mark.parametrize("field", OTHER)
def test_nothing_in_it_can_be_changed(
    data_share, chain, owner, outsider, draw_up, redeem, reverts, field
):
    signed = draw_up()
    changed = replace(signed, **{field: OTHER[field]})
    call = redeem(signed, handed_in=changed)
    signature = call.data[-96:-31]
    digest = commitments.signed_grant_digest(
        changed, b"", chain_id=chain.chain_id, data_share=data_share.address
    )

    with reverts("WrongSigner", expected=owner.address, recovered=recovered(digest, signature)):
        outsider.send(call)


def test_the_wrapped_key_cannot_be_changed(
    data_share, chain, owner, requester, outsider, draw_up, reverts
):
    requester.send(data_share.register_key(b"\x0a" * 32))
    signed = draw_up()
    where = {"chain_id": chain.chain_id, "data_share": data_share.address}
    signature = sign(owner, commitments.signed_grant_digest(signed, WRAPPED_KEY, **where))
    other = commitments.signed_grant_digest(signed, b"\x01" * 80, **where)

    with reverts("WrongSigner", expected=owner.address, recovered=recovered(other, signature)):
        outsider.send(data_share.redeem_grant(signed, b"\x01" * 80, signature))


def test_a_signature_for_another_chain_or_contract_is_of_something_else(
    data_share, chain, owner, outsider, registry, draw_up, reverts
):
    signed = draw_up()
    here = {"chain_id": chain.chain_id, "data_share": data_share.address}
    digest = commitments.signed_grant_digest(signed, b"", **here)
    for elsewhere in (here | {"chain_id": 1}, here | {"data_share": registry.address}):
        signature = sign(owner, commitments.signed_grant_digest(signed, b"", **elsewhere))
        with reverts("WrongSigner", expected=owner.address, recovered=recovered(digest, signature)):
            outsider.send(data_share.redeem_grant(signed, b"", signature))


def test_only_the_owners_signature_counts(owner, requester, outsider, draw_up, redeem, reverts):
    for signer in (requester, outsider):
        with reverts("WrongSigner", expected=owner.address, recovered=signer.address):
            outsider.send(redeem(draw_up(), signer=signer))


class TestWhatTheOwnerDoesLaterWins:
    def test_revoke_access_voids_a_signature(
        self, data_share, owner, requester, outsider, draw_up, redeem, reverts
    ):
        signed = draw_up()
        owner.send(data_share.revoke_access(requester.address))

        with reverts("WrongGeneration", signed=0, current=1):
            outsider.send(redeem(signed))

    @pytest.mark.parametrize("resource", [MODEL, b"\x23" * 32, EVERYTHING])
    def test_revoking_any_grant_to_the_grantee_does(
        self, data_share, owner, requester, outsider, draw_up, redeem, reverts, resource
    ):
        signed = draw_up()
        owner.send(data_share.revoke(requester.address, resource))

        with reverts("WrongNonce", signed=signed.nonce, current=signed.nonce + 1):
            outsider.send(redeem(signed))

    def test_revoking_a_grant_to_another_does_not(
        self, data_share, owner, requester, worker, outsider, draw_up, redeem
    ):
        signed = draw_up()
        owner.send(data_share.revoke(worker.address, MODEL))
        outsider.send(data_share.revoke(requester.address, MODEL))

        outsider.send(redeem(signed))

        access = data_share.access_of(owner.address, requester.address, MODEL, Right.READ)
        assert access == Access.GRANTED

    def test_while_signed_grants_are_not_allowed_there_are_none(
        self, data_share, owner, outsider, draw_up, redeem, reverts
    ):
        signed = draw_up()
        owner.send(data_share.allow_signed_grants(False))

        with reverts("SignedGrantsNotAllowed", owner=owner.address):
            outsider.send(redeem(signed))

    def test_a_signature_does_not_survive_being_disallowed(
        self, data_share, owner, requester, outsider, draw_up, redeem, reverts
    ):
        """Otherwise a revocation in between would not have counted."""
        signed = draw_up()
        owner.send(data_share.allow_signed_grants(False))
        owner.send(data_share.revoke(requester.address, MODEL))
        owner.send(data_share.allow_signed_grants(True))

        current = data_share.nonce_of(owner.address, requester.address)
        assert current != signed.nonce
        with reverts("WrongNonce", signed=signed.nonce, current=current):
            outsider.send(redeem(signed))

    def test_nor_does_one_made_before_signed_grants_were_ever_allowed(
        self, data_share, requester, outsider, sponsor, draw_up, redeem, reverts
    ):
        nonce = data_share.nonce_of(sponsor.address, requester.address)
        signed = draw_up(owner=sponsor.address, nonce=nonce)
        sponsor.send(data_share.revoke(requester.address, MODEL))
        sponsor.send(data_share.allow_signed_grants(True))

        current = data_share.nonce_of(sponsor.address, requester.address)
        with reverts("WrongNonce", signed=nonce, current=current):
            outsider.send(redeem(signed, signer=sponsor))

    def test_to_allow_what_is_allowed_voids_nothing(
        self, data_share, owner, requester, outsider, draw_up, redeem
    ):
        signed = draw_up()
        owner.send(data_share.allow_signed_grants(True))

        outsider.send(redeem(signed))

        access = data_share.access_of(owner.address, requester.address, MODEL, Right.READ)
        assert access == Access.GRANTED


class TestItIsRefusedAsAGrantIs:
    def test_without_rights(self, outsider, draw_up, redeem, reverts):
        terms = unchecked(GrantTerms(Right.READ), rights=Right(0))
        with reverts("InvalidRights", rights=Right(0), known=7):
            outsider.send(redeem(draw_up(terms=terms)))

    def test_to_nobody(self, data_share, owner, outsider, draw_up, redeem, reverts):
        nonce = data_share.nonce_of(owner.address, ZERO_ADDRESS)
        with reverts("GranteeIsZero"):
            outsider.send(redeem(draw_up(grantee=ZERO_ADDRESS, nonce=nonce)))

    def test_for_more_than_reading_everything(self, outsider, draw_up, redeem, reverts):
        signed = draw_up(resource=EVERYTHING, terms=GrantTerms(Right.SERVE))
        with reverts("ResourceIsEverything", rights=Right.SERVE):
            outsider.send(redeem(signed))

    def test_once_it_has_expired(self, devchain, outsider, draw_up, redeem, mine_at, reverts):
        now = devchain.time + 100
        signed = draw_up(terms=GrantTerms(Right.READ, expiry=now - 1))
        with reverts("ExpiryPassed", expiry=now - 1, timestamp=now):
            mine_at(now, outsider, redeem(signed))

    def test_with_a_key_that_the_grantee_cannot_unwrap(
        self, requester, outsider, draw_up, redeem, reverts
    ):
        with reverts("GranteeHasNoKey", grantee=requester.address):
            outsider.send(redeem(draw_up(), WRAPPED_KEY))

    def test_and_the_signature_stays_good(
        self, data_share, requester, outsider, draw_up, redeem, reverts
    ):
        signed = draw_up()
        with reverts("GranteeHasNoKey", grantee=requester.address):
            outsider.send(redeem(signed, WRAPPED_KEY))

        requester.send(data_share.register_key(b"\x0a" * 32))
        outsider.send(redeem(signed, WRAPPED_KEY))


@given(
    grantee=addresses.filter(lambda address: address != ZERO_ADDRESS),
    resource=hashes.filter(any),
    rights=st.integers(1, 7).map(Right),
    uses=st.integers(1, UNLIMITED),
    meter=addresses.filter(lambda address: address != ZERO_ADDRESS),
    deadline=st.integers(2**39, 2**256 - 1),
)
@examples(25)
def test_whatever_is_signed_is_what_is_granted(
    data_share,
    devchain,
    owner,
    outsider,
    draw_up,
    redeem,
    grantee,
    resource,
    rights,
    uses,
    meter,
    deadline,
):
    snapshot = devchain.snapshot()
    terms = GrantTerms(rights, NEVER, uses, meter)
    nonce = data_share.nonce_of(owner.address, grantee)
    signed = draw_up(
        grantee=grantee, resource=resource, terms=terms, nonce=nonce, deadline=deadline
    )

    outsider.send(redeem(signed))

    stored = data_share.grant_of(owner.address, grantee, resource)
    assert stored == Grant(meter, NEVER, uses, 0, rights)
    devchain.revert(snapshot)


def test_what_is_signed_is_what_a_wallet_shows(data_share, chain, draw_up):
    """An implementation of EIP-712 that is not ours."""
    signed = draw_up()
    signable = encode_typed_data(
        domain_data={
            "name": "modelward DataShare",
            "version": "1",
            "chainId": chain.chain_id,
            "verifyingContract": data_share.address,
        },
        message_types={
            "SignedGrant": [
                {"name": name, "type": kind}
                for kind, name in (
                    ("address", "owner"),
                    ("address", "grantee"),
                    ("bytes32", "resource"),
                    ("uint8", "rights"),
                    ("uint40", "expiry"),
                    ("uint24", "uses"),
                    ("address", "meter"),
                    ("uint24", "generation"),
                    ("uint64", "nonce"),
                    ("uint256", "deadline"),
                    ("bytes", "wrappedKey"),
                )
            ]
        },
        message_data={
            "owner": signed.owner,
            "grantee": signed.grantee,
            "resource": signed.resource,
            "rights": int(signed.terms.rights),
            "expiry": signed.terms.expiry,
            "uses": signed.terms.uses,
            "meter": signed.terms.meter,
            "generation": signed.generation,
            "nonce": signed.nonce,
            "deadline": signed.deadline,
            "wrappedKey": WRAPPED_KEY,
        },
    )

    assert commitments.signed_grant_digest(
        signed, WRAPPED_KEY, chain_id=chain.chain_id, data_share=data_share.address
    ) == keccak(b"\x19" + signable.version + signable.header + signable.body)


def test_the_domain_can_be_read_as_erc_5267_says(data_share, chain):
    assert data_share.view("eip712Domain") == (
        b"\x0f",
        "modelward DataShare",
        "1",
        chain.chain_id,
        data_share.address,
        bytes(32),
        (),
    )
