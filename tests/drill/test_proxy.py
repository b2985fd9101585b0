"""The proxy does what its plan says, and nothing else."""

from __future__ import annotations

from collections import Counter
from threading import Timer
from typing import Any

import pytest
import requests

from modelward.chain.accounts import Account
from modelward.chain.connection import Chain
from modelward.chain.encoding import to_address, to_hex
from modelward.chain.provider import BadAnswer, HttpProvider, Throttled
from modelward.chain.sender import Sender
from modelward.chain.transactions import Call
from modelward.config import Network
from modelward.drill.faults import (
    BATCH_FAULTS,
    LOG_FAULTS,
    RPC_FAULTS,
    Fault,
    FaultPlan,
    fits,
)
from modelward.drill.proxy import Stage

BROKEN = {
    Fault.UNAVAILABLE: Throttled,
    Fault.THROTTLED: Throttled,
    Fault.RESET: requests.ConnectionError,
    Fault.HANG: requests.Timeout,
    Fault.HTML: BadAnswer,
    Fault.TRUNCATED: BadAnswer,
    Fault.WRONG_ID: BadAnswer,
    Fault.LOST_REPLY: requests.ConnectionError,
}


@pytest.fixture
def client(proxy) -> HttpProvider:
    return HttpProvider(proxy.url, timeout=0.5)


@pytest.fixture
def chain(node_url) -> Chain:
    """The node itself."""
    network = Network("local", node_url, 31337, poll_interval=0.01, development_accounts=True)
    return Chain.connect(network)


@pytest.fixture
def sender(chain) -> Sender:
    return Sender(chain, Account.development("spare"))


def signed(sender):
    """A transaction that logs nothing and moves nothing."""
    return sender.prepare(Call(to=sender.address, data=b""))


def test_without_a_plan_it_is_the_node(client, chain):
    answer = client.make_request("eth_getBlockByNumber", ["latest", False])
    assert answer["result"]["hash"] == to_hex(chain.head().hash)


@pytest.mark.parametrize(("fault", "seen"), BROKEN.items(), ids=str)
def test_a_scheduled_fault_is_met_once(client, plan, fault, seen):
    plan.schedule("eth_chainId", fault)
    with pytest.raises(seen):
        client.make_request("eth_chainId", [])
    assert client.make_request("eth_chainId", [])["result"] == "0x7a69"
    assert plan.met == Counter({("eth_chainId", fault): 1})


def test_a_throttled_client_is_told_how_long_to_wait(client, plan):
    plan.schedule("eth_chainId", Fault.THROTTLED)
    with pytest.raises(Throttled) as caught:
        client.make_request("eth_chainId", [])
    assert caught.value.retry_after == 1


def test_null_and_a_rate_limit_are_answers_to_the_request(client, plan):
    plan.schedule("eth_chainId", Fault.NULL, Fault.RATE_LIMITED)
    assert client.make_request("eth_chainId", [])["result"] is None
    assert client.make_request("eth_chainId", [])["error"]["code"] == -32005


def test_a_late_answer_is_the_right_one(client, plan):
    plan.schedule("eth_chainId", Fault.DELAY)
    assert client.make_request("eth_chainId", [])["result"] == "0x7a69"


def test_a_transaction_whose_reply_is_lost_is_mined(client, plan, sender):
    transaction = signed(sender)
    plan.schedule("eth_sendRawTransaction", Fault.LOST_REPLY)
    with pytest.raises(requests.ConnectionError):
        client.make_request("eth_sendRawTransaction", [to_hex(transaction.raw)])
    assert sender.receipt(transaction.hash) is not None


def test_a_swallowed_transaction_is_acknowledged_and_unknown(client, plan, sender):
    transaction = signed(sender)
    plan.schedule("eth_sendRawTransaction", Fault.SWALLOWED)
    answer = client.make_request("eth_sendRawTransaction", [to_hex(transaction.raw)])
    assert answer["result"] == to_hex(transaction.hash)
    assert not sender.is_known(transaction.hash)


def test_an_underpriced_transaction_is_refused_and_unknown(client, plan, sender):
    transaction = signed(sender)
    plan.schedule("eth_sendRawTransaction", Fault.UNDERPRICED)
    answer = client.make_request("eth_sendRawTransaction", [to_hex(transaction.raw)])
    assert "underpriced" in answer["error"]["message"]
    assert not sender.is_known(transaction.hash)


