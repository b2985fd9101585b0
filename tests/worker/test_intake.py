"""What the chain is read with: bounded ranges, every block once, and no trust in the endpoint."""

from __future__ import annotations

import pytest

from modelward.errors import RpcUnavailable
from modelward.journal import State
from modelward.terms import RequestStatus
from modelward.worker import Milestone

from .trading import failing, job


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr("modelward.chain.connection._FIRST_PAUSE", 0)


def read_ranges(endpoint):
    """The block ranges in which the events of escrow and grants were read so far."""
    queries = [params[0] for method, params in endpoint.calls if method == "eth_getLogs"]
    return [
        (int(query["fromBlock"], 16), int(query["toBlock"], 16))
        for query in queries
        if len(query["address"]) == 2
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
