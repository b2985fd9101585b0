"""Every way a signature or a grant can be wrong, and the error that says so.

One table over the three contracts; what else each function refuses is said in its own file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, NamedTuple

import pytest

from modelward import commitments
from modelward.chain.contracts import DataShare, InferenceEscrow, ModelRegistry
from modelward.chain.sender import Sender
from modelward.chain.transactions import Call
from modelward.devchain import DevChain
from modelward.terms import (
    EVERYTHING,
    ZERO_ADDRESS,
    Access,
    Address,
    GrantTerms,
    Offer,
    Request,
    RequestStatus,
    Right,
    SignedGrant,
    Version,
    VersionStatus,
)
from tests.contracts.inference_escrow.answers import COMMITMENT, OUTPUT
from tests.contracts.signing import mirrored, recovered, sign
from tests.contracts.specimens import FEE, NAME, TERMS, request_by, version_of
from tests.contracts.unchecked import unchecked

RESOURCE = b"\x22" * 32
READ = GrantTerms(Right.READ)


@dataclass
class Scene:
    """A model with a version; its owner allows grants by signature and has made none."""

    devchain: DevChain
    data_share: DataShare
    registry: ModelRegistry
    escrow: InferenceEscrow
    owner: Sender
    requester: Sender
    worker: Sender
    sponsor: Sender
    evaluator: Sender
    outsider: Sender
    offer: Offer

    @property
    def infer(self) -> GrantTerms:
        return GrantTerms(Right.INFER, uses=2, meter=self.escrow.address)

    def grant(self, terms: GrantTerms, grantee: Sender | None = None) -> None:
        """On the model; to `requester` unless told otherwise."""
        to = (grantee or self.requester).address
        self.owner.send(self.data_share.grant(to, self.offer.model_id, terms))

    def granting(self, terms: GrantTerms, resource: bytes = RESOURCE, key: bytes = b"") -> Call:
        return self.data_share.grant(self.requester.address, resource, terms, key)

    def signed_grant(self, **changes: Any) -> SignedGrant:
        owner, grantee = self.owner.address, self.requester.address
        signed = SignedGrant(
            owner=owner,
            grantee=grantee,
            resource=RESOURCE,
            terms=READ,
            generation=self.data_share.generation_of(owner, grantee),
            nonce=self.data_share.nonce_of(owner, grantee),
            deadline=2**40,
        )
        return replace(signed, **changes)

    def digest(self, signed: SignedGrant) -> bytes:
        return commitments.signed_grant_digest(
            signed,
            b"",
            chain_id=self.data_share.chain.chain_id,
            data_share=self.data_share.address,
        )

    def redeeming(self, signed: SignedGrant, signature: bytes | None = None) -> Call:
        given = sign(self.owner, self.digest(signed)) if signature is None else signature
        return self.data_share.redeem_grant(signed, b"", given)

    def version(self, attestor: Address) -> Version:
        return version_of(self.offer.model_id, attestor, "second")

    def asked(self, **changes: Any) -> Request:
        """Terms of a request of `requester`'s that `sponsor` is to pay for."""
        terms = request_by(self.requester.address, self.devchain.time + 3_600)
        return replace(terms, **{"payer": self.sponsor.address, **changes})

    def sponsoring(self, terms: Request, signer: Sender | None = None) -> Call:
        signature = sign(signer or self.requester, self.escrow.id_of(self.offer, terms))
        ids = self.offer.model_id, self.offer.version_id
        return self.escrow.request_for(*ids, terms, b"", signature, value=FEE)

    def requesting(self) -> Call:
        terms = request_by(self.requester.address, self.devchain.time + 3_600)
        return self.escrow.request(
            self.offer.model_id, self.offer.version_id, terms, b"", value=FEE
        )

    def denied(self, reason: Access, right: Right = Right.INFER) -> dict[str, Any]:
        return {
            "owner": self.owner.address,
            "grantee": self.requester.address,
            "resource": self.offer.model_id,
            "right": right,
            "reason": reason,
        }


