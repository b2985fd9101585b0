"""Names for addresses: those of deploy.toml, of development accounts, and of keystores."""

from __future__ import annotations

import re
from functools import cached_property

from modelward.chain.accounts import Keystore
from modelward.chain.connection import Chain
from modelward.chain.development import DEVELOPMENT_ACCOUNTS
from modelward.chain.encoding import to_address
from modelward.config import DEVELOPMENT_CHAIN_ID, Config
from modelward.errors import UnknownAccount
from modelward.terms import Address

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


class AddressBook:
    """The names that hold on one network; no key is opened to look one up."""

    def __init__(self, config: Config, chain: Chain) -> None:
        self._config = config
        self._chain = chain

    def address(self, name: str) -> Address:
        """The address of a name, or the address itself. Raises `UnknownAccount`."""
        wanted = self._config.accounts.get(name, name)
        if _ADDRESS.fullmatch(wanted):
            return to_address(wanted)
        if wanted in self._named:
            return self._named[wanted]
        raise UnknownAccount(f"No account is called {name!r} on {self._chain.network.name!r}.")

    def name(self, address: Address) -> str:
        """A name for an address: the first that is known, else the address shortened."""
        return self._names.get(address, f"{address[:6]}…{address[-4:]}")

    @cached_property
    def _named(self) -> dict[str, Address]:
        stored = Keystore(self._config.keystore_directory).list()
        named = {key.name: key.address for key in stored if key.address is not None}
        if (
            self._chain.network.development_accounts
            and self._chain.chain_id == DEVELOPMENT_CHAIN_ID
        ):
            named |= {account.name: to_address(account.address) for account in DEVELOPMENT_ACCOUNTS}
        return named

    @cached_property
    def _names(self) -> dict[Address, str]:
        names: dict[Address, str] = {}
        for name in (*self._config.accounts, *self._named):
            try:
                names.setdefault(self.address(name), name)
            except UnknownAccount:  # a name of deploy.toml for a keystore that is not here
                continue
        return names
