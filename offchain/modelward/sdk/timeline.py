"""What happened on chain, step by step: block, actor, gas, and where the money is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from modelward.chain.events import (
    AccessGranted,
    AccessRevoked,
    AllAccessRevoked,
    Event,
    InferenceCorrected,
    InferenceFulfilled,
    InferenceHeld,
    InferenceRefunded,
    InferenceRefused,
    InferenceRequested,
    KeyRegistered,
    KeysRewrapped,
    ModelRegistered,
    ServiceKeySet,
    VersionPublished,
    Withdrawn,
)
from modelward.sdk.connection import Connection
from modelward.sdk.history import RequestHistory, read_history
from modelward.terms import (
    Address,
    Offer,
    RefusalReason,
    RequestId,
    Right,
    VersionStatus,
    format_fee,
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
    if history.held is not None:
        events.append(history.held)
    if history.ending is not None:
        events += [history.ending, *_withdrawals(connection, history)]
    return steps(connection, events)


def steps(connection: Connection, events: Iterable[Event]) -> tuple[Step, ...]:
    """Events in words, in the order of the chain; what ends a request comes with its request.

    Events of other kinds are left out.
    """
    ordered = sorted(events, key=lambda event: event.position)
    offers = {
        event.request_id: event.offer for event in ordered if isinstance(event, InferenceRequested)
    }
    told = []
    for event in ordered:
        words = _words(connection, event)
        if words is None:
            continue
        receipt = connection.receipt(event.transaction_hash)
        if receipt is None:  # its block was reorganised away since the event was read
            continue
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
        case _:
            credited = {ending.payer}
    about = [bytes(12) + bytes.fromhex(account[2:]) for account in credited]
    first: dict[Address, Withdrawn] = {}
    for event in connection.events(Withdrawn, about=about, first=ending.block_number):
        same_currency = event.token == history.requested.offer.token
        if same_currency and event.position > ending.position:
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
        case KeyRegistered():
            return f"registered encryption key {event.index}"
        case ServiceKeySet():
            return f"set the service key of epoch {event.epoch}"
        case KeysRewrapped():
            return f"gave the new epoch's key to {len(event.grantees)} who hold a grant"
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
        case InferenceHeld():
            return f"answer by {name(event.worker)} under examination"
        case InferenceCorrected():
            return "corrected a wrong answer"
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
        case InferenceRequested(offer=offer):
            return f"{format_fee(offer.fee, offer.token)} held in escrow"
        case InferenceFulfilled(worker=worker):
            offer = offers[event.request_id]
            return (
                f"{format_fee(offer.payee_share, offer.token)} credited to {name(offer.payee)}, "
                f"{format_fee(offer.worker_share, offer.token)} to {name(worker)}"
            )
        case InferenceRefused(payer=payer) | InferenceCorrected(payer=payer):
            offer = offers[event.request_id]
            return f"{format_fee(offer.fee, offer.token)} credited to {name(payer)}"
        case InferenceRefunded(payer=payer):
            return f"{format_fee(event.amount, event.token)} credited to {name(payer)}"
        case Withdrawn():
            return f"{format_fee(event.amount, event.token)} paid out to {name(event.to)}"
    return ""
