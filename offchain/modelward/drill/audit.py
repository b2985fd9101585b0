"""What the chain says in the end, held against what was asked for and what the journals say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelward.chain.events import (
    InferenceFulfilled,
    InferenceRefunded,
    InferenceRefused,
    InferenceRequested,
)
from modelward.drill.findings import Findings
from modelward.drill.site import Placed, Site
from modelward.journal import Journal, State
from modelward.terms import RequestId, RequestStatus, frame_clear_output

End = InferenceFulfilled | InferenceRefused | InferenceRefunded
LIFE = (InferenceRequested, InferenceFulfilled, InferenceRefused, InferenceRefunded)
"""The events of a request's life."""


@dataclass(slots=True)
class ChainTruth:
    """Which requests the chain holds, and how each ended, by the canonical blocks alone."""

    placed: set[RequestId] = field(default_factory=set)
    ends: defaultdict[RequestId, list[End]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, site: Site) -> ChainTruth:
        """Read it from the node itself."""
        truth = cls()
        for event in site.events(*LIFE):
            if isinstance(event, InferenceRequested):
                truth.placed.add(event.request_id)
            elif isinstance(event, End):
                truth.ends[event.request_id].append(event)
        return truth


def audit(
    site: Site,
    placed: Sequence[Placed],
    journals: Collection[Journal],
    *,
    unanswered: Collection[RequestId] = (),
) -> Findings:
    """Compare. Every request on chain must have been fulfilled once, and rightly.

    The requests `unanswered` may have run out instead; whichever it was, the journals must say so.
    """
    truth = ChainTruth.of(site)
    found = Findings()
    known = {each.id: each for each in placed}
    for stray in truth.ends.keys() - known.keys():
        found.violations.append(f"{_short(stray)} ended, and nobody placed it")
    for each in placed:
        ends = truth.ends.get(each.id, [])
        if each.id not in truth.placed:
            found.counts["dropped by reorganisations"] += 1
            _check_dropped(each, ends, journals, found)
            continue
        found.counts["requests"] += 1
        _check_end(site, each, ends, journals, each.id in unanswered, found)
    _check_journals(known, journals, found)
    _check_pay(site, truth, known, journals, found)
    return found


def _check_end(
    site: Site,
    placed: Placed,
    ends: list[End],
    journals: Collection[Journal],
    may_run_out: bool,
    found: Findings,
) -> None:
    name = _short(placed.id)
    jobs = [(journal, job) for journal in journals if (job := journal.job(placed.id)) is not None]
    said = [job.state for _, job in jobs]
    if not ends:
        status = site.deployment.escrow.request_of(placed.id).status
        over = site.chain.head().timestamp > placed.request.deadline
        excused = may_run_out and over and status is RequestStatus.OPEN
        found.demand(excused, f"{name} was lost: the chain holds it {status.name}, {_said(said)}")
        found.demand(
            not excused or set(said) <= {State.EXPIRED, State.LOST},
            f"{name} ran out, {_said(said)}",
        )
        return
    found.demand(len(ends) == 1, f"{name} ended {len(ends)} times")
    (end, *_) = ends
    match end:
        case InferenceFulfilled():
            found.counts["fulfilled"] += 1
            right = (end.commitment, end.output) == (
                placed.commitment,
                frame_clear_output(placed.sample.output),
            )
            found.demand(right, f"{name} was paid for a wrong result")
            agree = [
                (job.state is State.FINAL) == (end.worker in journal.accounts())
                and job.state.is_end
                for journal, job in jobs
            ]
            found.demand(bool(agree) and all(agree), f"{name} was fulfilled, {_said(said)}")
            signed = [journal for journal, job in jobs if job.state is State.FINAL]
            stored = any(journal.transaction(end.transaction_hash) for journal in signed)
            found.demand(stored or not signed, f"{name} was answered by bytes no journal holds")
        case InferenceRefused():
            found.violations.append(
                f"{name} was refused ({end.reason}), and nothing is wrong with it"
            )
        case InferenceRefunded():
            found.demand(may_run_out, f"{name} was lost: it was refunded, {_said(said)}")
            found.demand(
                set(said) <= {State.EXPIRED, State.LOST}, f"{name} was refunded, {_said(said)}"
            )


def _check_dropped(
    placed: Placed, ends: list[End], journals: Collection[Journal], found: Findings
) -> None:
    name = _short(placed.id)
    found.demand(not ends, f"{name} ended on a chain that does not hold it")
    for journal in journals:
        job = journal.job(placed.id)
        settled = job is None or not job.on_chain or job.state is State.LOST
        found.demand(settled, f"{name} is gone from the chain, {_said([job.state] if job else [])}")


def _check_journals(
    known: dict[RequestId, Placed], journals: Collection[Journal], found: Findings
) -> None:
    for journal in journals:
        for request_id in journal.job_ids(*State):
            found.demand(request_id in known, f"a journal made {_short(request_id)} up")


def _check_pay(
    site: Site,
    truth: ChainTruth,
    known: dict[RequestId, Placed],
    journals: Collection[Journal],
    found: Findings,
) -> None:
    """Credits are exactly the worker's shares of what it fulfilled in this episode."""
    for account in {journal.identity.account for journal in journals}:
        earned = sum(
            known[request_id].offer.worker_share
            for request_id, ends in truth.ends.items()
            for end in ends
            if request_id in known and isinstance(end, InferenceFulfilled) and end.worker == account
        )
        credit = site.deployment.escrow.credit_of(account)
        found.demand(credit == earned, f"{account} is owed {credit} wei and earned {earned}")


def _short(request_id: bytes) -> str:
    return f"request {request_id.hex()[:8]}"


def _said(states: Sequence[Any]) -> str:
    return f"the journal says {', '.join(states)}" if states else "no journal knows it"
