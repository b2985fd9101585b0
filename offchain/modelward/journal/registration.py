"""Signs an account up for a queue, and keeps queues of different chains apart."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from modelward.errors import WrongChain, WrongJournal
from modelward.journal import schema
from modelward.journal.database import Place, take_turns
from modelward.journal.records import Identity
from modelward.journal.states import State


def register(connection: Connection, place: Place, identity: Identity) -> None:
    """Make sure of the rows of the queue and of the account.

    A file holds one queue of one account, a shared database any number.

    Raises:
        WrongChain: the journal was written on another chain, or for another escrow.
        WrongJournal: it was written for another account.
    """
    take_turns(connection)
    _check_queues(connection, place, identity)
    queue, account = schema.queues.c, schema.identity.c
    key = {"chain_id": identity.chain_id, "escrow": identity.escrow}
    mine = (queue.chain_id == identity.chain_id, queue.escrow == identity.escrow)
    if connection.execute(select(queue.escrow).where(*mine)).one_or_none() is None:
        connection.execute(
            insert(schema.queues).values(**key, genesis_hash=identity.genesis_hash, reader_until=0)
        )
    known = connection.scalars(
        select(account.account).where(
            account.chain_id == identity.chain_id, account.escrow == identity.escrow
        )
    ).all()
    if identity.account in known:
        return
    if known and place.file is not None:
        raise WrongJournal(
            f"The journal {place} belongs to the account {known[0]}, not to {identity.account}.",
            hint="Give this account its own --journal.",
        )
    connection.execute(
        insert(schema.identity).values(
            **key, account=identity.account, genesis_hash=identity.genesis_hash, sender_until=0
        )
    )


def take_everything(connection: Connection, instance: str) -> None:
    """Make one worker the only one: nobody else can have opened the journal.

    What a process that died was computing is to be computed again.
    """
    jobs = schema.jobs.c
    connection.execute(update(schema.queues).values(reader=instance))
    connection.execute(update(schema.identity).values(sender=instance))
    connection.execute(
        update(schema.jobs)
        .where(jobs.state == State.COMPUTING)
        .values(state=State.CONFIRMED, held_until=0)
    )
    connection.execute(update(schema.jobs).where(jobs.held_until > 0).values(held_until=0))


def _check_queues(connection: Connection, place: Place, identity: Identity) -> None:
    queue = schema.queues.c
    for row in connection.execute(
        select(queue.chain_id, queue.escrow, queue.genesis_hash).order_by(queue.chain_id)
    ):
        same_chain = row.chain_id == identity.chain_id
        if place.file is None and not same_chain:
            continue
        if not same_chain or row.genesis_hash != identity.genesis_hash:
            raise WrongChain(
                f"The journal {place} was written on chain {row.chain_id} with genesis "
                f"0x{row.genesis_hash.hex()[:8]}…, this is chain {identity.chain_id} with genesis "
                f"0x{identity.genesis_hash.hex()[:8]}…."
            )
        if place.file is not None and row.escrow != identity.escrow:
            raise WrongChain(
                f"The journal {place} was written for the escrow {row.escrow}, "
                f"the one deployed here is {identity.escrow}."
            )
