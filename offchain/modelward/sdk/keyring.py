"""The keys an account can open things with: its own, and those its grants have brought it.

What its grants have brought it is stored nowhere: it is unwrapped from the events of DataShare
whenever it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelward.chain.accounts import Account
from modelward.chain.connection import Chain
from modelward.chain.events import AccessGranted, KeysRewrapped, OwnershipTransferred
from modelward.deployment import Deployment
from modelward.errors import EnvelopeCorrupted, EnvelopeError, KeyNotGranted, SealedByFormerOwner
from modelward.sdk.key_files import KeyFiles
from modelward.sdk.own_keys import OwnKeys
from modelward.sdk.standing_events import events_about
from modelward.sealing.binding import Binding
from modelward.sealing.envelope import Header, open_envelope
from modelward.sealing.epochs import EpochKey
from modelward.sealing.message import INPUT, epoch_of, open_message
from modelward.sealing.wrapping import WRAPPED_KEY_BYTES, unwrap_key
from modelward.terms import Address, ModelId, Version


class Keyring:
    """What one account can open on one deployment."""

    def __init__(
        self,
        chain: Chain,
        deployment: Deployment,
        account: Account,
        key_files: KeyFiles | None = None,
    ) -> None:
        self._chain = chain
        self._deployment = deployment
        self._account = account
        self._own = OwnKeys(deployment, account, key_files)
        self._given: dict[tuple[Address, bytes], EpochKey] = {}

    def epoch_key(self, owner: Address, resource: bytes, epoch: int, *, newest: int) -> EpochKey:
        """The key of an owner's resource in an epoch; `newest` is the resource's current epoch.

        Raises `KeyNotGranted` when no grant has brought the account that key or a later one.
        """
        if owner == self._account.address:
            return EpochKey.of_owner(
                self._own.root(),
                chain_id=self._chain.chain_id,
                contract=self._deployment.data_share.address,
                resource=resource,
                epoch=epoch,
            )
        known = self._given.get((owner, resource))
        if known is None or known.epoch < epoch:
            known = self._unwrapped(owner, resource, newest) or known
            if known is not None:
                self._given[owner, resource] = known
        if known is None:
            raise KeyNotGranted(
                f"It is sealed, and {owner} has given {self._account.name} no key to it.",
                hint="`modelward grant add` by the owner wraps the key for a grantee.",
            )
        if known.epoch < epoch:
            raise KeyNotGranted(
                f"It is sealed for key epoch {epoch}, and {self._account.name} was given the keys "
                f"up to epoch {known.epoch} only."
            )
        return known.at(epoch)

    def model_key(self, owner: Address, model: ModelId, epoch: int) -> EpochKey:
        """The key of a model in an epoch. Raises `KeyNotGranted`."""
        newest = self._deployment.registry.service_key_of(model).epoch
        return self.epoch_key(owner, model, epoch, newest=max(newest, 1))

    def open_bundle(self, owner: Address, version: Version, stored: bytes) -> bytes:
        """A version's bundle in clear, from its stored bytes (whose hash was checked).

        Raises `KeyNotGranted`, or an `EnvelopeError` when it is not sealed as it should be:
        `SealedByFormerOwner` for what was published before the model was transferred.
        """
        if version.content_hash == version.bundle_hash:
            return stored
        epoch = Header.decoded(stored).binding.epoch
        key = self.model_key(owner, version.model_id, epoch)
        try:
            return open_envelope(stored, key.content_key(), self.binding(version.model_id, epoch))
        except EnvelopeCorrupted as error:
            if self._changed_hands(version.model_id):
                raise SealedByFormerOwner(
                    f"The keys of {owner} do not open this version: an owner the model had before "
                    "has sealed it."
                ) from error
            raise

    def open_input(self, owner: Address, model: ModelId, message: bytes) -> bytes:
        """What an input sealed to a model says.

        Raises `KeyNotGranted`, or an `EnvelopeError` when it does not open.
        """
        epoch = epoch_of(message)
        newest = self._deployment.registry.service_key_of(model).epoch
        if not 0 < epoch <= newest:
            raise EnvelopeError(f"The input is sealed for key epoch {epoch}, which never began.")
        key = self.model_key(owner, model, epoch).service_key()
        binding = Binding(self._chain.chain_id, self._deployment.escrow.address, model, epoch)
        return open_message(message, key, binding, INPUT)

    def binding(self, resource: bytes, epoch: int) -> Binding:
        """Where an owner's resource is at home."""
        share = self._deployment.data_share.address
        return Binding(self._chain.chain_id, share, resource, epoch)

    def _changed_hands(self, model: ModelId) -> bool:
        registry = self._deployment.registry
        return bool(events_about(self._deployment, registry, model, OwnershipTransferred))

    def _unwrapped(self, owner: Address, resource: bytes, newest: int) -> EpochKey | None:
        """The latest key that was wrapped for the account, whichever of its own keys opens it."""
        own = tuple(self._own.newest_first())
        for wrapped in self._wrapped(owner, resource):
            for epoch in range(newest, 0, -1):
                for key in own:
                    binding = self.binding(resource, epoch)
                    try:
                        secret = unwrap_key(wrapped, key, binding, self._account.address)
                    except EnvelopeError:
                        continue
                    return EpochKey(epoch, secret)
        return None

    def _wrapped(self, owner: Address, resource: bytes) -> Iterator[bytes]:
        """What was ever wrapped for the account, newest first."""
        share = self._deployment.data_share
        events = events_about(self._deployment, share, owner, AccessGranted, KeysRewrapped)
        for event in reversed(events):
            if isinstance(event, AccessGranted | KeysRewrapped) and event.resource == resource:
                wrapped = wrapped_for(event, self._account.address)
                if len(wrapped) == WRAPPED_KEY_BYTES:
                    yield wrapped


def wrapped_for(event: AccessGranted | KeysRewrapped, grantee: Address) -> bytes:
    """The wrapped key an event has for a grantee; empty if none."""
    if isinstance(event, AccessGranted):
        return event.wrapped_key if event.grantee == grantee else b""
    if grantee not in event.grantees:
        return b""
    start = event.grantees.index(grantee) * WRAPPED_KEY_BYTES
    return event.wrapped_keys[start : start + WRAPPED_KEY_BYTES]
