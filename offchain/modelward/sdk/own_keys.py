"""The secrets of an account: the encryption keys others seal to, and the root of its own resources.

With its private key at hand both follow from that. Otherwise they are in key files.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelward.chain.accounts import Account
from modelward.chain.events import KeyRegistered
from modelward.deployment import Deployment
from modelward.errors import KeyNotGranted
from modelward.sdk.key_files import KeyFiles
from modelward.sdk.standing_events import events_about
from modelward.sealing.keys import DecryptionKey


class OwnKeys:
    """The keys of one account on one deployment."""

    def __init__(self, deployment: Deployment, account: Account, files: KeyFiles | None) -> None:
        self._deployment = deployment
        self._account = account
        self._files = files

    def newest_first(self) -> Iterator[DecryptionKey]:
        """Every key that was registered for the account and is at hand.

        Raises `WrongPassword` or `InvalidKeystore` when one in a file does not open.
        """
        if self._account.has_private_key:
            count = self._deployment.data_share.key_of(self._account.address)[0]
            for index in range(count, 0, -1):
                yield DecryptionKey.of_account(self._account.private_key, index)
        if self._files is not None:
            stored = set(self._files.of(self._account.address))
            if stored:
                for public_key in reversed(self.registered()):
                    if public_key in stored:
                        yield self._files.open(public_key)

    def root(self) -> bytes:
        """What the keys of the account's own resources follow from, 32 bytes: its private key, or
        else its encryption key number 1.

        Raises `KeyNotGranted` when that is not at hand.
        """
        if self._account.has_private_key:
            return self._account.private_key
        registered = self.registered()
        if not registered or self._files is None or not self._files.find(registered[0]):
            raise KeyNotGranted(
                f"The keys of what {self._account.name} publishes follow from its encryption key "
                "number 1, which is not at hand.",
                hint="`modelward key register` makes it, once.",
            )
        return self._files.open(registered[0]).secret()

    def registered(self) -> tuple[bytes, ...]:
        """The public halves of all keys the account has registered, by number."""
        deployment, address = self._deployment, self._account.address
        events = events_about(deployment, deployment.data_share, address, KeyRegistered)
        return tuple(event.public_key for event in events)
