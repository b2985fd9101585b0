"""Which contract takes an answer, and in which call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelward import terms
from modelward.chain.contracts import ExactReferee, InferenceEscrow
from modelward.chain.transactions import Call
from modelward.journal import Answer, Fulfilment, Job, Refusal
from modelward.terms import ZERO_ADDRESS, ZERO_HASH, Address, Offer


@dataclass(frozen=True, slots=True)
class Takers:
    """The contracts that take answers of a worker: the escrow, or the referee where an offer names
    it."""

    worker: Address
    escrow: InferenceEscrow
    referee: ExactReferee | None

    def knows(self, offer: Offer) -> bool:
        """Whether one of them takes answers to requests under this offer."""
        known = {ZERO_ADDRESS} | ({self.referee.address} if self.referee else set())
        return offer.verifier in known

    def answering(self, job: Job, answer: Answer | None = None) -> Call:
        """The call that answers one request, with `answer` or else with the one computed; or that
        has the answer paid which the referee held until nobody could challenge it any more."""
        if job.settle_after is not None and answer is None:
            return self._settling(job)
        answer = answer or job.answer
        if answer is None:
            raise ValueError("the job has no answer")
        referee = self.referee if job.offer.verifier != ZERO_ADDRESS else None
        offer, request = job.offer, job.request
        if isinstance(answer, Refusal):
            return (referee or self.escrow).refuse(offer, request, answer.reason)
        if request.callback_gas:
            if answer.result_salt is None:
                raise ValueError("a callback needs the salt of its result")
            with_callback = (
                referee.answer_with_callback if referee else self.escrow.fulfil_with_callback
            )
            return with_callback(offer, request, answer.result_salt, answer.output[1:])
        plainly = referee.answer if referee else self.escrow.fulfil
        return plainly(offer, request, answer.commitment, answer.output)

    def _settling(self, job: Job) -> Call:
        if self.referee is None:
            raise ValueError("nothing of the job is held")
        return self.referee.settle(job.offer, job.request, self.posted(job))

    def posted(self, job: Job) -> terms.ExactAnswer:
        """The answer of this worker's that the referee holds."""
        if job.settle_after is None or not isinstance(job.answer, Fulfilment):
            raise ValueError("nothing of the job is held")
        return terms.ExactAnswer(
            worker=self.worker,
            settle_after=job.settle_after,
            bond=job.bond,
            commitment=job.answer.commitment,
            result_salt=job.answer.result_salt or ZERO_HASH,
            output=job.answer.output,
        )

    def answering_many(self, jobs: Sequence[Job], answer: Fulfilment | None = None) -> Call:
        """The call that answers several requests under one offer, as `answering` does each."""
        answers = [
            terms.Answer(job.request, given.commitment, given.output)
            for job in jobs
            if isinstance(given := answer or job.answer, Fulfilment)
        ]
        return self.escrow.fulfil_many(jobs[0].offer, answers)
