"""What everything else in the SDK works with: a chain, its contracts, a store, an account."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Self, TypeVar

from modelward.chain.accounts import Account, open_account
from modelward.chain.connection import Chain
from modelward.chain.contracts import DataShare, InferenceEscrow, ModelRegistry
from modelward.chain.encoding import to_hex
from modelward.chain.events import Event, decode_event
from modelward.chain.logs import EventReader
from modelward.chain.sender import Sender
from modelward.chain.transactions import Call, Receipt, read_receipt
from modelward.config import Config, Network, load_config
from modelward.content.store import ContentStore
from modelward.deployment import Deployment, deploy, load_deployment
from modelward.errors import KeyNotGranted, TransactionFailed, UnknownAccount
from modelward.sdk.address_book import AddressBook
from modelward.sdk.content_source import ContentSource, gateway_reference
from modelward.sdk.gateway_client import GatewayClient
from modelward.sdk.key_files import KeyFiles, open_key_files
from modelward.sdk.keyring import Keyring
from modelward.sdk.publication_book import PublicationBook
from modelward.sdk.request_book import RequestBook
from modelward.terms import Address

_E = TypeVar("_E", bound=Event)


@dataclass(frozen=True)
class Connection:
    """One deployment on one chain, and the account that acts on it; None to read only."""

    config: Config
    chain: Chain
    deployment: Deployment
    store: ContentStore
    account: Account | None = field(default=None, repr=False)
    ask_password: Callable[[str], str] | None = field(default=None, repr=False, compare=False)

    @property
    def network(self) -> Network:
        """The network the chain was reached by."""
        return self.chain.network

    @property
    def address(self) -> Address:
        """The account's address. Raises `UnknownAccount` when there is none."""
        return self.sender.address

    @property
    def account_name(self) -> str:
        """What to call the account."""
        return self.account.name if self.account else "nobody"

    @cached_property
    def sender(self) -> Sender:
        """Sends the account's transactions. Raises `UnknownAccount` or `UnsafeAccount`."""
        if self.account is None:
            raise UnknownAccount(
                "This needs an account.", hint="Name one with --account or MODELWARD_ACCOUNT."
            )
        return Sender(self.chain, self.account)

    @cached_property
    def data_share(self) -> DataShare:
        """The deployed DataShare."""
        return self.deployment.data_share

    @cached_property
    def registry(self) -> ModelRegistry:
        """The deployed ModelRegistry."""
        return self.deployment.registry

    @cached_property
    def escrow(self) -> InferenceEscrow:
        """The deployed InferenceEscrow."""
        return self.deployment.escrow

    @cached_property
    def addresses(self) -> AddressBook:
        """Names for addresses, and addresses for names."""
        return AddressBook(self.config, self.chain)

    @cached_property
    def keyring(self) -> Keyring:
        """What the account can open. Raises `KeyNotGranted` when there is no account."""
        if self.account is None:
            raise KeyNotGranted(
                "It is sealed, and no account is at hand that could open it.",
                hint="Name one with --account.",
            )
        return Keyring(self.chain, self.deployment, self.account, self.key_files)

    @cached_property
    def key_files(self) -> KeyFiles:
        """The encryption keys this user keeps in files."""
        return open_key_files(self.config, self.ask_password)

    @cached_property
    def requests(self) -> RequestBook:
        """What this user has requested."""
        return RequestBook(self.config.home / "requests")

    @cached_property
    def publications(self) -> PublicationBook:
        """What this user has published."""
        return PublicationBook(self.config.home / "publications")

    def acting_as(
        self, account: str | Account, *, ask_password: Callable[[str], str] | None = None
    ) -> Self:
        """The same connection for another account. Raises as `connect`."""
        if isinstance(account, str):
            account = open_account(self.config, self.chain, account, ask_password=ask_password)
        return replace(self, account=account, ask_password=ask_password or self.ask_password)

    def now(self) -> int:
        """The time, in Unix seconds, that the next block is expected to show at least."""
        return self.chain.now()

    def source(self, gateway: str | None = None) -> ContentSource:
        """Where published content is got from: `gateway` comes first if given, or configured."""
        client = None
        if self.account is not None:
            client = GatewayClient(self.chain, self.data_share.address, self.account)
        return ContentSource(self.store, client, gateway or self.config.gateway_url)

    @property
    def published_uri(self) -> str:
        """What a publication says of where it is: in the store, or behind the gateway to it."""
        gateway = self.config.gateway_url
        return gateway_reference(gateway) if gateway else self.store.url

    def send(self, call: Call) -> Receipt:
        """Dry-run a transaction, send it, and wait until it is confirmed; see `Sender.send`."""
        return self.sender.send(call)

    def events(
        self,
        *kinds: type[_E],
        about: Collection[bytes] | None = None,
        first: int | None = None,
        last: int | None = None,
    ) -> tuple[_E, ...]:
        """Events of these kinds in the chain's order, up to the newest confirmed block.

        `about` narrows to those whose first indexed value is one of these; `first` and `last` are
        block numbers, both included.

        Raises `RpcUnavailable` or `RpcError`.
        """
        reader = EventReader(self.chain, self.deployment.names, kinds, about)
        found = reader.read_all(
            self.deployment.first_block if first is None else first,
            self.chain.confirmed_head().number if last is None else last,
        )
        return tuple(event for event in found if isinstance(event, kinds))

    def receipt(self, transaction_hash: bytes) -> Receipt | None:
        """The receipt of a transaction, None while it is not mined."""
        raw = self.chain.rpc("eth_getTransactionReceipt", [to_hex(transaction_hash)])
        return None if raw is None else read_receipt(raw)

    def event_in(self, receipt: Receipt, kind: type[_E]) -> _E:
        """The one event of a kind that a transaction of ours emitted.

        Raises `TransactionFailed` when it emitted none, which our contracts never do.
        """
        names = self.deployment.names
        for log in receipt.logs:
            event = decode_event(names[log.address], log) if log.address in names else None
            if isinstance(event, kind):
                return event
        raise TransactionFailed(
            f"The transaction {to_hex(receipt.transaction_hash)} did not do what it was sent for: "
            f"it has no {kind.__name__} event."
        )