@pytest.fixture
def scene(
    devchain,
    data_share,
    registry,
    escrow,
    owner,
    requester,
    worker,
    sponsor,
    evaluator,
    outsider,
    isolation,
):
    model_id = commitments.model_id(owner.address, NAME)
    version = version_of(model_id, owner.address)
    owner.send(registry.register_model(NAME, TERMS))
    owner.send(registry.publish_version(version))
    owner.send(data_share.allow_signed_grants(True))
    return Scene(
        devchain,
        data_share,
        registry,
        escrow,
        owner,
        requester,
        worker,
        sponsor,
        evaluator,
        outsider,
        registry.quote(model_id, commitments.version_id(version)).offer,
    )


class Attempt(NamedTuple):
    """What is tried, and what the error says of it."""

    sender: Sender
    call: Call
    arguments: dict[str, Any]


class Refusal(NamedTuple):
    """A class of what is refused; `why` tells apart those that share an error."""

    sentence: str
    error: str
    why: IntEnum | None
    attempt: Callable[[Scene], Attempt]


REFUSALS: list[Refusal] = []


def refused(
    error: str, sentence: str, why: IntEnum | None = None
) -> Callable[[Callable[[Scene], Attempt]], None]:
    return lambda attempt: REFUSALS.append(Refusal(sentence, error, why, attempt))


# --- signatures ----------------------------------------------------------------------------------


@refused("SignatureLength", "a signature cut short")
def _(scene):
    signed = scene.signed_grant()
    call = scene.redeeming(signed, sign(scene.owner, scene.digest(signed))[:64])
    return Attempt(scene.outsider, call, {"length": 64, "expected": 65})


@refused("SignatureMalleable", "a signature's mirror image")
def _(scene):
    signed = scene.signed_grant()
    signature = mirrored(sign(scene.owner, scene.digest(signed)))
    return Attempt(scene.outsider, scene.redeeming(signed, signature), {"s": signature[32:64]})


@refused("SignatureUnrecoverable", "a signature that no key has made")
def _(scene):
    signed = scene.signed_grant()
    signature = sign(scene.owner, scene.digest(signed))[:64] + b"\x1d"
    return Attempt(scene.outsider, scene.redeeming(signed, signature), {})


@refused("WrongSigner", "somebody else's signature")
def _(scene):
    signed = scene.signed_grant()
    signature = sign(scene.outsider, scene.digest(signed))
    return Attempt(
        scene.outsider,
        scene.redeeming(signed, signature),
        {"expected": scene.owner.address, "recovered": scene.outsider.address},
    )


@refused("WrongSigner", "a signature of other terms")
def _(scene):
    signed = scene.signed_grant()
    signature = sign(scene.owner, scene.digest(signed))
    more = replace(signed, terms=GrantTerms(Right.READ | Right.SERVE))
    return Attempt(
        scene.outsider,
        scene.redeeming(more, signature),
        {
            "expected": scene.owner.address,
            "recovered": recovered(scene.digest(more), signature),
        },
    )


@refused("WrongSigner", "a request that its payer signed")
def _(scene):
    scene.grant(scene.infer)
    return Attempt(
        scene.sponsor,
        scene.sponsoring(scene.asked(), signer=scene.sponsor),
        {"expected": scene.requester.address, "recovered": scene.sponsor.address},
    )


@refused("SignerIsZero", "an attestation by the zero address")
def _(scene):
    version = scene.version(ZERO_ADDRESS)
    return Attempt(scene.owner, scene.registry.publish_version(version, bytes(65)), {})


@refused("SignatureRefused", "an attestation by a contract that knows of none")
def _(scene):
    attestor = scene.escrow.address
    call = scene.registry.publish_version(scene.version(attestor), bytes(65))
    return Attempt(scene.owner, call, {"signer": attestor})


@refused("AttestationNotEmpty", "a signature of an owner that vouches for itself")
def _(scene):
    call = scene.registry.publish_version(scene.version(scene.owner.address), bytes(65))
    return Attempt(scene.owner, call, {"length": 65})


@refused("VersionExists", "an attestation used before", VersionStatus.SERVABLE)
def _(scene):
    version = scene.version(scene.evaluator.address)
    version_id = commitments.version_id(version)
    digest = scene.registry.attestation_digest(version.model_id, version_id)
    call = scene.registry.publish_version(version, sign(scene.evaluator, digest))
    scene.owner.send(call)
    return Attempt(scene.owner, call, {"versionId": version_id, "status": VersionStatus.SERVABLE})


