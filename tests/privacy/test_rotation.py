"""Who is removed can open nothing that is published or sent afterwards; those who remain can."""

from __future__ import annotations

import pytest

from modelward.errors import AccessDenied, InvalidTerms, KeyNotGranted
from modelward.sdk import Catalogue, read_history, verify
from modelward.sdk.audit import keys_given
from modelward.sdk.encryption_keys import EncryptionKeys
from modelward.sdk.history import opened_input
from modelward.sdk.rotation import carry_out
from modelward.terms import RequestStatus, Right

from .conftest import MODEL, REFERENCE


@pytest.fixture
def keeper(published, owner, acting_as):
    """A second worker."""
    connection = acting_as("keeper")
    EncryptionKeys(connection).register()
    owner.grant("keeper", MODEL, Right.SERVE)
    return connection


@pytest.fixture
def removed(published, keeper, owner, acting_as):
    """The first worker, removed with a rotation."""
    carry_out(owner.connection, owner.plan_rotation(MODEL, revoke="worker"))
    return acting_as("worker")


def test_a_plan_says_who_remains_and_what_it_costs(published, keeper, owner, acting_as):
    plan = owner.plan_rotation(MODEL, revoke="worker")
    assert plan.epoch == 2
    assert plan.revoked == (acting_as("worker").address,)
    assert plan.remaining == (keeper.address,)
    assert plan.cost > plan.gas > 0

    receipts = carry_out(owner.connection, plan)

    assert sum(receipt.gas_used for receipt in receipts) <= plan.gas
    key = owner.connection.registry.service_key_of(published.version.model_id)
    assert key.epoch == 2


def test_planning_sends_nothing(published, owner):
    before = owner.connection.sender.nonce()
    owner.plan_rotation(MODEL, revoke="worker")
    assert owner.connection.sender.nonce() == before


def test_who_remains_answers_what_is_sealed_to_the_new_key(removed, requester, work, row):
    placed = requester.send(REFERENCE, row)
    work("keeper")
    requester.result(placed.id)


def test_who_remains_answers_what_was_placed_before(published, keeper, owner, requester, work, row):
    placed = requester.send(REFERENCE, row)
    carry_out(owner.connection, owner.plan_rotation(MODEL, revoke="worker"))
    work("keeper")
    requester.result(placed.id)


def test_who_is_removed_neither_answers_nor_opens_new_requests(removed, requester, work, row):
    placed = requester.send(REFERENCE, row)
    work("worker")
    escrow = requester.connection.escrow
    assert escrow.request_of(placed.id).status is RequestStatus.OPEN
    with pytest.raises(KeyNotGranted, match="up to epoch 1 only"):
        opened_input(removed, read_history(removed, placed.id))


def test_who_is_removed_cannot_open_what_is_published_afterwards(removed, owner, publish, iris):
    from sklearn.naive_bayes import GaussianNB

    version = owner.publish(
        GaussianNB().fit(iris.inputs, iris.labels),
        iris.inputs,
        iris.labels,
        name=MODEL,
        price=owner.connection.registry.model_of(
            Catalogue(owner.connection).model(REFERENCE).id
        ).terms.fee,
    ).version
    stored = Catalogue(removed).bundle(version)
    with pytest.raises(KeyNotGranted):
        removed.keyring.open_bundle(owner.address, version.version, stored)


def test_what_it_had_before_stays_open_to_it(
    published, keeper, owner, requester, work, row, acting_as, sandbox
):
    placed = requester.send(REFERENCE, row)
    work()
    carry_out(owner.connection, owner.plan_rotation(MODEL, revoke="worker"))
    assert verify(acting_as("worker"), placed.id, sandbox=sandbox).identical


def test_a_revoked_requester_cannot_request(published, owner, requester, row):
    owner.revoke("requester", MODEL)
    with pytest.raises(AccessDenied):
        requester.send(REFERENCE, row)


def test_only_a_grant_there_is_can_be_revoked(published, owner):
    with pytest.raises(InvalidTerms, match="holds no such grant"):
        owner.plan_rotation(MODEL, revoke="outsider")


def test_the_audit_tells_who_was_given_which_key(published, removed, owner, acting_as):
    given = keys_given(owner.connection, owner.address, published.version.model_id)
    worker, keeper = (acting_as(role).address for role in ("worker", "keeper"))
    assert [(each.grantee, each.epoch, each.live) for each in given] == [
        (worker, 1, False),
        (keeper, 1, True),
        (keeper, 2, True),
    ]
