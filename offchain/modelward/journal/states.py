"""The lives of a request and of a transaction, as the journal tells them.

    seen -> confirmed -> computing -> computed -> signed -> sent -> mined -> final
                                                                          -> refused
                                                                          -> held
    held -> signed -> sent -> mined -> final
    held                            -> final, corrected
    any of the above                -> expired, lost

An arrow is one database transaction. The way back is taken in three cases only: a transaction that
can no longer be mined, or that passed the request over, leaves it computed or held; one that
replaces another leaves it signed; and a reorganisation leaves a request where the surviving blocks
put it.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """How far a request has come. The last five are ends."""

    SEEN = "seen"
    """A block holds it that may yet be dropped."""
    CONFIRMED = "confirmed"
    """A confirmed block holds it."""
    COMPUTING = "computing"
    """A worker has begun to compute its answer."""
    COMPUTED = "computed"
    """Its answer, an output or a refusal, is on disk."""
    SIGNED = "signed"
    """So is a signed transaction that carries the answer."""
    SENT = "sent"
    """The network took the transaction."""
    MINED = "mined"
    """A block holds the transaction."""
    HELD = "held"
    """A confirmed block holds our answer, and a verifier may still find it wrong."""
    FINAL = "final"
    """A confirmed block holds our answer, and it is paid."""
    CORRECTED = "corrected"
    """A verifier found our answer wrong and put it right."""
    REFUSED = "refused"
    """A confirmed block holds our refusal."""
    EXPIRED = "expired"
    """The deadline passed without an answer."""
    LOST = "lost"
    """It ended in another way, which the reason tells."""

    @property
    def is_end(self) -> bool:
        """Whether nothing remains to be done for it. A bond may remain to be taken back."""
        return self in ENDS


ENDS = frozenset({State.FINAL, State.CORRECTED, State.REFUSED, State.EXPIRED, State.LOST})
UNSENT = (State.CONFIRMED, State.COMPUTED)
"""Where a request rests that no transaction carries."""
WAITING = (*UNSENT, State.HELD)
"""Where a request that is not in hand stays."""
WITH_AN_ANSWER = (State.COMPUTED, State.SIGNED, State.SENT)
"""What a transaction that is mined, or never will be, takes further or back."""


class TransactionState(StrEnum):
    """How far a signed transaction has come."""

    SIGNED = "signed"
    """On disk; the network may or may not have it."""
    SENT = "sent"
    """The network took it."""
    REPLACED = "replaced"
    """Another one of ours has its nonce now. It may be mined nevertheless."""
    MINED = "mined"
    """A block holds it, and it succeeded."""
    FAILED = "failed"
    """A block holds it, and it was reverted."""
    DROPPED = "dropped"
    """It can no longer be mined, or was given up before the network took it."""


PENDING = (TransactionState.SIGNED, TransactionState.SENT)
SUPERSEDED = (TransactionState.REPLACED, TransactionState.DROPPED)
"""Not expected in a block any more, and yet it may come."""
