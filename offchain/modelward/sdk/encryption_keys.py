"""An account's encryption keys: the X25519 keys that what it is given is wrapped to.

With the account's private key at hand they follow from it by number, so there is nothing more to
back up. Where a node or wallet signs, they are random, or follow from a signature if its user wants
that, and are kept in encrypted files. An earlier key opens what was wrapped to it for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from modelward.chain.events import KeyRegistered
from modelward.errors import CheckFailed, InvalidTerms, WrongPassword
from modelward.sdk.connection import Connection
from modelward.sdk.own_keys import OwnKeys
from modelward.sdk.participant import Participant
from modelward.sdk.wallet_keys import key_from_wallet
from modelward.sealing.keys import DecryptionKey


class Custody(StrEnum):
    """Where the private half of an encryption key is."""

    DERIVED = "follows from the account's private key"
    STORED = "in an encrypted file"
    ELSEWHERE = "not at hand"


@dataclass(frozen=True, slots=True)
class RegisteredKey:
    """The current key of an account: its number, from 1, its public half (32 bytes), and where the
    private half is.
    """

    index: int
    public_key: bytes
    custody: Custody


class EncryptionKeys(Participant):
    """The encryption keys of a connection's account.

    `choose_password` is given the account's name when a key is to be stored and the configuration
    has no password.
    """

    def __init__(
        self, connection: Connection, choose_password: Callable[[str], str] | None = None
    ) -> None:
        super().__init__(connection)
        self._choose = choose_password
        self._account = connection.sender.account

    def current(self) -> RegisteredKey | None:
        """The key that is registered now; None if there never was one."""
        index, public_key = self.connection.data_share.key_of(self.address)
        if index == 0:
            return None
        return RegisteredKey(index, public_key, self._custody(index, public_key))

    def register(self, *, from_signature: bool = False) -> RegisteredKey:
        """Register the account's first key; sends nothing when one is registered that is at hand.

        Without a private key at hand the key is random, or follows from a signature that the
        account's wallet is asked for twice. Then keys that were registered that way before and are
        lost here come back, and nothing need be sent.

        Raises `CheckFailed` when another key was registered under the number meanwhile,
        `WrongPassword` when there is no password to store it under, and `InvalidTerms` when the
        wallet's signatures differ, or are not needed.
        """
        if from_signature:
            self._recover()
        current = self.current()
        if current is not None and current.custody is not Custody.ELSEWHERE:
            return current
        return self.rotate(from_signature=from_signature)

    def rotate(self, *, from_signature: bool = False) -> RegisteredKey:
        """Register the account's next key. What was wrapped to earlier ones stays readable.

        Raises as `register`.
        """
        data_share = self.connection.data_share
        index = data_share.key_of(self.address)[0] + 1
        key = self._new(index, from_signature=from_signature)
        receipt = self.connection.send(data_share.register_key(key.public))
        registered = self.connection.event_in(receipt, KeyRegistered)
        if registered.index != index:
            raise CheckFailed(
                f"The key became number {registered.index} and not {index}: another was "
                "registered at the same time.",
                hint="`modelward key rotate` registers the right one.",
            )
        return RegisteredKey(index, key.public, self._custody(index, key.public))

    def _new(self, index: int, *, from_signature: bool) -> DecryptionKey:
        """The account's key of a number, on disk if it does not follow from the private key."""
        if self._account.has_private_key and not from_signature:
            return DecryptionKey.of_account(self._account.private_key, index)
        key = self._signed(index) if from_signature else DecryptionKey.random()
        self._store(key)
        return key

    def _signed(self, index: int) -> DecryptionKey:
        if self._account.has_private_key:
            raise InvalidTerms(
                f"The private key of {self._account.name} is at hand, and its encryption key "
                "follows from that; no signature is needed."
            )
        return key_from_wallet(self._account.signer.sign_typed_data, index)

    def _recover(self) -> None:
        """Store again what was derived from signatures and is no longer in a file."""
        connection = self.connection
        own = OwnKeys(connection.deployment, self._account, connection.key_files)
        for index, public_key in enumerate(own.registered(), start=1):
            if connection.key_files.find(public_key) is None:
                key = self._signed(index)
                if key.public == public_key:
                    self._store(key)

    def _store(self, key: DecryptionKey) -> None:
        password = self.connection.config.password
        if password is None:
            if self._choose is None:
                raise WrongPassword(
                    "No password was given to store the encryption key under.",
                    hint="Set MODELWARD_PASSWORD_FILE to a file that holds it.",
                )
            password = self._choose(f"the encryption key of {self._account.name}")
        self.connection.key_files.store(self.address, key, password)

    def _custody(self, index: int, public_key: bytes) -> Custody:
        account = self._account
        if account.has_private_key:
            derived = DecryptionKey.of_account(account.private_key, index)
            if derived.public == public_key:
                return Custody.DERIVED
        return Custody.STORED if self.connection.key_files.find(public_key) else Custody.ELSEWHERE
