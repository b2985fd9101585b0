"""The worker's journal: what it has read, done and signed, safe against a crash at any instant.

One row per request; every step is one database transaction, and the cursor moves in the same one
as the rows it leads to. Outputs, commitments and signed transactions are on disk before the
network sees them. A SQLite file serves one worker, PostgreSQL as many as share a queue.
"""

from modelward.journal.following import KEPT_CHECKPOINTS
from modelward.journal.journal import Journal, default_path
from modelward.journal.leases import Heartbeat, Lease
from modelward.journal.records import (
    Advance,
    Answer,
    Balance,
    Checkpoint,
    Ending,
    Fulfilment,
    Hold,
    Identity,
    Job,
    Mining,
    Outlay,
    Placement,
    Refusal,
    SignedAnswer,
)
from modelward.journal.states import ENDS, State, TransactionState

__all__ = [
    "ENDS",
    "KEPT_CHECKPOINTS",
    "Advance",
    "Answer",
    "Balance",
    "Checkpoint",
    "Ending",
    "Fulfilment",
    "Heartbeat",
    "Hold",
    "Identity",
    "Job",
    "Journal",
    "Lease",
    "Mining",
    "Outlay",
    "Placement",
    "Refusal",
    "SignedAnswer",
    "State",
    "TransactionState",
    "default_path",
]
