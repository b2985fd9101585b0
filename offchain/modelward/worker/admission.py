"""Admission: whether to answer a request now, before anything is computed for it.

The escrow itself is asked, by a dry run of the answer: is the request open, in time, and may this
worker answer it? What it would cost is then held against what it pays. A refusal costs gas like an
answer and pays nothing, so it has a budget of its own; what is beyond it is left to expire.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from modelward.chain.connection import Block
from modelward.chain.contracts import DataShare
from modelward.chain.fees import Fees, choose_fees
from modelward.chain.sender import Sender
from modelward.config import Policy
from modelward.errors import (
    CodeMismatch,
    ContractRefused,
    FeeTooHigh,
    InsufficientFunds,
    ModelwardError,
    NotDeployed,
    RpcError,
)
from modelward.journal import Fulfilment, Job, Journal, Outlay, Refusal
from modelward.terms import Address, ModelId, Offer, RefusalReason, RequestId, format_amount
from modelward.worker.limits import Limits
from modelward.worker.rehearsal import Rehearsal, Rehearsed, judged_among_others

_SOON, _LATER, _MUCH_LATER = 15, 60, 3_600

LOOK_AGAIN = {
    "AccessDenied": _MUCH_LATER,  # a grant, when it comes, is in an event
    "DeadlinePassed": _MUCH_LATER,
    "NotNamedWorker": _MUCH_LATER,
    "NotVerifier": _MUCH_LATER,
    "CallbackMismatch": _MUCH_LATER,
    "OutputTooLong": _MUCH_LATER,
    "OutputNotInline": _MUCH_LATER,
}
"""In how many seconds to look again at what a contract refuses, by its custom error; the end of a
request, too, is in an event, but a reorganisation may take it back."""

_PLACEHOLDER = Fulfilment(b"\0" + b"\xff" * 256, b"\xff" * 32, b"\xff" * 32)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not now: why, and in how many seconds to look again; `alone` keeps it apart from others when
    it is sent, `company` would help it: together with others it may pay."""

    reason: str
    seconds: float
    alone: bool = False
    company: bool = False


def refused(error: ContractRefused) -> Waiting:
    """What a dry run that a contract refuses comes to."""
    return Waiting(error.message, LOOK_AGAIN.get(error.error, _SOON))


Verdict = Waiting | Refusal | None
"""None when a request should be answered now, otherwise why not, or with which refusal."""


