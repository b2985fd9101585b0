"""Limits per requester: how many requests, how much gas for them, and for refusing them.

The journal remembers what was signed for; what was admitted and is not signed for yet is
remembered here.
"""

from __future__ import annotations

from collections.abc import Iterable

from modelward.config import Policy
from modelward.journal import Job, Outlay
from modelward.terms import Address, RequestId, format_amount


class Limits:
    """What went into each requester's requests within the last period, by block timestamps."""

    def __init__(self, policy: Policy, outlays: Iterable[Outlay] = ()) -> None:
        self._policy = policy
        self._outlays: dict[Address, dict[RequestId, Outlay]] = {}
        for outlay in sorted(outlays, key=lambda outlay: outlay.at):
            self.note(outlay)

    def note(self, outlay: Outlay) -> None:
        """Count an outlay, in place of an earlier one for the same request."""
        self._outlays.setdefault(outlay.requester, {})[outlay.request_id] = outlay

    def refusal_to_admit(self, job: Job, wei: int, now: int) -> str | None:
        """Why a request that will cost about `wei` is one too many for now, or None."""
        policy, others = self._policy, self._others(job, now)
        if policy.max_requests is not None and len(others) >= policy.max_requests:
            return f"its requester has had {len(others)} requests answered within {policy.period} s"
        spent = sum(outlay.wei for outlay in others)
        if policy.max_spend is not None and spent + wei > policy.max_spend:
            return (
                f"the gas for its requester would come to {format_amount(spent + wei)} "
                f"within {policy.period} s"
            )
        return None

    def refusal_to_refuse(self, job: Job, wei: int, now: int) -> str | None:
        """Why a refusal that costs about `wei` is not affordable, or None."""
        spent = sum(outlay.wei for outlay in self._others(job, now) if outlay.refuses)
        if spent + wei > self._policy.refusal_budget:
            return (
                f"refusals for its requester would come to {format_amount(spent + wei)} of gas "
                f"within {self._policy.period} s"
            )
        return None

    def _others(self, job: Job, now: int) -> list[Outlay]:
        """What counts beside this request; what no longer does is forgotten."""
        since = now - self._policy.period
        known = self._outlays.get(job.request.requester, {})
        for request_id in [i for i, outlay in known.items() if outlay.at <= since]:
            del known[request_id]
        return [outlay for request_id, outlay in known.items() if request_id != job.request_id]
