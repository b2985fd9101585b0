"""What deploy.toml and the environment say, as frozen objects."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from modelward.config.policy import Policy
from modelward.errors import ConfigurationError, UnknownNetwork

DEVELOPMENT_CHAIN_ID = 31337
"""Chain id of the embedded chain, of `modelward node` and of anvil."""

Finality = Literal["depth", "safe", "finalized"]
"""How a block becomes confirmed: so many blocks deep, or by the node's tag of that name."""


@dataclass(frozen=True, slots=True)
class Network:
    """How to reach one chain and when to believe it.

    `url` is None for a chain that lives inside the process; `fallback_urls` are asked when it
    fails, and must be endpoints of the same chain. `max_fee_per_gas` (wei) is the most a
    transaction may ever bid; None leaves it to the market. `log_range` is the widest block range
    asked for in one ``eth_getLogs``. `timeout` (s) is for one attempt, and four times as long for
    all. `reorg_depth` is the deepest reorganisation, in blocks below the confirmed head, that a
    worker follows; it stops at a deeper one.
    """

    name: str
    url: str | None = field(repr=False)
    chain_id: int
    confirmations: int = 1
    finality: Finality = "depth"
    max_fee_per_gas: int | None = None
    log_range: int = 2_000
    timeout: float = 10.0
    poll_interval: float = 1.0
    development_accounts: bool = False
    fallback_urls: tuple[str, ...] = field(default=(), repr=False)
    reorg_depth: int = 64

    @property
    def in_process(self) -> bool:
        """Whether the chain lives inside this process."""
        return self.url is None

    @property
    def urls(self) -> tuple[str, ...]:
        """All URLs, the preferred one first."""
        return () if self.url is None else (self.url, *self.fallback_urls)

    @property
    def safe_url(self) -> str:
        """The URL without what may be a secret in it: user, password, path and query."""
        return "the in-process chain" if self.url is None else safe_url(self.url)


def safe_url(url: str) -> str:
    """A URL without what may be a secret in it: user, password, path and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


@dataclass(frozen=True, slots=True)
class ContractSpec:
    """A contract to deploy. ``"@Name"`` among the arguments stands for that contract's address."""

    name: str
    arguments: tuple[str | int | bool, ...] = ()

    @property
    def references(self) -> tuple[str, ...]:
        """Names of the contracts whose addresses the constructor takes."""
        return tuple(a[1:] for a in self.arguments if isinstance(a, str) and a.startswith("@"))


@dataclass(frozen=True, slots=True)
class Config:
    """Everything modelward is configured with.

    `path` is the deploy.toml read, None when there is none and the built-in default applies.
    `gateway_url` is that of the gateway to the content store, if it has one.
    `root` is the directory deployments and the content store live under: that of deploy.toml, or
    `home` without one.
    """

    path: Path | None
    root: Path
    home: Path
    networks: Mapping[str, Network]
    contracts: Mapping[str, ContractSpec]
    accounts: Mapping[str, str]
    store_url: str
    default_network: str
    default_account: str | None = None
    gateway_url: str | None = None
    environment_password: str | None = field(default=None, repr=False)
    password_file: Path | None = None
    unresolved: Mapping[str, str] = field(default_factory=dict, repr=False)
    worker: Policy = field(default_factory=Policy)

    @property
    def source(self) -> str:
        """What to call the configuration's origin in a message."""
        return str(self.path) if self.path else "the built-in deploy.toml"

    def network(self, name: str | None = None) -> Network:
        """The network called `name`, or the default one.

        Raises `UnknownNetwork`, and `ConfigurationError` when the network's URL names an
        environment variable that is not set.
        """
        wanted = name or self.default_network
        if wanted not in self.networks:
            known = ", ".join(self.networks)
            close = difflib.get_close_matches(wanted, self.networks, n=1)
            raise UnknownNetwork(
                f"No network {wanted!r} in {self.source}.",
                hint=f"Did you mean {close[0]!r}?" if close else f"Known networks: {known}.",
            )
        if wanted in self.unresolved:
            variable = self.unresolved[wanted]
            raise ConfigurationError(
                f"The environment variable {variable} is not set, "
                f"and the network {wanted!r} needs it.",
                file=self.path,
                key=f"networks.{wanted}.url",
                hint=f"Set {variable} to the RPC URL.",
            )
        return self.networks[wanted]

    def deployments_directory(self, chain_id: int) -> Path:
        """Where records of deployments on that chain are kept.

        Development chains are made anew each time, so their records go where git ignores them.
        """
        directory = self.root / "deployments"
        return directory / "development" if chain_id == DEVELOPMENT_CHAIN_ID else directory

    @property
    def keystore_directory(self) -> Path:
        """Where the encrypted keystores are."""
        return self.home / "keystore"

    @property
    def encryption_key_directory(self) -> Path:
        """Where encryption keys are that follow from no account's private key."""
        return self.home / "encryption-keys"

    @property
    def journal_directory(self) -> Path:
        """Where workers keep their journals unless told otherwise."""
        return self.home / "journal"

    @property
    def password(self) -> str | None:
        """The keystore password the environment gives, from itself or from a file; else None.

        Raises `ConfigurationError` when the file cannot be read.
        """
        if self.environment_password is not None:
            return self.environment_password
        if self.password_file is None:
            return None
        try:
            return self.password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"The password file {self.password_file} cannot be read: {_reason(error)}.",
                file=self.password_file,
            ) from error


def _reason(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return error.strerror or str(error)
