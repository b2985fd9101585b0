"""The contracts of `solidity/Receivers.sol`, deployed."""

from __future__ import annotations

from typing import Any

from modelward.chain.abi import ContractAbi
from modelward.chain.connection import Chain
from modelward.chain.sender import Sender
from modelward.chain.transactions import Call
from modelward.solidity import Artifact
from modelward.terms import Address

SOURCE = "tests/contracts/solidity/Receivers.sol"


class Puppet:
    """A contract of the tests' own."""

    def __init__(self, chain: Chain, address: Address, abi: ContractAbi) -> None:
        self.chain = chain
        self.address = address
        self.abi = abi

    @classmethod
    def deploy(cls, sender: Sender, artifact: Artifact, *arguments: Any, value: int = 0) -> Puppet:
        """Deploy it, with `value` in wei."""
        abi = ContractAbi(artifact.name, artifact.abi)
        code = artifact.bytecode + abi.encode_constructor(*arguments)
        address = sender.send(Call(None, code, value)).contract_address
        assert address is not None
        return cls(sender.chain, address, abi)

    def call(self, function: str, *arguments: Any, value: int = 0) -> Call:
        """A transaction that calls a function."""
        return Call(self.address, self.abi.encode_call(function, *arguments), value)

    def acting(self, call: Call) -> Call:
        """A transaction in which the contract makes that call, with the value sent along."""
        assert call.to is not None
        return self.call("act", call.to, call.data, value=call.value)

    def view(self, function: str, *arguments: Any) -> Any:
        """What a function returns."""
        returned = self.chain.call(self.address, self.abi.encode_call(function, *arguments))
        return self.abi.decode_result(function, returned)
