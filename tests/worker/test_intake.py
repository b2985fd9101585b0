"""What the chain is read with: bounded ranges, every block once, and no trust in the endpoint."""

from __future__ import annotations

import json
import random
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from web3.providers import BaseProvider
from web3.types import RPCEndpoint, RPCResponse

from modelward.chain.connection import Chain
from modelward.errors import RpcUnavailable
from modelward.journal import Journal, State
from modelward.terms import RequestStatus
from modelward.worker import Milestone, identity_of
from modelward.worker.intake import Intake

from .trading import failing, job


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr("modelward.chain.connection._FIRST_PAUSE", 0)


def read_ranges(endpoint):
    """The block ranges in which the events of escrow, grants and referee were read so far."""
    queries = [params[0] for method, params in endpoint.calls if method == "eth_getLogs"]
    return [
        (int(query["fromBlock"], 16), int(query["toBlock"], 16))
        for query in queries
        if len(query["address"]) == 3
    ]


def test_logs_are_read_in_bounded_ranges_that_leave_out_no_block(
    market, model, trained, make_worker, endpoint, devchain, deployment
):
    placed = market.place(model, trained.row)
    devchain.mine(7)
    worker = make_worker(network={"log_range": 3})
    endpoint.calls.clear()
    worker.step()

    blocks = [n for first, last in read_ranges(endpoint) for n in range(first, last + 1)]
    assert blocks == list(range(deployment.first_block, devchain.block_number + 1))
    assert all(last - first < 3 for first, last in read_ranges(endpoint))
    assert market.status(placed) is RequestStatus.FULFILLED


def test_no_filter_is_ever_left_with_the_node(market, model, trained, make_worker, endpoint):
    market.place(model, trained.row)
    make_worker().step()
    assert not [method for method in endpoint.asked if "ilter" in method]


def test_an_idle_step_asks_for_one_header(model, make_worker, endpoint):
    worker = make_worker()
    worker.step()
    endpoint.calls.clear()
    assert worker.step().idle
    assert endpoint.asked == ["eth_getBlockByNumber"]


def test_reading_goes_on_where_it_stopped(market, model, trained, make_worker, endpoint, devchain):
    make_worker().step()
    cursor = devchain.block_number
    placed = market.place(model, trained.row)

    worker = make_worker()
    endpoint.calls.clear()
    worker.step()

    assert read_ranges(endpoint)[0] == (cursor + 1, cursor + 1)
    assert job(worker.journal, placed).state is State.FINAL


def test_what_could_not_be_read_is_read_later(
    market, model, trained, make_worker, endpoint, devchain
):
    placed = market.place(model, trained.row)
    worker = make_worker(network={"log_range": 2})
    answered = 0

    def fail_after_the_first(answer):
        nonlocal answered
        answered += 1
        return answer() if answered == 1 else failing("out of memory")(answer)

    endpoint.faults["eth_getLogs"] = fail_after_the_first
    with pytest.raises(Exception, match="out of memory"):
        worker.step()
    cursor = worker.journal.cursor()
    assert cursor is not None
    assert cursor.number < devchain.block_number

    endpoint.faults.clear()
    worker.drain()
    assert market.status(placed) is RequestStatus.FULFILLED


# --- an endpoint that does not tell the truth ----------------------------------------------------


def changed_logs(change):
    """Answers eth_getLogs with every log changed."""

    def fault(answer):
        honest = answer()
        return {**honest, "result": [change(dict(log)) for log in honest["result"]]}

    return fault


def other_terms(log):
    """The same request id, with one byte of the offer's fee changed."""
    data = bytearray.fromhex(log["data"][2:])
    fee = 6 * 32  # the offer's seventh word; it stands in front of the request
    data[fee + 31] ^= 1
    return {**log, "data": "0x" + data.hex()}


def other_block(log):
    return {**log, "blockHash": "0x" + "ab" * 32}


@pytest.mark.parametrize("change", [other_terms, other_block])
def test_logs_that_are_not_the_chains_are_not_believed(
    market, model, trained, make_worker, endpoint, worker, change
):
    working = make_worker()
    working.step()
    placed = market.place(model, trained.row)
    before = working.journal.cursor()
    endpoint.faults["eth_getLogs"] = changed_logs(change)

    with pytest.raises(RpcUnavailable):
        working.step()

    assert working.journal.cursor() == before
    assert working.journal.job(placed.id) is None
    assert worker.nonce() == 0
    endpoint.faults.clear()
    assert working.step().at(Milestone.SENT) == (placed.id,)


def test_logs_read_while_the_chain_changed_are_read_again(
    market, model, trained, make_worker, endpoint, chain
):
    working = make_worker()
    working.step()
    dropped = market.place(model, trained.row)

    def reorganise_meanwhile(answer):
        honest = answer()
        if chain.rpc("eth_getTransactionReceipt", ["0x" + dropped.transaction_hash.hex()]):
            chain.rpc("anvil_reorg", [1])
        return honest

    endpoint.faults["eth_getLogs"] = reorganise_meanwhile
    with pytest.raises(RpcUnavailable, match="read again"):
        working.step()

    assert working.journal.job(dropped.id) is None
    placed = market.place(model, trained.row)
    endpoint.faults.clear()
    working.drain()
    assert job(working.journal, placed).state is State.FINAL
    assert working.journal.job(dropped.id) is None


# --- an endpoint that has not seen everything yet ------------------------------------------------


