"""What an owner changes binds later requests only."""

from dataclasses import replace

import pytest

from modelward.terms import GrantTerms, RequestStatus, Right
from tests.contracts.inference_escrow.answers import COMMITMENT, OUTPUT
from tests.contracts.specimens import ACCURACY, FEE, TERMS, version_of


def revoke(market):
    market.owner.send(market.data_share.revoke(market.requester.address, market.model_id))


def revoke_everything(market):
    market.owner.send(market.data_share.revoke_access(market.requester.address))


def grant_reading_instead(market):
    read = GrantTerms(Right.READ)
    market.owner.send(market.data_share.grant(market.requester.address, market.model_id, read))


def let_the_grant_expire(market):
    soon = market.devchain.time + 10
    infer = GrantTerms(Right.INFER, soon, uses=1, meter=market.escrow.address)
    market.owner.send(market.data_share.grant(market.requester.address, market.model_id, infer))
    market.wait_until(soon + 1)


def meter_by_another_contract(market):
    infer = GrantTerms(Right.INFER, uses=1, meter=market.owner.address)
    market.owner.send(market.data_share.grant(market.requester.address, market.model_id, infer))


def retire_the_version(market):
    market.owner.send(market.registry.retire_version(market.model_id, market.version_id))


def retire_the_model(market):
    market.owner.send(market.registry.retire_model(market.model_id))


def publish_another_version(market):
    version = version_of(market.model_id, market.owner.address, "another")
    market.owner.send(market.registry.publish_version(version))


def raise_the_thresholds(market):
    perfect = replace(ACCURACY, ppm=10**6)
    market.owner.send(market.registry.raise_thresholds(market.model_id, [perfect]))


def set_terms(**changes):
    def change(market):
        terms = replace(TERMS, **changes)
        market.owner.send(market.registry.set_terms(market.model_id, terms))

    change.__name__ = "set " + ", ".join(changes)
    return change


CHANGES = [
    revoke,
    revoke_everything,
    grant_reading_instead,
    let_the_grant_expire,
    meter_by_another_contract,
    retire_the_version,
    retire_the_model,
    publish_another_version,
    raise_the_thresholds,
    set_terms(fee=0),
    set_terms(fee=2 * FEE),
    set_terms(payee_bps=10_000),
    set_terms(payee="0x" + "Ee" * 20),
    set_terms(max_delay=1),
    set_terms(open=True),
]


class Market:
    """Everything a change may be about."""

    def __init__(self, **parts):
        self.__dict__.update(parts)


@pytest.fixture
def changed(request, placed, devchain, wait_until, data_share, registry, escrow, owner, requester):
    """An open request, after the owner changed something."""
    request.param(
        Market(
            devchain=devchain,
            wait_until=wait_until,
            data_share=data_share,
            registry=registry,
            escrow=escrow,
            owner=owner,
            requester=requester,
            model_id=placed.offer.model_id,
            version_id=placed.offer.version_id,
        )
    )
    return placed


every_change = pytest.mark.parametrize(
    "changed", CHANGES, indirect=True, ids=lambda change: change.__name__.replace("_", " ")
)


@every_change
def test_it_is_answered_for_the_price_and_the_split_it_was_placed_at(
    escrow, owner, worker, changed
):
    worker.send(escrow.fulfil(changed.offer, changed.terms, COMMITMENT, OUTPUT))

    assert escrow.credit_of(owner.address) == FEE * 3 // 10
    assert escrow.credit_of(worker.address) == FEE * 7 // 10


@every_change
def test_it_is_refused_for_the_whole_fee(escrow, requester, worker, changed):
    worker.send(escrow.refuse(changed.offer, changed.terms, 1))

    assert escrow.credit_of(requester.address) == FEE


@every_change
def test_it_is_refunded_after_its_own_deadline(escrow, wait_until, requester, outsider, changed):
    wait_until(changed.terms.deadline + 1)

    outsider.send(escrow.refund(changed.id))

    assert escrow.credit_of(requester.address) == FEE


def test_a_used_up_quota_leaves_what_was_placed_with_it(
    data_share, escrow, owner, requester, worker, offer, place, ask
):
    infer = GrantTerms(Right.INFER, uses=2, meter=escrow.address)
    owner.send(data_share.grant(requester.address, offer.model_id, infer))
    requests = [place(ask("first")), place(ask("second"))]

    for placed in requests:
        worker.send(escrow.fulfil(placed.offer, placed.terms, COMMITMENT, OUTPUT))
        assert escrow.request_of(placed.id).status == RequestStatus.FULFILLED