def connect(
    network: str | None = None,
    account: str | None = None,
    *,
    config: Config | Path | None = None,
    reading: bool = False,
    default_role: str | None = None,
    ask_password: Callable[[str], str] | None = None,
) -> Connection:
    """Connect to the contracts on a network, to act as `account`.

    `network` is a name in deploy.toml, by default its `default_network`; `account` a name or an
    address, by default ``MODELWARD_ACCOUNT``, or on a development network that of `default_role`.
    Without any of these, or when `reading`, no key is opened and nothing can be sent. A network
    that lives in the process starts here, empty, and the contracts are deployed on it.

    Raises:
        ConfigurationError, UnknownNetwork: the network is not configured.
        RpcUnavailable, RpcError: the chain cannot be reached.
        WrongChain: it is another chain than the one configured or deployed on.
        NotDeployed, CodeMismatch: the contracts are not there, or not these.
        UnknownAccount, WrongPassword, UnsafeAccount: the account cannot be used.
    """
    settings = config if isinstance(config, Config) else load_config(config)
    chosen = settings.network(network)
    if chosen.in_process:
        chain, deployment = _start(chosen, settings)
    else:
        chain = Chain.connect(chosen)
        deployment = load_deployment(chain, settings)
    opened = None
    named = account or settings.default_account or default_role
    if named and not reading:
        opened = open_account(
            settings, chain, account, default_role=default_role, ask_password=ask_password
        )
    store = ContentStore(settings.store_url)
    return Connection(settings, chain, deployment, store, opened, ask_password)


def _start(network: Network, config: Config) -> tuple[Chain, Deployment]:
    from modelward.devchain import DevChain

    chain = Chain.connect(network, DevChain(network.chain_id).provider())
    return chain, deploy(chain, Account.development("deployer"), config)
