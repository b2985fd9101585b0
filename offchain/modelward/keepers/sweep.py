"""Refunds requests that nobody answered in time, for whoever paid for them.

A refund credits the payer and never its caller, so gas is all there is to lose: it is held against
the fee of one's own requests, and bounded for those of others. What to do follows from the chain
alone; a sweep that was killed is simply run again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from modelward.chain.connection import Block
from modelward.chain.events import (
    InferenceFulfilled,
    InferenceRefunded,
    InferenceRefused,
    InferenceRequested,
    decode_event,
)
from modelward.chain.fees import choose_fees
from modelward.chain.logs import EventReader
from modelward.chain.transactions import Receipt
from modelward.errors import ContractRefused, TimedOut
from modelward.sdk.connection import Connection
from modelward.terms import ETH, ETHER, Address, RequestId, RequestState, format_amount

DAY = 86_400
_REREAD_BLOCKS = 64
"""How far back a later sweep reads again, for what a reorganisation may have brought."""


@dataclass(frozen=True, slots=True)
class SweepLimits:
    """Whose requests to refund and what it may cost; amounts in wei.

    With `everybody`, those of others too. A request of the caller's own in ETH is refunded only
    if its fee is above its share of the gas, unless `allow_loss`. Nothing is sent while gas costs
    more than `max_gas_price` a unit, nor beyond `max_spend` within a day of block timestamps.
    """

    everybody: bool = False
    allow_loss: bool = False
    max_gas_price: int | None = None
    max_spend: int = ETHER // 100
    batch: int = 50


@dataclass(frozen=True, slots=True)
class Refund:
    """A request whose `amount` in `token` was credited to its payer; `cost` is its share of the
    gas, in wei."""

    request_id: RequestId
    payer: Address
    token: Address
    amount: int
    cost: int
    block_number: int
    transaction_hash: bytes


@dataclass(frozen=True, slots=True)
class LeftOpen:
    """An expired request that was not refunded, and why."""

    request_id: RequestId
    payer: Address
    reason: str


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a sweep did, and what it left."""

    refunds: tuple[Refund, ...] = ()
    left: tuple[LeftOpen, ...] = ()


@dataclass(slots=True)
class _Candidate:
    request_id: RequestId
    payer: Address
    deadline: int


@dataclass(slots=True)
class _Spending:
    """What was spent, by block timestamps."""

    items: list[tuple[int, int]] = field(default_factory=list)

    def note(self, at: int, wei: int) -> None:
        self.items.append((at, wei))

    def within_a_day(self, now: int) -> int:
        self.items = [(at, wei) for at, wei in self.items if at > now - DAY]
        return sum(wei for _, wei in self.items)


