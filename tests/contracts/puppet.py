"""The contracts of `solidity/Receivers.sol`, and others of the tests' own, deployed."""

from __future__ import annotations

from modelward.chain.custom_contract import CustomContract
from modelward.chain.transactions import Call

SOURCE = "tests/contracts/solidity/Receivers.sol"


class Puppet(CustomContract):
    """A contract of the tests' own."""

    def acting(self, call: Call) -> Call:
        """A transaction in which the contract makes that call, with the value sent along."""
        assert call.to is not None
        return self.call("act", call.to, call.data, value=call.value)
