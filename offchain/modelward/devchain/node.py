"""What a node does: admits transactions, mines, goes back to snapshots, reorganises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from modelward.devchain.admission import check_admissible, read_transaction
from modelward.devchain.clock import Clock
from modelward.devchain.faults import RpcFault, invalid_params, refused
from modelward.devchain.ledger import BLOCK_GAS_LIMIT, Block, Draft, Ledger
from modelward.devchain.pool import Pool, Waiting

if TYPE_CHECKING:
    from eth_typing import Address

SUGGESTED_TIP: Final = 10**9
"""What `eth_maxPriorityFeePerGas` answers, in wei per gas."""


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
        if self.automine:
            self.mine_waiting()
        return waiting.hash

    def _admit(self, encoded: bytes) -> Waiting:
        self._arrivals += 1
        waiting = read_transaction(self.ledger, encoded, self._arrivals)
        check_admissible(waiting, self.ledger, self.pool, at_once=self.automine)
        self.pool.add(waiting)
        return waiting

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
                        self._admit(encoded)
                draft = self.draft(old.timestamp)
                if len(draft.transactions) < len(self.pool):
                    raise refused(f"a transaction cannot be mined in the new block {index}")
                self.ledger.append(draft)
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
