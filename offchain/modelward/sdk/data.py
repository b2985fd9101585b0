"""Sharing data: files sealed under a data key, for those granted READ on it.

The key epoch of what is published is in the `uri` of its event, as the fragment `#epoch=N`.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from eth_utils.crypto import keccak

from modelward.chain.events import AccessGranted, DataPublished
from modelward.chain.transactions import Call
from modelward.errors import BadInput, InvalidTerms, StoreUnavailable
from modelward.sdk.connection import Connection
from modelward.sdk.gateway_client import PublishedContent
from modelward.sdk.participant import Participant
from modelward.sdk.resource_keys import own_epoch_key, wrapped_for_grantee
from modelward.sdk.rotation import RotationPlan, plan_rotation
from modelward.sealing.envelope import open_file, seal_file
from modelward.terms import EVERYTHING, NEVER, Address, GrantTerms, Right

MAX_DATA_BYTES = 1 << 40
"""Longest envelope that is fetched."""

_HEX = re.compile(r"0x[0-9a-fA-F]{64}")
_EPOCH = re.compile(r"(.*)#epoch=([0-9]{1,4})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SharedData:
    """What an owner has published under a data key: `content_hash` is that of the envelope."""

    owner: Address
    key: bytes
    content_hash: bytes
    uri: str
    epoch: int
    block_number: int


def data_key(name: str) -> bytes:
    """The data key of a name: its keccak256, or 0x and 64 digits as they are.

    Raises `InvalidTerms` for an empty name and for the key that stands for everything.
    """
    if not name.strip():
        raise InvalidTerms("A data key needs a name.")
    key = bytes.fromhex(name[2:]) if _HEX.fullmatch(name) else keccak(text=name)
    if key == EVERYTHING:
        raise InvalidTerms("This key stands for everything an owner has.")
    return key


def find_data(connection: Connection, owner: Address, key: bytes) -> SharedData | None:
    """What `owner` published last under a data key; None if nothing, or nothing sealed."""
    padded = bytes(12) + bytes.fromhex(owner[2:])
    published = [
        event for event in connection.events(DataPublished, about=[padded]) if event.data_key == key
    ]
    if not published or not (match := _EPOCH.fullmatch(published[-1].uri)):
        return None
    event = published[-1]
    return SharedData(
        owner, key, event.content_hash, match[1], max(1, int(match[2])), event.block_number
    )


class DataOwner(Participant):
    """Publishes files for others to read."""

    def publish(self, file: Path, name: str) -> SharedData:
        """Seal a file, store it, and publish its hash under a data key, in the key's epoch.

        Raises `BadInput` when the file cannot be read, `StoreUnavailable` or `ContractRefused`.
        """
        key = data_key(name)
        found = find_data(self.connection, self.address, key)
        return self._publish(file, key, found.epoch if found else 1)

    def grant(self, grantee: str, name: str, *, expiry: int = NEVER) -> AccessGranted:
        """Let somebody read what is published under a data key, now and until revoked.

        Raises `InvalidTerms` when nothing is, `NoEncryptionKey` or `ContractRefused`.
        """
        connection = self.connection
        data = self._published(name)
        receiver = connection.addresses.address(grantee)
        key = own_epoch_key(connection, data.key, data.epoch)
        wrapped = wrapped_for_grantee(connection, key, data.key, receiver)
        terms = GrantTerms(Right.READ, expiry)
        call = connection.data_share.grant(receiver, data.key, terms, wrapped)
        return connection.event_in(connection.send(call), AccessGranted)

    def plan_rotation(self, name: str, *, revoke: str | None = None) -> RotationPlan:
        """Plan the next epoch of a data key: what is published is sealed anew, and all who remain
        are given the new key. The new envelope is stored, nothing is sent.

        Raises `InvalidTerms` when nothing is published, or `revoke` holds no grant.
        """
        connection = self.connection
        data = self._published(name)
        revoked = (connection.addresses.address(revoke),) if revoke else ()
        with tempfile.TemporaryDirectory(prefix="modelward-") as folder:
            clear = Path(folder) / "clear"
            read_data(connection, data, clear)
            digest = self._stored(clear, data.key, data.epoch + 1)
        begin = self._announcement(data.key, digest, data.epoch + 1)
        return plan_rotation(connection, data.key, data.epoch + 1, begin, revoked)

    def _published(self, name: str) -> SharedData:
        data = find_data(self.connection, self.address, data_key(name))
        if data is None:
            raise InvalidTerms(
                f"Nothing is published under the data key {name!r}.",
                hint="`modelward data publish FILE --key NAME` publishes a file.",
            )
        return data

    def _publish(self, file: Path, key: bytes, epoch: int) -> SharedData:
        digest = self._stored(file, key, epoch)
        receipt = self.connection.send(self._announcement(key, digest, epoch))
        uri = self.connection.published_uri
        return SharedData(self.address, key, digest, uri, epoch, receipt.block_number)

    def _stored(self, file: Path, key: bytes, epoch: int) -> bytes:
        binding = self.connection.keyring.binding(key, epoch)
        content_key = own_epoch_key(self.connection, key, epoch).content_key()
        with tempfile.TemporaryDirectory(prefix="modelward-") as folder:
            envelope = Path(folder) / "envelope"
            try:
                seal_file(file, envelope, content_key, binding)
            except OSError as error:
                raise BadInput(f"{file} cannot be sealed: {error.strerror or error}.") from error
            return self.connection.store.put_file(envelope)

    def _announcement(self, key: bytes, digest: bytes, epoch: int) -> Call:
        uri = f"{self.connection.published_uri}#epoch={epoch}"
        return self.connection.data_share.publish_data(key, digest, uri)


def fetch_data(
    connection: Connection,
    owner: str,
    name: str,
    target: Path,
    *,
    overwrite: bool = False,
    gateway: str | None = None,
) -> SharedData:
    """Fetch what an owner published under a data key, open it, and write it to `target`, which
    appears whole or not at all. It comes through `gateway`, a URL, or else from the store.

    Raises:
        AccessDenied: the account holds no live grant.
        ContractRefused: nothing is published there.
        KeyNotGranted: the grant came without a key, or a gateway turns the account away.
        HashMismatch, EnvelopeError: the store gives something else.
        StoreUnavailable: no store gives it.
        BadInput: `target` exists, or cannot be written.
    """
    if target.exists() and not overwrite:
        raise BadInput(f"{target} exists and was left as it is.", hint="Say --force to replace it.")
    address, key = connection.addresses.address(owner), data_key(name)
    digest = connection.data_share.fetch_data(address, key, sender=connection.address)
    data = find_data(connection, address, key)
    if data is None or data.content_hash != digest:
        raise StoreUnavailable(
            "What is published there is not confirmed yet, or was not sealed by this program.",
        )
    read_data(connection, data, target, gateway=gateway)
    return data


def read_data(
    connection: Connection, data: SharedData, target: Path, *, gateway: str | None = None
) -> None:
    """Fetch and open shared data into a file. Raises as `fetch_data`."""
    key = connection.keyring.epoch_key(data.owner, data.key, data.epoch, newest=data.epoch)
    binding = connection.keyring.binding(data.key, data.epoch)
    content = PublishedContent(data.owner, data.key, data.content_hash, data.uri)
    with tempfile.TemporaryDirectory(prefix="modelward-") as folder:
        envelope = Path(folder) / "envelope"
        with envelope.open("wb") as file:
            connection.source(gateway).write(content, file, limit=MAX_DATA_BYTES)
        try:
            open_file(envelope, target, key.content_key(), binding)
        except OSError as error:
            raise BadInput(f"{target} cannot be written: {error.strerror or error}.") from error
