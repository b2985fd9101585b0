"""The points of a request's way through the worker that an observer is told of.

Work and its record are two points each, so that an observer can stop, or kill, the worker between
them: what is not on disk yet is done again, what is on disk is used as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from modelward.terms import RequestId


class Milestone(StrEnum):
    """A point that was just passed."""

    SEEN = "seen"
    """A confirmed block holds the request; on disk."""
    ANSWERED = "answered"
    """There is an answer, in memory alone."""
    COMPUTED = "computed"
    """The answer is on disk."""
    PREPARED = "prepared"
    """There is a signed transaction, in memory alone."""
    SIGNED = "signed"
    """The signed transaction is on disk; the network has not seen it."""
    BROADCAST = "broadcast"
    """The network has the transaction; the journal does not know."""
    SENT = "sent"
    """The journal knows."""
    MINED = "mined"
    """A block holds the transaction; on disk."""
    ENDED = "ended"
    """A confirmed block ended the request; on disk."""
    WAITING = "waiting"
    """It cannot be answered now, for a new reason; on disk."""


Observer = Callable[[Milestone, RequestId], None]
"""Called in the worker's own thread. What it raises stops the step."""
