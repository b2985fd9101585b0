"""Encryption keys that follow from no private key at hand, in encrypted V3 keystores.

One file a key, named after its public half and readable by its user only.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from modelward.chain.accounts import SCRYPT_WORK_FACTOR, decrypted, encrypted, write_new
from modelward.config import Config
from modelward.errors import InvalidKeystore, WrongPassword
from modelward.sealing.keys import DecryptionKey
from modelward.terms import Address


def open_key_files(config: Config, ask_password: Callable[[str], str] | None = None) -> KeyFiles:
    """The key files of a configuration, opened with its password if it has one."""

    def password(prompt: str) -> str:
        configured = config.password
        if configured is not None:
            return configured
        if ask_password is None:
            raise WrongPassword(
                "No password was given for an encryption key.",
                hint="Set MODELWARD_PASSWORD_FILE to a file that holds it.",
            )
        return ask_password(prompt)

    return KeyFiles(config.encryption_key_directory, password, work_factor=SCRYPT_WORK_FACTOR)


class KeyFiles:
    """The encryption keys in `directory`. `password` is given a prompt when one is opened;
    `work_factor` is the cost of scrypt for new ones.
    """

    def __init__(
        self,
        directory: Path,
        password: Callable[[str], str],
        *,
        work_factor: int,
    ) -> None:
        self.directory = directory
        self._password = password
        self._work_factor = work_factor
        self._opened: dict[bytes, DecryptionKey] = {}

    def store(self, account: Address, key: DecryptionKey, password: str) -> Path:
        """Store a key of an account durably; one that is there already is left alone.

        Raises `InvalidKeystore` when it cannot be written.
        """
        path = self._path(key.public)
        text = encrypted(
            key.secret(),
            password,
            work_factor=self._work_factor,
            address=account,
            encryption_key=key.public.hex(),
        )
        try:
            write_new(path, text)
        except FileExistsError:
            pass
        except OSError as error:
            raise InvalidKeystore(
                f"{path} cannot be written: {error.strerror or error}."
            ) from error
        self._opened[key.public] = key
        return path

    def find(self, public_key: bytes) -> Path | None:
        """The file of a key, if there is one."""
        path = self._path(public_key)
        return path if path.exists() else None

    def of(self, account: Address) -> tuple[bytes, ...]:
        """The public halves of an account's keys, in no order that means anything."""
        return tuple(
            bytes.fromhex(path.stem)
            for path in sorted(self.directory.glob("*.json"))
            if len(path.stem) == 64 and self._account_of(path) == account
        )

    def open(self, public_key: bytes) -> DecryptionKey:
        """The key with this public half, which is asked a password for once.

        Raises `WrongPassword` or `InvalidKeystore`.
        """
        if public_key not in self._opened:
            path = self._path(public_key)
            shown = f"The encryption key {public_key.hex()[:8]}…"
            text = self._read(path)
            password = self._password(f"Password of {shown[0].lower()}{shown[1:]}: ")
            key = DecryptionKey.from_secret(decrypted(text, password, name=shown, file=path))
            if key.public != public_key:
                raise InvalidKeystore(f"{path} holds another key than its name says.")
            self._opened[public_key] = key
        return self._opened[public_key]

    def _path(self, public_key: bytes) -> Path:
        return self.directory / f"{public_key.hex()}.json"

    def _account_of(self, path: Path) -> str | None:
        try:
            document = json.loads(self._read(path))
        except (ValueError, InvalidKeystore):
            return None
        return document.get("address") if isinstance(document, dict) else None

    def _read(self, path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidKeystore(f"{path} cannot be read.") from error