@pytest.mark.parametrize("fault", LOG_FAULTS, ids=str)
def test_logs_are_lost_doubled_shuffled_or_taken_back(proxy, plan, fault, logs_of_two_blocks):
    query, honest = logs_of_two_blocks
    client: Any = HttpProvider(proxy.url, timeout=2)
    plan.schedule("eth_getLogs", fault)

    given = client.make_request("eth_getLogs", [query])["result"]

    standing = [entry for entry in given if not entry.get("removed")]
    match fault:
        case Fault.EMPTY_LOGS:
            assert given == []
        case Fault.DUPLICATED_LOGS:
            assert len(given) > len(honest)
            assert _places(given) == _places(honest)
        case Fault.REORDERED_LOGS:
            assert given != honest
            assert sorted(map(str, given)) == sorted(map(str, honest))
        case Fault.REMOVED_LOGS:
            assert standing == honest
            assert len(given) == 2 * len(honest)


def _places(logs):
    return {(entry["blockNumber"], entry["logIndex"]) for entry in logs}


@pytest.fixture
def logs_of_two_blocks(chain, sender):
    """A query, and the six logs it gives."""
    logging_code = bytes.fromhex("60006000a060006000a060006000a000")  # LOG0, three times
    emitter = to_address(b"\x11" * 20)
    chain.rpc("anvil_setCode", [emitter, to_hex(logging_code)])
    first = chain.head().number + 1
    for _ in range(2):
        sender.send(Call(to=emitter, data=b""))
    query = {"fromBlock": hex(first), "toBlock": hex(chain.head().number), "address": emitter}
    logs = chain.rpc("eth_getLogs", [query])
    assert len(logs) == 6
    return query, logs


def test_a_lagging_node_has_not_seen_the_newest_blocks(client, plan, chain, logs_of_two_blocks):
    query, _ = logs_of_two_blocks
    head = chain.head()

    def lagging(method, *params):
        plan.schedule(method, Fault.LAGGING)
        return client.make_request(method, list(params))

    assert lagging("eth_blockNumber")["result"] == hex(head.number - 2)
    latest = lagging("eth_getBlockByNumber", "latest", False)["result"]
    assert latest["number"] == hex(head.number - 2)
    assert lagging("eth_getBlockByNumber", hex(head.number), False)["result"] is None
    assert lagging("eth_getBlockByHash", to_hex(head.hash), False)["result"] is None
    assert lagging("eth_getLogs", query)["result"] == []
    assert "unknown block" in str(lagging("eth_getLogs", {"blockHash": to_hex(head.hash)}))
    wider = query | {"fromBlock": "0x0"}
    seen = lagging("eth_getLogs", wider)["result"]
    assert all(int(entry["blockNumber"], 16) <= head.number - 2 for entry in seen)


def test_a_lagging_node_counts_nonces_in_its_own_head(client, plan, sender, chain):
    sender.send(Call(to=sender.address, data=b""))
    chain.rpc("evm_mine")
    plan.schedule("eth_getTransactionCount", Fault.LAGGING)
    answer = client.make_request("eth_getTransactionCount", [sender.address, "latest"])
    assert answer["result"] == hex(sender.nonce() - 1)


@pytest.fixture
def post(proxy):
    """Send a batch of calls of one method, and give what is said to them by the place of each."""

    def send(method, *each_params):
        batch = [
            {"jsonrpc": "2.0", "id": place, "method": method, "params": list(params)}
            for place, params in enumerate(each_params)
        ]
        return requests.post(proxy.url, json=batch, timeout=2).json()

    return send


@pytest.fixture
def several(sender):
    """Three transactions, each behind the one before."""
    first = sender.next_nonce()
    call = Call(to=sender.address, data=b"")
    return [sender.prepare(call, nonce=first + n) for n in range(3)]


@pytest.fixture
def send(post, several):
    return lambda: post("eth_sendRawTransaction", *[[to_hex(each.raw)] for each in several])


def test_each_call_of_a_batch_meets_a_fault_of_its_own(post, plan):
    plan.schedule("eth_chainId", None, Fault.NULL, Fault.RATE_LIMITED)
    right, null, limited, behind = post("eth_chainId", [], [], [], [])
    assert right["result"] == behind["result"] == "0x7a69"
    assert null["result"] is None
    assert limited["error"]["code"] == -32005
    assert plan.calls["eth_chainId"] == plan.batched["eth_chainId"] == 4


def test_one_reply_of_a_batch_can_be_for_another_request(post, plan):
    plan.schedule("eth_chainId", None, Fault.WRONG_ID)
    assert [each["id"] for each in post("eth_chainId", [], [], [])] == [0, "1-another", 2]


