"""Transactions that wait for a block, ordered by nonce for each sender."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from eth.abc import SignedTransactionAPI
    from eth_typing import Address

REPLACEMENT_BUMP_PERCENT: Final = 10
"""By how much both fees of a replacement must exceed those it replaces, as in geth."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A checked transaction, not yet in a block; `arrival` counts up."""

    transaction: SignedTransactionAPI
    hash: bytes
    sender: Address
    arrival: int

    @property
    def nonce(self) -> int:
        """The nonce it was signed with."""
        return int(self.transaction.nonce)

    @property
    def max_fee(self) -> int:
        """Highest price the sender pays, in wei per gas."""
        return int(self.transaction.max_fee_per_gas)

    @property
    def max_tip(self) -> int:
        """Highest share of the price that goes to the miner, in wei per gas."""
        return int(self.transaction.max_priority_fee_per_gas)

    def tip(self, base_fee: int) -> int:
        """What the miner would earn per gas, in wei; negative if the base fee is not covered."""
        return min(self.max_fee - base_fee, self.max_tip)


class Pool:
    """Waiting transactions by sender and nonce, at most one for each pair."""

    def __init__(self) -> None:
        self._by_sender: dict[Address, dict[int, Waiting]] = {}
        self._by_hash: dict[bytes, Waiting] = {}

    def __len__(self) -> int:
        return len(self._by_hash)

    def __contains__(self, transaction_hash: bytes) -> bool:
        return transaction_hash in self._by_hash

    def get(self, transaction_hash: bytes) -> Waiting | None:
        """Return the waiting transaction of that hash."""
        return self._by_hash.get(transaction_hash)

    def at(self, sender: Address, nonce: int) -> Waiting | None:
        """Return what waits for that sender and nonce."""
        return self._by_sender.get(sender, {}).get(nonce)

    def replaces(self, newcomer: Waiting) -> bool:
        """Tell whether its fees let it in where another transaction may already wait."""
        present = self.at(newcomer.sender, newcomer.nonce)
        if present is None:
            return True
        factor = 100 + REPLACEMENT_BUMP_PERCENT
        return (
            newcomer.max_fee * 100 >= present.max_fee * factor
            and newcomer.max_tip * 100 >= present.max_tip * factor
        )

    def add(self, waiting: Waiting) -> None:
        """Let a transaction wait, in place of one with the same sender and nonce."""
        present = self.at(waiting.sender, waiting.nonce)
        if present is not None:
            self.remove(present.hash)
        self._by_sender.setdefault(waiting.sender, {})[waiting.nonce] = waiting
        self._by_hash[waiting.hash] = waiting

    def remove(self, transaction_hash: bytes) -> None:
        """Take a transaction out; does nothing if it is gone."""
        waiting = self._by_hash.pop(transaction_hash, None)
        if waiting is None:
            return
        nonces = self._by_sender[waiting.sender]
        del nonces[waiting.nonce]
        if not nonces:
            del self._by_sender[waiting.sender]

    def next_nonce(self, sender: Address, account_nonce: int) -> int:
        """Return the first nonce from `account_nonce` on that nothing waits with."""
        nonces = self._by_sender.get(sender, {})
        while account_nonce in nonces:
            account_nonce += 1
        return account_nonce

    def forget_stale(self, account_nonce: Callable[[Address], int]) -> None:
        """Drop what can never be mined because its nonce has been used."""
        for waiting in tuple(self._by_hash.values()):
            if waiting.nonce < account_nonce(waiting.sender):
                self.remove(waiting.hash)

    def copy(self) -> Pool:
        """Return an independent copy."""
        twin = Pool()
        twin._by_sender = {sender: dict(nonces) for sender, nonces in self._by_sender.items()}
        twin._by_hash = dict(self._by_hash)
        return twin

    def candidates(self, base_fee: int, account_nonce: Callable[[Address], int]) -> Candidates:
        """Return what can go into the next block, best tip first, nonces in order."""
        return Candidates(self._by_sender, base_fee, account_nonce)


class Candidates:
    """One pass over the pool while a block is built; the pool itself is not changed."""

    def __init__(
        self,
        by_sender: dict[Address, dict[int, Waiting]],
        base_fee: int,
        account_nonce: Callable[[Address], int],
    ) -> None:
        self._by_sender = by_sender
        self._base_fee = base_fee
        self._heads: dict[Address, Waiting] = {}
        for sender in by_sender:
            self._offer(sender, account_nonce(sender))

    def _offer(self, sender: Address, nonce: int) -> None:
        waiting = self._by_sender[sender].get(nonce)
        if waiting is not None and waiting.max_fee >= self._base_fee:
            self._heads[sender] = waiting

    def next(self, gas_left: int) -> Waiting | None:
        """Return the next transaction that fits in `gas_left`, or None when the block is done.

        A sender whose next transaction does not fit waits for another block.
        """
        fitting = [head for head in self._heads.values() if head.transaction.gas <= gas_left]
        if not fitting:
            return None
        best = min(fitting, key=lambda head: (-head.tip(self._base_fee), head.arrival))
        del self._heads[best.sender]
        self._offer(best.sender, best.nonce + 1)
        return best

    def pass_over(self, sender: Address) -> None:
        """Offer nothing more of this sender, whose transaction the block refused."""
        self._heads.pop(sender, None)
