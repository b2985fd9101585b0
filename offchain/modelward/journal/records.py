"""What the journal holds, as frozen objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelward.journal.states import State, TransactionState
from modelward.terms import Address, ExactAnswer, Offer, RefusalReason, Request, RequestId


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose journal it is: one account's, for one escrow on one chain. `genesis_hash` tells
    chains of the same id apart."""

    chain_id: int
    genesis_hash: bytes
    escrow: Address
    account: Address


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A block up to which everything was read; `timestamp` in Unix seconds."""

    number: int
    hash: bytes
    timestamp: int


@dataclass(frozen=True, slots=True)
class Placement:
    """A request, and the block it was placed in. `input` is the framed input of the event."""

    request_id: RequestId
    offer: Offer
    request: Request
    input: bytes = field(repr=False)
    block_number: int
    block_hash: bytes


@dataclass(frozen=True, slots=True)
class Ending:
    """How a request ended on chain, and in which transaction of which block."""

    request_id: RequestId
    state: State
    reason: str | None
    block_number: int
    block_hash: bytes
    transaction_hash: bytes


@dataclass(frozen=True, slots=True)
class Hold:
    """An answer of ours that a verifier holds since a block, and until when, in Unix seconds."""

    request_id: RequestId
    answer: ExactAnswer
    until: int
    block_number: int
    block_hash: bytes
    transaction_hash: bytes


@dataclass(frozen=True, slots=True)
class Advance:
    """The requests that became known by moving the cursor, and the known ones that ended."""

    placed: tuple[RequestId, ...]
    ended: tuple[RequestId, ...]


@dataclass(frozen=True, slots=True)
class Fulfilment:
    """An answer that gives a result: the framed output, its 32-byte commitment, and the salt in
    it, which a request with a callback is answered with.
    """

    output: bytes = field(repr=False)
    commitment: bytes
    result_salt: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that declines, and why in words for the operator."""

    reason: RefusalReason
    detail: str


Answer = Fulfilment | Refusal


@dataclass(frozen=True, slots=True)
class Job:
    """A request and everything done for it so far.

    `on_chain` is False once a reorganisation dropped the block it was placed in, until another
    block holds it. `transaction_hash` is that of the newest transaction carrying the answer.
    `failures` counts transactions that were mined and reverted, `attempts` the computations that
    were begun and came to no end: a crash of the worker is one. An answer that a verifier holds can
    be settled after `settle_after` (Unix seconds), and has a `bond` (wei) staked on it.
    """

    placement: Placement
    state: State
    reason: str | None
    on_chain: bool
    answer: Answer | None
    transaction_hash: bytes | None
    failures: int
    attempts: int = 0
    settle_after: int | None = None
    bond: int = 0

    @property
    def request_id(self) -> RequestId:
        """The request's id."""
        return self.placement.request_id

    @property
    def offer(self) -> Offer:
        """The offer the request was placed under."""
        return self.placement.offer

    @property
    def request(self) -> Request:
        """The request's terms."""
        return self.placement.request


@dataclass(frozen=True, slots=True)
class SignedAnswer:
    """A signed transaction that carries answers: `raw` is what the network is given.

    `gas` in units of gas, `max_fee` and `tip` in wei per unit; `price`, likewise, is what a unit
    was expected to cost when it was signed, at the block timestamp `signed_at`. The block is the
    one that holds it, where one does.
    """

    hash: bytes
    raw: bytes = field(repr=False)
    nonce: int
    gas: int
    max_fee: int
    tip: int
    state: TransactionState = TransactionState.SIGNED
    block_number: int | None = None
    block_hash: bytes | None = None
    signed_at: int = 0
    price: int = 0


@dataclass(frozen=True, slots=True)
class Mining:
    """The block that holds one of our transactions, which succeeded, and what it cost in wei."""

    transaction_hash: bytes
    block_number: int
    block_hash: bytes
    spent: int


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account has earned by answers that are final, in units of each token, and spent on
    gas, in wei, as far as the journal goes back."""

    earned: Mapping[Address, int]
    spent: int


@dataclass(frozen=True, slots=True)
class Outlay:
    """Gas that went, or may go, into one request: `wei` is its part of the transaction's cost as
    expected when it was signed, at the block timestamp `at`. `refuses` says what for.
    """

    request_id: RequestId
    requester: Address
    at: int
    wei: int
    refuses: bool
