"""Brings a journal to the newest schema, one numbered step at a time.

A step never changes once it was released; `schema` holds what all of them together arrive at. Each
runs in one database transaction with the version it leads to.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, insert, inspect, select, update

from modelward.errors import JournalUnavailable
from modelward.journal.database import take_turns
from modelward.journal.schema import schema_version

FIRST_TABLES = (
    """
    CREATE TABLE identity (
        chain_id BIGINT NOT NULL,
        escrow VARCHAR(42) NOT NULL,
        account VARCHAR(42) NOT NULL,
        genesis_hash {bytes} NOT NULL,
        PRIMARY KEY (chain_id, escrow, account)
    )
    """,
    """
    CREATE TABLE checkpoints (
        chain_id BIGINT NOT NULL,
        escrow VARCHAR(42) NOT NULL,
        number BIGINT NOT NULL,
        hash {bytes} NOT NULL,
        timestamp BIGINT NOT NULL,
        PRIMARY KEY (chain_id, escrow, number)
    )
    """,
    """
    CREATE TABLE jobs (
        chain_id BIGINT NOT NULL,
        escrow VARCHAR(42) NOT NULL,
        request_id {bytes} NOT NULL,
        state VARCHAR(16) NOT NULL,
        reason TEXT,
        offer {bytes} NOT NULL,
        request {bytes} NOT NULL,
        input {bytes} NOT NULL,
        deadline BIGINT NOT NULL,
        block_number BIGINT NOT NULL,
        block_hash {bytes} NOT NULL,
        on_chain BOOLEAN NOT NULL,
        output {bytes},
        commitment {bytes},
        refusal INTEGER,
        refusal_detail TEXT,
        transaction_hash {bytes},
        failures INTEGER NOT NULL,
        ended_at_block BIGINT,
        PRIMARY KEY (chain_id, escrow, request_id)
    )
    """,
    "CREATE INDEX jobs_by_state ON jobs (chain_id, escrow, state, deadline)",
    "CREATE INDEX jobs_by_transaction ON jobs (transaction_hash)",
    """
    CREATE TABLE transactions (
        chain_id BIGINT NOT NULL,
        hash {bytes} NOT NULL,
        account VARCHAR(42) NOT NULL,
        nonce BIGINT NOT NULL,
        raw {bytes} NOT NULL,
        gas BIGINT NOT NULL,
        max_fee BIGINT NOT NULL,
        tip BIGINT NOT NULL,
        state VARCHAR(16) NOT NULL,
        block_number BIGINT,
        block_hash {bytes},
        PRIMARY KEY (chain_id, hash)
    )
    """,
    "CREATE INDEX transactions_by_nonce ON transactions (chain_id, account, nonce)",
)

CARRIED_REQUESTS = (
    "ALTER TABLE jobs ADD COLUMN result_salt {bytes}",
    "ALTER TABLE transactions ADD COLUMN signed_at BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE transactions ADD COLUMN price BIGINT NOT NULL DEFAULT 0",
    """
    CREATE TABLE carried (
        chain_id BIGINT NOT NULL,
        transaction_hash {bytes} NOT NULL,
        request_id {bytes} NOT NULL,
        PRIMARY KEY (chain_id, transaction_hash, request_id)
    )
    """,
    """
    INSERT INTO carried (chain_id, transaction_hash, request_id)
    SELECT chain_id, transaction_hash, request_id FROM jobs WHERE transaction_hash IS NOT NULL
    """,
)

SHARED_QUEUES = (
    """
    CREATE TABLE queues (
        chain_id BIGINT NOT NULL,
        escrow VARCHAR(42) NOT NULL,
        genesis_hash {bytes} NOT NULL,
        reader VARCHAR(80),
        reader_until DOUBLE PRECISION NOT NULL,
        halted TEXT,
        PRIMARY KEY (chain_id, escrow)
    )
    """,
    """
    INSERT INTO queues (chain_id, escrow, genesis_hash, reader_until)
    SELECT chain_id, escrow, genesis_hash, 0 FROM identity
    """,
    "ALTER TABLE identity ADD COLUMN sender VARCHAR(80)",
    "ALTER TABLE identity ADD COLUMN sender_until DOUBLE PRECISION NOT NULL DEFAULT 0",
    "ALTER TABLE jobs ADD COLUMN worker VARCHAR(42)",
    "ALTER TABLE jobs ADD COLUMN account VARCHAR(42)",
    "ALTER TABLE jobs ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE jobs ADD COLUMN holder VARCHAR(80)",
    "ALTER TABLE jobs ADD COLUMN held_until DOUBLE PRECISION NOT NULL DEFAULT 0",
    "UPDATE jobs SET state = 'confirmed' WHERE state = 'seen'",
    """
    UPDATE jobs SET account = (SELECT min(account) FROM identity)
    WHERE transaction_hash IS NOT NULL
    """,
)

HELD_ANSWERS = (
    "ALTER TABLE jobs ADD COLUMN settle_after BIGINT",
    "ALTER TABLE jobs ADD COLUMN bond VARCHAR(40)",
    "ALTER TABLE jobs ADD COLUMN held_at_block BIGINT",
    "ALTER TABLE transactions ADD COLUMN spent BIGINT",
    "CREATE INDEX transactions_by_state ON transactions (chain_id, account, state, spent)",
)

RELEASED_BONDS = ("ALTER TABLE jobs ADD COLUMN bond_free_at_block BIGINT",)

STEPS: tuple[Sequence[str], ...] = (
    FIRST_TABLES,
    CARRIED_REQUESTS,
    SHARED_QUEUES,
    HELD_ANSWERS,
    RELEASED_BONDS,
)
"""The statements of each step; step n leads to version n, counted from 1."""

_BYTES = {"sqlite": "BLOB", "postgresql": "BYTEA"}


def migrate(engine: Engine, steps: Sequence[Sequence[str]] = STEPS) -> None:
    """Apply the steps that are missing. Several may do so at once.

    Raises:
        JournalUnavailable: a newer modelward has written the journal.
    """
    while _apply_next(engine, steps):
        pass


def _apply_next(engine: Engine, steps: Sequence[Sequence[str]]) -> bool:
    with engine.begin() as connection:
        take_turns(connection)
        found = _version(connection)
        if found > len(steps):
            raise JournalUnavailable(
                f"The journal has version {found}, and this modelward knows versions up to "
                f"{len(steps)}.",
                hint="Install the modelward that wrote it, or a newer one.",
            )
        if found == len(steps):
            return False
        for statement in steps[found]:
            connection.exec_driver_sql(statement.format(bytes=_BYTES[engine.dialect.name]))
        connection.execute(update(schema_version).values(version=found + 1))
    return True


def _version(connection: Connection) -> int:
    if not inspect(connection).has_table(schema_version.name):
        schema_version.create(connection)
    version = connection.scalar(select(schema_version.c.version))
    if version is None:
        connection.execute(insert(schema_version).values(version=0))
    return version or 0
