"""Settlement: gets answers into blocks, with bytes that were on disk before the network saw them.

At most one transaction is between signing and the network's acceptance, so a nonce that was signed
for and never accepted can be used again. What became of a transaction is asked of the chain, never
inferred from an error.
"""

from __future__ import annotations

import logging

from modelward.chain.connection import Block
from modelward.chain.contracts import InferenceEscrow
from modelward.chain.events import InferenceFulfilled, InferenceRefused, decode_event
from modelward.chain.sender import Sender
from modelward.chain.transactions import Call, Receipt, SignedTransaction
from modelward.errors import (
    ContractRefused,
    FeeTooHigh,
    InsufficientFunds,
    RpcError,
    Underpriced,
    WrongNonce,
)
from modelward.journal import Job, Journal, Outlay, Refusal, SignedAnswer, State
from modelward.journal.states import PENDING, TransactionState
from modelward.terms import RequestId
from modelward.worker.admission import Admission, Waiting, answering, refused
from modelward.worker.milestones import Milestone, Observer

MAX_FAILURES = 3
"""Transactions that may be mined and reverted for one request before it is given up."""

_log = logging.getLogger(__name__)


class Settlement:
    """Sends the answers of one worker account."""

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
        self._observe = observe

    def follow(self) -> list[RequestId]:
        """Find out what became of the transactions in flight, and send again what got lost.

        Returns the requests whose transaction failed or was dropped, and which need another one.

        Raises `RpcUnavailable` or `RpcError`.
        """
        self._follow_mined()
        released: list[RequestId] = []
        pending = self._journal.transactions(*PENDING)
        if not pending:
            return released
        mined = self._sender.nonce("latest")  # before the receipts: a mined one then has one
        highest = pending[-1].nonce
        for transaction in pending:
            receipt = self._sender.receipt(transaction.hash)
            if receipt is not None:
                released += self._record_receipt(transaction, receipt)
            elif transaction.nonce < mined:
                released += self._drop(transaction, "another transaction used its nonce")
            else:
                released += self._resend(transaction, fills_a_gap=transaction.nonce < highest)
        return released

    def submit(self, job: Job) -> Waiting | None:
        """Sign, store and send the answer of a computed job; or say why that has to wait.

        Raises `RpcUnavailable` or `RpcError`; the transaction may have been sent then.
        """
        if self._journal.transactions(TransactionState.SIGNED):
            return Waiting("an earlier transaction has not been accepted yet", 0)
        if job.failures >= MAX_FAILURES:
            return Waiting(f"{job.failures} transactions failed: {job.reason}", 3600)
        if job.answer is None:
            raise ValueError("the job has no answer")
        with self._sender.turn():
            try:
                head = self._sender.chain.head()
                call = answering(self._escrow, job, job.answer)
                gas, fees = self._sender.estimate(call), self._admission.fees(head)
                price = fees.price(head.base_fee)
                waiting = self._too_dear(job, gas * price, head)
                if waiting is not None:
                    return waiting
                signed = self._sender.prepare(
                    call, gas=gas, nonce=self._free_nonce(), fees=fees, simulated=True
                )
            except ContractRefused as error:
                return refused(error)
            except (FeeTooHigh, InsufficientFunds) as error:
                return Waiting(error.message, 15)
            self._observe(Milestone.PREPARED, job.request_id)
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
            self._journal.record_signed(answer, [job.request_id])
            self._admission.limits(head).note(
                Outlay(
                    job.request_id,
                    job.request.requester,
                    head.timestamp,
                    gas * price,
                    refuses=isinstance(job.answer, Refusal),
                )
            )
            self._observe(Milestone.SIGNED, job.request_id)
            dropped = self._broadcast(answer, signed, [job.request_id])
        return Waiting("its transaction was not accepted", 1) if dropped else None

    def _broadcast(
        self, answer: SignedAnswer, signed: SignedTransaction, request_ids: list[RequestId]
    ) -> list[RequestId]:
        try:
            self._sender.broadcast(signed)
        except WrongNonce as error:
            _log.warning("%s", error.message)  # what holds the nonce is found out by following it
            return []
        except InsufficientFunds as error:
            _log.error("%s", error.message)
            return []
        except (Underpriced, RpcError) as error:
            return [] if self._sender.is_known(answer.hash) else self._drop(answer, error.message)
        for request_id in request_ids:
            self._observe(Milestone.BROADCAST, request_id)
        if answer.state is TransactionState.SIGNED:
            self._journal.record_sent(answer.hash)
            for request_id in request_ids:
                self._observe(Milestone.SENT, request_id)
        return []

    def _resend(self, transaction: SignedAnswer, *, fills_a_gap: bool) -> list[RequestId]:
        if transaction.state is TransactionState.SENT and self._sender.is_known(transaction.hash):
            return []
        signed = SignedTransaction.from_raw(transaction.raw)
        if not fills_a_gap:
            try:
                self._dry_run(signed.call)
            except ContractRefused as refused:
                return self._drop(transaction, refused.message)
        jobs = self._journal.jobs_of(transaction.hash)
        with self._sender.turn():
            return self._broadcast(transaction, signed, [job.request_id for job in jobs])

    def _record_receipt(self, transaction: SignedAnswer, receipt: Receipt) -> list[RequestId]:
        jobs = self._journal.jobs_of(transaction.hash)
        if receipt.succeeded and {job.request_id for job in jobs} <= self._ended_in(receipt):
            self._journal.record_mined(transaction.hash, receipt.block_number, receipt.block_hash)
            for job in jobs:
                self._observe(Milestone.MINED, job.request_id)
            return []
        signed = SignedTransaction.from_raw(transaction.raw)
        reason = (
            "its transaction succeeded without ending it"
            if receipt.succeeded
            else self._sender.failure(signed, receipt).message
        )
        self._journal.record_failed(
            transaction.hash, receipt.block_number, receipt.block_hash, reason
        )
        for job in jobs:
            _log.warning("%s transaction failed: %s", job.request_id.hex()[:8], reason)
        return [job.request_id for job in jobs]

    def _follow_mined(self) -> None:
        """Notice when a reorganisation takes a transaction out of a block not confirmed yet."""
        for request_id in self._journal.job_ids(State.MINED):
            job = self._journal.job(request_id)
            transaction = (
                job and job.transaction_hash and self._journal.transaction(job.transaction_hash)
            )
            if not transaction:
                continue
            receipt = self._sender.receipt(transaction.hash)
            if receipt is None or receipt.block_hash != transaction.block_hash:
                self._journal.record_unmined(transaction.hash)

    def _ended_in(self, receipt: Receipt) -> set[RequestId]:
        ended = set()
        for log in receipt.logs:
            if log.address != self._escrow.address:
                continue
            event = decode_event(self._escrow.name, log)
            if isinstance(event, InferenceFulfilled | InferenceRefused):
                ended.add(event.request_id)
        return ended

    def _drop(self, transaction: SignedAnswer, reason: str) -> list[RequestId]:
        jobs = self._journal.jobs_of(transaction.hash)
        self._journal.record_dropped(transaction.hash, reason)
        for job in jobs:
            _log.warning("%s transaction dropped: %s", job.request_id.hex()[:8], reason)
        return [job.request_id for job in jobs]

    def _free_nonce(self) -> int:
        """The lowest nonce that neither the node nor the journal has a transaction for."""
        used = {transaction.nonce for transaction in self._journal.transactions(*PENDING)}
        nonce = self._sender.next_nonce()
        while nonce in used:
            nonce += 1
        return nonce

    def _too_dear(self, job: Job, cost: int, head: Block) -> Waiting | None:
        if isinstance(job.answer, Refusal):
            return self._admission.withheld(job, cost, head)
        return self._admission.unprofitable([job], cost)

    def _dry_run(self, call: Call) -> None:
        if call.to is not None:
            self._sender.chain.call(call.to, call.data, sender=self._sender.address)
