"""An account's encryption keys: the X25519 keys that what it is given is wrapped to.

They follow from the account's private key by number, so there is nothing more to back up, and an
earlier one opens what was wrapped to it for ever.
"""

from __future__ import annotations

from dataclasses import dataclass

from modelward.chain.events import KeyRegistered
from modelward.errors import CheckFailed
from modelward.sdk.participant import Participant
from modelward.sealing.keys import DecryptionKey


@dataclass(frozen=True, slots=True)
class RegisteredKey:
    """The current key of an account: its number, from 1, and its public half (32 bytes).

    `derived` says whether the account at hand can derive the private half.
    """

    index: int
    public_key: bytes
    derived: bool


class EncryptionKeys(Participant):
    """The encryption keys of a connection's account."""

    def current(self) -> RegisteredKey | None:
        """The key that is registered now; None if there never was one."""
        index, public_key = self.connection.data_share.key_of(self.address)
        if index == 0:
            return None
        return RegisteredKey(index, public_key, self._key(index).public == public_key)

    def register(self) -> RegisteredKey:
        """Register the account's first key; sends nothing when one is registered that it holds.

        Raises `CheckFailed` when another key was registered under the number meanwhile.
        """
        current = self.current()
        return current if current is not None and current.derived else self.rotate()

    def rotate(self) -> RegisteredKey:
        """Register the account's next key. What was wrapped to earlier ones stays readable."""
        data_share = self.connection.data_share
        index = data_share.key_of(self.address)[0] + 1
        public_key = self._key(index).public
        receipt = self.connection.send(data_share.register_key(public_key))
        registered = self.connection.event_in(receipt, KeyRegistered)
        if registered.index != index:
            raise CheckFailed(
                f"The key became number {registered.index} and not {index}: another was "
                "registered at the same time.",
                hint="`modelward key rotate` registers the right one.",
            )
        return RegisteredKey(index, public_key, derived=True)

    def _key(self, index: int) -> DecryptionKey:
        return DecryptionKey.of_account(self._private_key, index)

    @property
    def _private_key(self) -> bytes:
        return self.connection.sender.account.private_key
