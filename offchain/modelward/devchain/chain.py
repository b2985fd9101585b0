"""`DevChain`: one chain, safe to use from several threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, overload

from modelward.chain.development import DEVELOPMENT_ACCOUNTS, DEVELOPMENT_CHAIN_ID
from modelward.devchain import face
from modelward.devchain.ledger import Ledger
from modelward.devchain.node import Node

if TYPE_CHECKING:
    from modelward.devchain.provider import DevChainProvider

Json = dict[str, Any]


class DevChain:
    """A py-evm chain under prague's rules, with the development accounts funded.

    A transaction is mined as soon as it arrives. Block timestamps follow the wall clock and are
    always later than the parent's, so a burst of blocks runs ahead of it.

    Args:
        chain_id: what `eth_chainId` answers and signatures must name.
        accounts: how many development accounts hold 10,000 ETH, at most ten.
        genesis_time: timestamp of the first block, in seconds; now by default.
        genesis_seed: by default every chain has a genesis hash of its own, so that a restarted one
            is told apart; the same seed (and chain id, accounts and time) gives the same hash.
    """

    def __init__(
        self,
        chain_id: int = DEVELOPMENT_CHAIN_ID,
        accounts: int = len(DEVELOPMENT_ACCOUNTS),
        genesis_time: int | None = None,
        *,
        genesis_seed: bytes | None = None,
    ) -> None:
        if not 1 <= accounts <= len(DEVELOPMENT_ACCOUNTS):
            raise ValueError(f"accounts must be between 1 and {len(DEVELOPMENT_ACCOUNTS)}")
        if chain_id < 1:
            raise ValueError("chain_id must be positive")
        self._lock = threading.RLock()
        self._node = Node(Ledger(chain_id, accounts, genesis_time, genesis_seed))

    # --- JSON-RPC ------------------------------------------------------------------------------

    @overload
    def handle(self, request: bytes) -> bytes: ...
    @overload
    def handle(self, request: Json) -> Json | None: ...
    @overload
    def handle(self, request: list[Json]) -> list[Json] | Json | None: ...

    def handle(self, request: bytes | Json | list[Json]) -> bytes | Json | list[Json] | None:
        """Answer a JSON-RPC request or batch, encoded (bytes in and out) or decoded.

        Errors are in the answer; nothing is raised. Notifications are answered with None (or
        nothing, if encoded).
        """
        with self._lock:
            if isinstance(request, bytes):
                return face.answer_bytes(self._node, request)
            return face.answer_any(self._node, request)

    def provider(self) -> DevChainProvider:
        """Return a web3.py provider that speaks to this chain in process."""
        from modelward.devchain.provider import DevChainProvider

        return DevChainProvider(self)

    # --- control -------------------------------------------------------------------------------

    @property
    def chain_id(self) -> int:
        """The chain's id."""
        return self._node.ledger.chain_id

    @property
    def genesis_hash(self) -> str:
        """Hash of the first block, in hex."""
        return f"0x{self._node.ledger.genesis.hash.hex()}"

    @property
    def block_number(self) -> int:
        """Height of the head."""
        with self._lock:
            return self._node.ledger.head.number

    @property
    def time(self) -> int:
        """Timestamp of the head, in seconds: what contracts see in a call on `latest`."""
        with self._lock:
            return self._node.ledger.head.timestamp

    def snapshot(self) -> int:
        """Remember the chain as it is; returns a number for `revert`."""
        with self._lock:
            return self._node.snapshot()

    def revert(self, snapshot: int) -> None:
        """Go back to a snapshot; it and all later ones are used up.

        Raises:
            KeyError: there is no such snapshot.
        """
        with self._lock:
            if not self._node.revert(snapshot):
                raise KeyError(snapshot)

    def mine(self, blocks: int = 1) -> None:
        """Mine that many blocks; what waits goes into the first that has room."""
        with self._lock:
            for _ in range(blocks):
                self._node.mine()

    def increase_time(self, seconds: int) -> None:
        """Move time forward and mine a block, so that calls on `latest` see it.

        The block's timestamp is at least `seconds` after that of the head before it.
        """
        with self._lock:
            clock = self._node.clock
            clock.set(max(clock.now(), self.time) + seconds)
            self._node.mine()

    def set_next_timestamp(self, timestamp: int) -> None:
        """Stamp the next block with exactly `timestamp`, in seconds.

        Raises:
            ValueError: it is not after the head's.
        """
        with self._lock:
            if timestamp <= self.time:
                raise ValueError(f"{timestamp} is not after the head's timestamp {self.time}")
            self._node.promise_timestamp(timestamp)
