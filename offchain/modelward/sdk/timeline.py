"""What happened on chain, step by step: block, actor, gas, and where the money is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from modelward.chain.encoding import to_hex
from modelward.chain.events import (
    AccessGranted,
    AccessRevoked,
    AllAccessRevoked,
    Event,
    InferenceFulfilled,
    InferenceRefunded,
    InferenceRefused,
    InferenceRequested,
    ModelRegistered,
    VersionPublished,
    Withdrawn,
)
from modelward.chain.transactions import read_receipt
from modelward.sdk.connection import Connection
from modelward.sdk.history import RequestHistory, read_history
from modelward.terms import (
    Address,
    Offer,
    RefusalReason,
    RequestId,
    Right,
    VersionStatus,
    format_amount,
)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened: `gas` is that of its transaction, `money` says where it went."""

    block: int
    timestamp: int
    words: str
    actor: Address
    gas: int
    transaction_hash: bytes
    money: str


def timeline(connection: Connection, request: RequestId) -> tuple[Step, ...]:
    """The steps of one request, from the fee's deposit to its last withdrawal.

    Raises `UnknownRequest`.
    """
    history = read_history(connection, request)
    events: list[Event] = [history.requested]
    if history.ending is not None:
        events += [history.ending, *_withdrawals(connection, history)]
    return steps(connection, events)


def steps(connection: Connection, events: Iterable[Event]) -> tuple[Step, ...]:
    """Events in words, in the order of the chain. Those of other kinds are left out."""
    ordered = sorted(events, key=lambda event: event.position)
    offers = {
        event.request_id: event.offer for event in ordered if isinstance(event, InferenceRequested)
    }
    told = []
    for event in ordered:
        words = _words(connection, event)
        if words is None:
            continue
        receipt = read_receipt(
            connection.chain.rpc("eth_getTransactionReceipt", [to_hex(event.transaction_hash)])
        )
        told.append(
            Step(
                block=event.block_number,
                timestamp=connection.chain.block(event.block_number).timestamp,
                words=words,
                actor=receipt.sender,
                gas=receipt.gas_used,
                transaction_hash=event.transaction_hash,
                money=_money(connection, event, offers),
            )
        )
    return tuple(told)


def _withdrawals(connection: Connection, history: RequestHistory) -> list[Withdrawn]:
    """For each account that was credited, its first withdrawal after: it takes all that is owed."""
    ending = history.ending
    match ending:
        case None:
            return []
        case InferenceFulfilled(worker=worker):
            credited = {worker, history.requested.offer.payee}
        case InferenceRefused(payer=payer) | InferenceRefunded(payer=payer):
            credited = {payer}
        case _:
            assert_never(ending)
    about = [bytes(12) + bytes.fromhex(account[2:]) for account in credited]
    first: dict[Address, Withdrawn] = {}
    for event in connection.events(Withdrawn, about=about, first=ending.block_number):
        if event.position > ending.position:
            first.setdefault(event.account, event)
    return list(first.values())


def _words(connection: Connection, event: Event) -> str | None:
    name = connection.addresses.name
    match event:
        case ModelRegistered():
            return f"registered the model {event.name}"
        case VersionPublished():
            outcome = "" if event.status is VersionStatus.SERVABLE else ", rejected by the gate"
            return f"published version {event.number}{outcome}"
        case AccessGranted():
            rights = " and ".join(right.name or "" for right in Right if right in event.rights)
            return f"granted {rights} to {name(event.grantee)}"
        case AccessRevoked():
            return f"revoked the grant to {name(event.grantee)}"
        case AllAccessRevoked():
            return f"revoked every grant to {name(event.grantee)}"
        case InferenceRequested():
            return "requested a prediction"
        case InferenceFulfilled():
            return "answered"
        case InferenceRefused():
            return f"declined: {RefusalReason.of(event.reason).sentence.rstrip('.')}"
        case InferenceRefunded():
            return "had the fee refunded: nobody answered in time"
        case Withdrawn():
            return "withdrew"
    return None


def _money(connection: Connection, event: Event, offers: dict[RequestId, Offer]) -> str:
    name = connection.addresses.name
    match event:
        case InferenceRequested():
            return f"{format_amount(event.offer.fee)} held in escrow"
        case InferenceFulfilled():
            offer = offers.get(event.request_id)
            if offer is None:
                return ""
            return (
                f"{format_amount(offer.payee_share)} credited to {name(offer.payee)}, "
                f"{format_amount(offer.worker_share)} to {name(event.worker)}"
            )
        case InferenceRefused():
            offer = offers.get(event.request_id)
            amount = format_amount(offer.fee) if offer else "the fee"
            return f"{amount} credited to {name(event.payer)}"
        case InferenceRefunded():
            return f"{format_amount(event.amount)} credited to {name(event.payer)}"
        case Withdrawn():
            return f"{format_amount(event.amount)} paid out to {name(event.to)}"
    return ""
