"""What a node does: admits transactions, mines, goes back to snapshots, reorganises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from eth.constants import SECPK1_N
from eth_utils import ValidationError, to_checksum_address

from modelward.devchain.clock import Clock
from modelward.devchain.faults import RpcFault, invalid_params, refused
from modelward.devchain.intrinsic import MAX_INITCODE, floor_gas
from modelward.devchain.ledger import BLOCK_GAS_LIMIT, Block, Draft, Ledger
from modelward.devchain.parameters import MAX_UINT64, MAX_UINT256
from modelward.devchain.pool import Pool, Waiting

if TYPE_CHECKING:
    from eth.abc import SignedTransactionAPI
    from eth_typing import Address

MAX_TRANSACTION_BYTES: Final = 128 * 1024
SUGGESTED_TIP: Final = 10**9
"""What `eth_maxPriorityFeePerGas` answers, in wei per gas."""

_TYPED = 0x80  # below it the first byte names a type (EIP-2718)
_KNOWN_TYPES = frozenset({1, 2})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything `Node.revert` needs to go back."""

    head: Block
    pool: Pool
    clock: Clock
    automine: bool


class Node:
    """One chain with its pool and clock. Not thread-safe: `DevChain` holds the lock."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.pool = Pool()
        self.clock = Clock()
        if ledger.head.timestamp > self.clock.now():
            self.clock.set(ledger.head.timestamp)
        self.automine = True
        self._arrivals = 0
        self._snapshots: dict[int, Snapshot] = {}
        self._next_snapshot = 1

    # --- transactions --------------------------------------------------------------------------

    def submit(self, encoded: bytes) -> bytes:
        """Admit a signed transaction and return its hash.

        With automine on it is mined at once, together with whatever else can be; it may then be
        mined as failed (receipt status 0), which is no fault here.

        Raises:
            RpcFault: the transaction can never, or not now, be mined; the messages are geth's.
        """
        waiting = self._admit(encoded)
        self.pool.add(waiting)
        if self.automine:
            self.mine_waiting()
        return waiting.hash

    def _admit(self, encoded: bytes) -> Waiting:
        transaction = self._decode(encoded)
        transaction_hash = bytes(transaction.hash)
        if transaction_hash in self.pool:
            raise refused("already known")
        if transaction.gas > BLOCK_GAS_LIMIT:
            raise refused(
                f"exceeds block gas limit: gas {transaction.gas}, limit {BLOCK_GAS_LIMIT}"
            )
        if transaction.max_priority_fee_per_gas > transaction.max_fee_per_gas:
            raise refused(
                "max priority fee per gas higher than max fee per gas: "
                f"maxPriorityFeePerGas: {transaction.max_priority_fee_per_gas}, "
                f"maxFeePerGas: {transaction.max_fee_per_gas}"
            )
        check_gas_covers_data(transaction)
        try:
            transaction.check_signature_validity()
            if transaction.s > SECPK1_N // 2:
                raise ValidationError("s is in the upper half of the curve's order")
            sender = transaction.sender
        except ValidationError as error:
            raise refused(f"invalid sender: {error}") from error
        self._arrivals += 1
        waiting = Waiting(transaction, transaction_hash, sender, self._arrivals)
        self._check_against_state(waiting)
        return waiting

    def _decode(self, encoded: bytes) -> SignedTransactionAPI:
        if not encoded:
            raise invalid_params("the transaction is empty")
        if len(encoded) > MAX_TRANSACTION_BYTES:
            raise refused(
                f"oversized data: transaction size {len(encoded)}, limit {MAX_TRANSACTION_BYTES}"
            )
        if encoded[0] < _TYPED and encoded[0] not in _KNOWN_TYPES:
            raise refused(f"transaction type not supported: {encoded[0]:#x}")
        try:
            transaction = self.ledger.decode(encoded)
        except Exception as error:
            raise invalid_params(f"failed to decode the signed transaction: {error}") from error
        amounts = (transaction.value, transaction.max_fee_per_gas, transaction.gas)
        if max(amounts) > MAX_UINT256 or transaction.nonce >= MAX_UINT64:
            raise invalid_params("failed to decode the signed transaction: a number is too large")
        chain_id = transaction.chain_id
        if chain_id is not None and chain_id != self.ledger.chain_id:
            raise refused(
                f"invalid chain id for signer: have {chain_id} want {self.ledger.chain_id}"
            )
        return transaction

    def _check_against_state(self, waiting: Waiting) -> None:
        state = self.ledger.state(self.ledger.head)
        address = to_checksum_address(waiting.sender)
        account_nonce = state.get_nonce(waiting.sender)
        if waiting.nonce < account_nonce:
            raise refused(
                f"nonce too low: address {address}, tx: {waiting.nonce} state: {account_nonce}"
            )
        expected = self.pool.next_nonce(waiting.sender, account_nonce)
        if self.automine and waiting.nonce > expected:
            raise refused(
                f"nonce too high: address {address}, tx: {waiting.nonce} state: {expected}"
            )
        if not self.pool.replaces(waiting):
            raise refused("replacement transaction underpriced")
        balance = state.get_balance(waiting.sender)
        cost = waiting.transaction.gas * waiting.max_fee + waiting.transaction.value
        if balance < cost:
            raise refused(
                "insufficient funds for gas * price + value: "
                f"address {address} have {balance} want {cost}"
            )
        base_fee = self.ledger.next_base_fee
        if self.automine and waiting.max_fee < base_fee:
            raise refused(
                f"max fee per gas less than block base fee: address {address}, "
                f"maxFeePerGas: {waiting.max_fee}, baseFee: {base_fee}"
            )

    def pending_nonce(self, address: Address) -> int:
        """Return the nonce after everything that waits and can be mined in order."""
        return self.pool.next_nonce(address, self.ledger.state(self.ledger.head).get_nonce(address))

    # --- blocks --------------------------------------------------------------------------------

    def draft(self, timestamp: int | None = None) -> Draft:
        """Return the block that would be mined now."""
        if timestamp is None:
            timestamp = self.clock.for_child_of(self.ledger.head.timestamp)
        if not self.pool:
            return self.ledger.draft(timestamp)
        state = self.ledger.state(self.ledger.head)
        candidates = self.pool.candidates(self.ledger.next_base_fee, state.get_nonce)
        return self.ledger.draft(timestamp, candidates)

    def pending(self) -> Block:
        """Return the block that would be mined now, sealed but not part of the chain."""
        return self.ledger.seal(self.draft())

    def mine(self, timestamp: int | None = None) -> Block:
        """Mine one block with what waits and fits, and make it the head.

        Raises:
            RpcFault: `timestamp` is not after the head's.
        """
        parent = self.ledger.head
        if timestamp is not None:
            self.promise_timestamp(timestamp)
        draft = self.draft(self.clock.stamp(parent.timestamp))
        block = self.ledger.append(draft)
        for done in (*(mined.hash for mined in block.transactions), *draft.unpayable):
            self.pool.remove(done)
        return block

    def mine_waiting(self) -> None:
        """Mine blocks until nothing that waits can be mined."""
        while self.pool:
            nonce_of = self.ledger.state(self.ledger.head).get_nonce
            candidates = self.pool.candidates(self.ledger.next_base_fee, nonce_of)
            if candidates.next(BLOCK_GAS_LIMIT) is None:
                break
            self.mine()

    def promise_timestamp(self, timestamp: int) -> None:
        """Stamp the next block with `timestamp`, in seconds.

        Raises:
            RpcFault: it is not after the head's.
        """
        if timestamp <= self.ledger.head.timestamp:
            raise invalid_params(
                f"timestamp {timestamp} is not after the latest block's, "
                f"{self.ledger.head.timestamp}"
            )
        self.clock.next_timestamp = timestamp

    def snapshot(self) -> int:
        """Remember the chain, pool and clock as they are; returns the snapshot's number."""
        number = self._next_snapshot
        self._next_snapshot += 1
        self._snapshots[number] = Snapshot(
            self.ledger.head, self.pool.copy(), replace(self.clock), self.automine
        )
        return number

    def revert(self, number: int) -> bool:
        """Go back to a snapshot, which is used up, as are those taken after it.

        Returns False if there is no such snapshot.
        """
        snapshot = self._snapshots.get(number)
        if snapshot is None:
            return False
        self._snapshots = {older: kept for older, kept in self._snapshots.items() if older < number}
        self.ledger.truncate(snapshot.head)
        self.pool = snapshot.pool
        self.clock = snapshot.clock
        self.automine = snapshot.automine
        return True

    def reorganise(self, depth: int, transactions: Sequence[tuple[bytes, int]]) -> None:
        """Replace the last `depth` blocks by as many others.

        `transactions` are raw transactions with the index of the new block (0 is the lowest) they
        go into. What the dropped blocks carried is gone. Snapshots of dropped blocks are gone too.

        Raises:
            RpcFault: the chain is not that deep, or a transaction is refused; nothing changes then.
        """
        if not 1 <= depth <= self.ledger.head.number:
            raise invalid_params(
                f"reorg depth {depth} is not between 1 and the height {self.ledger.head.number}"
            )
        height = self.ledger.head.number
        fork, *old_blocks = self.ledger.blocks(height - depth, height)
        pool, automine = self.pool, self.automine
        self.ledger.truncate(fork)
        self.pool, self.automine = Pool(), False
        try:
            for index, old in enumerate(old_blocks):
                for encoded, place in transactions:
                    if place == index:
                        self.pool.add(self._admit(encoded))
                self.ledger.append(self.draft(old.timestamp))
                self.pool = Pool()
        except RpcFault:
            self.ledger.truncate(fork)
            self.ledger.restore(old_blocks)
            raise
        finally:
            self.pool, self.automine = pool, automine
        self._snapshots = {
            number: kept
            for number, kept in self._snapshots.items()
            if kept.head.number <= fork.number
        }
        self.pool.forget_stale(self.ledger.state(self.ledger.head).get_nonce)


def check_gas_covers_data(transaction: SignedTransactionAPI) -> None:
    """Check a transaction's gas against what its bytes alone cost.

    Raises:
        RpcFault: it is below the intrinsic gas or below EIP-7623's floor, or the initcode is
            longer than EIP-3860 allows.
    """
    intrinsic = transaction.intrinsic_gas
    if transaction.gas < intrinsic:
        raise refused(f"intrinsic gas too low: gas {transaction.gas}, minimum needed {intrinsic}")
    floor = floor_gas(transaction.data)
    if transaction.gas < floor:
        raise refused(
            "intrinsic gas too low: insufficient gas for floor data gas cost: "
            f"gas {transaction.gas}, minimum needed {floor}"
        )
    if not transaction.to and len(transaction.data) > MAX_INITCODE:
        raise refused(
            f"max initcode size exceeded: code size {len(transaction.data)}, limit {MAX_INITCODE}"
        )
