"""Signs transactions, sends them, waits for them, and says why one failed.

Signing is apart from sending, so that what was signed can be stored before the network sees it:
whoever has the bytes can send them again, and at most one transaction comes of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from eth_utils.crypto import keccak

from modelward.chain.accounts import Account, unsafe
from modelward.chain.connection import Chain
from modelward.chain.encoding import quantity, to_hex
from modelward.chain.fees import Fees, choose_fees
from modelward.chain.transactions import Call, Receipt, SignedTransaction, read_receipt
from modelward.config import DEVELOPMENT_CHAIN_ID
from modelward.errors import (
    ContractRefused,
    InsufficientFunds,
    ModelwardError,
    RpcError,
    RpcUnavailable,
    TimedOut,
    TransactionFailed,
    Underpriced,
    WrongNonce,
)
from modelward.terms import Address

GAS_MARGIN_PERCENT = 20
"""Room above the estimate: state moves on, and a call hands at most 63/64 of its gas down."""

_SEND = "eth_sendRawTransaction"
_KNOWN = ("already known", "alreadyknown", "already imported", "known transaction")
_NONCE_TOO_LOW = ("nonce too low", "nonce is too low", "oldnonce", "invalid nonce")
_NONCE_TOO_HIGH = ("nonce too high", "nonce is too high", "nonce gap")
_UNDERPRICED = ("underpriced", "less than block base fee", "fee too low", "feetoolow")
_UNFUNDED = ("insufficient funds", "insufficient balance", "insufficientfunds")


class Sender:
    """Sends the transactions of one account to one chain.

    Threads, and senders of the same account on the same `Chain`, take turns in `send`. Who calls
    `prepare` and `broadcast` apart holds `turn()` from one to the other, or gives the nonce.
    """

    def __init__(self, chain: Chain, account: Account) -> None:
        if account.is_development and not (
            chain.chain_id == DEVELOPMENT_CHAIN_ID and chain.network.development_accounts
        ):
            raise unsafe(account.name, chain)
        self.chain = chain
        self.account = account

    @property
    def address(self) -> Address:
        """The account's address."""
        return self.account.address

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Keep other threads from using the account's next nonce."""
        with self.chain.turn_of(self.address):
            yield

    def next_nonce(self) -> int:
        """The nonce after every transaction of the account that the node knows."""
        return self.nonce("pending")

    def nonce(self, block: str = "latest") -> int:
        """How many transactions of the account have been mined."""
        return quantity(self.chain.rpc("eth_getTransactionCount", [self.address, block]))

    def estimate(self, call: Call) -> int:
        """Dry-run a call and return the gas to give it, margin included.

        Raises `ContractRefused` when it would revert, `InsufficientFunds` when the account does
        not have the value it sends.
        """
        try:
            gas = quantity(self.chain.rpc("eth_estimateGas", [self._request(call)]))
        except RpcError as error:
            if _says(error, _UNFUNDED):
                raise self._unfunded(call.value) from error
            raise
        return gas + gas * GAS_MARGIN_PERCENT // 100

    def prepare(
        self,
        call: Call,
        *,
        gas: int | None = None,
        nonce: int | None = None,
        fees: Fees | None = None,
    ) -> SignedTransaction:
        """Dry-run a call and sign its transaction, without sending it.

        Raises `ContractRefused`, `InsufficientFunds` or `FeeTooHigh`; nothing was spent then.
        """
        if gas is None:
            gas = self.estimate(call)
        elif call.to is not None:
            self.chain.call(call.to, call.data, sender=self.address, value=call.value)
        fees = fees or choose_fees(self.chain)
        self.check_funds(call.value + gas * fees.max_fee)
        return self.sign(
            call, gas=gas, nonce=self.next_nonce() if nonce is None else nonce, fees=fees
        )

    def check_funds(self, need: int, *, have: int | None = None) -> None:
        """Raise `InsufficientFunds` unless the account has `need` wei; `have` saves asking."""
        if have is None:
            have = self.chain.balance(self.address)
        if have < need:
            raise self._insufficient(have, need)

    def sign(self, call: Call, *, gas: int, nonce: int, fees: Fees) -> SignedTransaction:
        """Sign exactly this, with no check and no request to the chain."""
        transaction: dict[str, Any] = {
            "type": 2,
            "chainId": self.chain.chain_id,
            "nonce": nonce,
            "gas": gas,
            "maxFeePerGas": fees.max_fee,
            "maxPriorityFeePerGas": fees.tip,
            "value": call.value,
            "data": to_hex(call.data),
        }
        if call.to is not None:
            transaction["to"] = call.to
        raw = self.account.signer.sign_transaction(transaction)
        return SignedTransaction(
            raw=raw,
            hash=keccak(raw),
            nonce=nonce,
            sender=self.address,
            call=call,
            gas=gas,
            fees=fees,
        )

    def broadcast(self, signed: SignedTransaction) -> bytes:
        """Hand a signed transaction to the network and return its hash; again is harmless.

        Raises `WrongNonce`, `Underpriced`, `InsufficientFunds`, `RpcError` or `RpcUnavailable`.
        After the last, the network may have it nevertheless.
        """
        for fault in self.broadcast_all([signed]):
            if fault is not None:
                raise fault
        return signed.hash

    def broadcast_all(self, signed: Sequence[SignedTransaction]) -> list[ModelwardError | None]:
        """Hand signed transactions to the network, in their order; again is harmless.

        Returns for each the `WrongNonce`, `Underpriced`, `InsufficientFunds` or `RpcError` that it
        met, or None.

        Raises `RpcUnavailable`; the network may have any of them then.
        """
        answers = self.chain.rpc_many(_SEND, [[to_hex(each.raw)] for each in signed])
        return [
            self._fault(each, answer) if isinstance(answer, RpcError) else None
            for each, answer in zip(signed, answers, strict=True)
        ]

    def _fault(self, signed: SignedTransaction, error: RpcError) -> ModelwardError | None:
        """What a node's refusal to take a transaction comes to; None where it has it."""
        if _says(error, _KNOWN):
            return None
        if _says(error, _NONCE_TOO_LOW):
            if self._turns_up(signed.hash):
                return None
            return WrongNonce(
                f"Another transaction of {self.address} has used the nonce {signed.nonce}.",
                nonce=signed.nonce,
            )
        if _says(error, _NONCE_TOO_HIGH):
            return WrongNonce(
                f"Transactions of {self.address} before the nonce {signed.nonce} are missing.",
                nonce=signed.nonce,
            )
        if _says(error, _UNDERPRICED):
            return Underpriced(
                f"The bid of {signed.fees.max_fee} wei a unit of gas is too low for the "
                f"transaction {signed.nonce} of {self.address}.",
                replaces="replacement" in error.reason.lower(),
            )
        if _says(error, _UNFUNDED):
            return self._unfunded(signed.call.value + signed.gas * signed.fees.max_fee)
        return error

    def is_known(self, transaction_hash: bytes) -> bool:
        """Whether the node has the transaction, mined or not."""
        return self.are_known([transaction_hash])[0]

    def are_known(self, hashes: Sequence[bytes]) -> list[bool]:
        """Whether the node has each of these transactions, mined or not."""
        found = self.chain.rpc_many("eth_getTransactionByHash", [[to_hex(each)] for each in hashes])
        return [answer is not None for answer in map(_raised, found)]

    def receipt(self, transaction_hash: bytes) -> Receipt | None:
        """The receipt of a transaction, None while it is not mined."""
        return self.receipts([transaction_hash])[0]

    def receipts(self, hashes: Sequence[bytes]) -> list[Receipt | None]:
        """The receipts of several transactions."""
        raw = self.chain.rpc_many("eth_getTransactionReceipt", [[to_hex(each)] for each in hashes])
        return [None if each is None else read_receipt(each) for each in map(_raised, raw)]

    def wait(
        self,
        transaction_hash: bytes,
        *,
        timeout: float = 120.0,
        confirmations: int | None = None,
    ) -> Receipt:
        """Wait until a transaction is confirmed, and return its receipt whatever its status.

        Confirmed means what it means on this network, or `confirmations` blocks from the
        transaction's own to the head, both counted.

        Raises `TimedOut`; the transaction may be mined yet.
        """
        give_up = time.monotonic() + timeout
        while True:
            receipt = self.receipt(transaction_hash)
            if (
                receipt is not None
                and receipt.block_number <= self._confirmed(confirmations)
                and self._is_canonical(receipt)
            ):
                return receipt
            if time.monotonic() >= give_up:
                state = "mined but not confirmed" if receipt else "not mined"
                raise TimedOut(
                    f"The transaction {to_hex(transaction_hash)} was {state} within {timeout:g} s."
                )
            time.sleep(self.chain.network.poll_interval)

    def send(
        self,
        call: Call,
        *,
        gas: int | None = None,
        timeout: float = 120.0,
        confirmations: int | None = None,
    ) -> Receipt:
        """Dry-run, sign, send, wait, and return the receipt of a transaction that succeeded.

        Raises what `prepare`, `broadcast` and `wait` raise, and, when the transaction was mined
        and failed all the same, `ContractRefused` or `TransactionFailed`.
        """
        with self.turn():
            signed = self.prepare(call, gas=gas)
            self.broadcast(signed)
        receipt = self.wait(signed.hash, timeout=timeout, confirmations=confirmations)
        if not receipt.succeeded:
            raise self.failure(signed, receipt)
        return receipt

    def failure(
        self, signed: SignedTransaction, receipt: Receipt
    ) -> ContractRefused | TransactionFailed:
        """Why a mined transaction failed, found by replaying its call around its block."""
        call = signed.call
        for block in (receipt.block_number, receipt.block_number - 1):
            try:
                self.chain.rpc("eth_call", [self._request(call), hex(block)])
            except ContractRefused as refused:
                return refused
            except (RpcError, RpcUnavailable):
                continue
        ran_out = receipt.gas_used >= signed.gas * 63 // 64
        return TransactionFailed(
            f"The transaction {to_hex(signed.hash)} failed in block {receipt.block_number}"
            + (f": it used up its {signed.gas} gas." if ran_out else ", for no reason it gave.")
        )

    def _turns_up(self, transaction_hash: bytes) -> bool:
        # Behind one URL there may be several nodes, and not all of them as far.
        for _ in range(3):
            if self.is_known(transaction_hash):
                return True
            time.sleep(self.chain.network.poll_interval)
        return False

    def _is_canonical(self, receipt: Receipt) -> bool:
        try:
            return self.chain.block(receipt.block_number).hash == receipt.block_hash
        except RpcError:
            return False

    def _confirmed(self, confirmations: int | None) -> int:
        if confirmations is None:
            return self.chain.confirmed_head().number
        return quantity(self.chain.rpc("eth_blockNumber")) - confirmations + 1

    def _request(self, call: Call) -> dict[str, Any]:
        request: dict[str, Any] = {"from": self.address, "data": to_hex(call.data)}
        if call.to is not None:
            request["to"] = call.to
        if call.value:
            request["value"] = hex(call.value)
        return request

    def _unfunded(self, need: int) -> InsufficientFunds:
        return self._insufficient(self.chain.balance(self.address), need)

    def _insufficient(self, have: int, need: int) -> InsufficientFunds:
        return InsufficientFunds(
            f"{self.account.name} ({self.address})",
            have=have,
            need=need,
            chain=f"the network {self.chain.network.name!r}",
        )


def _raised(answer: Any) -> Any:
    """An answer of `rpc_many`, or else the error in its place raised."""
    if isinstance(answer, ModelwardError):
        raise answer
    return answer


def _says(error: RpcError, phrases: tuple[str, ...]) -> bool:
    reason = error.reason.lower()
    return any(phrase in reason for phrase in phrases)
