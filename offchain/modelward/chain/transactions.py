"""A transaction from intention to receipt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from eth_account import Account as EthAccount
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from eth_utils.crypto import keccak
from hexbytes import HexBytes
from rlp.exceptions import RLPException

from modelward.chain.encoding import quantity, read_bytes, to_address
from modelward.chain.fees import Fees
from modelward.chain.log import Log, read_log
from modelward.errors import RpcUnavailable
from modelward.terms import Address


@dataclass(frozen=True, slots=True)
class Call:
    """A transaction to be: `to` None creates a contract, `value` is in wei."""

    to: Address | None
    data: bytes
    value: int = 0


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A signed transaction: `raw` is what goes to the network, `hash` what finds it there."""

    raw: bytes
    hash: bytes
    nonce: int
    sender: Address
    call: Call
    gas: int
    fees: Fees

    @classmethod
    def from_raw(cls, raw: bytes) -> Self:
        """Read back a transaction that `Sender` signed from its bytes, which are all of it.

        Raises `ValueError` when they are no such transaction.
        """
        try:
            fields = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
            sender = to_address(EthAccount.recover_transaction(raw))
        except (RLPException, ValueError, TypeError, IndexError, KeyError) as error:
            raise ValueError("These bytes are no signed transaction.") from error
        return cls(
            raw=raw,
            hash=keccak(raw),
            nonce=fields["nonce"],
            sender=sender,
            call=Call(
                to=to_address(fields["to"]) if fields["to"] else None,
                data=bytes(fields["data"]),
                value=fields["value"],
            ),
            gas=fields["gas"],
            fees=Fees(max_fee=fields["maxFeePerGas"], tip=fields["maxPriorityFeePerGas"]),
        )


@dataclass(frozen=True, slots=True)
class Receipt:
    """A mined transaction. `fee` is what it cost its sender beyond `value`, in wei."""

    transaction_hash: bytes
    block_number: int
    block_hash: bytes
    sender: Address
    to: Address | None
    contract_address: Address | None
    succeeded: bool
    gas_used: int
    gas_price: int
    logs: tuple[Log, ...]

    @property
    def fee(self) -> int:
        """Gas used times its price, in wei."""
        return self.gas_used * self.gas_price


def read_receipt(raw: dict[str, Any]) -> Receipt:
    """A receipt from JSON-RPC. Raises `RpcUnavailable` when it is malformed."""
    try:
        return Receipt(
            transaction_hash=read_bytes(raw["transactionHash"]),
            block_number=quantity(raw["blockNumber"]),
            block_hash=read_bytes(raw["blockHash"]),
            sender=to_address(raw["from"]),
            to=to_address(raw["to"]) if raw.get("to") else None,
            contract_address=to_address(raw["contractAddress"])
            if raw.get("contractAddress")
            else None,
            succeeded=quantity(raw["status"]) == 1,
            gas_used=quantity(raw["gasUsed"]),
            gas_price=quantity(raw.get("effectiveGasPrice") or "0x0"),
            logs=tuple(read_log(log) for log in raw["logs"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RpcUnavailable("The RPC endpoint gave a malformed receipt.") from error