@pytest.fixture
def reading(deployment, worker, endpoint, tmp_path):
    """`reading(log_range=3)`: an intake on a new journal, and the journal."""
    opened: list[Journal] = []

    def start(**network):
        chain = Chain(replace(deployment.chain.network, **network), endpoint)
        there = replace(deployment, chain=chain)
        identity = identity_of(chain, there, worker.account)
        journal = Journal(tmp_path / f"{len(opened)}.sqlite", identity)
        opened.append(journal)
        return Intake(chain, there, worker.address, journal), journal

    yield start
    for journal in opened:
        journal.close()


def empty(*_):
    """The answer of a node that has not got that far."""
    return {"jsonrpc": "2.0", "id": 1, "result": []}


def empty_for_ranges(endpoint):
    def answer(honest):
        by_hash = "blockHash" in endpoint.calls[-1][1][0]
        return honest() if by_hash else empty()

    return answer


def test_logs_that_a_range_left_out_are_found_by_the_headers_filter(
    market, model, trained, reading, endpoint
):
    intake, journal = reading()
    intake.read()
    placed = market.place(model, trained.row)
    endpoint.faults["eth_getLogs"] = empty_for_ranges(endpoint)

    assert intake.read().placed == (placed.id,)
    assert journal.job(placed.id).state is State.CONFIRMED


def test_logs_that_no_query_gives_are_found_in_the_receipts(
    market, model, trained, reading, endpoint
):
    intake, _ = reading()
    placed = market.place(model, trained.row)
    endpoint.faults["eth_getLogs"] = empty

    assert intake.read().placed == (placed.id,)


def test_a_node_that_does_not_know_the_block_yet_moves_no_cursor(
    market, model, trained, reading, endpoint
):
    intake, journal = reading()
    intake.read()
    before = journal.cursor()
    placed = market.place(model, trained.row)

    def lag(honest):
        by_hash = "blockHash" in endpoint.calls[-1][1][0]
        return failing("unknown block")(honest) if by_hash else empty()

    endpoint.faults["eth_getLogs"] = lag
    for _ in range(3):
        with pytest.raises(Exception, match="unknown block"):
            intake.read()
        assert journal.cursor() == before

    endpoint.faults.clear()
    assert intake.read().placed == (placed.id,)


def test_a_block_with_nothing_of_ours_costs_no_further_question(model, reading, endpoint, devchain):
    intake, _ = reading()
    intake.read()
    devchain.mine(3)
    endpoint.calls.clear()
    intake.read()
    assert endpoint.asked.count("eth_getLogs") == 1
    assert "eth_getBlockReceipts" not in endpoint.asked


# --- events more than once, out of order, taken back ---------------------------------------------


SEQUENCES = 200


@dataclass
class Remembering(BaseProvider):
    """An endpoint of a chain that stands still: it asks each question once."""

    honest: BaseProvider
    answers: dict[str, RPCResponse] = field(default_factory=dict)

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        question = json.dumps([method, params])
        if question not in self.answers:
            self.answers[question] = self.honest.make_request(method, params)
        return deepcopy(self.answers[question])


@pytest.fixture
def story(market, model, trained, worker, devchain, make_worker):
    """Requests that were answered, refunded, refused by nobody and left open, some of them
    in blocks of their own."""
    placed = [market.place(model, bytes([n]), lifetime=60) for n in range(3)]
    devchain.increase_time(100)
    for each in placed[:2]:
        market.requester.send(market.escrow.refund(each.id))
    answered = [market.place(model, trained.row) for _ in range(2)]
    make_worker().drain()
    devchain.mine(2)
    return [*placed, *answered, *(market.place(model, trained.row) for _ in range(3))]


def read_in_turns(reading, turns, log_range):
    """Read on one journal, each time with fewer blocks left to be confirmed; what was new."""
    intake, journal = reading(log_range=log_range, confirmations=turns)
    brought = intake.read()
    for left in range(turns - 1, 0, -1):
        intake._chain.network = replace(intake._chain.network, confirmations=left)
        brought += intake.read()
    states = {job.request_id: (job.state, job.on_chain) for job in journal.jobs(*State)}
    return brought, states


def test_disordered_events_count_once_in_200_sequences(story, reading, endpoint):
    """Each sequence duplicates, shuffles and takes back the logs of the same story in its own
    way, and reads it in other steps."""
    endpoint.honest = Remembering(endpoint.honest)
    truth = {each.id: (State.CONFIRMED, True) for each in story[-3:]}
    _, honest = read_in_turns(reading, 1, 2_000)
    assert truth.items() <= honest.items()

    for seed in range(SEQUENCES):
        chance = random.Random(seed)

        def disorder(honest, chance=chance):
            answer = honest()
            logs = [log for log in answer["result"] for _ in range(chance.randint(1, 3))]
            gone = "0x" + chance.randbytes(32).hex()
            logs += [{**log, "removed": True, "blockHash": gone} for log in logs]
            chance.shuffle(logs)
            return {**answer, "result": logs}

        endpoint.faults["eth_getLogs"] = disorder
        turns, log_range = chance.randint(1, 12), chance.choice([1, 2, 5, 2_000])
        brought, states = read_in_turns(reading, turns, log_range)

        for new in (brought.placed, brought.ended):
            assert len(new) == len(set(new)), f"sequence {seed}"
        still_open = {each: state for each, state in states.items() if not state[0].is_end}
        assert still_open == truth, f"sequence {seed}"
        assert set(brought.ended) == set(states) - set(truth), f"sequence {seed}"
        assert set(states) <= {each.id for each in story}
