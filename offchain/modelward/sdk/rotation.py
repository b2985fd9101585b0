"""Rotating a resource's key: revoke, begin the next epoch, hand its key to those who remain.

A key that was given cannot be taken back. What rotation does is to seal what is published next with
a key that those who were removed never had. Interrupted half-way, it is simply done again: that
begins one more epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from modelward.chain.fees import choose_fees
from modelward.chain.transactions import Call, Receipt
from modelward.errors import InvalidTerms
from modelward.sdk.connection import Connection
from modelward.sdk.resource_keys import key_holders, own_epoch_key, rewraps
from modelward.terms import Address, ModelId


@dataclass(frozen=True)
class RotationPlan:
    """What a rotation will do and cost: `gas` as estimated, margin included, `cost` in wei at most.

    `epoch` is the one that begins, `remaining` those who are given its key.
    """

    resource: bytes
    epoch: int
    revoked: tuple[Address, ...]
    remaining: tuple[Address, ...]
    gas: int
    cost: int
    calls: tuple[Call, ...] = field(repr=False)


def plan_model_rotation(
    connection: Connection, model: ModelId, *, revoked: Sequence[Address] = ()
) -> RotationPlan:
    """Plan the next epoch of one of the account's models, without the grants to `revoked`.

    From then on requests are sealed to the new service key. Those placed before can be answered by
    those who remain: from the new key follow all earlier ones.

    Raises `ContractRefused` when the model is not the account's.
    """
    epoch = connection.registry.service_key_of(model).epoch + 1
    service_key = own_epoch_key(connection, model, epoch).service_key().public
    begin = connection.registry.set_service_key(model, service_key)
    return plan_rotation(connection, model, epoch, begin, revoked)


def plan_rotation(
    connection: Connection, resource: bytes, epoch: int, begin: Call, revoked: Sequence[Address]
) -> RotationPlan:
    """Plan an epoch that the transaction `begin` begins."""
    data_share = connection.data_share
    for grantee in revoked:
        if not data_share.grant_of(connection.address, grantee, resource).rights:
            raise InvalidTerms(f"{connection.addresses.name(grantee)} holds no such grant.")
    remaining = key_holders(connection, resource, without=revoked)
    key = own_epoch_key(connection, resource, epoch)
    calls = [data_share.revoke(grantee, resource) for grantee in revoked]
    calls += [begin, *rewraps(connection, key, resource, remaining)]
    gas = sum(connection.sender.estimate(call) for call in calls)
    return RotationPlan(
        resource=resource,
        epoch=epoch,
        revoked=tuple(revoked),
        remaining=remaining,
        gas=gas,
        cost=gas * choose_fees(connection.chain).max_fee,
        calls=tuple(calls),
    )


def carry_out(connection: Connection, plan: RotationPlan) -> tuple[Receipt, ...]:
    """Send what was planned: first the revocations, then the new key, then who is given it."""
    return tuple(connection.send(call) for call in plan.calls)
