"""The journal's tables, as the newest migration leaves them.

Offers and requests are kept ABI-encoded, in the order of the Solidity structs. Everything is keyed
by chain and escrow, though a file holds one of each so far.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
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
)

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
)

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
)

carried = Table(
    "carried",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("transaction_hash", LargeBinary, primary_key=True),
    Column("request_id", LargeBinary, primary_key=True),
)
"""Which requests each transaction carries, for good: `jobs.transaction_hash` moves on."""