@refused("NotPayer", "a signed request that another is to pay for")
def _(scene):
    scene.grant(scene.infer)
    return Attempt(
        scene.outsider,
        scene.sponsoring(scene.asked()),
        {"payer": scene.sponsor.address, "caller": scene.outsider.address},
    )


@refused("RequestExists", "a signed request placed before", RequestStatus.OPEN)
def _(scene):
    scene.grant(scene.infer)
    terms = scene.asked()
    call = scene.sponsoring(terms)
    scene.sponsor.send(call)
    request_id = scene.escrow.id_of(scene.offer, terms)
    return Attempt(scene.sponsor, call, {"id": request_id, "status": RequestStatus.OPEN})


@refused("RequestExists", "a signed request that was cancelled", RequestStatus.CANCELLED)
def _(scene):
    scene.grant(scene.infer)
    terms = scene.asked()
    scene.requester.send(scene.escrow.cancel(scene.offer, terms))
    request_id = scene.escrow.id_of(scene.offer, terms)
    return Attempt(
        scene.sponsor,
        scene.sponsoring(terms),
        {"id": request_id, "status": RequestStatus.CANCELLED},
    )


@refused("NotRequester", "the cancelling of another's signature")
def _(scene):
    return Attempt(
        scene.sponsor,
        scene.escrow.cancel(scene.offer, scene.asked()),
        {"requester": scene.requester.address, "caller": scene.sponsor.address},
    )


# --- grants by signature -------------------------------------------------------------------------


@refused("SignedGrantsNotAllowed", "a signature of an owner that allows none")
def _(scene):
    signed = scene.signed_grant()
    call = scene.redeeming(signed)
    scene.owner.send(scene.data_share.allow_signed_grants(False))
    return Attempt(scene.outsider, call, {"owner": scene.owner.address})


@refused("SignatureExpired", "a signature that came too late")
def _(scene):
    now = scene.devchain.time + 60
    call = scene.redeeming(scene.signed_grant(deadline=now - 1))
    scene.devchain.set_next_timestamp(now)
    scene.devchain.mine()
    return Attempt(scene.outsider, call, {"deadline": now - 1, "timestamp": now})


@refused("WrongNonce", "a signature redeemed before")
def _(scene):
    signed = scene.signed_grant()
    scene.outsider.send(scene.redeeming(signed))
    return Attempt(
        scene.outsider,
        scene.redeeming(signed),
        {"signed": signed.nonce, "current": signed.nonce + 1},
    )


@refused("WrongGeneration", "a signature from before everything was revoked")
def _(scene):
    call = scene.redeeming(scene.signed_grant())
    scene.owner.send(scene.data_share.revoke_access(scene.requester.address))
    return Attempt(scene.outsider, call, {"signed": 0, "current": 1})


# --- grants --------------------------------------------------------------------------------------


@refused("GranteeIsZero", "a grant to nobody")
def _(scene):
    return Attempt(scene.owner, scene.data_share.grant(ZERO_ADDRESS, RESOURCE, READ), {})


@refused("InvalidRights", "a grant of nothing")
def _(scene):
    terms = unchecked(READ, rights=Right(0))
    return Attempt(scene.owner, scene.granting(terms), {"rights": Right(0), "known": 7})


@refused("ResourceIsEverything", "a grant to serve everything")
def _(scene):
    call = scene.granting(GrantTerms(Right.SERVE), EVERYTHING)
    return Attempt(scene.owner, call, {"rights": Right.SERVE})


@refused("ExpiryPassed", "a grant that has expired")
def _(scene):
    now = scene.devchain.time
    call = scene.granting(GrantTerms(Right.READ, expiry=1))
    return Attempt(scene.owner, call, {"expiry": 1, "timestamp": now})


@refused("QuotaIsZero", "a grant to request without a use")
def _(scene):
    return Attempt(scene.owner, scene.granting(unchecked(scene.infer, uses=0)), {})


@refused("MeterIsZero", "a grant to request that nobody meters")
def _(scene):
    call = scene.granting(unchecked(scene.infer, meter=ZERO_ADDRESS))
    return Attempt(scene.owner, call, {})


