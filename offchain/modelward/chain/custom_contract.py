"""Contracts that others build on modelward's, by what they were compiled to."""

from __future__ import annotations

from typing import Any, Self

from modelward.chain.abi import ContractAbi
from modelward.chain.connection import Chain
from modelward.chain.contracts import Contract
from modelward.chain.encoding import to_address
from modelward.chain.reverts import learn_errors
from modelward.chain.sender import Sender
from modelward.chain.transactions import Call, Receipt
from modelward.errors import TransactionFailed
from modelward.solidity import Artifact


class CustomContract(Contract):
    """A contract that is not modelward's own, at an address; its custom errors are told by name."""

    def __init__(self, chain: Chain, address: str, abi: ContractAbi) -> None:
        self.chain = chain
        self.address = to_address(address)
        self.abi = abi
        learn_errors(abi)

    @classmethod
    def deploy(cls, sender: Sender, artifact: Artifact, *arguments: Any, value: int = 0) -> Self:
        """Deploy a compiled contract, with `value` in wei. Raises as `Sender.send`."""
        abi = ContractAbi(artifact.name, artifact.abi)
        learn_errors(abi)
        code = artifact.bytecode + abi.encode_constructor(*arguments)
        address = sender.send(Call(None, code, value)).contract_address
        if address is None:
            raise TransactionFailed(f"The transaction that was to create {abi.name} created none.")
        return cls(sender.chain, address, abi)

    def said(self, receipt: Receipt, event: str) -> tuple[dict[str, Any], ...]:
        """The contract's events of that name in a transaction: values by their Solidity names."""
        return tuple(
            layout.values(log.topics, log.data)
            for log in receipt.logs
            if log.address == self.address and log.topics
            for layout in [self.abi.event(log.topics[0])]
            if layout is not None and layout.name == event
        )
