"""Transactions in flight: from signed bytes on disk to a block that holds them.

What became of a transaction is asked of the chain, never inferred from an error. Every transaction
ever signed for a nonce is remembered, and whichever of them is mined counts. Several are signed,
stored in one step and then sent; nothing else is stored or sent until the network has accepted them
all, or it is known what became of them.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from modelward.chain.connection import Block
from modelward.chain.contracts import InferenceEscrow
from modelward.chain.events import (
    AnswerSkipped,
    InferenceFulfilled,
    InferenceHeld,
    InferenceRefused,
    decode_event,
)
from modelward.chain.fees import Fees
from modelward.chain.sender import Sender
from modelward.chain.transactions import Call, Receipt, SignedTransaction
from modelward.errors import (
    ContractRefused,
    FeeTooHigh,
    InsufficientFunds,
    ModelwardError,
    RpcError,
    Superseded,
    Underpriced,
    WrongNonce,
)
from modelward.journal import Job, Journal, Mining, Outlay, Refusal, SignedAnswer, State
from modelward.journal.states import PENDING, TransactionState
from modelward.terms import Outcome, RequestId
from modelward.worker.admission import Admission, Waiting
from modelward.worker.milestones import Milestone, Observer
from modelward.worker.rehearsal import AT_ONCE

MAX_BUMPS = 3
"""How often, in one go, a bid that a node finds too low is raised."""

_FILLER_GAS = 60_000
"""Gas for a transfer to itself whose need the node does not tell: an account may have code."""

_POOL_SEEN_SECONDS = 2.0
"""How long the pool need not be looked through, unless it lacks a nonce."""

_ACCOUNTED_AT_ONCE = 256
"""Receipts asked for in one go only to learn what transactions cost."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shipment:
    """A transaction to be: the answers to `jobs` in one `call`, with the `gas` to give it. One with
    a purpose of its own carries none."""

    jobs: tuple[Job, ...]
    call: Call
    gas: int

    @property
    def request_ids(self) -> list[RequestId]:
        """The requests it answers."""
        return [job.request_id for job in self.jobs]


_Outgoing = tuple[SignedAnswer, SignedTransaction, list[RequestId]]
"""A transaction as the journal and as the network know it, and the requests it answers."""


@dataclass(slots=True)
class Runway:
    """What the account has for its next transactions: the nonce, the funds in wei, and how many
    may be in flight beside those that are; `stored` are the requests answered on it so far."""

    head: Block
    nonce: int
    funds: int
    room: int
    stored: set[RequestId] = field(default_factory=set)