class Admission:
    """Judges requests for one worker account, by its `policy`."""

    def __init__(
        self,
        sender: Sender,
        rehearsal: Rehearsal,
        data_share: DataShare,
        policy: Policy,
        journal: Journal,
    ) -> None:
        self._sender = sender
        self.rehearsal = rehearsal
        self._data_share = data_share
        self.policy = policy
        self._journal = journal
        self._limits: Limits | None = None
        self._seen_at: bytes | None = None
        self._fees: Fees | None = None
        self._expiries: dict[tuple[Address, ModelId], int] = {}

    def judge(self, jobs: Sequence[Job], head: Block) -> dict[RequestId, Verdict]:
        """What to do about each of these requests.

        Raises `RpcUnavailable`.
        """
        verdicts: dict[RequestId, Verdict] = {
            job.request_id: self._declined(job, head) for job in jobs
        }
        left = [job for job in jobs if verdicts[job.request_id] is None]
        tried = self.rehearsal.try_out(left, head, _PLACEHOLDER)
        tried |= self._in_company(left, tried, head)
        for job in left:
            verdicts[job.request_id] = self._weigh(job, tried[job.request_id], head)
        return verdicts

    def _in_company(self, jobs: Sequence[Job], tried: Rehearsed, head: Block) -> Rehearsed:
        """The gas for answers that would not pay alone, each its part of what a batch takes."""
        if self.policy.batch < 2:
            return {}
        groups: defaultdict[Offer, list[Job]] = defaultdict(list)
        for job in jobs:
            gas = tried[job.request_id]
            if not isinstance(gas, int) or not judged_among_others(job, _PLACEHOLDER):
                continue
            if self.unprofitable([job], gas * self._price(head)) is not None:
                groups[job.offer].append(job)
        parts: Rehearsed = {}
        for group in groups.values():
            some = group[: self.policy.batch]
            if len(some) > 1:
                with suppress(ContractRefused, InsufficientFunds, RpcError):
                    call = self.rehearsal.takers.answering_many(some, _PLACEHOLDER)
                    part = self._sender.estimate(call) // len(some)
                    parts |= {job.request_id: part for job in some}
        return parts

    def _price(self, head: Block) -> int:
        try:
            return self.fees(head).price(head.base_fee)
        except FeeTooHigh:
            return head.base_fee

    def _declined(self, job: Job, head: Block) -> Verdict:
        declined = self._terms_declined(job) or self._too_late(job, head)
        if declined is not None:
            return declined
        size, most = len(job.placement.input), self.policy.max_input_bytes
        if size > most:
            return Refusal(
                RefusalReason.INPUT_TOO_LONG, f"The input has {size} bytes, {most} are taken."
            )
        try:
            return self._serving_ends_early(job, head)
        except ContractRefused as error:
            return refused(error)
        except (NotDeployed, CodeMismatch, RpcError) as error:  # or a node that knows no better
            return Waiting(error.message, _SOON)

    def _weigh(self, job: Job, gas: int | ModelwardError, head: Block) -> Verdict:
        """Whether an answer that takes so much gas is worth it, and within the limits."""
        try:
            if not isinstance(gas, int):
                raise gas
            price = self.fees(head).price(head.base_fee)
        except ContractRefused as error:
            return refused(error)
        except (FeeTooHigh, InsufficientFunds, RpcError) as error:
            return Waiting(error.message, _SOON)
        cost = gas * price
        limits = self.limits(head)
        too_many = limits.refusal_to_admit(job, cost, head.timestamp)
        if too_many:
            return Waiting(too_many, _LATER)
        waiting = self.unprofitable([job], cost)
        if waiting is None:
            limits.note(
                Outlay(job.request_id, job.request.requester, head.timestamp, cost, refuses=False)
            )
        return waiting

    def unprofitable(self, jobs: list[Job], cost: int) -> Waiting | None:
        """Why answering costs too much for what it pays, if `cost` wei of gas answer all `jobs`."""
        policy = self.policy
        pay = sum(policy.pay(job.offer) or 0 for job in jobs)
        computing = policy.compute_cost * sum(job.settle_after is None for job in jobs)
        if cost + computing <= pay or policy.allow_loss:
            return None
        beside = f" and {format_amount(computing)} of computing" if computing else ""
        return Waiting(
            f"answering costs about {format_amount(cost)} of gas{beside} "
            f"and pays {format_amount(pay)}",
            _LATER,
            company=policy.batch > 1 and all(job.settle_after is None for job in jobs),
        )

    def withheld(self, job: Job, cost: int, head: Block) -> Waiting | None:
        """Why a refusal that costs `cost` wei of gas is not sent, if the request is better left to
        expire."""
        waiting = self.unprofitable([job], cost)
        if waiting is not None:
            return Waiting(f"left to expire rather than refused: {waiting.reason}", _LATER)
        beyond = self.limits(head).refusal_to_refuse(job, cost, head.timestamp)
        if beyond:
            return Waiting(f"left to expire rather than refused: {beyond}", _MUCH_LATER)
        return None

    def fees(self, head: Block) -> Fees:
        """The bid for a transaction sent now, chosen once a block. Raises `FeeTooHigh`."""
        self._look_at(head)
        if self._fees is None:
            self._fees = choose_fees(self._sender.chain, head)
        return self._fees

    def limits(self, head: Block) -> Limits:
        """What went into each requester's requests so far."""
        if self._limits is None:
            since = head.timestamp - self.policy.period
            self._limits = Limits(self.policy, self._journal.outlays(since))
        return self._limits

    def _terms_declined(self, job: Job) -> Waiting | Refusal | None:
        policy, offer = self.policy, job.offer
        if not self.rehearsal.takers.knows(offer):
            return Waiting(f"its answers go through the verifier {offer.verifier}", _MUCH_LATER)
        pay = policy.pay(offer)
        if pay is None:
            reason = f"it pays in the token {offer.token}, which has no price here"
            if policy.refuse_unpriced:
                return Refusal(RefusalReason.MODE_UNSUPPORTED, reason)
            return Waiting(reason, _MUCH_LATER)
        if pay < policy.min_pay:
            return Waiting(
                f"it pays {format_amount(pay)}, less than {format_amount(policy.min_pay)}",
                _MUCH_LATER,
            )
        return None

    def _too_late(self, job: Job, head: Block) -> Waiting | None:
        if job.request.deadline - head.timestamp < self.policy.margin:
            return Waiting("its deadline is too near", _MUCH_LATER)
        return None

    def _serving_ends_early(self, job: Job, head: Block) -> Waiting | None:
        """Whether this worker's own grant could end before it has answered."""
        self._look_at(head)
        owner, model = job.offer.owner, job.offer.model_id
        if (owner, model) not in self._expiries:
            grant = self._data_share.grant_of(owner, self._sender.address, model)
            self._expiries[owner, model] = grant.expiry
        if 0 < self._expiries[owner, model] < job.request.deadline:
            return Waiting(
                "this worker's grant to serve the model has expired or will before the deadline",
                _MUCH_LATER,
            )
        return None

    def _look_at(self, head: Block) -> None:
        if head.hash != self._seen_at:
            self._seen_at, self._fees = head.hash, None
            self._expiries.clear()
