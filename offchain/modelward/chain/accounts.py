"""Accounts: in encrypted V3 keystores, at the node, and the known ones of development chains."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from eth_account import Account as EthAccount

from modelward.chain.development import (
    DEVELOPMENT_ACCOUNTS,
    DEVELOPMENT_KEYS,
    is_development_address,
)
from modelward.chain.encoding import to_address
from modelward.chain.signers import KeySigner, NodeSigner, Signer, has_key_of
from modelward.config import DEVELOPMENT_CHAIN_ID, Config
from modelward.errors import (
    AccountExists,
    InvalidKeystore,
    NoPrivateKey,
    UnknownAccount,
    UnsafeAccount,
    WrongPassword,
)
from modelward.terms import Address

if TYPE_CHECKING:
    from modelward.chain.connection import Chain

_NAME = re.compile(r"(?!0[xX])[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")

SCRYPT_WORK_FACTOR = 1 << 18
"""Cost N of scrypt for a new keystore: about half a second and 256 MiB to try one password."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account that can sign. Its key, if it is at hand, is in memory and in no message."""

    name: str
    address: Address
    signer: Signer = field(repr=False, compare=False)
    key: bytes | None = field(default=None, repr=False, compare=False)

    @classmethod
    def from_key(cls, name: str, private_key: bytes | str) -> Self:
        """The account of a private key. Raises `InvalidKeystore` if it is none."""
        try:
            signer = EthAccount.from_key(private_key)
        except (ValueError, TypeError) as error:
            raise InvalidKeystore("This is not a private key: 32 bytes in hex are needed.") from (
                error if isinstance(private_key, bytes) else None
            )
        return cls(name, to_address(signer.address), KeySigner(signer), bytes(signer.key))

    @classmethod
    def of_node(cls, name: str, address: Address, chain: Chain) -> Self:
        """The account for which the node, or a wallet behind it, signs."""
        return cls(name, address, NodeSigner(chain, address))

    @classmethod
    def development(cls, role: str) -> Self:
        """The development account of that role, usable on development chains only."""
        return cls.from_key(role, DEVELOPMENT_KEYS[role])

    @property
    def private_key(self) -> bytes:
        """The private key, 32 bytes. Raises `NoPrivateKey` when a node or wallet has it."""
        if self.key is None:
            raise NoPrivateKey(self.name)
        return self.key

    @property
    def has_private_key(self) -> bool:
        """Whether the private key is at hand."""
        return self.key is not None

    @property
    def is_development(self) -> bool:
        """Whether everybody knows the key."""
        return is_development_address(self.address)


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A keystore file. `address` is None where the file is not a V3 keystore."""

    name: str
    address: Address | None
    path: Path


class Keystore:
    """A directory of encrypted V3 keystores, one file a name, readable by its user only.

    A file is written as a whole or not at all, and never over another one.
    """

    def __init__(self, directory: Path, *, work_factor: int = SCRYPT_WORK_FACTOR) -> None:
        self.directory = directory
        self.work_factor = work_factor

    def new(self, name: str, password: str) -> StoredKey:
        """Make a new key and store it. Raises `AccountExists` or `InvalidKeystore`."""
        return self.import_key(name, secrets.token_bytes(32), password)

    def import_key(self, name: str, private_key: bytes | str, password: str) -> StoredKey:
        """Store a private key. Raises `AccountExists` or `InvalidKeystore`."""
        account = Account.from_key(name, private_key)
        self.check_name(name)
        self._check_free(account.address)
        text = encrypted(account.private_key, password, work_factor=self.work_factor)
        return self._write(name, account.address, text)

    def import_file(self, name: str, file: Path, password: str) -> StoredKey:
        """Store a copy of a V3 keystore file, once `password` has opened it.

        Raises `AccountExists`, `InvalidKeystore` or `WrongPassword`.
        """
        text = _read(file)
        account = _decrypt(name, file, text, password)
        self.check_name(name)
        self._check_free(account.address)
        return self._write(name, account.address, text)

    def list(self) -> tuple[StoredKey, ...]:
        """Every keystore, by name."""
        return tuple(sorted(self._stored(), key=lambda key: key.name))

    def find(self, name_or_address: str) -> StoredKey | None:
        """The keystore of that name or address, if there is one."""
        if _ADDRESS.fullmatch(name_or_address):
            wanted = to_address(name_or_address)
            return next((key for key in self._stored() if key.address == wanted), None)
        return next((key for key in self._stored() if key.name == name_or_address), None)

    def unlock(self, key: StoredKey, password: str) -> Account:
        """Decrypt a keystore. Raises `WrongPassword` or `InvalidKeystore`."""
        return _decrypt(key.name, key.path, _read(key.path), password)

    def _stored(self) -> Iterator[StoredKey]:
        for path in self.directory.glob("*.json"):
            yield StoredKey(path.stem, _address_in(path), path)

    def check_name(self, name: str) -> None:
        """Check that a new account can have this name.

        Raises `InvalidKeystore` when it is no name, `AccountExists` when it is taken.
        """
        if not _NAME.fullmatch(name):
            raise InvalidKeystore(
                f"{name!r} cannot name an account: up to 64 letters, digits, hyphens and "
                "underscores can."
            )
        self._check_free(name)

    def _check_free(self, name_or_address: str) -> None:
        stored = self.find(name_or_address)
        if stored is not None:
            raise AccountExists(
                f"There is an account {stored.name!r} ({stored.address}) already.",
                hint=f"It is in {stored.path}; choose another name, or move it away first.",
            )

    def _write(self, name: str, address: Address, text: str) -> StoredKey:
        path = self.directory / f"{name}.json"
        try:
            write_new(path, text)
        except FileExistsError as error:
            raise AccountExists(f"There is an account {name!r} already.") from error
        return StoredKey(name, address, path)


def open_account(
    config: Config,
    chain: Chain,
    name: str | None = None,
    *,
    default_role: str | None = None,
    ask_password: Callable[[str], str] | None = None,
) -> Account:
    """Unlock the account called `name` for use on `chain`.

    `name` is a name of deploy.toml's accounts, on a development network the role of a development
    account, the name of a keystore, or an address; that of no keystore may be one that the node
    signs for. Without one it is ``MODELWARD_ACCOUNT``, or on
    a development network `default_role`. The password is the environment's, else what
    `ask_password` returns for the prompt it is given.

    Raises `UnknownAccount`, `UnsafeAccount`, `WrongPassword` or `InvalidKeystore`.
    """
    development = chain.network.development_accounts and chain.chain_id == DEVELOPMENT_CHAIN_ID
    wanted = name or config.default_account or (default_role if development else None)
    if wanted is None:
        raise UnknownAccount(
            "No account was named.", hint="Name one with --account or MODELWARD_ACCOUNT."
        )
    wanted = config.accounts.get(wanted, wanted)
    role = _development_role(wanted)
    if role is not None and development:
        return Account.development(role)
    keystore = Keystore(config.keystore_directory)
    stored = keystore.find(wanted)
    if stored is None:
        if role is not None:
            raise unsafe(role, chain)
        if _ADDRESS.fullmatch(wanted) and has_key_of(chain, to_address(wanted)):
            return Account.of_node(name or wanted, to_address(wanted), chain)
        raise UnknownAccount(f"There is no account {wanted!r} in {keystore.directory}.")
    if stored.address is not None and is_development_address(stored.address) and not development:
        raise unsafe(stored.name, chain)
    password = config.password
    if password is None:
        if ask_password is None:
            raise WrongPassword(
                f"No password was given for the account {stored.name!r}.",
                hint="Set MODELWARD_PASSWORD_FILE to a file that holds it.",
            )
        password = ask_password(f"Password of {stored.name} ({stored.address}): ")
    return keystore.unlock(stored, password)


def unsafe(name: str, chain: Chain) -> UnsafeAccount:
    """The error for a development account on a chain that is not one for development."""
    return UnsafeAccount(
        f"The account {name!r} is a development account, whose key everybody knows; "
        f"it is not used on the network {chain.network.name!r} (chain {chain.chain_id}).",
        hint="Make one of your own with `modelward account new NAME`.",
    )


def _development_role(name_or_address: str) -> str | None:
    for account in DEVELOPMENT_ACCOUNTS:
        if name_or_address == account.name or name_or_address.lower() == account.address.lower():
            return account.name
    return None


def encrypted(
    secret: bytes, password: str, *, work_factor: int = SCRYPT_WORK_FACTOR, **fields: str
) -> str:
    """A V3 keystore of 32 secret bytes, with more `fields` beside what is encrypted."""
    document = EthAccount.encrypt(secret, password, kdf="scrypt", iterations=work_factor)
    return json.dumps(document | fields)


def decrypted(text: str, password: str, *, name: str, file: Path) -> bytes:
    """The secret of a V3 keystore. Raises `WrongPassword` or `InvalidKeystore`, which name it."""
    document = _document(text)
    if document is None:
        raise InvalidKeystore(f"{file} is not a V3 keystore.")
    try:
        return bytes(EthAccount.decrypt(document, password))
    except ValueError as error:
        if "MAC" in str(error):
            raise WrongPassword(f"{name} does not open with this password.") from error
        raise InvalidKeystore(f"{file} is not a usable V3 keystore: {error}.") from error
    except (KeyError, TypeError, NotImplementedError) as error:
        raise InvalidKeystore(f"{file} is not a usable V3 keystore.") from error


def write_new(path: Path, text: str) -> None:
    """Write a file that only its user can read, as a whole or not at all.

    Raises `FileExistsError`, also when another process makes it meanwhile.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.stem}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.link(draft, path)  # unlike a rename, it fails where there is something
    finally:
        draft.unlink(missing_ok=True)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InvalidKeystore(f"The keystore {file} cannot be read: {why}.") from error


def _document(text: str) -> dict[str, Any] | None:
    try:
        document = json.loads(text)
    except ValueError:
        return None
    return document if isinstance(document, dict) and document.get("version") == 3 else None


def _address_in(path: Path) -> Address | None:
    try:
        document = _document(path.read_text(encoding="utf-8"))
        return to_address(str(document["address"])) if document else None
    except (OSError, KeyError, ValueError):
        return None


def _decrypt(name: str, file: Path, text: str, password: str) -> Account:
    secret = decrypted(text, password, name=f"The account {name!r}", file=file)
    return Account.from_key(name, secret)