class Sweeper:
    """Refunds expired requests from one account; `sweep` may be called again and again."""

    def __init__(self, connection: Connection, limits: SweepLimits | None = None) -> None:
        self._connection = connection
        self._limits = limits or SweepLimits()
        self._open: dict[RequestId, _Candidate] = {}
        self._read_to = connection.deployment.first_block - 1
        self._spending = _Spending()
        self._reader = EventReader(
            connection.chain,
            {connection.escrow.address: connection.escrow.name},
            (InferenceRequested, InferenceFulfilled, InferenceRefused, InferenceRefunded),
        )

    def sweep(self) -> Sweep:
        """Refund what has expired, as far as the limits allow.

        Raises:
            InsufficientFunds: the account cannot pay for the gas.
            FeeTooHigh: gas costs more than the network's cap.
            TimedOut: an earlier transaction of the account is not mined.
            RpcUnavailable, RpcError: the chain cannot be reached.
        """
        head = self._connection.chain.head()
        self._read()
        states = self._expired(head)
        left = [
            LeftOpen(each.request_id, each.payer, "somebody else paid for it")
            for each in map(self._open.__getitem__, states)
            if not self._wanted(each)
        ]
        wanted = [each for each in states if self._wanted(self._open[each])]
        refunds: list[Refund] = []
        while wanted:
            batch, wanted = wanted[: self._limits.batch], wanted[self._limits.batch :]
            done, why_not = self._refund({each: states[each] for each in batch}, head)
            refunds += done
            left += why_not
        return Sweep(tuple(refunds), tuple(left))

    def _wanted(self, candidate: _Candidate) -> bool:
        return self._limits.everybody or candidate.payer == self._connection.address

    def _read(self) -> None:
        confirmed = self._connection.chain.confirmed_head().number
        first = max(self._connection.deployment.first_block, self._read_to + 1 - _REREAD_BLOCKS)
        for part in self._reader.read(first, confirmed):
            for event in part.events:
                match event:
                    case InferenceRequested():
                        self._open[event.request_id] = _Candidate(
                            event.request_id, event.request.payer, event.request.deadline
                        )
                    case InferenceFulfilled() | InferenceRefused() | InferenceRefunded():
                        self._open.pop(event.request_id, None)
            self._read_to = part.last

    def _expired(self, head: Block) -> dict[RequestId, RequestState]:
        """The requests past their deadline, as the escrow has them now."""
        states: dict[RequestId, RequestState] = {}
        for candidate in list(self._open.values()):
            if candidate.deadline >= head.timestamp:
                continue
            state = self._connection.escrow.request_of(candidate.request_id)
            if not state.status.pending:
                del self._open[candidate.request_id]
            elif state.deadline < head.timestamp:
                states[candidate.request_id] = state
        return states

    def _refund(
        self, states: dict[RequestId, RequestState], head: Block
    ) -> tuple[list[Refund], list[LeftOpen]]:
        """Refund those of one batch that are worth it, in one transaction."""
        connection, limits = self._connection, self._limits
        self._wait_for_earlier_transactions()
        left: list[LeftOpen] = []

        def leave(which: Sequence[RequestId], reason: str) -> None:
            left.extend(LeftOpen(each, states[each].payer, reason) for each in which)

        price = choose_fees(connection.chain, head).price(head.base_fee)
        if limits.max_gas_price is not None and price > limits.max_gas_price:
            leave(list(states), f"gas costs {format_amount(price)} a unit")
            return [], left
        chosen = list(states)
        while chosen:
            try:
                gas = connection.sender.estimate(connection.escrow.refund_many(chosen))
            except ContractRefused as refused:
                leave(chosen, refused.message)
                return [], left
            share = gas * price // len(chosen)
            dear = [each for each in chosen if self._loses(states[each], share)]
            if not dear:
                break
            leave(dear, f"its refund costs about {format_amount(share)} of gas")
            chosen = [each for each in chosen if each not in dear]
        if not chosen:
            return [], left
        if self._spending.within_a_day(head.timestamp) + gas * price > limits.max_spend:
            leave(chosen, f"a day's gas is limited to {format_amount(limits.max_spend)}")
            return [], left
        receipt = connection.send(connection.escrow.refund_many(chosen))
        self._spending.note(head.timestamp, receipt.fee)
        return self._refunds_in(receipt), left

    def _loses(self, state: RequestState, share: int) -> bool:
        own = state.payer == self._connection.address and state.token == ETH
        return own and not self._limits.allow_loss and state.fee <= share

    def _refunds_in(self, receipt: Receipt) -> list[Refund]:
        escrow = self._connection.escrow
        decoded = (
            decode_event(escrow.name, log) for log in receipt.logs if log.address == escrow.address
        )
        events = [event for event in decoded if isinstance(event, InferenceRefunded)]
        for event in events:
            self._open.pop(event.request_id, None)
        return [
            Refund(
                event.request_id,
                event.payer,
                event.token,
                event.amount,
                receipt.fee // len(events),
                receipt.block_number,
                receipt.transaction_hash,
            )
            for event in events
        ]

    def _wait_for_earlier_transactions(self, timeout: float = 60.0) -> None:
        """Let what a killed sweep sent be mined, rather than pay for it twice."""
        sender, give_up = self._connection.sender, time.monotonic() + timeout
        while sender.next_nonce() > sender.nonce("latest"):
            if time.monotonic() >= give_up:
                raise TimedOut(
                    f"Earlier transactions of {sender.address} have not been mined.",
                    hint="Sweep again when they have.",
                )
            time.sleep(self._connection.network.poll_interval)
