"""Rehearsal: dry runs of answers, many in one call where the escrow judges each by itself.

`fulfilMany` passes over what `fulfil` would revert for, and says which; so one call of it tells for
up to `AT_ONCE` answers under one offer which of them would be taken. What one of them takes of gas,
the others take too, but for their bytes: nothing else of a request changes what is stored for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from modelward.chain.connection import Block
from modelward.chain.encoding import BlockId
from modelward.chain.sender import Sender
from modelward.chain.transactions import Call
from modelward.errors import (
    ContractRefused,
    FeeTooHigh,
    InsufficientFunds,
    ModelwardError,
    RpcError,
    RpcUnavailable,
)
from modelward.journal import Fulfilment, Job, Journal
from modelward.terms import ZERO_ADDRESS, Offer, Outcome, RequestId
from modelward.worker.taking import Takers

AT_ONCE = 128
"""Answers in one dry run."""

_GAS_PER_TOKEN = 10
"""What EIP-7623 asks at most for a token of calldata: a zero byte is one, any other byte four."""

Rehearsed = dict[RequestId, int | ModelwardError]
"""The gas to give the answer to each request, or why it would not be taken."""


def judged_among_others(job: Job, answer: Fulfilment | None = None) -> bool:
    """Whether one call may answer the request together with others."""
    plain = job.offer.verifier == ZERO_ADDRESS and not job.request.callback_gas
    return plain and isinstance(answer or job.answer, Fulfilment)


class Rehearsal:
    """Tries answers of one worker account."""

    def __init__(self, sender: Sender, takers: Takers, journal: Journal) -> None:
        self._sender = sender
        self._journal = journal
        self.takers = takers
        self._seen_at: bytes | None = None
        self._gas: dict[tuple[Offer, int], tuple[int, int]] = {}

    def try_out(
        self, jobs: Sequence[Job], head: Block, answer: Fulfilment | None = None
    ) -> Rehearsed:
        """Try the answers of these jobs, or `answer` as that of each, in the state after `head`.

        Raises `RpcUnavailable`.
        """
        if head.hash != self._seen_at:
            self._seen_at = head.hash
            self._gas.clear()
        groups: defaultdict[Offer, list[Job]] = defaultdict(list)
        tried: Rehearsed = {}
        for job in jobs:
            if judged_among_others(job, answer):
                groups[job.offer].append(job)
            else:
                tried[job.request_id] = self._alone(job, answer)
        for group in groups.values():
            for first in range(0, len(group), AT_ONCE):
                tried |= self._together(group[first : first + AT_ONCE], answer)
        return tried

    def _together(self, jobs: Sequence[Job], answer: Fulfilment | None) -> Rehearsed:
        taken: set[RequestId] = set()
        if len(jobs) > 1:
            try:
                outcomes = self.outcomes(jobs, answer)
            except ContractRefused as error:
                return dict.fromkeys((job.request_id for job in jobs), error)
            except RpcError:
                outcomes = ()  # a node that finds it too large may take them one by one
            taken = {
                job.request_id
                for job, outcome in zip(jobs, outcomes, strict=False)
                if outcome is Outcome.FULFILLED
            }
        return {
            job.request_id: (
                self._by_another(job, answer)
                if job.request_id in taken
                else self._alone(job, answer)
            )
            for job in jobs
        }

    def outcomes(
        self, jobs: Sequence[Job], answer: Fulfilment | None = None
    ) -> tuple[Outcome, ...]:
        """What `fulfilMany` would make of each of these answers under one offer.

        Raises `ContractRefused`, `RpcError` or `RpcUnavailable`.
        """
        call = self.takers.answering_many(jobs, answer)
        try:
            returned = self._dry_run(call)
        except ContractRefused as error:
            raise self._refusal(call, error) from error
        outcomes = self.takers.escrow.outcomes(call, returned)
        if len(outcomes) != len(jobs):
            raise RpcUnavailable("The RPC endpoint gave the outcomes of other answers.")
        return outcomes

    def _by_another(self, job: Job, answer: Fulfilment | None) -> int | ModelwardError:
        """The gas for an answer that would be taken, by what one of its length takes."""
        given = answer or job.answer
        if not isinstance(given, Fulfilment):
            raise TypeError("only fulfilments are taken together")
        key = job.offer, len(given.output)
        if key not in self._gas:
            return self._alone(job, answer)
        gas, tokens = self._gas[key]
        return gas + max(0, _tokens(job, given) - tokens) * _GAS_PER_TOKEN

    def _alone(self, job: Job, answer: Fulfilment | None) -> int | ModelwardError:
        call = self.takers.answering(job, answer)
        try:
            gas = self._sender.estimate(call)  # with all that a callback may use
        except ContractRefused as error:
            return self._refusal(call, error)
        except (FeeTooHigh, InsufficientFunds, RpcError) as error:
            return error
        given = answer or job.answer
        if judged_among_others(job, answer) and isinstance(given, Fulfilment):
            self._gas[job.offer, len(given.output)] = gas, _tokens(job, given)
        return gas

    def _dry_run(self, call: Call, block: BlockId = "latest") -> bytes:
        chain, sender = self._sender.chain, self._sender.address
        return chain.call(call.to or "", call.data, sender=sender, block=block)

    def _refusal(self, call: Call, error: ContractRefused) -> ModelwardError:
        """Why a call is refused for want of a grant: a node that lags behind may not know of the
        grant, so the newest block that was read has the last word. A later grant is in an event.

        Raises `RpcUnavailable`.
        """
        cursor = self._journal.cursor()
        if error.error != "AccessDenied" or cursor is None:
            return error
        try:
            self._dry_run(call, cursor.number)
        except (ContractRefused, RpcError) as by_what_was_read:
            return by_what_was_read
        return RpcError("The RPC endpoint did not know of a grant that it has shown before.")


def _tokens(job: Job, answer: Fulfilment) -> int:
    """What an answer weighs as calldata, but for what is the same for all under its offer."""
    request = job.request
    words = (request.requester, request.payer, request.worker)
    data = b"".join(
        (
            *(bytes.fromhex(address[2:]) for address in words),
            request.input_hash,
            request.reply_key,
            request.deadline.to_bytes(5, "big"),
            bytes([request.flags]),
            answer.commitment,
            answer.output,
        )
    )
    return 4 * len(data) - 3 * data.count(0)
