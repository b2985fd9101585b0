"""Settlement: what is sent for computed answers: one by one, or several under one offer at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from modelward.chain.connection import Block
from modelward.chain.sender import Sender
from modelward.errors import ContractRefused, RpcError
from modelward.journal import Job, Journal, Lease
from modelward.terms import Offer, Outcome, RequestId
from modelward.worker.admission import Admission, Waiting, refused
from modelward.worker.flight import Flight, Shipment
from modelward.worker.rehearsal import AT_ONCE, judged_among_others

MAX_FAILURES = 3
"""Transactions that may be mined and reverted for one request before it is given up."""


class Settlement:
    """Sends the answers of one worker account."""

    def __init__(
        self,
        sender: Sender,
        journal: Journal,
        admission: Admission,
        flight: Flight,
    ) -> None:
        self._sender = sender
        self._rehearsal = admission.rehearsal
        self._journal = journal
        self._policy = admission.policy
        self._flight = flight
        self._alone: set[RequestId] = set()

    @property
    def capacity(self) -> int:
        """How many answers can be sent now, at most."""
        return self._flight.room() * self._policy.batch

    def follow(self) -> list[RequestId]:
        """See `Flight.follow`; what needs another transaction is sent alone from now on.

        While another worker sends for this account, that is left to it.
        """
        if not self._journal.hold(Lease.SENDING):
            return []
        released = self._flight.follow()
        self._alone.update(released)
        return released

    def submit(self, jobs: Sequence[Job]) -> dict[RequestId, Waiting]:
        """Sign, store and send the answers of computed jobs as far as transactions may be in
        flight; returns those that have to wait, and why.

        Raises `RpcUnavailable` or `RpcError`; some transactions may have been sent then.
        """
        waiting: dict[RequestId, Waiting] = {}
        ready = []
        for job in jobs:
            if job.failures < MAX_FAILURES:
                ready.append(job)
            else:
                reason = f"{job.failures} transactions failed: {job.reason}"
                waiting[job.request_id] = Waiting(reason, 3600)
        if not ready or not self._journal.hold(Lease.SENDING):
            return waiting
        with self._sender.turn():
            head = self._sender.chain.head()
            runway = self._flight.runway(head)
            held = self._flight.send(self._shipments(ready, head, waiting), runway)
            self._alone.difference_update(runway.stored)
            waiting |= held
            self._alone.update(each for each, why in held.items() if why.alone)
        return waiting

    def _shipments(
        self, jobs: Sequence[Job], head: Block, waiting: dict[RequestId, Waiting]
    ) -> Iterator[Shipment]:
        """The transactions for some answers, made as they are asked for; answers that cannot be
        sent are put in `waiting`. The nearest deadline comes first."""
        groups: defaultdict[Offer, list[Job]] = defaultdict(list)
        for job in jobs:
            if self._may_share(job, head):
                groups[job.offer].append(job)
        singles: list[Job] = []
        shared: set[RequestId] = set()
        for job in jobs:
            if job.request_id in shared:
                continue
            group = [each for each in groups.get(job.offer, []) if each.request_id not in shared]
            if self._may_share(job, head) and len(group) > 1:
                yield from self._singles(singles, head, waiting)
                singles = []
                shared.update(each.request_id for each in group[: self._policy.batch])
                yield from self._batch(group[: self._policy.batch], head, waiting)
                continue
            singles.append(job)
            if len(singles) == AT_ONCE:
                yield from self._singles(singles, head, waiting)
                singles = []
        yield from self._singles(singles, head, waiting)

    def _may_share(self, job: Job, head: Block) -> bool:
        return (
            self._policy.batch > 1
            and judged_among_others(job)
            and not job.failures
            and job.request_id not in self._alone
            and job.request.deadline - head.timestamp >= self._policy.margin
        )

    def _batch(
        self, jobs: list[Job], head: Block, waiting: dict[RequestId, Waiting]
    ) -> Iterator[Shipment]:
        """One transaction for those that can be answered now if that is cheaper, else singles."""
        takers = self._rehearsal.takers
        try:
            outcomes = self._rehearsal.outcomes(jobs)
            good = [
                job
                for job, outcome in zip(jobs, outcomes, strict=True)
                if outcome is Outcome.FULFILLED
            ]
            if len(good) > 1:
                call = takers.answering_many(good)
                gas = self._sender.estimate(call)
                if gas < len(good) * self._sender.estimate(takers.answering(good[0])):
                    yield Shipment(tuple(good), call, gas)
                    jobs = [job for job in jobs if job not in good]
        except ContractRefused as error:
            waiting |= dict.fromkeys((job.request_id for job in jobs), refused(error))
            return
        except RpcError:
            pass  # a node that finds it too large may take them one by one
        yield from self._singles(jobs, head, waiting)

    def _singles(
        self, jobs: Sequence[Job], head: Block, waiting: dict[RequestId, Waiting]
    ) -> Iterator[Shipment]:
        tried = self._rehearsal.try_out(jobs, head)
        for job in jobs:
            match tried[job.request_id]:
                case int(gas):
                    yield Shipment((job,), self._rehearsal.takers.answering(job), gas)
                case ContractRefused() as error:
                    waiting[job.request_id] = refused(error)
                case error:
                    waiting[job.request_id] = Waiting(error.message, 15)
