from dataclasses import replace

import pytest

from modelward import commitments
from modelward.chain.events import VersionRetired
from modelward.terms import VersionStatus
from tests.contracts.said import event, said
from tests.contracts.specimens import ACCURACY, TERMS, version_of


@pytest.fixture
def version_id(registry, owner, model_id):
    version = version_of(model_id, owner.address)
    owner.send(registry.publish_version(version))
    return commitments.version_id(version)


def test_it_withdraws_the_version_and_says_so(registry, owner, model_id, version_id):
    before = registry.version_of(model_id, version_id)

    receipt = owner.send(registry.retire_version(model_id, version_id))

    after = replace(before, status=VersionStatus.RETIRED)
    assert registry.version_of(model_id, version_id) == after
    assert said(receipt, registry) == [
        event(VersionRetired, model_id=model_id, version_id=version_id)
    ]


def test_other_versions_stay_on_offer(registry, owner, model_id, version_id):
    other = version_of(model_id, owner.address, "second")
    owner.send(registry.publish_version(other))

    owner.send(registry.retire_version(model_id, version_id))

    quoted = registry.quote(model_id, commitments.version_id(other))
    assert quoted.offer.version_id == commitments.version_id(other)


def test_it_is_for_good(registry, owner, model_id, version_id, reverts):
    owner.send(registry.retire_version(model_id, version_id))

    with reverts("VersionNotServable", versionId=version_id, status=VersionStatus.RETIRED):
        owner.send(registry.retire_version(model_id, version_id))


def test_a_rejected_version_stays_rejected(registry, owner, model_id, reverts):
    owner.send(registry.raise_thresholds(model_id, [ACCURACY]))
    version = version_of(model_id, owner.address, metrics=())
    owner.send(registry.publish_version(version))
    version_id = commitments.version_id(version)

    with reverts("VersionNotServable", versionId=version_id, status=VersionStatus.REJECTED):
        owner.send(registry.retire_version(model_id, version_id))


def test_an_unknown_version_cannot_be_retired(registry, owner, model_id, reverts):
    with reverts("UnknownVersion", modelId=model_id, versionId=b"\x55" * 32):
        owner.send(registry.retire_version(model_id, b"\x55" * 32))


def test_nor_can_the_version_of_another_model(registry, owner, model_id, version_id, reverts):
    owner.send(registry.register_model("other", TERMS))
    other = commitments.model_id(owner.address, "other")

    with reverts("UnknownVersion", modelId=other, versionId=version_id):
        owner.send(registry.retire_version(other, version_id))


def test_only_the_owner_may(registry, owner, outsider, model_id, version_id, reverts):
    with reverts("NotOwner", modelId=model_id, owner=owner.address, caller=outsider.address):
        outsider.send(registry.retire_version(model_id, version_id))


def test_an_unknown_model_has_no_versions(registry, owner, version_id, reverts):
    with reverts("UnknownModel", modelId=b"\x77" * 32):
        owner.send(registry.retire_version(b"\x77" * 32, version_id))


def test_a_retired_model_took_its_versions_along(registry, owner, model_id, version_id, reverts):
    owner.send(registry.retire_model(model_id))

    with reverts("ModelIsRetired", modelId=model_id):
        owner.send(registry.retire_version(model_id, version_id))
