from dataclasses import replace

import pytest

from modelward import commitments
from modelward.terms import ETH, GWEI, MAX_FEE, ZERO_ADDRESS, Offer, Quote, VersionStatus
from tests.contracts.specimens import ACCURACY, TERMS, version_of


@pytest.fixture
def version_id(registry, owner, model_id):
    version = version_of(model_id, owner.address)
    owner.send(registry.publish_version(version))
    return commitments.version_id(version)


def test_it_says_what_a_request_placed_now_would_be_bound_to(registry, owner, model_id, version_id):
    assert registry.quote(model_id, version_id) == Quote(
        offer=Offer(
            model_id=model_id,
            version_id=version_id,
            owner=owner.address,
            payee=owner.address,
            payee_bps=TERMS.payee_bps,
            token=ETH,
            fee=TERMS.fee,
            verifier=ZERO_ADDRESS,
        ),
        max_delay=TERMS.max_delay,
        open=False,
    )


def test_it_follows_the_terms(registry, owner, sponsor, model_id, version_id):
    before = registry.quote(model_id, version_id)
    terms = replace(
        TERMS, fee=MAX_FEE, payee=sponsor.address, payee_bps=10_000, max_delay=1, open=True
    )

    owner.send(registry.set_terms(model_id, terms))

    offer = replace(before.offer, fee=MAX_FEE, payee=sponsor.address, payee_bps=10_000)
    assert registry.quote(model_id, version_id) == Quote(offer, max_delay=1, open=True)


def test_without_a_payee_the_owner_is_paid_again(registry, owner, sponsor, model_id, version_id):
    before = registry.quote(model_id, version_id)

    owner.send(registry.set_terms(model_id, replace(TERMS, payee=sponsor.address)))
    assert registry.quote(model_id, version_id).offer.payee == sponsor.address
    owner.send(registry.set_terms(model_id, TERMS))

    assert registry.quote(model_id, version_id) == before


@pytest.mark.parametrize("fee", [0, GWEI, MAX_FEE])
def test_the_fee_is_exact(registry, owner, model_id, version_id, fee):
    owner.send(registry.set_terms(model_id, replace(TERMS, fee=fee)))

    assert registry.quote(model_id, version_id).offer.fee == fee


def test_a_price_in_a_token_names_it(registry, owner, data_share, model_id, version_id):
    before = registry.quote(model_id, version_id).offer

    owner.send(registry.set_terms(model_id, replace(TERMS, token=data_share.address, fee=7)))

    expected = replace(before, token=data_share.address, fee=7)
    assert registry.quote(model_id, version_id).offer == expected


def test_the_verifier_is_the_versions_own(registry, owner, sponsor, model_id, version_id):
    verified = version_of(model_id, owner.address, "verified", verifier=sponsor.address)
    owner.send(registry.publish_version(verified))

    quoted = registry.quote(model_id, commitments.version_id(verified))
    assert quoted.offer.verifier == sponsor.address
    assert registry.quote(model_id, version_id).offer.verifier == ZERO_ADDRESS


def test_an_unknown_model_is_not_offered(registry, version_id, reverts):
    with reverts("UnknownModel", modelId=b"\x77" * 32):
        registry.quote(b"\x77" * 32, version_id)


def test_a_retired_model_is_not_offered(registry, owner, model_id, version_id, reverts):
    owner.send(registry.retire_model(model_id))

    with reverts("ModelIsRetired", modelId=model_id):
        registry.quote(model_id, version_id)


def test_an_unknown_version_is_not_offered(registry, model_id, reverts):
    with reverts("UnknownVersion", modelId=model_id, versionId=b"\x55" * 32):
        registry.quote(model_id, b"\x55" * 32)


def test_the_version_of_another_model_is_not_offered(
    registry, owner, model_id, version_id, reverts
):
    owner.send(registry.register_model("other", TERMS))
    other = commitments.model_id(owner.address, "other")

    with reverts("UnknownVersion", modelId=other, versionId=version_id):
        registry.quote(other, version_id)


def test_a_rejected_version_is_not_offered(registry, owner, model_id, reverts):
    owner.send(registry.raise_thresholds(model_id, [ACCURACY]))
    version = version_of(model_id, owner.address, metrics=())
    owner.send(registry.publish_version(version))
    version_id = commitments.version_id(version)

    with reverts("VersionNotServable", versionId=version_id, status=VersionStatus.REJECTED):
        registry.quote(model_id, version_id)


def test_a_retired_version_is_not_offered(registry, owner, model_id, version_id, reverts):
    owner.send(registry.retire_version(model_id, version_id))

    with reverts("VersionNotServable", versionId=version_id, status=VersionStatus.RETIRED):
        registry.quote(model_id, version_id)
