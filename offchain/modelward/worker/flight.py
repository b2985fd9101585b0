"""Transactions in flight: from signed bytes on disk to a block that holds them.

What became of a transaction is asked of the chain, never inferred from an error. Every transaction
ever signed for a nonce is remembered, and whichever of them is mined counts. At most one is between
signing and the network's acceptance, so a nonce that was signed for and never accepted can be used
again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

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
    RpcError,
    Superseded,
    Underpriced,
    WrongNonce,
)
from modelward.journal import Job, Journal, Outlay, Refusal, SignedAnswer, State
from modelward.journal.states import PENDING, TransactionState
from modelward.terms import Outcome, RequestId
from modelward.worker.admission import Admission, Waiting
from modelward.worker.milestones import Milestone, Observer

MAX_BUMPS = 3
"""How often, in one go, a bid that a node finds too low is raised."""

_FILLER_GAS = 60_000
"""Gas for a transfer to itself whose need the node does not tell: an account may have code."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shipment:
    """A transaction to be: the answers to `jobs` in one `call`, with the `gas` to give it."""

    jobs: tuple[Job, ...]
    call: Call
    gas: int

    @property
    def request_ids(self) -> list[RequestId]:
        """The requests it answers."""
        return [job.request_id for job in self.jobs]


@dataclass(slots=True)
class Runway:
    """What the account has for its next transactions: the nonce, the funds in wei, and how many
    may be in flight beside those that are."""

    head: Block
    nonce: int
    funds: int
    room: int


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

    # --- sending ---------------------------------------------------------------------------------

    def room(self) -> int:
        """How many more transactions may be in flight; none while one has not been accepted."""
        pending = self._journal.transactions(*PENDING)
        if any(each.state is TransactionState.SIGNED for each in pending):
            return 0
        return max(0, self._policy.window - len(pending))

    def runway(self, head: Block) -> Runway:
        """What there is for the next transactions.

        Raises `RpcUnavailable` or `RpcError`.
        """
        room = self.room()
        if not room:
            return Runway(head, 0, 0, 0)
        pending = self._journal.transactions(*PENDING)
        reserved = sum(each.gas * each.max_fee for each in pending)
        return Runway(
            head,
            self._free_nonce(self._sender.next_nonce(), {each.nonce for each in pending}),
            self._sender.chain.balance(self._sender.address) - reserved,
            room,
        )

    def send(self, shipment: Shipment, runway: Runway) -> Waiting | None:
        """Sign, store and send; or say why that has to wait.

        Raises `RpcUnavailable`; the transaction may have been sent then.
        """
        head = runway.head
        try:
            fees = self._bid(runway.nonce, head)
        except FeeTooHigh as error:
            return Waiting(error.message, 15)
        waiting = self._unaffordable(shipment, fees, head)
        if waiting is not None:
            return waiting
        need = shipment.gas * fees.max_fee + shipment.call.value
        try:
            self._sender.check_funds(need, have=runway.funds)
        except InsufficientFunds as error:
            return Waiting(error.message, 15)
        signed = self._sign(shipment.call, shipment.gas, runway.nonce, fees)
        for request_id in shipment.request_ids:
            self._observe(Milestone.PREPARED, request_id)
        try:
            answer = self._store(signed, shipment.jobs, head)
        except Superseded as error:
            return Waiting(error.message, 1, alone=True)
        runway.room -= 1
        runway.funds -= need
        released = self._broadcast(answer, signed, shipment.request_ids, head)
        kept = self._journal.transaction(answer.hash)
        if kept is None or kept.state is not TransactionState.SENT:
            runway.room = 0
        runway.nonce = self._free_nonce(
            runway.nonce + 1, {each.nonce for each in self._journal.transactions(*PENDING)}
        )
        if released:
            return Waiting("its transaction was not accepted", 1, alone=True)
        return None

    def _unaffordable(self, shipment: Shipment, fees: Fees, head: Block) -> Waiting | None:
        cost = shipment.gas * fees.price(head.base_fee)
        jobs = list(shipment.jobs)
        if jobs and isinstance(jobs[0].answer, Refusal):
            return self._admission.withheld(jobs[0], cost, head)
        return self._admission.unprofitable(jobs, cost)

    def _bid(self, nonce: int, head: Block) -> Fees:
        """What to bid for a nonce: enough to replace all that was ever signed for it.

        Raises `FeeTooHigh` when the cap leaves no room for that, unless the network has forgotten
        what was signed.
        """
        fees, cap = self._admission.fees(head), self._sender.chain.network.max_fee_per_gas
        for rival in self._journal.transactions_of_nonce(nonce):
            try:
                least = Fees(rival.max_fee, rival.tip).bumped(cap=cap)
            except FeeTooHigh:
                if rival.state in PENDING or self._sender.is_known(rival.hash):
                    raise
                continue
            fees = Fees(max(fees.max_fee, least.max_fee), max(fees.tip, least.tip))
        return fees

    def _sign(self, call: Call, gas: int, nonce: int, fees: Fees) -> SignedTransaction:
        return self._sender.sign(call, gas=gas, nonce=nonce, fees=fees)

    def _store(
        self,
        signed: SignedTransaction,
        jobs: Sequence[Job],
        head: Block,
        replaces: bytes | None = None,
    ) -> SignedAnswer:
        price = signed.fees.price(head.base_fee)
        answer = SignedAnswer(
            hash=signed.hash,
            raw=signed.raw,
            nonce=signed.nonce,
            gas=signed.gas,
            max_fee=signed.fees.max_fee,
            tip=signed.fees.tip,
            signed_at=head.timestamp,
            price=price,
        )
        self._journal.record_signed(answer, [job.request_id for job in jobs], replaces=replaces)
        for job in jobs:
            self._admission.limits(head).note(
                Outlay(
                    request_id=job.request_id,
                    requester=job.request.requester,
                    at=head.timestamp,
                    wei=signed.gas * price // len(jobs),
                    refuses=isinstance(job.answer, Refusal),
                )
            )
            self._observe(Milestone.SIGNED, job.request_id)
        return answer

    def _broadcast(
        self,
        answer: SignedAnswer,
        signed: SignedTransaction,
        request_ids: Sequence[RequestId],
        head: Block,
        bumps: int = 0,
    ) -> list[RequestId]:
        """Give it to the network; returns the requests that need another transaction."""
        try:
            self._sender.broadcast(signed)
        except WrongNonce as error:
            _log.warning("%s", error.message)  # what holds the nonce is found out by following it
            return []
        except InsufficientFunds as error:
            _log.error("%s", error.message)
            return []
        except Underpriced as error:
            if not self._sender.is_known(answer.hash):
                if (error.replaces and not self._holds(answer.nonce)) or bumps == MAX_BUMPS:
                    return self._drop(answer, error.message)
                return self._replace(answer, signed.call, head, bumps=bumps + 1)
        except RpcError as error:
            if not self._sender.is_known(answer.hash):
                return self._drop(answer, error.message)
        for request_id in request_ids:
            self._observe(Milestone.BROADCAST, request_id)
        if answer.state is TransactionState.SIGNED:
            self._journal.record_sent(answer.hash)
            for request_id in request_ids:
                self._observe(Milestone.SENT, request_id)
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
        pending = self._journal.transactions(*PENDING)
        if not pending:
            return []
        released: list[RequestId] = []
        head = self._sender.chain.head()
        mined = self._sender.nonce("latest")  # before the receipts: a mined one then has one
        waiting = [each for each in pending if each.nonce >= mined]
        for transaction in pending[: len(pending) - len(waiting)]:
            released += self._follow_used(transaction)
        with self._sender.turn():
            for transaction in waiting:
                behind = transaction.nonce < waiting[-1].nonce
                released += self._follow_unused(transaction, head, something_behind=behind)
            if waiting:
                self._fill_gap({each.nonce for each in waiting}, mined, head)
        self._last_head = head.hash
        return released

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

    def _follow_used(self, transaction: SignedAnswer) -> list[RequestId]:
        """A block holds its nonce: with it, with another of ours, or with somebody else's."""
        rivals = self._journal.transactions_of_nonce(transaction.nonce)
        for rival in [transaction, *(each for each in rivals if each.hash != transaction.hash)]:
            receipt = self._sender.receipt(rival.hash)
            if receipt is not None:
                if rival.state in (TransactionState.MINED, TransactionState.FAILED):
                    return self._drop(transaction, "another transaction used its nonce")
                return self._record_receipt(rival, receipt)
        confirmed = self._sender.chain.confirmed_head().number
        if self._sender.nonce(hex(confirmed)) > transaction.nonce:
            return self._drop(transaction, "another transaction used its nonce")
        return []  # its receipt may be on its way from a node that lags behind

    def _follow_unused(
        self, transaction: SignedAnswer, head: Block, *, something_behind: bool
    ) -> list[RequestId]:
        """No block holds its nonce yet."""
        jobs = [job for job in self._journal.jobs_of(transaction.hash) if not job.state.is_end]
        filler = not self._journal.carried_by(transaction.hash)
        signed = SignedTransaction.from_raw(transaction.raw)
        if transaction.state is TransactionState.SIGNED or not self._is_in_pool(transaction, head):
            if jobs and self._is_refused(signed.call):
                jobs = []
            if not jobs and not filler:
                if something_behind:
                    return self._replace(transaction, None, head)
                return self._drop(transaction, "its requests need no answer any more")
            request_ids = [job.request_id for job in jobs]
            return self._broadcast(transaction, signed, request_ids, head)
        if not jobs and not filler:
            return self._replace(transaction, None, head)
        stuck = (
            transaction.max_fee < head.base_fee
            or head.timestamp - transaction.signed_at >= self._policy.patience
        )
        if stuck and (jobs or something_behind) and all(job.on_chain for job in jobs):
            return self._replace(transaction, signed.call, head)
        return []

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
        try:
            fees = self._bid(transaction.nonce, head)
            waiting = None
            if carried:
                waiting = self._unaffordable(Shipment(tuple(carried), call, gas), fees, head)
        except FeeTooHigh as error:
            waiting = Waiting(f"its transaction cannot be replaced: {error.message}", 0)
        if waiting is not None:
            self._say(carried, waiting.reason)
            return []
        signed = self._sign(call, gas, transaction.nonce, fees)
        _log.warning("the transaction %d is replaced by one that bids more", transaction.nonce)
        answer = self._store(signed, carried, head, replaces=transaction.hash)
        ids = [job.request_id for job in carried]
        return released + self._broadcast(answer, signed, ids, head, bumps)

    def _filler(self) -> tuple[Call, int]:
        """A transfer of nothing to itself, which uses up a nonce even if it fails; and its gas."""
        call = Call(self._sender.address, b"")
        try:
            return call, self._sender.estimate(call)
        except (ContractRefused, InsufficientFunds):
            return call, _FILLER_GAS

    def _fill_gap(self, nonces: set[int], mined: int, head: Block) -> None:
        """Use up the lowest nonce below ours that nobody has a transaction for any more."""
        if set(range(mined, max(nonces))) <= nonces:
            return
        gap = self._sender.next_nonce()
        if gap in nonces or not mined <= gap < max(nonces):
            return
        try:
            signed = self._sign(*self._filler(), gap, self._bid(gap, head))
        except FeeTooHigh as error:
            _log.warning("the gap at the nonce %d cannot be filled: %s", gap, error.message)
            return
        _log.warning("the gap at the nonce %d is filled", gap)
        self._broadcast(self._store(signed, [], head), signed, [], head)

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
