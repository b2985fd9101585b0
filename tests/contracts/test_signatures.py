"""What counts as a signature, wherever a contract asks for one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import pytest

from modelward import commitments
from modelward.chain.sender import Sender
from modelward.chain.transactions import Call
from modelward.terms import ZERO_ADDRESS, Address, GrantTerms, Right, SignedGrant
from tests.contracts.puppet import Puppet
from tests.contracts.signing import mirrored, recovered, sign
from tests.contracts.specimens import FEE, NAME, TERMS, request_by, version_of

WALLETS = "tests/contracts/solidity/Wallets.sol"


class Use(NamedTuple):
    """A call that needs `signer`'s signature of `digest`."""

    signer: Address
    digest: bytes
    sender: Sender
    call: Callable[[bytes], Call]


@pytest.fixture
def grant(chain, data_share, outsider, requester):
    """`redeemGrant`, of a grant by `signer`."""

    def use(signer: Address) -> Use:
        signed = SignedGrant(
            owner=signer,
            grantee=requester.address,
            resource=b"\x22" * 32,
            terms=GrantTerms(Right.SERVE),
            generation=0,
            nonce=data_share.nonce_of(signer, requester.address),
            deadline=2**40,
        )
        digest = commitments.signed_grant_digest(
            signed, b"", chain_id=chain.chain_id, data_share=data_share.address
        )
        return Use(
            signer, digest, outsider, lambda given: data_share.redeem_grant(signed, b"", given)
        )

    return use


@pytest.fixture
def attestation(chain, registry, owner):
    """`publishVersion`, of a version attested by `signer`."""
    owner.send(registry.register_model(NAME, TERMS))
    model_id = commitments.model_id(owner.address, NAME)

    def use(signer: Address) -> Use:
        version = version_of(model_id, signer)
        digest = commitments.attestation_digest(
            model_id,
            commitments.version_id(version),
            chain_id=chain.chain_id,
            registry=registry.address,
        )
        return Use(signer, digest, owner, lambda given: registry.publish_version(version, given))

    return use


@pytest.fixture
def request_(chain, devchain, registry, escrow, owner, sponsor):
    """`requestFor`, of a request by `signer` for an open model."""
    owner.send(registry.register_model("open", replace(TERMS, open=True)))
    version = version_of(commitments.model_id(owner.address, "open"), owner.address)
    owner.send(registry.publish_version(version))
    offer = registry.quote(version.model_id, commitments.version_id(version)).offer

    def use(signer: Address) -> Use:
        terms = replace(request_by(signer, devchain.time + 3_600), payer=sponsor.address)
        digest = commitments.request_id(
            offer, terms, chain_id=chain.chain_id, escrow=escrow.address
        )
        return Use(
            signer,
            digest,
            sponsor,
            lambda given: escrow.request_for(
                offer.model_id, offer.version_id, terms, b"", given, value=FEE
            ),
        )

    return use


