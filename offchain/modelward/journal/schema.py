"""The journal's tables, as the newest migration leaves them.

Offers and requests are kept ABI-encoded, in the order of the Solidity structs. Everything is keyed
by chain and escrow: a file holds one of each, a shared database may hold several. Leases end at a
time in Unix seconds of the database's clock.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

schema_version = Table(
    "schema_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
)

identity = Table(
    "identity",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("escrow", String(42), primary_key=True),
    Column("account", String(42), primary_key=True),
    Column("genesis_hash", LargeBinary, nullable=False),
    Column("sender", String(80)),
    Column("sender_until", Double, nullable=False),
)
"""The accounts that answer; `sender` is the worker that sends from one, or did last."""

queues = Table(
    "queues",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("escrow", String(42), primary_key=True),
    Column("genesis_hash", LargeBinary, nullable=False),
    Column("reader", String(80)),
    Column("reader_until", Double, nullable=False),
    Column("halted", Text),
)
"""The escrows whose requests are kept; `reader` is the worker that reads for all, or did last."""

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("escrow", String(42), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
)
"""The cursor is the row with the highest number; those below it find a common ancestor."""

jobs = Table(
    "jobs",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("escrow", String(42), primary_key=True),
    Column("request_id", LargeBinary, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("offer", LargeBinary, nullable=False),
    Column("request", LargeBinary, nullable=False),
    Column("input", LargeBinary, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("block_number", BigInteger, nullable=False),
    Column("block_hash", LargeBinary, nullable=False),
    Column("on_chain", Boolean, nullable=False),
    Column("output", LargeBinary),
    Column("commitment", LargeBinary),
    Column("refusal", Integer),
    Column("refusal_detail", Text),
    Column("transaction_hash", LargeBinary),
    Column("failures", Integer, nullable=False),
    Column("ended_at_block", BigInteger),
    Column("result_salt", LargeBinary),
    Column("worker", String(42)),
    Column("account", String(42)),
    Column("attempts", Integer, nullable=False),
    Column("holder", String(80)),
    Column("held_until", Double, nullable=False),
    Column("settle_after", BigInteger),
    Column("bond", String(40)),
    Column("held_at_block", BigInteger),
    Column("bond_free_at_block", BigInteger),
)
"""`holder` and `held_until` are a worker's lease; `settle_after`, `bond` (wei) and `held_at_block`
are of an answer that a verifier holds, and `deadline` is until when it does. `bond_free_at_block`
is of one that ended unpaid: a block as of which its bond was found released."""

transactions = Table(
    "transactions",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, primary_key=True),
    Column("account", String(42), nullable=False),
    Column("nonce", BigInteger, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("gas", BigInteger, nullable=False),
    Column("max_fee", BigInteger, nullable=False),
    Column("tip", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("block_number", BigInteger),
    Column("block_hash", LargeBinary),
    Column("signed_at", BigInteger, nullable=False),
    Column("price", BigInteger, nullable=False),
    Column("spent", BigInteger),
)
"""`spent` is what a mined one cost in wei, once that was looked up."""

carried = Table(
    "carried",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("transaction_hash", LargeBinary, primary_key=True),
    Column("request_id", LargeBinary, primary_key=True),
)
"""Which requests each transaction carries, for good: `jobs.transaction_hash` moves on."""
