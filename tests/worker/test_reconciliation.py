"""What intake missed, the comparison with the escrow finds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelward.chain.connection import Chain
from modelward.errors import RpcUnavailable
from modelward.journal import Checkpoint, Journal, State
from modelward.terms import RefusalReason, RequestId, RequestStatus
from modelward.worker import identity_of
from modelward.worker.intake import Intake
from modelward.worker.reconciliation import Reconciliation

from .trading import job


@pytest.fixture
def parts(deployment, worker, endpoint, tmp_path):
    """An intake, a reconciliation and their journal, over an endpoint that may lie."""
    chain = Chain(replace(deployment.chain.network, log_range=5), endpoint)
    there = replace(deployment, chain=chain)
    with Journal(tmp_path / "j.sqlite", identity_of(chain, there, worker.account)) as journal:
        intake = Intake(chain, there, worker.address, journal)
        yield intake, Reconciliation(chain, there, journal, intake), journal


@pytest.fixture
def blind(chain):
    """Move the cursor to the head without reading anything."""

    def move(journal):
        cursor, head = journal.cursor(), chain.head()
        journal.advance(cursor.number + 1, Checkpoint(head.number, head.hash, head.timestamp))

    return move


def test_where_nothing_was_missed_nothing_is_found(market, model, trained, parts):
    intake, reconciliation, journal = parts
    market.place(model, trained.row)
    intake.read()
    before = journal.counts()

    for _ in range(5):
        found = reconciliation.look()
        assert (found.placed, found.ended, found.rewound) == ((), (), ())
    assert journal.counts() == before


def test_a_missed_request_is_found(market, model, trained, parts, blind, devchain):
    intake, reconciliation, journal = parts
    intake.read()
    placed = market.place(model, trained.row)
    devchain.mine(8)
    blind(journal)
    assert journal.job(placed.id) is None

    assert reconciliation.look().placed == (placed.id,)

    assert job(journal, placed).state is State.CONFIRMED
    assert reconciliation.look().placed == ()


def test_a_missed_request_in_old_blocks_is_found_in_time(
    market, model, trained, parts, blind, devchain, monkeypatch
):
    monkeypatch.setattr("modelward.worker.reconciliation.RECENT", 2)
    intake, reconciliation, journal = parts
    intake.read()
    placed = market.place(model, trained.row)
    devchain.mine(12)
    blind(journal)

    found = [request_id for _ in range(8) for request_id in reconciliation.look().placed]

    assert found == [placed.id]


@pytest.mark.parametrize("end", ["answered by another", "refused by another", "refunded"])
def test_a_missed_end_is_found(market, model, trained, parts, blind, devchain, sponsor, end):
    intake, reconciliation, journal = parts
    placed = market.place(model, trained.row, lifetime=60)
    intake.read()
    if end == "refunded":
        devchain.increase_time(100)
        market.requester.send(market.escrow.refund(placed.id))
    else:
        market.let_serve(model, sponsor.address)
        sponsor.send(
            market.escrow.refuse(placed.offer, placed.request, RefusalReason.PREDICTION_FAILED)
            if end == "refused by another"
            else market.escrow.fulfil(placed.offer, placed.request, b"\1" * 32, b"\0output")
        )
    cursor, head = journal.cursor(), market.deployment.chain.head()
    early = Checkpoint(head.number, head.hash, cursor.timestamp)  # nothing expires by the clock
    journal.advance(cursor.number + 1, early)
    assert not job(journal, placed).state.is_end

    assert reconciliation.look().ended == (placed.id,)

    expected = State.EXPIRED if end == "refunded" else State.LOST
    assert job(journal, placed).state is expected


def test_an_ended_request_in_old_blocks_is_no_new_one(
    market, model, trained, parts, blind, sponsor
):
    intake, reconciliation, journal = parts
    intake.read()
    market.let_serve(model, sponsor.address)
    placed = market.place(model, trained.row)
    sponsor.send(market.escrow.fulfil(placed.offer, placed.request, b"\1" * 32, b"\0output"))
    blind(journal)

    assert reconciliation.look().placed == ()
    assert journal.job(placed.id) is None


def test_a_request_that_is_not_on_chain_is_not_answered(
    market, model, trained, parts, chain, blind
):
    intake, reconciliation, journal = parts
    placed = market.place(model, trained.row)
    intake.read()
    known = job(journal, placed).placement
    stranger = replace(
        known,
        request_id=RequestId(b"\7" * 32),
        request=replace(known.request, input_hash=b"\7" * 32),
    )
    journal.supplement([stranger])

    assert reconciliation.look().rewound == (stranger.request_id,)

    assert journal.job_ids(State.CONFIRMED) == [placed.id]


def test_it_waits_while_intake_is_behind(market, model, trained, parts, devchain, endpoint):
    intake, reconciliation, _ = parts
    intake.read()
    market.place(model, trained.row)
    devchain.mine(70)
    endpoint.calls.clear()

    assert reconciliation.look().placed == ()
    assert set(endpoint.asked) == {"eth_getBlockByNumber"}


def test_every_open_request_has_its_turn(market, model, trained, parts, endpoint, monkeypatch):
    monkeypatch.setattr("modelward.worker.reconciliation.AT_ONCE", 2)
    intake, reconciliation, _ = parts
    requests = {market.place(model, trained.row).id for _ in range(5)}
    intake.read()
    endpoint.calls.clear()
    for _ in range(3):
        reconciliation.look()
    asked = [params[0]["data"] for method, params in endpoint.calls if method == "eth_call"]
    assert {bytes.fromhex(data[-64:]) for data in asked} == requests
    assert len(asked) == 5


def test_unconfirmed_requests_are_seen_and_confirmed_later(
    market, model, trained, deployment, worker, endpoint, tmp_path, devchain
):
    chain = Chain(replace(deployment.chain.network, confirmations=4), endpoint)
    there = replace(deployment, chain=chain)
    with Journal(tmp_path / "s.sqlite", identity_of(chain, there, worker.account)) as journal:
        intake = Intake(chain, there, worker.address, journal)
        placed = market.place(model, trained.row)

        assert intake.read().placed == ()
        assert job(journal, placed).state is State.SEEN
        assert journal.claim([placed.id]) == []
        devchain.mine(3)
        assert intake.read().placed == (placed.id,)
        assert job(journal, placed).state is State.CONFIRMED


def test_a_seen_request_that_is_dropped_is_never_confirmed(
    market, model, trained, deployment, worker, endpoint, tmp_path, devchain, chain
):
    behind = Chain(replace(deployment.chain.network, confirmations=4), endpoint)
    there = replace(deployment, chain=behind)
    with Journal(tmp_path / "s.sqlite", identity_of(behind, there, worker.account)) as journal:
        intake = Intake(behind, there, worker.address, journal)
        placed = market.place(model, trained.row)
        intake.read()
        chain.rpc("anvil_reorg", [1])
        devchain.mine(4)
        intake.read()
        assert not job(journal, placed).on_chain
        assert journal.job_ids(State.CONFIRMED) == []


def test_a_running_worker_looks_once_in_a_while(
    market, model, trained, make_worker, blind, monkeypatch
):
    working = make_worker()
    working.step()
    placed = market.place(model, trained.row)
    blind(working.journal)
    working.step()
    assert market.status(placed) is RequestStatus.OPEN

    monkeypatch.setattr("modelward.worker.service._RECONCILE_EVERY", 0)
    working.drain()
    assert market.status(placed) is RequestStatus.FULFILLED


def test_a_node_without_the_state_of_a_block_is_asked_again_later(
    market, model, trained, make_worker, endpoint, monkeypatch
):
    monkeypatch.setattr("modelward.worker.service._RECONCILE_EVERY", 0)
    worker = make_worker()
    placed = market.place(model, trained.row)
    worker.step()
    market.place(model, trained.row)

    endpoint.faults["eth_call"] = lambda answer: answer() | {"result": "0x"}
    with pytest.raises(RpcUnavailable, match="lacks the state"):
        worker.step()

    endpoint.faults.clear()
    worker.drain()
    assert market.status(placed) is RequestStatus.FULFILLED