class Flight:
    """The transactions of one worker account that no block holds for good yet."""

    def __init__(
        self,
        sender: Sender,
        escrow: InferenceEscrow,
        journal: Journal,
        admission: Admission,
        observe: Observer,
    ) -> None:
        self._sender = sender
        self._escrow = escrow
        self._journal = journal
        self._admission = admission
        self._policy = admission.policy
        self._observe = observe
        self._last_head: bytes | None = None
        self._mined = 0
        self._pool_seen = -math.inf
        self._line = ThreadPoolExecutor(1, "sending")

    # --- sending ---------------------------------------------------------------------------------

    def room(self) -> int:
        """How many more transactions may be in flight; none while one has not been accepted."""
        return self._room_beside(self._journal.count_in_flight())

    def _room_beside(self, pending: Counter[TransactionState]) -> int:
        if pending[TransactionState.SIGNED]:
            return 0
        return max(0, self._policy.window - pending.total())

    def runway(self, head: Block) -> Runway:
        """What there is for the next transactions.

        Raises `RpcUnavailable` or `RpcError`.
        """
        pending = self._journal.bids_in_flight()
        room = self._room_beside(Counter(each.state for each in pending))
        if not room:
            return Runway(head, 0, 0, 0)
        reserved = sum(each.gas * each.max_fee for each in pending)
        return Runway(
            head,
            self._free_nonce(self._sender.next_nonce(), {each.nonce for each in pending}),
            self._sender.chain.balance(self._sender.address) - reserved,
            room,
        )

    def send(self, shipments: Iterator[Shipment], runway: Runway) -> dict[RequestId, Waiting]:
        """Sign many, store them in one step and send them, then the next, as far as the runway
        goes; returns the requests that have to wait, and why.

        While some are on their way, the next are signed; they are stored once the network has
        accepted those before them, and forgotten if it has not.

        Raises `RpcUnavailable`; some of the transactions may have been sent then.
        """
        held: dict[RequestId, Waiting] = {}
        prepared = self._prepare(shipments, runway, held)
        while prepared:
            try:
                outgoing = self._outgoing(prepared, runway)
            except Superseded as error:
                held |= self._send_apart([shipment for shipment, _ in prepared], runway, error)
                prepared = self._prepare(shipments, runway, held)
                continue
            signed = [signed for _, signed in prepared]
            faults = self._line.submit(self._sender.broadcast_all, signed)
            try:
                prepared = self._prepare(shipments, runway, held)
            finally:
                released = self._note_sent(outgoing, faults.result(), runway.head)
            if released or self._journal.count_in_flight()[TransactionState.SIGNED]:
                refused = Waiting("its transaction was not accepted", 1, alone=True)
                held |= dict.fromkeys(released, refused)
                runway.room = 0
                break
        return held

    def _outgoing(
        self, prepared: Sequence[tuple[Shipment, SignedTransaction]], runway: Runway
    ) -> list[_Outgoing]:
        """Store what was signed, and shorten the runway by it. Raises `Superseded`."""
        answers = self._store(prepared, runway.head)
        runway.nonce = prepared[-1][1].nonce + 1
        runway.room -= len(prepared)
        runway.funds -= sum(_need(shipment, signed.fees) for shipment, signed in prepared)
        for shipment, _ in prepared:
            runway.stored.update(shipment.request_ids)
        return [
            (answer, signed, shipment.request_ids)
            for answer, (shipment, signed) in zip(answers, prepared, strict=True)
        ]

    def _send_apart(
        self, shipments: Sequence[Shipment], runway: Runway, error: Superseded
    ) -> dict[RequestId, Waiting]:
        """One of these has ended meanwhile: the others can do without it."""
        if len(shipments) == 1:
            alone = Waiting(error.message, 1, alone=True)
            return dict.fromkeys(shipments[0].request_ids, alone)
        held: dict[RequestId, Waiting] = {}
        for shipment in shipments:
            held |= self.send(iter([shipment]), runway)
        return held

    def _prepare(
        self, shipments: Iterator[Shipment], runway: Runway, held: dict[RequestId, Waiting]
    ) -> list[tuple[Shipment, SignedTransaction]]:
        """Sign some for consecutive free nonces, if they are worth it and can be paid for."""
        prepared: list[tuple[Shipment, SignedTransaction]] = []
        while not prepared:
            some = list(islice(shipments, min(runway.room, AT_ONCE)))
            if not some:
                break
            prepared = self._signed(some, runway, held)
        return prepared

    def _signed(
        self, shipments: Sequence[Shipment], runway: Runway, held: dict[RequestId, Waiting]
    ) -> list[tuple[Shipment, SignedTransaction]]:
        head, nonce, funds = runway.head, runway.nonce, runway.funds
        rivals: defaultdict[int, list[SignedAnswer]] = defaultdict(list)
        for rival in self._journal.transactions_from_nonce(nonce):
            rivals[rival.nonce].append(rival)
        used = {nonce for nonce, each in rivals.items() if any(r.state in PENDING for r in each)}
        prepared: list[tuple[Shipment, SignedTransaction]] = []
        for shipment in shipments:
            try:
                nonce = self._free_nonce(nonce, used)
                fees = self._bid(rivals[nonce], head)
                waiting = self._unaffordable(shipment, fees, head)
                need = _need(shipment, fees)
                self._sender.check_funds(need, have=funds)
            except (FeeTooHigh, InsufficientFunds) as error:
                waiting = Waiting(error.message, 15)
            if waiting is not None:
                held |= dict.fromkeys(shipment.request_ids, waiting)
                continue
            signed = self._sign(shipment, nonce, fees, head)
            for request_id in shipment.request_ids:
                self._observe(Milestone.PREPARED, request_id)
            prepared.append((shipment, signed))
            funds -= need
            used.add(nonce)
        return prepared

    def _unaffordable(self, shipment: Shipment, fees: Fees, head: Block) -> Waiting | None:
        """Why the answers are not worth the gas. What carries none was found worth it before."""
        cost = shipment.gas * fees.price(head.base_fee)
        jobs = list(shipment.jobs)
        if not jobs:
            return None
        if isinstance(jobs[0].answer, Refusal):
            return self._admission.withheld(jobs[0], cost, head)
        return self._admission.unprofitable(jobs, cost)

    def _bid(self, rivals: Sequence[SignedAnswer], head: Block) -> Fees:
        """What to bid for a nonce: enough to replace all that was ever signed for it.

        Raises `FeeTooHigh` when the cap leaves no room for that, unless the network has forgotten
        what was signed.
        """
        fees, cap = self._admission.fees(head), self._sender.chain.network.max_fee_per_gas
        for rival in rivals:
            try:
                least = Fees(rival.max_fee, rival.tip).bumped(cap=cap)
            except FeeTooHigh:
                if rival.state in PENDING or self._sender.is_known(rival.hash):
                    raise
                continue
            fees = Fees(max(fees.max_fee, least.max_fee), max(fees.tip, least.tip))
        return fees

    def _sign(self, shipment: Shipment, nonce: int, fees: Fees, head: Block) -> SignedTransaction:
        """Sign, and count what it is going to cost against its requesters' limits."""
        cost = shipment.gas * fees.price(head.base_fee)
        for job in shipment.jobs:
            self._admission.limits(head).note(
                Outlay(
                    request_id=job.request_id,
                    requester=job.request.requester,
                    at=head.timestamp,
                    wei=cost // len(shipment.jobs),
                    refuses=isinstance(job.answer, Refusal),
                )
            )
        return self._sender.sign(shipment.call, gas=shipment.gas, nonce=nonce, fees=fees)

    def _store(
        self,
        prepared: Sequence[tuple[Shipment, SignedTransaction]],
        head: Block,
        replaces: bytes | None = None,
    ) -> list[SignedAnswer]:
        """Put signed transactions on disk, all in one step. Raises `Superseded`."""
        carrying = [(_stored(signed, head), shipment.request_ids) for shipment, signed in prepared]
        if replaces is None:
            self._journal.record_all_signed(carrying)
        else:
            for answer, request_ids in carrying:
                self._journal.record_signed(answer, request_ids, replaces=replaces)
        for _, request_ids in carrying:
            for request_id in request_ids:
                self._observe(Milestone.SIGNED, request_id)
        return [answer for answer, _ in carrying]

    def _broadcast(
        self, outgoing: Sequence[_Outgoing], head: Block, bumps: int = 0
    ) -> list[RequestId]:
        """Give stored transactions to the network; returns the requests that need another one."""
        faults = self._sender.broadcast_all([signed for _, signed, _ in outgoing])
        return self._note_sent(outgoing, faults, head, bumps)

    def _note_sent(
        self,
        outgoing: Sequence[_Outgoing],
        faults: Sequence[ModelwardError | None],
        head: Block,
        bumps: int = 0,
    ) -> list[RequestId]:
        """Put on disk which transactions the network took; returns the requests that need another
        one."""
        taken: list[_Outgoing] = []
        others: list[tuple[_Outgoing, ModelwardError]] = []
        for each, fault in zip(outgoing, faults, strict=True):
            unsure = isinstance(fault, Underpriced | RpcError)
            if fault is None or (unsure and self._sender.is_known(each[0].hash)):
                taken.append(each)
            else:
                others.append((each, fault))
        self._record_sent(taken)
        released: list[RequestId] = []
        for each, fault in others:
            released += self._not_accepted(each, fault, head, bumps)
        return released

    def _record_sent(self, taken: Sequence[_Outgoing]) -> None:
        for _, _, request_ids in taken:
            for request_id in request_ids:
                self._observe(Milestone.BROADCAST, request_id)
        new = [each for each in taken if each[0].state is TransactionState.SIGNED]
        if new:
            self._journal.record_sent(*(answer.hash for answer, _, _ in new))
        for _, _, request_ids in new:
            for request_id in request_ids:
                self._observe(Milestone.SENT, request_id)

    def _not_accepted(
        self, outgoing: _Outgoing, fault: ModelwardError, head: Block, bumps: int
    ) -> list[RequestId]:
        answer, signed, _ = outgoing
        match fault:
            case WrongNonce():  # what holds the nonce is found out by following it
                _log.warning("%s", fault.message)
            case InsufficientFunds():
                _log.error("%s", fault.message)
            case Underpriced():
                if (fault.replaces and not self._holds(answer.nonce)) or bumps == MAX_BUMPS:
                    return self._drop(answer, fault.message)
                return self._replace(answer, signed.call, head, bumps=bumps + 1)
            case _:
                return self._drop(answer, fault.message)
        return []

    def _holds(self, nonce: int) -> bool:
        """Whether what the node has for a nonce is one of ours."""
        return any(
            self._sender.is_known(rival.hash)
            for rival in self._journal.transactions_of_nonce(nonce)
        )

    # --- following -------------------------------------------------------------------------------

    def follow(self) -> list[RequestId]:
        """Find out what became of the transactions in flight: send again what got lost, replace
        what is stuck, fill gaps in the nonces.

        Returns the requests that need another transaction.

        Raises `RpcUnavailable` or `RpcError`.
        """
        self._follow_mined()
        self._account_for_mined()
        bids = self._journal.bids_in_flight()
        if not bids:
            return []
        head = self._sender.chain.head()
        unsent = any(each.state is TransactionState.SIGNED for each in bids)
        whole = not _gaps({each.nonce for each in bids}, self._mined)
        if head.hash == self._last_head and whole and not unsent:
            return []
        released: list[RequestId] = []
        # Before the receipts: a mined one then has one.
        mined = self._mined = self._sender.nonce("latest")
        settled = self._follow_used([each for each in bids if each.nonce < mined], released)
        with self._sender.turn():
            waiting = [each for each in bids if each.nonce >= mined]
            for transaction in self._needing_care(waiting, head):
                behind = transaction.nonce < waiting[-1].nonce
                released += self._follow_unused(transaction, head, something_behind=behind)
            if waiting:
                self._fill_gap({each.nonce for each in waiting}, mined, head)
        self._last_head = head.hash if settled else None
        return released

    def _needing_care(self, waiting: Sequence[SignedAnswer], head: Block) -> list[SignedAnswer]:
        """Those of the transactions no block holds that cannot just be waited for."""
        sent = [each for each in waiting if each.state is TransactionState.SENT]
        pooled = self._pooled(sent)
        relied = self._journal.relied_upon([each.hash for each in waiting])
        return [
            whole
            for each in waiting
            if each.hash not in pooled or each.hash not in relied or self._is_stuck(each, head)
            if (whole := self._journal.transaction(each.hash)) is not None
        ]

    def _pooled(self, sent: Sequence[SignedAnswer]) -> set[bytes]:
        """Those of the transactions that the node has.

        A nonce counted as pending is some transaction's, so while they all are, it is asked for
        each by its hash only now and then.
        """
        hashes = [each.hash for each in sent]
        lately = time.monotonic() - self._pool_seen < _POOL_SEEN_SECONDS
        if sent and lately and self._sender.next_nonce() > sent[-1].nonce:
            return set(hashes)
        self._pool_seen = time.monotonic()
        known = self._sender.are_known(hashes)
        return {each for each, there in zip(hashes, known, strict=True) if there}

    def _account_for_mined(self) -> None:
        """Look up what transactions cost of which something else told that they were mined."""
        hashes = self._journal.unaccounted(_ACCOUNTED_AT_ONCE)
        receipts = zip(hashes, self._sender.receipts(hashes), strict=True)
        costs = {each: receipt.fee for each, receipt in receipts if receipt is not None}
        if costs:
            self._journal.record_spent(costs)

    def _follow_mined(self) -> None:
        """Notice when a reorganisation takes a transaction out of a block not confirmed yet."""
        standing: dict[tuple[int, bytes], bool] = {}
        for transaction in self._journal.transactions_behind(State.MINED):
            if transaction.block_number is None or transaction.block_hash is None:
                continue
            place = transaction.block_number, transaction.block_hash
            if place not in standing:
                standing[place] = self._stands(*place)
            if standing[place]:
                continue
            receipt = self._sender.receipt(transaction.hash)
            if receipt is None or receipt.block_hash != transaction.block_hash:
                self._journal.record_unmined(transaction.hash)

    def _stands(self, number: int, block_hash: bytes) -> bool:
        try:
            return self._sender.chain.block(number).hash == block_hash
        except RpcError:
            return False

    def _follow_used(self, transactions: Sequence[SignedAnswer], released: list[RequestId]) -> bool:
        """Blocks hold their nonces: with them, with others of ours, or with somebody else's.
        Whether it is known of each which."""
        receipts = self._sender.receipts([each.hash for each in transactions])
        found = list(zip(transactions, receipts, strict=True))
        carried = self._journal.carried_by_each([each.hash for each in transactions])
        plain = [
            (each, receipt)
            for each, receipt in found
            if receipt is not None
            and receipt.succeeded
            and not self._passed_over(carried[each.hash], receipt)
        ]
        if plain:
            self._journal.record_all_mined(
                [
                    Mining(each.hash, receipt.block_number, receipt.block_hash, receipt.fee)
                    for each, receipt in plain
                ]
            )
        for each, _ in plain:
            for request_id in carried[each.hash]:
                self._observe(Milestone.MINED, request_id)
        done = {each.hash for each, _ in plain}
        settled = True
        for each, receipt in found:
            if each.hash in done:
                continue
            whole = self._journal.transaction(each.hash)
            if whole is not None and receipt is not None:
                released += self._record_receipt(whole, receipt)
            else:
                settled &= self._follow_rivals(each, released)
        return settled

    def _follow_rivals(self, transaction: SignedAnswer, released: list[RequestId]) -> bool:
        """Find out what used the nonce of a transaction that has no receipt; whether it was."""
        lost = "another transaction used its nonce"
        for rival in self._journal.transactions_of_nonce(transaction.nonce):
            receipt = self._sender.receipt(rival.hash)
            if receipt is None:
                continue
            if rival.state in (TransactionState.MINED, TransactionState.FAILED):
                released += self._drop(transaction, lost)
            else:
                released += self._record_receipt(rival, receipt)
            return True
        confirmed = self._sender.chain.confirmed_head().number
        if self._sender.nonce(hex(confirmed)) > transaction.nonce:
            released += self._drop(transaction, lost)
            return True
        return False  # its receipt may be on its way from a node that lags behind

    def _follow_unused(
        self, transaction: SignedAnswer, head: Block, *, something_behind: bool
    ) -> list[RequestId]:
        """No block holds its nonce yet."""
        jobs = [job for job in self._journal.jobs_of(transaction.hash) if not job.state.is_end]
        carries_none = not self._journal.carried_by(transaction.hash)
        signed = SignedTransaction.from_raw(transaction.raw)
        if transaction.state is TransactionState.SIGNED or not self._is_in_pool(transaction, head):
            if jobs and self._is_refused(signed.call):
                jobs = []
            if not jobs and not carries_none:
                if something_behind:
                    return self._replace(transaction, None, head)
                return self._drop(transaction, "its requests need no answer any more")
            request_ids = [job.request_id for job in jobs]
            return self._broadcast([(transaction, signed, request_ids)], head)
        if not jobs and not carries_none:
            return self._replace(transaction, None, head)
        if (
            self._is_stuck(transaction, head)
            and (jobs or something_behind)
            and all(job.on_chain for job in jobs)
        ):
            return self._replace(transaction, signed.call, head)
        return []

    def _is_stuck(self, transaction: SignedAnswer, head: Block) -> bool:
        waited = head.timestamp - transaction.signed_at
        return transaction.max_fee < head.base_fee or waited >= self._policy.patience

    def _is_in_pool(self, transaction: SignedAnswer, head: Block) -> bool:
        """Asked once a block."""
        return head.hash == self._last_head or self._sender.is_known(transaction.hash)

    def _is_refused(self, call: Call) -> bool:
        """Whether it would do nothing but cost gas."""
        if call.to is None:
            return False
        try:
            returned = self._sender.chain.call(call.to, call.data, sender=self._sender.address)
        except ContractRefused:
            return True
        outcomes = self._escrow.outcomes(call, returned)
        return bool(outcomes) and Outcome.FULFILLED not in outcomes

    def _replace(
        self, transaction: SignedAnswer, call: Call | None, head: Block, *, bumps: int = 0
    ) -> list[RequestId]:
        """Sign another transaction for its nonce, which bids at least 12.5 % more: the same `call`
        again, or else one that only uses up the nonce."""
        jobs = [job for job in self._journal.jobs_of(transaction.hash) if not job.state.is_end]
        released = [] if call else [job.request_id for job in jobs]
        carried = jobs if call else []
        gas = transaction.gas
        if call is None:
            call, gas = self._filler()
        shipment = Shipment(tuple(carried), call, gas)
        try:
            fees = self._bid(self._journal.transactions_of_nonce(transaction.nonce), head)
            waiting = None
            if carried:
                waiting = self._unaffordable(shipment, fees, head)
        except FeeTooHigh as error:
            waiting = Waiting(f"its transaction cannot be replaced: {error.message}", 0)
        if waiting is not None:
            self._say(carried, waiting.reason)
            return []
        signed = self._sign(shipment, transaction.nonce, fees, head)
        _log.warning("the transaction %d is replaced by one that bids more", transaction.nonce)
        (answer,) = self._store([(shipment, signed)], head, replaces=transaction.hash)
        return released + self._broadcast([(answer, signed, shipment.request_ids)], head, bumps)

    def _filler(self) -> tuple[Call, int]:
        """A transfer of nothing to itself, which uses up a nonce even if it fails; and its gas."""
        call = Call(self._sender.address, b"")
        try:
            return call, self._sender.estimate(call)
        except (ContractRefused, InsufficientFunds):
            return call, _FILLER_GAS

    def _fill_gap(self, nonces: set[int], mined: int, head: Block) -> None:
        """Use up the lowest nonce below ours that nobody has a transaction for any more."""
        if not _gaps(nonces, mined):
            return
        gap = self._sender.next_nonce()
        if gap in nonces or not mined <= gap < max(nonces):
            return
        try:
            filler = Shipment((), *self._filler())
            fees = self._bid(self._journal.transactions_of_nonce(gap), head)
            signed = self._sign(filler, gap, fees, head)
        except FeeTooHigh as error:
            _log.warning("the gap at the nonce %d cannot be filled: %s", gap, error.message)
            return
        _log.warning("the gap at the nonce %d is filled", gap)
        (answer,) = self._store([(filler, signed)], head)
        self._broadcast([(answer, signed, [])], head)

    def _record_receipt(self, transaction: SignedAnswer, receipt: Receipt) -> list[RequestId]:
        carried = self._journal.carried_by(transaction.hash)
        block = receipt.block_number, receipt.block_hash
        if not receipt.succeeded:
            signed = SignedTransaction.from_raw(transaction.raw)
            reason = self._sender.failure(signed, receipt).message
            self._journal.record_failed(transaction.hash, *block, reason)
            for request_id in carried:
                _log.warning("%s transaction failed: %s", request_id.hex()[:8], reason)
            return list(carried)
        skipped = self._passed_over(carried, receipt)
        self._journal.record_mined(transaction.hash, *block, skipped=skipped)
        for request_id in carried.difference(skipped):
            self._observe(Milestone.MINED, request_id)
        for request_id, reason in skipped.items():
            _log.warning("%s %s", request_id.hex()[:8], reason)
        return list(skipped)

    def _passed_over(self, carried: frozenset[RequestId], receipt: Receipt) -> dict[RequestId, str]:
        """The requests that a transaction carried and did not end, and why."""
        left = dict.fromkeys(carried, "its transaction succeeded without ending it")
        for log in receipt.logs:
            if log.address != self._escrow.address:
                continue
            match decode_event(self._escrow.name, log):
                case (
                    InferenceFulfilled(request_id=ended)
                    | InferenceHeld(request_id=ended)
                    | InferenceRefused(request_id=ended)
                ):
                    left.pop(ended, None)
                case AnswerSkipped(request_id=skipped, outcome=outcome) if skipped in left:
                    words = outcome.name.lower().replace("_", " ")
                    left[skipped] = f"it was passed over among others: {words}"
        return left

    def _drop(self, transaction: SignedAnswer, reason: str) -> list[RequestId]:
        jobs = self._journal.jobs_of(transaction.hash)
        self._journal.record_dropped(transaction.hash, reason)
        for job in jobs:
            _log.warning("%s transaction dropped: %s", job.request_id.hex()[:8], reason)
        return [job.request_id for job in jobs]

    def _say(self, jobs: Sequence[Job], reason: str) -> None:
        for job in jobs:
            if job.reason != reason:
                self._journal.record_reason(job.request_id, reason)
                self._observe(Milestone.WAITING, job.request_id)

    def _free_nonce(self, first: int, used: set[int]) -> int:
        """The lowest nonce from `first` that the journal has no pending transaction for."""
        while first in used:
            first += 1
        return first


def _gaps(nonces: set[int], first: int) -> set[int]:
    """The nonces from `first` that are missing below the highest."""
    return set(range(first, max(nonces))) - nonces


def _need(shipment: Shipment, fees: Fees) -> int:
    """What the account must have for a transaction, in wei."""
    return shipment.gas * fees.max_fee + shipment.call.value


def _stored(signed: SignedTransaction, head: Block) -> SignedAnswer:
    return SignedAnswer(
        hash=signed.hash,
        raw=signed.raw,
        nonce=signed.nonce,
        gas=signed.gas,
        max_fee=signed.fees.max_fee,
        tip=signed.fees.tip,
        signed_at=head.timestamp,
        price=signed.fees.price(head.base_fee),
    )
