"""The watchtower: re-runs what workers answer to exact requests, and challenges what is wrong.

It keeps nothing: which answers are examined, and what became of a challenge, is asked of the chain,
so it can be stopped and started again at any moment. A challenge publishes the request's input, and
whoever copies it and is mined first takes the challenger's half of the bond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from modelward.chain.encoding import to_hex
from modelward.chain.events import AnswerPosted
from modelward.errors import (
    BadInput,
    CheckFailed,
    ContractRefused,
    InsufficientFunds,
    KeyNotGranted,
    StoreUnavailable,
)
from modelward.models.exact.program import Program
from modelward.sdk import disputes
from modelward.sdk.connection import Connection
from modelward.sdk.disputes import Judgement, Prospect
from modelward.sdk.history import opened_input, read_history
from modelward.terms import SETTLE_TIME, ZERO_HASH, RequestId, VersionId


class Deed(Enum):
    """What was done about an answer."""

    PASSED = "is right"
    UNREADABLE = "cannot be judged without the input"
    CHALLENGING = "is wrong and being challenged"
    CHALLENGED = "was wrong and is corrected"
    LEFT = "is wrong but not worth the gas of a challenge"
    BEATEN = "could not be challenged any more"
    SETTLED = "is settled"
    RELEASED = "was not settled in time, and its bond is free again"
    LAPSED = "was not settled in time, and its bond is not worth the gas"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about an answer, what was done, and of a wrong one what a challenge brings."""

    request_id: RequestId
    posted: AnswerPosted
    deed: Deed
    prospect: Prospect | None = None
    reason: str = ""


class Watchtower:
    """Watches the answers that are examined, with one account that pays for challenges.

    A wrong answer is challenged if that brings at least `least_profit` wei more than it costs; the
    account's own answers are settled once nobody can challenge them any more, or where it is too
    late for that, their bonds released. `announce` is told of a challenge before it is sent.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        least_profit: int = 0,
        announce: Callable[[Finding], None] = lambda _: None,
    ) -> None:
        self._connection = connection
        self._least_profit = least_profit
        self._announce = announce
        self._next_block: int | None = None
        self._examined: dict[RequestId, AnswerPosted] = {}
        self._told: dict[RequestId, Deed] = {}
        self._programs: dict[VersionId, Program] = {}

    def look(self) -> Iterator[Finding]:
        """Look at every answer under examination once, and act on it; new findings only.

        Raises `RpcUnavailable` or `RpcError`; the next look goes on.
        """
        self._read()
        referee = self._connection.deployment.referee
        for request_id, posted in list(self._examined.items()):
            if referee.pending_of(request_id) == ZERO_HASH:
                del self._examined[request_id]
                continue
            finding = self._settled(posted) or self._judged(posted)
            if finding.deed is not self._told.get(request_id):
                self._told[request_id] = finding.deed
                yield finding

    def _read(self) -> None:
        connection = self._connection
        last = connection.chain.confirmed_head().number
        for posted in connection.events(AnswerPosted, first=self._next_block, last=last):
            self._examined[posted.request_id] = posted
            self._told.pop(posted.request_id, None)
        self._next_block = last + 1

    def _settled(self, posted: AnswerPosted) -> Finding | None:
        """Settle an answer of the account's own, if its time has come, or free its bond if that
        has passed."""
        connection, now = self._connection, self._connection.now()
        if posted.worker != connection.address or now <= posted.answer.settle_after:
            return None
        deed = Deed.SETTLED
        try:
            if now <= posted.answer.settle_after + SETTLE_TIME:
                disputes.settle(connection, posted.request_id)
            else:
                released = disputes.release(connection, posted)
                deed = Deed.RELEASED if released else Deed.LAPSED
        except (ContractRefused, InsufficientFunds) as error:
            return Finding(posted.request_id, posted, Deed.BEATEN, reason=error.message)
        return Finding(posted.request_id, posted, deed)

    def _judged(self, posted: AnswerPosted) -> Finding:
        request_id = posted.request_id
        try:
            judgement = self._judge(posted)
        except (BadInput, CheckFailed, KeyNotGranted, StoreUnavailable) as error:
            return Finding(request_id, posted, Deed.UNREADABLE, reason=error.message)
        if judgement.right:
            return Finding(request_id, posted, Deed.PASSED)
        return self._challenged(posted, judgement)

    def _judge(self, posted: AnswerPosted) -> Judgement:
        connection = self._connection
        history = read_history(connection, posted.request_id)
        version = history.requested.offer.version_id
        if version not in self._programs:
            terms = connection.deployment.referee.terms_of(version)
            program = disputes.program_on_chain(connection, terms.program_hash)
            self._programs[version] = program
        opened = opened_input(connection, history)
        return disputes.judged(connection, history, posted, opened, self._programs[version])

    def _challenged(self, posted: AnswerPosted, judgement: Judgement) -> Finding:
        request_id, prospect = posted.request_id, None
        try:
            prospect = disputes.prospect(self._connection, judgement)
            if prospect.profit < self._least_profit:
                return Finding(request_id, posted, Deed.LEFT, prospect)
            self._announce(Finding(request_id, posted, Deed.CHALLENGING, prospect))
            disputes.challenge(self._connection, judgement)
        except (ContractRefused, InsufficientFunds) as error:
            return Finding(request_id, posted, Deed.BEATEN, prospect, error.message)
        return Finding(request_id, posted, Deed.CHALLENGED, prospect)


def sentence(finding: Finding) -> str:
    """A finding in words."""
    reason = f": {finding.reason}" if finding.reason else ""
    return f"the answer to {to_hex(finding.request_id)} {finding.deed.value}{reason}"