def test_one_reply_of_a_batch_is_left_out_though_its_call_was_done(send, plan, sender, several):
    plan.schedule("eth_sendRawTransaction", None, Fault.LEFT_OUT)
    assert [each["id"] for each in send()] == [0, 2]
    assert sender.are_known([each.hash for each in several]) == [True, True, True]


def test_replies_come_in_another_order(send, plan, several):
    plan.schedule("eth_sendRawTransaction", Fault.DISORDERED)
    given = [(each["id"], each["result"]) for each in send()]
    hashes = [to_hex(each.hash) for each in several]
    assert given == [(2, hashes[2]), (1, hashes[1]), (0, hashes[0])]


def test_one_transaction_of_a_batch_is_swallowed(send, plan, sender, several):
    plan.schedule("eth_sendRawTransaction", None, None, Fault.SWALLOWED)
    assert [each["result"] for each in send()] == [to_hex(each.hash) for each in several]
    assert sender.are_known([each.hash for each in several]) == [True, True, False]


@pytest.mark.parametrize(
    ("fault", "known"),
    [
        (Fault.RESET, [True, False, False]),
        (Fault.UNAVAILABLE, [True, False, False]),
        (Fault.HANG, [True, False, False]),
        (Fault.HTML, [True, False, False]),
        (Fault.LOST_REPLY, [True, True, False]),
        (Fault.TRUNCATED, [True, True, False]),
    ],
    ids=str,
)
def test_an_exchange_that_breaks_at_one_call_has_done_those_before(
    send, plan, sender, several, fault, known
):
    plan.schedule("eth_sendRawTransaction", None, fault)
    with pytest.raises((requests.RequestException, ValueError)):
        send()
    assert sender.are_known([each.hash for each in several]) == known


@pytest.mark.parametrize(
    ("stage", "known"),
    [(Stage.ASKED, [True, True, False]), (Stage.ANSWERED, [True, True, True])],
    ids=str,
)
def test_a_witness_ends_a_batch_between_two_calls_or_before_its_reply(
    send, proxy, sender, several, stage, known
):
    proxy.witness = lambda _, at, before: (at, before) == (stage, 2)
    with pytest.raises(requests.ConnectionError):
        send()
    assert sender.are_known([each.hash for each in several]) == known


def test_clients_that_hang_are_let_go_when_it_stops(proxy, plan):
    client: Any = HttpProvider(proxy.url, timeout=30)
    plan.schedule("eth_chainId", Fault.HANG)
    timer = Timer(0.3, proxy.stopping.set)
    timer.start()
    with pytest.raises(requests.ConnectionError):
        client.make_request("eth_chainId", [])


class TestPlan:
    def test_chance_is_the_seeds_alone(self):
        def met(seed):
            plan = FaultPlan(seed)
            plan.by_chance(0.2)
            return [plan.next("eth_call") for _ in range(500)]

        assert met(1) == met(1)
        assert met(1) != met(2)
        assert 60 < sum(fault is not None for fault in met(1)) < 140
        assert set(met(1)) == {None, *RPC_FAULTS}

    def test_interleaved_methods_meet_what_they_meet_alone(self):
        alone, mixed = FaultPlan(3), FaultPlan(3)
        for plan in (alone, mixed):
            plan.by_chance(0.5)
        expected = [alone.next("eth_call") for _ in range(50)]
        found = []
        for _ in range(50):
            mixed.next("eth_chainId")
            found.append(mixed.next("eth_call"))
        assert found == expected

    def test_faults_of_logs_are_met_by_logs_alone(self):
        plan = FaultPlan()
        plan.by_chance(1.0, LOG_FAULTS)
        assert plan.next("eth_call") is None
        assert plan.next("eth_getLogs") in LOG_FAULTS
        assert not fits(Fault.SWALLOWED, "eth_getLogs")

    def test_faults_of_batches_wait_for_a_batch(self):
        plan = FaultPlan()
        plan.schedule("eth_call", None, Fault.LEFT_OUT, batched=True)
        assert plan.next("eth_call") is None
        assert [plan.next("eth_call", batched=True) for _ in range(3)] == [
            None,
            Fault.LEFT_OUT,
            None,
        ]
        plan.by_chance(1.0, BATCH_FAULTS)
        assert plan.next("eth_call") is None
        assert plan.next("eth_call", batched=True) in BATCH_FAULTS

    def test_cleared_it_is_honest(self):
        plan = FaultPlan()
        plan.by_chance(1.0)
        plan.schedule("eth_call", Fault.NULL)
        assert plan.waiting == 1
        plan.clear()
        assert (plan.waiting, plan.next("eth_call")) == (0, None)