@pytest.fixture(params=["grant", "attestation", "request_"])
def use(request):
    """Each of the three, in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def signer(data_share, evaluator):
    """Somebody whose signature is needed, and who allows grants by it."""
    evaluator.send(data_share.allow_signed_grants(True))
    return evaluator


@pytest.fixture
def wallet(compile_solidity, data_share, outsider):
    """A contract whose signature is needed, and that allows grants by it."""
    deployed = Puppet.deploy(outsider, compile_solidity(WALLETS)["Wallet"])
    outsider.send(deployed.acting(data_share.allow_signed_grants(True)))
    return deployed


class TestAKey:
    def test_its_signature_counts(self, use, signer):
        needed = use(signer.address)

        receipt = needed.sender.send(needed.call(sign(signer, needed.digest)))

        assert receipt.logs

    def test_the_signature_of_another_does_not(self, use, signer, outsider, reverts):
        needed = use(signer.address)

        with reverts("WrongSigner", expected=signer.address, recovered=outsider.address):
            needed.sender.send(needed.call(sign(outsider, needed.digest)))

    def test_nor_a_signature_of_something_else(self, use, signer, reverts):
        needed = use(signer.address)
        signature = sign(signer, b"\x01" * 32)

        with reverts(
            "WrongSigner",
            expected=signer.address,
            recovered=recovered(needed.digest, signature),
        ):
            needed.sender.send(needed.call(signature))

    def test_nor_its_mirror_image(self, use, signer, reverts):
        needed = use(signer.address)
        signature = mirrored(sign(signer, needed.digest))
        assert recovered(needed.digest, signature) == signer.address

        with reverts("SignatureMalleable", s=signature[32:64]):
            needed.sender.send(needed.call(signature))

    @pytest.mark.parametrize("length", [0, 1, 64, 66, 130])
    def test_nor_one_of_any_length_but_65(self, use, signer, reverts, length):
        needed = use(signer.address)
        signature = (2 * sign(signer, needed.digest))[:length]

        with reverts("SignatureLength", length=length, expected=65):
            needed.sender.send(needed.call(signature))

    @pytest.mark.parametrize("v", [0, 1, 26, 29, 255])
    def test_nor_one_that_nobody_can_have_made(self, use, signer, reverts, v):
        needed = use(signer.address)
        signature = sign(signer, needed.digest)[:64] + bytes([v])

        with reverts("SignatureUnrecoverable"):
            needed.sender.send(needed.call(signature))

    @pytest.mark.parametrize("kind", ["attestation", "request_"])
    def test_the_zero_address_has_none(self, request, kind, reverts):
        """Nor can it allow grants by signature."""
        needed = request.getfixturevalue(kind)(ZERO_ADDRESS)

        with reverts("SignerIsZero"):
            needed.sender.send(needed.call(bytes(65)))


class TestAContract:
    @pytest.mark.parametrize("signature", [b"", b"\x01", bytes(65), bytes(200)], ids=len)
    def test_it_accepts_what_it_likes(self, use, wallet, outsider, signature):
        needed = use(wallet.address)
        outsider.send(wallet.call("approve", needed.digest))

        receipt = needed.sender.send(needed.call(signature))

        assert receipt.logs

    @pytest.mark.parametrize(
        "manner", range(4), ids=["another value", "too few bytes", "nothing", "a revert"]
    )
    def test_any_answer_but_the_one_of_erc_1271_is_a_refusal(
        self, use, wallet, outsider, reverts, manner
    ):
        outsider.send(wallet.call("refuseBy", manner))
        needed = use(wallet.address)

        with reverts("SignatureRefused", signer=wallet.address):
            needed.sender.send(needed.call(sign(outsider, needed.digest)))

    @pytest.mark.parametrize("kind", ["attestation", "request_"])
    def test_one_that_knows_of_no_signatures_has_none(
        self, request, kind, escrow, outsider, reverts
    ):
        """Nor can it allow grants by signature."""
        needed = request.getfixturevalue(kind)(escrow.address)

        with reverts("SignatureRefused", signer=escrow.address):
            needed.sender.send(needed.call(sign(outsider, needed.digest)))


class TestAKeyWithDelegatedCode:
    """EIP-7702: an account that runs a contract's code is still controlled by its key."""

    @pytest.fixture
    def delegating(self, chain, wallet, signer):
        chain.rpc("anvil_setCode", [signer.address, "0xef0100" + wallet.address[2:]])
        return Puppet(chain, signer.address, wallet.abi)

    def test_the_keys_signature_counts(self, use, signer, delegating):
        needed = use(signer.address)

        assert needed.sender.send(needed.call(sign(signer, needed.digest))).logs

    def test_and_what_the_code_accepts(self, use, signer, outsider, delegating):
        needed = use(signer.address)
        outsider.send(delegating.call("approve", needed.digest))

        assert needed.sender.send(needed.call(b"")).logs

    def test_and_nothing_else(self, use, signer, outsider, delegating, reverts):
        needed = use(signer.address)

        with reverts("SignatureRefused", signer=signer.address):
            needed.sender.send(needed.call(sign(outsider, needed.digest)))