@refused("GranteeHasNoKey", "a wrapped key for who has none to unwrap it")
def _(scene):
    call = scene.granting(READ, key=bytes(80))
    return Attempt(scene.owner, call, {"grantee": scene.requester.address})


@refused("WrappedKeysLength", "too few wrapped keys")
def _(scene):
    grantees = [scene.requester.address, scene.worker.address]
    call = scene.data_share.rewrap_keys(RESOURCE, grantees, bytes(80))
    return Attempt(scene.owner, call, {"length": 80, "expected": 160})


@refused("KeyIsZero", "a key that nobody can hold")
def _(scene):
    return Attempt(scene.requester, scene.data_share.register_key(bytes(32)), {})


# --- grants as they are used ---------------------------------------------------------------------


@refused("AccessDenied", "a request without a grant", Access.NOT_GRANTED)
def _(scene):
    return Attempt(scene.requester, scene.requesting(), scene.denied(Access.NOT_GRANTED))


@refused("AccessDenied", "a request after the grant was revoked", Access.REVOKED)
def _(scene):
    scene.grant(scene.infer)
    scene.owner.send(scene.data_share.revoke_access(scene.requester.address))
    return Attempt(scene.requester, scene.requesting(), scene.denied(Access.REVOKED))


@refused("AccessDenied", "a request after the grant expired", Access.EXPIRED)
def _(scene):
    expiry = scene.devchain.time + 60
    scene.grant(replace(scene.infer, expiry=expiry))
    scene.devchain.set_next_timestamp(expiry + 1)
    scene.devchain.mine()
    return Attempt(scene.requester, scene.requesting(), scene.denied(Access.EXPIRED))


@refused("AccessDenied", "a request by a grant to read", Access.RIGHT_MISSING)
def _(scene):
    scene.grant(READ)
    return Attempt(scene.requester, scene.requesting(), scene.denied(Access.RIGHT_MISSING))


@refused("AccessDenied", "one request too many", Access.QUOTA_EXHAUSTED)
def _(scene):
    scene.grant(replace(scene.infer, uses=1))
    scene.requester.send(scene.requesting())
    scene.devchain.mine()
    return Attempt(scene.requester, scene.requesting(), scene.denied(Access.QUOTA_EXHAUSTED))


@refused("NotMeter", "a request by a grant that another contract meters")
def _(scene):
    scene.grant(replace(scene.infer, meter=scene.outsider.address))
    return Attempt(
        scene.requester,
        scene.requesting(),
        {"meter": scene.outsider.address, "caller": scene.escrow.address},
    )


@refused("AccessDenied", "an answer by a grant to request", Access.RIGHT_MISSING)
def _(scene):
    scene.grant(scene.infer)
    terms = scene.asked()
    scene.sponsor.send(scene.sponsoring(terms))
    return Attempt(
        scene.requester,
        scene.escrow.fulfil(scene.offer, terms, COMMITMENT, OUTPUT),
        scene.denied(Access.RIGHT_MISSING, Right.SERVE),
    )


@refused("NotNamedWorker", "an answer by a worker that was not asked")
def _(scene):
    scene.grant(scene.infer)
    scene.grant(GrantTerms(Right.SERVE), scene.worker)
    terms = scene.asked(worker=scene.outsider.address)
    scene.sponsor.send(scene.sponsoring(terms))
    return Attempt(
        scene.worker,
        scene.escrow.fulfil(scene.offer, terms, COMMITMENT, OUTPUT),
        {"worker": scene.outsider.address, "caller": scene.worker.address},
    )


@pytest.mark.parametrize("refusal", REFUSALS, ids=[refusal.sentence for refusal in REFUSALS])
def test_it_is_refused_with_the_error_that_says_why(scene, reverts, refusal):
    sender, call, arguments = refusal.attempt(scene)
    if refusal.why is not None:
        assert refusal.why in arguments.values()

    with reverts(refusal.error, **arguments):
        sender.send(call)


def test_thirty_classes_are_told_apart():
    assert len({(refusal.error, refusal.why) for refusal in REFUSALS}) >= 30
