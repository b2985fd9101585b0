"""Admission: whether to answer a request now, before anything is computed for it.

The escrow itself is asked, by a dry run of the answer: is the request open, in time, and may this
worker answer it? What it would cost is then held against what it pays. A refusal costs gas like an
answer, so what does not pay for its gas is left alone rather than refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from modelward.chain.connection import Block
from modelward.chain.contracts import InferenceEscrow
from modelward.chain.fees import choose_fees
from modelward.chain.sender import Sender
from modelward.errors import AccessDenied, ContractRefused, FeeTooHigh
from modelward.journal import Job
from modelward.terms import format_amount

_PLACEHOLDER_COMMITMENT = b"\xff" * 32
_PLACEHOLDER_OUTPUT = b"\0" + b"\xff" * 256


@dataclass(frozen=True, slots=True)
class Policy:
    """What a worker takes on.

    `min_pay` is the least, in wei, that its share of a fee must be. `allow_loss` answers even when
    the gas costs more than that share. No work begins with less than `margin` seconds to the
    deadline; what is missing is waited for until `refuse_within` seconds before it. Time is told by
    block timestamps.
    """

    min_pay: int = 0
    allow_loss: bool = False
    margin: int = 5
    refuse_within: int = 30


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not now: why, and in how many seconds to look again."""

    reason: str
    seconds: float


class Admission:
    """Judges requests for one worker account."""

    def __init__(self, sender: Sender, escrow: InferenceEscrow, policy: Policy) -> None:
        self._sender = sender
        self._escrow = escrow
        self._policy = policy

    def judge(self, job: Job, head: Block) -> Waiting | None:
        """None when the request should be answered now, otherwise why not.

        Raises `RpcUnavailable` or `RpcError`.
        """
        policy, pay = self._policy, job.offer.worker_share
        if pay < policy.min_pay:
            return Waiting(
                f"it pays {format_amount(pay)}, less than {format_amount(policy.min_pay)}", 3600
            )
        if job.request.deadline - head.timestamp < policy.margin:
            return Waiting("its deadline is too near", 3600)
        call = self._escrow.fulfil(
            job.offer, job.request, _PLACEHOLDER_COMMITMENT, _PLACEHOLDER_OUTPUT
        )
        try:
            gas = self._sender.estimate(call)
            fees = choose_fees(self._sender.chain)
        except AccessDenied as refused:
            return Waiting(refused.message, 3600)  # a grant, when it comes, is in an event
        except ContractRefused as refused:
            return Waiting(refused.message, 15)
        except FeeTooHigh as error:
            return Waiting(error.message, 15)
        cost = gas * (head.base_fee + fees.tip)
        if cost > pay and not policy.allow_loss:
            return Waiting(
                f"answering costs about {format_amount(cost)} of gas and pays {format_amount(pay)}",
                60,
            )
        return None
