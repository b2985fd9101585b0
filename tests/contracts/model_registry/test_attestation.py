"""Versions whose metrics an evaluator vouches for; what counts as a signature is in
`test_signatures`.
"""

from dataclasses import replace

import pytest
from eth_account.messages import encode_typed_data
from eth_utils import keccak
from hypothesis import given

from modelward import commitments
from modelward.chain.events import VersionPublished
from modelward.terms import VersionStatus
from tests.contracts.said import event, said
from tests.contracts.signing import recovered, sign
from tests.contracts.specimens import ACCURACY, TERMS, version_of
from tests.contracts.strategies import examples, hashes


@pytest.fixture
def digest(chain, registry):
    def of(version):
        return commitments.attestation_digest(
            version.model_id,
            commitments.version_id(version),
            chain_id=chain.chain_id,
            registry=registry.address,
        )

    return of


@pytest.fixture
def attested(model_id, evaluator):
    return version_of(model_id, evaluator.address)


def test_it_is_published_in_the_evaluators_name(registry, owner, evaluator, attested, digest):
    receipt = owner.send(registry.publish_version(attested, sign(evaluator, digest(attested))))

    assert said(receipt, registry) == [
        event(
            VersionPublished,
            model_id=attested.model_id,
            version_id=commitments.version_id(attested),
            number=1,
            status=VersionStatus.SERVABLE,
            version=attested,
        )
    ]


def test_it_must_pass_the_gate_all_the_same(registry, owner, evaluator, attested, digest):
    perfect = replace(ACCURACY, ppm=10**6)
    owner.send(registry.raise_thresholds(attested.model_id, [perfect]))

    owner.send(registry.publish_version(attested, sign(evaluator, digest(attested))))

    state = registry.version_of(attested.model_id, commitments.version_id(attested))
    assert state.status == VersionStatus.REJECTED


def test_better_metrics_than_were_attested_are_not_attested(
    registry, owner, evaluator, attested, digest, reverts
):
    signature = sign(evaluator, digest(attested))
    better = replace(attested, metrics=(replace(ACCURACY, ppm=10**6),))

    with reverts(
        "WrongSigner",
        expected=evaluator.address,
        recovered=recovered(digest(better), signature),
    ):
        owner.send(registry.publish_version(better, signature))


def test_an_attestation_is_for_one_model(registry, owner, evaluator, attested, digest, reverts):
    owner.send(registry.register_model("other", TERMS))
    signature = sign(evaluator, digest(attested))
    moved = replace(attested, model_id=commitments.model_id(owner.address, "other"))

    with reverts(
        "WrongSigner",
        expected=evaluator.address,
        recovered=recovered(digest(moved), signature),
    ):
        owner.send(registry.publish_version(moved, signature))


def test_an_evaluator_cannot_publish_it_itself(
    registry, owner, evaluator, attested, digest, reverts
):
    signature = sign(evaluator, digest(attested))

    with reverts(
        "NotOwner", modelId=attested.model_id, owner=owner.address, caller=evaluator.address
    ):
        evaluator.send(registry.publish_version(attested, signature))


@pytest.mark.parametrize("length", [1, 65])
def test_who_vouches_for_itself_signs_nothing(registry, owner, model_id, reverts, length):
    version = version_of(model_id, owner.address)

    with reverts("AttestationNotEmpty", length=length):
        owner.send(registry.publish_version(version, bytes(length)))


@given(model=hashes, version=hashes)
@examples(20)
def test_what_is_signed_is_what_clients_compute(registry, chain, model, version):
    expected = commitments.attestation_digest(
        model, version, chain_id=chain.chain_id, registry=registry.address
    )

    assert registry.view("attestationDigest", model, version) == expected


def test_and_what_a_wallet_shows(registry, chain, attested, digest):
    """An implementation of EIP-712 that is not ours."""
    signable = encode_typed_data(
        domain_data={
            "name": "modelward ModelRegistry",
            "version": "1",
            "chainId": chain.chain_id,
            "verifyingContract": registry.address,
        },
        message_types={
            "Attestation": [
                {"name": "modelId", "type": "bytes32"},
                {"name": "versionId", "type": "bytes32"},
            ]
        },
        message_data={
            "modelId": attested.model_id,
            "versionId": commitments.version_id(attested),
        },
    )

    expected = keccak(b"\x19" + signable.version + signable.header + signable.body)
    assert digest(attested) == expected


def test_the_domain_can_be_read_as_erc_5267_says(registry, chain):
    assert registry.view("eip712Domain") == (
        b"\x0f",
        "modelward ModelRegistry",
        "1",
        chain.chain_id,
        registry.address,
        bytes(32),
        (),
    )
