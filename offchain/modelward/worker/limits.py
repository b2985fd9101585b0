"""Limits per requester: how many requests, how much gas for them, and for refusing them.

The journal remembers what was signed for; what was admitted and is not signed for yet is
remembered here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from modelward.config import Policy
from modelward.journal import Job, Outlay
from modelward.terms import Address, RequestId, format_amount


@dataclass(slots=True)
class _Account:
    """What went into one requester's requests, the oldest first, and what it sums up to in wei."""

    outlays: dict[RequestId, Outlay] = field(default_factory=dict)
    spent: int = 0
    spent_on_refusals: int = 0

    def add(self, outlay: Outlay) -> None:
        self.remove(outlay.request_id)
        self.outlays[outlay.request_id] = outlay
        self.spent += outlay.wei
        self.spent_on_refusals += outlay.wei if outlay.refuses else 0

    def remove(self, request_id: RequestId) -> None:
        outlay = self.outlays.pop(request_id, None)
        if outlay is not None:
            self.spent -= outlay.wei
            self.spent_on_refusals -= outlay.wei if outlay.refuses else 0

    def forget(self, since: int) -> None:
        """Drop what was spent at `since` (Unix seconds) or before."""
        while self.outlays:
            oldest = next(iter(self.outlays.values()))
            if oldest.at > since:
                break
            self.remove(oldest.request_id)


class Limits:
    """What went into each requester's requests within the last period, by block timestamps."""

    def __init__(self, policy: Policy, outlays: Iterable[Outlay] = ()) -> None:
        self._policy = policy
        self._accounts: dict[Address, _Account] = {}
        for outlay in sorted(outlays, key=lambda outlay: outlay.at):
            self.note(outlay)

    def note(self, outlay: Outlay) -> None:
        """Count an outlay, in place of an earlier one for the same request."""
        self._accounts.setdefault(outlay.requester, _Account()).add(outlay)

    def refusal_to_admit(self, job: Job, wei: int, now: int) -> str | None:
        """Why a request that will cost about `wei` is one too many for now, or None."""
        policy, account = self._policy, self._account(job, now)
        own = account.outlays.get(job.request_id)
        count = len(account.outlays) - (own is not None)
        if policy.max_requests is not None and count >= policy.max_requests:
            return f"its requester has had {count} requests answered within {policy.period} s"
        spent = account.spent - (own.wei if own else 0)
        if policy.max_spend is not None and spent + wei > policy.max_spend:
            return (
                f"the gas for its requester would come to {format_amount(spent + wei)} "
                f"within {policy.period} s"
            )
        return None

    def refusal_to_refuse(self, job: Job, wei: int, now: int) -> str | None:
        """Why a refusal that costs about `wei` is not affordable, or None."""
        account = self._account(job, now)
        own = account.outlays.get(job.request_id)
        spent = account.spent_on_refusals - (own.wei if own and own.refuses else 0)
        if spent + wei > self._policy.refusal_budget:
            return (
                f"refusals for its requester would come to {format_amount(spent + wei)} of gas "
                f"within {self._policy.period} s"
            )
        return None

    def _account(self, job: Job, now: int) -> _Account:
        requester = job.request.requester
        account = self._accounts.get(requester, _Account())
        account.forget(now - self._policy.period)
        if not account.outlays:
            self._accounts.pop(requester, None)
        return account
