"""A model's keys do not change hands with it: what its former owner sealed is published anew."""

from __future__ import annotations

import pytest

from modelward.errors import InvalidTerms, RequestRefused, SealedByFormerOwner
from modelward.sdk import Catalogue, Owner
from modelward.sdk.rotation import carry_out
from modelward.terms import RefusalReason, Right

from .conftest import MODEL, PRICE, REFERENCE


@pytest.fixture
def new_owner(published, owner, acting_as) -> Owner:
    """The sponsor, who has accepted the model."""
    successor, model = acting_as("sponsor"), published.version.model_id
    owner.connection.send(owner.connection.registry.offer_ownership(model, successor.address))
    successor.send(successor.registry.accept_ownership(model))
    return Owner(successor)


@pytest.fixture
def rotated(new_owner) -> Owner:
    """The same, after it has set a key of its own and granted anew."""
    carry_out(new_owner.connection, new_owner.plan_rotation(REFERENCE))
    new_owner.grant("worker", REFERENCE, Right.SERVE)
    new_owner.grant("requester", REFERENCE, Right.INFER)
    return new_owner


def test_the_new_owner_is_told_to_set_a_key_and_publish_anew(new_owner):
    with pytest.raises(InvalidTerms, match="is not one of sponsor's") as told:
        new_owner.grant("worker", REFERENCE, Right.SERVE)
    assert "modelward model rotate" in str(told.value.hint)
    assert "publish private versions anew" in str(told.value.hint)


@pytest.mark.parametrize("role", ["sponsor", "worker"])
def test_what_the_former_owner_sealed_is_said_to_be_so(rotated, published, acting_as, role):
    asking, version = acting_as(role), published.version
    stored = Catalogue(asking).bundle(version)
    with pytest.raises(SealedByFormerOwner, match="an owner the model had before") as told:
        asking.keyring.open_bundle(rotated.address, version.version, stored)
    assert "modelward model publish" in str(told.value.hint)


def test_requests_to_it_are_refused_until_it_is_published_anew(rotated, requester, work, row, iris):
    placed = requester.send(REFERENCE, row)
    work()
    with pytest.raises(RequestRefused) as refused:
        requester.result(placed.id)
    assert refused.value.reason == RefusalReason.BUNDLE_INVALID

    rotated.publish(
        iris.estimator, iris.inputs, iris.labels, name=MODEL, price=PRICE, registrant="owner"
    )
    placed = requester.send(REFERENCE, row)
    work()
    requester.result(placed.id)


def test_only_its_owner_publishes_it_anew(rotated, owner, iris):
    with pytest.raises(InvalidTerms, match="does not belong to owner"):
        owner.publish(
            iris.estimator, iris.inputs, iris.labels, name=MODEL, price=PRICE, registrant="owner"
        )
