"""Who has no live grant is refused by the contract itself, and pays for gas and nothing else."""

from __future__ import annotations

import secrets

import pytest

from modelward.chain.fees import choose_fees
from modelward.commitments import input_hash
from modelward.errors import AccessDenied, InvalidTerms, UnknownAccount, UnknownModel
from modelward.terms import (
    UNLIMITED,
    Access,
    Request,
    Right,
    frame_clear_input,
)
from tests.market import MODEL, PRICE


@pytest.fixture
def row(breast_cancer):
    return breast_cancer.inputs.iloc[[0]]


@pytest.fixture
def sent_all_the_same(row):
    """Send a request without a dry run; returns why it failed, and what was paid beyond gas."""

    def send(requester):
        connection, offered = requester.connection, requester.quote(MODEL)
        manifest, secret = offered.manifest, secrets.token_bytes(32)
        canonical_input = manifest.canonical_input(manifest.input.row(row))
        call = connection.escrow.request(
            offered.version.model_id,
            offered.version.id,
            Request(
                requester=requester.address,
                payer=requester.address,
                input_hash=input_hash(secret, canonical_input),
                deadline=connection.now() + 60,
            ),
            frame_clear_input(secret, canonical_input),
            value=PRICE,
        )
        sender, before = connection.sender, connection.chain.balance(requester.address)
        signed = sender.sign(
            call, gas=500_000, nonce=sender.next_nonce(), fees=choose_fees(connection.chain)
        )
        sender.broadcast(signed)
        receipt = sender.wait(signed.hash)
        assert not receipt.succeeded
        paid = before - connection.chain.balance(requester.address)
        return sender.failure(signed, receipt), paid - receipt.fee

    return send


def make_outsider(market, owner, requester, outsider, row):
    return outsider


def revoke(market, owner, requester, outsider, row):
    owner.revoke("requester", MODEL)
    return requester


def revoke_everything(market, owner, requester, outsider, row):
    owner.revoke_all("requester")
    return requester


def expire(market, owner, requester, outsider, row):
    owner.grant("requester", MODEL, Right.INFER, expiry=owner.connection.now() + 100)
    market.devchain.increase_time(200)
    return requester


def use_up(market, owner, requester, outsider, row):
    owner.grant("requester", MODEL, Right.INFER, quota=1)
    requester.send(MODEL, row)
    return requester


def grant_another_right(market, owner, requester, outsider, row):
    owner.grant("requester", MODEL, Right.SERVE)
    return requester


@pytest.mark.parametrize(
    ("become", "reason"),
    [
        (make_outsider, Access.NOT_GRANTED),
        (revoke, Access.NOT_GRANTED),
        (revoke_everything, Access.REVOKED),
        (expire, Access.EXPIRED),
        (use_up, Access.QUOTA_EXHAUSTED),
        (grant_another_right, Access.RIGHT_MISSING),
    ],
)
def test_without_a_live_grant_the_contract_refuses_and_only_gas_is_paid(
    become, reason, market, owner, requester, outsider, row, sent_all_the_same
):
    denied = become(market, owner, requester, outsider, row)
    assert denied.quote(MODEL).access is reason
    with pytest.raises(AccessDenied) as dry:
        denied.send(MODEL, row)
    assert dry.value.arguments["reason"] is reason
    refusal, beyond_gas = sent_all_the_same(denied)
    assert isinstance(refusal, AccessDenied)
    assert refusal.arguments["reason"] is reason
    assert beyond_gas == 0


def test_an_open_model_takes_requests_from_everybody(owner, outsider, row, breast_cancer):
    owner.publish(
        breast_cancer.estimator,
        breast_cancer.inputs,
        breast_cancer.labels,
        name="breast-cancer",
        price=PRICE,
        open=True,
        private=False,
    )
    assert outsider.quote(MODEL).access is Access.GRANTED
    assert outsider.send(MODEL, row)


def test_a_request_placed_before_the_revocation_is_still_answered(owner, requester, worker, row):
    placed = requester.send(MODEL, row)
    owner.revoke_all("requester")
    worker.answer(placed.id)
    assert requester.result(placed.id).prediction.label == "malignant"


def test_a_worker_whose_grant_was_revoked_cannot_answer(owner, requester, worker, row):
    placed = requester.send(MODEL, row)
    owner.revoke("worker", MODEL)
    with pytest.raises(AccessDenied, match="may not answer requests"):
        worker.answer(placed.id)


def test_an_owner_needs_no_grant_on_its_own_model(owner, market, requester, row):
    assert type(requester)(owner.connection).send(MODEL, row)


# --- grants --------------------------------------------------------------------------------------


def test_a_grant_shows_what_is_left_of_it(owner, requester, row):
    owner.grant("requester", MODEL, Right.INFER, quota=3)
    requester.send(MODEL, row)
    [grant] = [each for each in owner.grants(MODEL) if each.grantee == requester.address]
    assert (grant.granted.uses, grant.state.uses, grant.access) == (3, 2, Access.GRANTED)


def test_only_the_newest_grant_on_a_resource_is_listed(owner, requester):
    owner.grant("requester", MODEL, Right.INFER, quota=5)
    owner.grant("requester", MODEL, Right.INFER | Right.SERVE)
    [grant] = [each for each in owner.grants() if each.grantee == requester.address]
    assert grant.granted.rights == Right.INFER | Right.SERVE
    assert grant.granted.uses == UNLIMITED


@pytest.mark.parametrize(
    ("end", "access"),
    [
        (lambda owner: owner.revoke("requester", MODEL), Access.REVOKED),
        (lambda owner: owner.revoke_all("requester"), Access.REVOKED),
    ],
    ids=["one", "all"],
)
def test_a_revoked_grant_stays_on_the_list(owner, requester, end, access):
    end(owner)
    [grant] = [each for each in owner.grants() if each.grantee == requester.address]
    assert grant.access is access


def test_a_grant_can_only_be_ended_where_there_is_one(owner):
    with pytest.raises(InvalidTerms, match="outsider holds no grant on breast-cancer"):
        owner.revoke("outsider", "breast-cancer")


@pytest.mark.parametrize(
    ("grantee", "model", "error"),
    [
        ("nobody", MODEL, UnknownAccount),
        ("requester", "owner/breast-cancr", UnknownModel),
        ("requester", "not a reference", InvalidTerms),
    ],
)
def test_a_grant_to_nobody_or_on_nothing_is_not_made(owner, grantee, model, error):
    before = owner.connection.sender.nonce()
    with pytest.raises(error):
        owner.grant(grantee, model, Right.INFER)
    assert owner.connection.sender.nonce() == before


def test_nobody_grants_on_a_model_of_somebody_else(market, owner):
    other = type(owner)(market.connection("sponsor"))
    with pytest.raises(InvalidTerms, match="does not belong to sponsor, but to owner"):
        other.grant("requester", MODEL, Right.INFER)


def test_after_a_transfer_the_new_owner_grants_under_the_old_name(market, owner, requester, row):
    new_owner = type(owner)(market.connection("sponsor"))
    model = market.published.version.model_id
    registry = owner.connection.registry
    owner.connection.send(registry.offer_ownership(model, new_owner.address))
    new_owner.connection.send(registry.accept_ownership(model))
    assert requester.quote(MODEL).access is Access.NOT_GRANTED
    new_owner.grant("requester", MODEL, Right.INFER)
    assert requester.send(MODEL, row)
    with pytest.raises(InvalidTerms, match="does not belong to owner"):
        owner.revoke("requester", MODEL)
