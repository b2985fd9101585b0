"""Where every wei of an account went, told from the chain alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelward.chain.encoding import quantity, read_bytes, to_address
from modelward.chain.events import Withdrawn
from modelward.errors import RpcUnavailable
from modelward.sdk import Connection
from modelward.terms import Address


@dataclass(frozen=True, slots=True)
class Statement:
    """One account over a range of blocks; all amounts in wei.

    `deposited` is what it sent along with its transactions, `gas` what these cost it, `withdrawn`
    what the escrow paid out to it.
    """

    name: str
    address: Address
    before: int
    deposited: int
    gas: int
    withdrawn: int
    after: int

    @property
    def adds_up(self) -> bool:
        """Whether nothing is missing and nothing came from nowhere."""
        return self.before - self.deposited - self.gas + self.withdrawn == self.after


def statements(
    connection: Connection, names: Mapping[str, Address], *, since: int
) -> tuple[Statement, ...]:
    """The accounts of these addresses, by name, after block `since` up to the head."""
    head = connection.chain.head().number
    deposited, gas = _spent(connection, range(since + 1, head + 1))
    withdrawals = connection.events(Withdrawn, first=since + 1, last=head)
    return tuple(
        Statement(
            name=name,
            address=address,
            before=connection.chain.balance(address, since),
            deposited=deposited.get(address, 0),
            gas=gas.get(address, 0),
            withdrawn=sum(each.amount for each in withdrawals if each.to == address),
            after=connection.chain.balance(address, head),
        )
        for name, address in names.items()
    )


def _spent(
    connection: Connection, blocks: Sequence[int]
) -> tuple[dict[Address, int], dict[Address, int]]:
    """What each sender sent along and paid for gas; value that a reverted call returned is not."""
    deposited: dict[Address, int] = {}
    gas: dict[Address, int] = {}
    for number in blocks:
        block = connection.chain.rpc("eth_getBlockByNumber", [hex(number), True])
        for transaction in block["transactions"]:
            receipt = connection.receipt(read_bytes(transaction["hash"]))
            if receipt is None:
                raise RpcUnavailable(f"The chain has no receipt for a transaction of {number}.")
            sender = to_address(transaction["from"])
            gas[sender] = gas.get(sender, 0) + receipt.fee
            if receipt.succeeded:
                value = quantity(transaction["value"])
                deposited[sender] = deposited.get(sender, 0) + value
    return deposited, gas
