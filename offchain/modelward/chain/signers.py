"""What signs for an account: its private key, or the node or wallet behind the RPC endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from eth_account import Account as EthAccount
from eth_account.signers.local import LocalAccount
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

from modelward.chain.encoding import read_bytes, to_address
from modelward.errors import RpcError
from modelward.terms import Address

if TYPE_CHECKING:
    from modelward.chain.connection import Chain

_QUANTITIES = frozenset(
    {"type", "chainId", "nonce", "gas", "maxFeePerGas", "maxPriorityFeePerGas", "value"}
)


class Signer(Protocol):
    """Signs for one account."""

    def sign_transaction(self, transaction: dict[str, Any]) -> bytes:
        """The signed transaction, as it goes to the network."""

    def sign_typed_data(self, message: dict[str, Any]) -> bytes:
        """The signature of an EIP-712 message that JSON can express, 65 bytes."""


class KeySigner:
    """Signs with a private key."""

    def __init__(self, account: LocalAccount) -> None:
        self._account = account

    def sign_transaction(self, transaction: dict[str, Any]) -> bytes:
        """The signed transaction, as it goes to the network."""
        return bytes(self._account.sign_transaction(transaction).raw_transaction)

    def sign_typed_data(self, message: dict[str, Any]) -> bytes:
        """The signature of an EIP-712 message, 65 bytes."""
        return bytes(self._account.sign_typed_data(full_message=message).signature)


class NodeSigner:
    """Has the node sign, which holds the key or asks a wallet that does."""

    def __init__(self, chain: Chain, address: Address) -> None:
        self._chain = chain
        self._address = address

    def sign_transaction(self, transaction: dict[str, Any]) -> bytes:
        """The signed transaction, as it goes to the network.

        Raises `RpcError` when the node does not sign, or signs something else.
        """
        asked = {
            name: hex(value) if name in _QUANTITIES else value
            for name, value in transaction.items()
        }
        answer = self._chain.rpc("eth_signTransaction", [{"from": self._address, **asked}])
        raw = read_bytes(answer["raw"] if isinstance(answer, dict) else answer)
        if not self._is_what_was_asked(raw, transaction):
            raise RpcError(f"The node signed another transaction of {self._address} than asked.")
        return raw

    def sign_typed_data(self, message: dict[str, Any]) -> bytes:
        """The signature of an EIP-712 message, 65 bytes. Raises `RpcError`."""
        return read_bytes(self._chain.rpc("eth_signTypedData_v4", [self._address, message]))

    def _is_what_was_asked(self, raw: bytes, transaction: dict[str, Any]) -> bool:
        try:
            signed = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
            sender = to_address(EthAccount.recover_transaction(raw))
        except (ValueError, TypeError):
            return False
        fields = {"to": "0x", **transaction}
        return sender == self._address and all(
            signed[name] == value if name in _QUANTITIES else _bytes(signed[name]) == _bytes(value)
            for name, value in fields.items()
        )


def has_key_of(chain: Chain, address: Address) -> bool:
    """Whether the node signs for an account. Raises `RpcUnavailable`."""
    try:
        accounts = chain.rpc("eth_accounts")
    except RpcError:  # most public endpoints have no such method
        return False
    return isinstance(accounts, list) and address in map(to_address, accounts)


def _bytes(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else read_bytes(value)
