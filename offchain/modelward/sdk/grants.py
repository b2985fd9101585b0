"""Which grants an owner has made, and which of them hold."""

from __future__ import annotations

from dataclasses import dataclass

from modelward.chain.events import AccessGranted
from modelward.sdk.connection import Connection
from modelward.terms import Access, Address, Grant


@dataclass(frozen=True, slots=True)
class StandingGrant:
    """A grant that was made: `state` as stored, `access` whether it holds now and if not, why not.

    `resource` is a model's id, a data key, or EVERYTHING.
    """

    grantee: Address
    resource: bytes
    granted: AccessGranted
    state: Grant
    access: Access


def standing_grants(
    connection: Connection, owner: Address, resource: bytes | None = None
) -> tuple[StandingGrant, ...]:
    """The grants of an owner that were not replaced by later ones, in the order they were made."""
    newest: dict[tuple[Address, bytes], AccessGranted] = {}
    padded = bytes(12) + bytes.fromhex(owner[2:])
    for event in connection.events(AccessGranted, about=[padded]):
        if resource in (None, event.resource):
            newest.pop((event.grantee, event.resource), None)
            newest[event.grantee, event.resource] = event
    return tuple(_standing(connection, event) for event in newest.values())


def _standing(connection: Connection, event: AccessGranted) -> StandingGrant:
    made = (event.owner, event.grantee, event.resource)
    state = connection.data_share.grant_of(*made)
    access = Access.REVOKED
    if state.rights:
        access = connection.data_share.access_of(*made, state.rights)
    return StandingGrant(event.grantee, event.resource, event, state, access)
