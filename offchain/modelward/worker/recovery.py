"""Recovery: how a worker goes on that halted because a reorganisation was too deep."""

from __future__ import annotations

from dataclasses import dataclass

from modelward.chain.connection import Block, Chain
from modelward.errors import BadInput, Superseded
from modelward.journal import Checkpoint, Journal, Lease
from modelward.terms import RequestId


@dataclass(frozen=True, slots=True)
class Recovery:
    """Why the queue was halted, the block read last, the newest one remembered that is still in
    the chain (None if none is), and the chain's confirmed head."""

    reason: str
    cursor: Checkpoint | None
    ancestor: Checkpoint | None
    confirmed: Block

    @property
    def depth(self) -> int | None:
        """How many blocks were dropped that had counted as confirmed; None if nobody knows."""
        if self.cursor is None or self.ancestor is None:
            return None
        return self.cursor.number - self.ancestor.number


def survey(chain: Chain, journal: Journal) -> Recovery:
    """Compare what a halted journal remembers with the chain as it is now.

    Raises:
        BadInput: nothing is halted.
        RpcUnavailable, RpcError: the endpoint failed.
    """
    reason = journal.halted()
    if reason is None:
        raise BadInput("The worker is not halted.", hint="`modelward worker run` starts it.")
    confirmed = chain.confirmed_head()
    checkpoints = journal.checkpoints()
    ancestor = next(
        (
            checkpoint
            for checkpoint in checkpoints
            if checkpoint.number <= confirmed.number
            and chain.block(checkpoint.number).hash == checkpoint.hash
        ),
        None,
    )
    return Recovery(reason, next(iter(checkpoints), None), ancestor, confirmed)


def resume(chain: Chain, journal: Journal, found: Recovery) -> list[RequestId]:
    """Go back to the ancestor that was found, and let the queue run again; returns the requests
    that this touched.

    Whoever is paid for which of them is up to the chain: what it has is read again, and answers
    that are not in it are sent again.

    Raises:
        Superseded: the chain was reorganised once more since, or another worker reads it.
        RpcUnavailable, RpcError: the endpoint failed.
    """
    if not journal.hold(Lease.READING):
        raise Superseded("Another worker is reading the chain.")
    if survey(chain, journal).ancestor != found.ancestor:
        raise Superseded("The chain was reorganised once more; look at it again.")
    return journal.resume(found.ancestor)
