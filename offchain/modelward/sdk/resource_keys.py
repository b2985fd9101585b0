"""An owner's side of sealing: the key of a resource in its current epoch, and who is given it."""

from __future__ import annotations

from collections.abc import Sequence

from modelward.chain.transactions import Call
from modelward.errors import InvalidTerms, NoEncryptionKey
from modelward.sdk.connection import Connection
from modelward.sdk.grants import StandingGrant, standing_grants
from modelward.sealing.binding import Binding
from modelward.sealing.epochs import EpochKey
from modelward.sealing.wrapping import wrap_key
from modelward.terms import Access, Address, ModelId, Right

REWRAPS_PER_TRANSACTION = 200
"""How many grantees one transaction hands a new key to: about 900,000 gas."""

KEYED_RIGHTS = Right.READ | Right.SERVE
"""The rights that come with a key; requesters need none."""


def own_epoch_key(connection: Connection, resource: bytes, epoch: int) -> EpochKey:
    """The key of one of the account's own resources in an epoch."""
    return connection.keyring.epoch_key(connection.address, resource, epoch, newest=epoch)


def current_model_key(connection: Connection, model: ModelId) -> EpochKey | None:
    """The key of one of the account's models in its current epoch; None if it has no service key.

    Raises `InvalidTerms` when the service key on chain is not the account's, as after a transfer.
    """
    service = connection.registry.service_key_of(model)
    if service.epoch == 0:
        return None
    key = own_epoch_key(connection, model, service.epoch)
    if key.service_key().public != service.public_key:
        raise InvalidTerms(
            f"The model's service key, of epoch {service.epoch}, is not one of "
            f"{connection.account_name}'s.",
            hint="`modelward model rotate` sets one that is. After a transfer, publish private "
            "versions anew: a former owner sealed them.",
        )
    return key


def wrapped_for_grantee(
    connection: Connection, key: EpochKey, resource: bytes, grantee: Address
) -> bytes:
    """An epoch key wrapped to a grantee's registered key, 80 bytes. Raises `NoEncryptionKey`."""
    index, public_key = connection.data_share.key_of(grantee)
    if index == 0:
        raise NoEncryptionKey(connection.addresses.name(grantee))
    binding = Binding(connection.chain.chain_id, connection.data_share.address, resource, key.epoch)
    return wrap_key(key.secret, public_key, binding, grantee)


def key_holders(
    connection: Connection, resource: bytes, *, without: Sequence[Address] = ()
) -> tuple[Address, ...]:
    """Who has a live grant of the account's on a resource that comes with a key, and can be given
    one: they have registered theirs.
    """
    return tuple(
        grant.grantee
        for grant in standing_grants(connection, connection.address, resource)
        if grant.grantee not in without
        and _holds_keyed_right(connection, grant)
        and connection.data_share.key_of(grant.grantee)[0]
    )


def rewraps(
    connection: Connection, key: EpochKey, resource: bytes, grantees: Sequence[Address]
) -> list[Call]:
    """The transactions that hand an epoch's key to grantees."""
    calls = []
    for start in range(0, len(grantees), REWRAPS_PER_TRANSACTION):
        part = grantees[start : start + REWRAPS_PER_TRANSACTION]
        wrapped = b"".join(wrapped_for_grantee(connection, key, resource, each) for each in part)
        calls.append(connection.data_share.rewrap_keys(resource, part, wrapped))
    return calls


def _holds_keyed_right(connection: Connection, grant: StandingGrant) -> bool:
    if grant.access is Access.GRANTED:
        return bool(grant.state.rights & KEYED_RIGHTS)
    asked = (right for right in Right if right in grant.state.rights & KEYED_RIGHTS)
    return any(
        connection.data_share.access_of(connection.address, grant.grantee, grant.resource, right)
        is Access.GRANTED
        for right in asked
    )
