"""The journal itself."""

from __future__ import annotations

from pathlib import Path

from modelward.journal.accounting import Accounting
from modelward.journal.following import Following
from modelward.journal.job_reading import JobReading
from modelward.journal.records import Identity


def default_path(directory: Path, identity: Identity) -> Path:
    """Where under `directory` the journal of `identity` is kept unless told otherwise."""
    name = "-".join(
        (
            str(identity.chain_id),
            identity.genesis_hash.hex()[:8],
            identity.escrow[2:10].lower(),
            identity.account[2:10].lower(),
        )
    )
    return directory / f"{name}.sqlite"


class Journal(Following, JobReading, Accounting):
    """What the workers of one escrow have read, done and signed.

    Every method that writes is one database transaction: after it returned, what it wrote is on
    disk; if it did not, nothing was written. Methods raise `JournalUnavailable` when the database
    fails, `Superseded` when the chain or another worker went on meanwhile, and `ValueError` for a
    step that the life of a request does not have.

    A file is used by one process at a time, which holds everything in it. A shared database is used
    by any number: each holds what it reads, computes or sends by a lease, which `heartbeat`
    prolongs and `close` gives up.
    """
