"""Every method that is used, against every way in which an endpoint fails: no crash, no wrong
value, an error of one kind, and all is well once the endpoint is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from modelward.chain import connection
from modelward.chain.accounts import Account
from modelward.chain.answers import NULLABLE
from modelward.chain.connection import Chain
from modelward.chain.encoding import quantity, to_hex
from modelward.chain.fees import Fees, choose_fees
from modelward.chain.provider import BadAnswer
from modelward.chain.sender import Sender
from modelward.chain.transactions import Call, Receipt, SignedTransaction
from modelward.config import Network
from modelward.devchain import DevChain, serve
from modelward.drill.faults import RPC_FAULTS, Fault, FaultPlan
from modelward.drill.proxy import Proxy
from modelward.errors import RpcError, RpcUnavailable, WrongNonce
from modelward.terms import GWEI

TIMEOUT = 0.3
ECHO = bytes.fromhex("600f8060093d393df3602a60005260206000a060206000f3")
"""A contract that logs the word 42 and returns it."""


@dataclass
class World:
    """A chain over HTTP with a contract, and two endpoints that fail as planned."""

    devchain: DevChain
    receipt: Receipt
    first: Proxy
    second: Proxy
    nonces: int = 0

    def network(self, *proxies: Proxy) -> Network:
        urls = [proxy.url for proxy in proxies]
        return Network(
            "faulty", urls[0], 31337, timeout=TIMEOUT, poll_interval=0.01,
            development_accounts=True, fallback_urls=tuple(urls[1:]),
        )  # fmt: skip


@pytest.fixture(scope="module")
def shared_world() -> Iterator[World]:
    devchain = DevChain()
    with serve(devchain) as server:
        chain = Chain.connect(Network("node", server.url, 31337, development_accounts=True))
        sender = Sender(chain, Account.development("spare"))
        created = sender.send(Call(to=None, data=ECHO))
        assert created.contract_address is not None
        receipt = sender.send(Call(to=created.contract_address, data=b""))
        options: dict[str, Any] = {"hang_seconds": 2, "retry_after": 0}
        with (
            Proxy(server.url, FaultPlan(1), **options) as first,
            Proxy(server.url, FaultPlan(2), **options) as second,
        ):
            yield World(devchain, receipt, first, second)


@pytest.fixture
def world(shared_world, monkeypatch) -> Iterator[World]:
    monkeypatch.setattr(connection, "_FIRST_PAUSE", 0.005)
    yield shared_world
    for proxy in (shared_world.first, shared_world.second):
        proxy.plan = FaultPlan()
        proxy.lag, proxy.retry_after = 2, 0


def sender_of(chain: Chain) -> Sender:
    return Sender(chain, Account.development("spare"))


def broadcast(chain: Chain, world: World) -> bool:
    """Send a new transaction to the node; whether it was mined, once."""
    honest = sender_of(Chain.connect(replace(world.network(world.second), timeout=5.0)))
    signed = honest.prepare(Call(to=honest.address, data=b""))
    before = honest.nonce()
    assert sender_of(chain).broadcast(signed) == signed.hash
    return honest.nonce() == before + 1 and honest.receipt(signed.hash) is not None


Question = Callable[[Chain, World], Any]

QUESTIONS: dict[str, Question] = {
    "eth_blockNumber": lambda chain, _: quantity(chain.rpc("eth_blockNumber")),
    "eth_call": lambda chain, world: chain.call(world.receipt.to or "", b""),
    "eth_chainId": lambda chain, _: quantity(chain.rpc("eth_chainId")),
    "eth_estimateGas": lambda chain, world: sender_of(chain).estimate(
        Call(to=world.receipt.to, data=b"")
    ),
    "eth_getBalance": lambda chain, world: chain.balance(world.receipt.sender, 2),
    "eth_getBlockByHash": lambda chain, world: chain.block(world.receipt.block_hash),
    "eth_getBlockByNumber": lambda chain, _: chain.block(2),
    "eth_getBlockReceipts": lambda chain, _: chain.rpc("eth_getBlockReceipts", ["0x2"]),
    "eth_getCode": lambda chain, world: chain.code(world.receipt.to or ""),
    "eth_getLogs": lambda chain, world: chain.rpc(
        "eth_getLogs", [{"fromBlock": "0x0", "toBlock": "0x2", "address": world.receipt.to}]
    ),
    "eth_getTransactionByHash": lambda chain, world: sender_of(chain).is_known(
        world.receipt.transaction_hash
    ),
    "eth_getTransactionCount": lambda chain, _: sender_of(chain).nonce("0x1"),
    "eth_getTransactionReceipt": lambda chain, world: sender_of(chain).receipt(
        world.receipt.transaction_hash
    ),
    "eth_maxPriorityFeePerGas": lambda chain, _: choose_fees(chain).tip,
    "eth_sendRawTransaction": broadcast,
}

CARRIED_OUT = (Fault.TRUNCATED, Fault.WRONG_ID, Fault.LOST_REPLY)
"""Faults of which the node knows nothing: it did what it was asked."""

SIGNING = {"eth_accounts", "eth_sendTransaction", "eth_signTransaction", "eth_signTypedData_v4"}
"""Methods of whoever holds a key, which is no endpoint of a chain."""

every_method = pytest.mark.parametrize("method", QUESTIONS)
every_fault = pytest.mark.parametrize("fault", RPC_FAULTS, ids=str)


def truth(method: str, world: World) -> Any:
    return QUESTIONS[method](
        Chain.connect(replace(world.network(world.second), timeout=5.0)), world
    )


def test_no_method_is_used_that_is_not_tried_here(repository):
    used = set()
    for file in (repository / "offchain" / "modelward").rglob("*.py"):
        if not {"devchain", "drill", "bench", "cli"} & set(file.parts):
            words = file.read_text(encoding="utf-8").split('"')
            used |= {word for word in words if word.startswith("eth_") and word.isidentifier()}
    assert used - SIGNING - {"eth_", "eth_gasPrice"} <= {*QUESTIONS}


@every_method
@every_fault
def test_a_fault_that_passes_is_waited_out(world, method, fault):
    expected = truth(method, world)
    chain = Chain.connect(world.network(world.first))
    world.first.plan.schedule(method, fault, fault)

    if fault is Fault.NULL and method in NULLABLE:  # what it says may be so
        for _ in range(2):
            assert nothing_there(chain, world, method)
    assert QUESTIONS[method](chain, world) == expected


@every_method
@every_fault
def test_a_fault_that_lasts_is_an_error_of_the_endpoint_and_passes(world, method, fault):
    expected = truth(method, world)
    chain = Chain.connect(world.network(world.first))
    world.first.plan.schedule(method, *(20 * [fault]))

    if fault is Fault.NULL and method in NULLABLE:
        assert nothing_there(chain, world, method)
    elif fault in CARRIED_OUT and method == "eth_sendRawTransaction":
        assert QUESTIONS[method](chain, world) is True  # and found by its hash
        assert world.first.plan.met[method, fault] == 1
    elif method == "eth_maxPriorityFeePerGas":
        with pytest.raises((RpcUnavailable, RpcError)):
            chain.rpc(method)
    else:
        with pytest.raises(RpcUnavailable) as caught:
            QUESTIONS[method](chain, world)
        assert caught.value.exit_code == 4

    world.first.plan.clear()
    assert QUESTIONS[method](chain, world) == expected


@every_method
@every_fault
def test_when_an_endpoint_fails_at_everything_another_one_is_asked(world, method, fault):
    expected = truth(method, world)
    chain = Chain.connect(world.network(world.first, world.second))
    world.first.plan.by_chance(1.0, (fault,))

    assert QUESTIONS[method](chain, world) == expected


def nothing_there(chain: Chain, world: World, method: str) -> bool:
    try:
        return not QUESTIONS[method](chain, world)
    except RpcError as error:
        return "has no block" in error.message


# --- several questions at once -------------------------------------------------------------------


@every_fault
def test_headers_asked_for_at_once_are_right_whatever_befalls_the_exchange(world, fault):
    numbers = [0, 1, 2]
    expected = [Chain.connect(world.network(world.second)).block(number) for number in numbers]
    chain = Chain.connect(world.network(world.first))
    world.first.plan.schedule("eth_getBlockByNumber", fault, fault)

    assert chain.blocks(numbers) == expected


def test_headers_are_asked_for_at_once(world):
    chain = Chain.connect(world.network(world.first))
    world.first.plan = FaultPlan()
    chain.blocks([2, 1, 0])
    plan = world.first.plan
    assert plan.calls == plan.batched == {"eth_getBlockByNumber": 3}


@pytest.mark.parametrize(
    "answer",
    [
        {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no batches here"}},
        [{"jsonrpc": "2.0", "id": 0, "error": {"code": -32600, "message": "too many"}}],
        BadAnswer("the answer is HTTP status 405"),
    ],
    ids=["refused", "each refused", "HTTP error"],
)
def test_where_several_at_once_are_not_taken_headers_are_asked_for_one_by_one(
    world, monkeypatch, answer
):
    chain = Chain.connect(world.network(world.first))
    tried = []

    def refuse(batch: Any) -> Any:
        tried.append(batch)
        if isinstance(answer, BadAnswer):
            raise answer
        return len(batch) * answer if isinstance(answer, list) else answer

    monkeypatch.setattr(chain.provider, "make_batch_request", refuse)
    for _ in range(3):
        assert [header.number for header in chain.blocks([1, 2])] == [1, 2]
    assert len(tried) == (4 if isinstance(answer, BadAnswer) else 1)


def test_an_endpoint_that_takes_no_several_at_once_is_tried_again_ever_more_rarely(
    world, monkeypatch
):
    chain = Chain.connect(world.network(world.first))
    refusal = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no batches"}}
    tried: list[Any] = []
    host_clock, passed = time.monotonic, [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: host_clock() + passed[0])

    def refuse(batch: Any) -> Any:
        tried.append(batch)
        return refusal

    def tries_after(seconds: float) -> int:
        passed[0] += seconds
        assert [header.number for header in chain.blocks([1, 2])] == [1, 2]
        return len(tried)

    with monkeypatch.context() as refusing:
        refusing.setattr(chain.provider, "make_batch_request", refuse)
        assert [tries_after(seconds) for seconds in (0, 10, 10)] == [1, 1, 2]
        assert [tries_after(seconds) for seconds in (20, 20, 40, 40)] == [2, 3, 3, 4]
        assert [tries_after(seconds) for seconds in (999, 999, 999, 599, 2)] == [5, 6, 7, 7, 8]

    assert tries_after(601) == 8
    monkeypatch.setattr(chain.provider, "make_batch_request", refuse)
    assert [tries_after(seconds) for seconds in (0, 10, 10)] == [9, 9, 10]


def bare_sends(chain: Chain, count: int) -> list[SignedTransaction]:
    sender = Sender(chain, Account.development("requester"))
    first = sender.next_nonce()
    return [
        sender.sign(
            Call(sender.address, b""), gas=21_000, nonce=first + n, fees=Fees(GWEI * 9, GWEI)
        )
        for n in range(count)
    ]


@every_fault
def test_transactions_sent_at_once_all_arrive_whatever_befalls_the_exchange(world, fault):
    chain = Chain.connect(world.network(world.first))
    sender = Sender(chain, Account.development("requester"))
    signed = bare_sends(chain, 3)
    world.first.plan.schedule("eth_sendRawTransaction", fault)

    assert sender.broadcast_all(signed) == [None, None, None]
    assert sender.are_known([each.hash for each in signed]) == [True, True, True]
    assert all(receipt is not None for receipt in sender.receipts([each.hash for each in signed]))


def test_of_transactions_sent_at_once_each_has_its_own_fate(world):
    chain = Chain.connect(world.network(world.first))
    sender = Sender(chain, Account.development("requester"))
    first, second, third = bare_sends(chain, 3)
    sender.broadcast(first)
    used = sender.sign(
        Call(sender.address, b"again"), gas=30_000, nonce=first.nonce, fees=Fees(GWEI * 9, GWEI)
    )
    world.first.plan = FaultPlan()

    fates = sender.broadcast_all([first, used, second, third])

    assert [type(fate) for fate in fates] == [type(None), WrongNonce, type(None), type(None)]
    plan = world.first.plan
    assert plan.calls["eth_sendRawTransaction"] == plan.batched["eth_sendRawTransaction"] == 4


def test_a_block_below_one_that_was_there_is_asked_for_again(world):
    chain = Chain.connect(world.network(world.first))
    newest = chain.head().number
    world.first.plan.schedule("eth_getBlockByNumber", Fault.NULL, Fault.NULL)
    assert chain.block(newest - 1).number == newest - 1


# --- one endpoint --------------------------------------------------------------------------------


def test_the_only_endpoint_is_asked_again_at_once_when_a_connection_broke(world, monkeypatch):
    monkeypatch.setattr(connection, "_FIRST_PAUSE", 60.0)
    chain = Chain.connect(world.network(world.first))
    world.first.plan.schedule("eth_getBalance", Fault.RESET)
    assert chain.balance(world.receipt.sender) > 0

    world.first.plan.schedule("eth_getBalance", Fault.RATE_LIMITED)
    with pytest.raises(RpcUnavailable, match="limiting requests"):
        chain.balance(world.receipt.sender)


def test_an_endpoint_answers_mostly_until_it_fails_more_often(world):
    chain = Chain.connect(world.network(world.first))
    for _ in range(10):
        world.first.plan.schedule("eth_getBalance", Fault.RESET)
        for _ in range(3):
            chain.balance(world.receipt.sender)
        assert chain.answers_mostly
    world.first.plan.by_chance(1.0, (Fault.RESET,))
    with pytest.raises(RpcUnavailable):
        chain.balance(world.receipt.sender)
    assert not chain.answers_mostly


# --- what two endpoints owe each other -----------------------------------------------------------


@pytest.fixture
def two(world) -> Chain:
    return Chain.connect(world.network(world.first, world.second))


def test_one_endpoint_of_several_is_enough_to_connect(world):
    world.first.plan.by_chance(1.0, (Fault.RESET,))
    assert Chain.connect(world.network(world.first, world.second)).head().number >= 2


def test_an_endpoint_that_answers_is_the_only_one_asked(world, two):
    world.second.plan = FaultPlan()
    for _ in range(5):
        two.block(1)
    assert not world.second.plan.calls["eth_getBlockByNumber"]


def test_an_endpoint_that_failed_is_left_until_the_other_fails(world, two):
    world.first.plan.schedule("eth_getBalance", Fault.RESET)
    two.balance(world.receipt.sender)
    world.first.plan = FaultPlan()
    two.balance(world.receipt.sender)
    assert not world.first.plan.calls

    world.second.plan.by_chance(1.0, (Fault.RESET,))
    time.sleep(0.05)
    two.balance(world.receipt.sender)
    assert world.first.plan.calls["eth_getBalance"]


def test_an_endpoint_that_fails_now_and_then_is_identified_once(world, two):
    two.confirmed_head()
    for proxy in (world.first, world.second):
        proxy.plan = FaultPlan()
    for _ in range(3):
        for proxy in (world.first, world.second):
            proxy.plan.schedule("eth_getBalance", Fault.RESET)
            two.balance(world.receipt.sender)
            time.sleep(0.02)
    for proxy in (world.first, world.second):
        assert proxy.plan.calls["eth_getBalance"] > 3  # both were in use, in turns
        assert proxy.plan.calls["eth_chainId"] == 0


@pytest.fixture
def stranger() -> Iterator[Callable[..., str]]:
    """Another chain, behind a URL."""
    running = []

    def start(chain_id: int) -> str:
        running.append(serve(DevChain(chain_id, genesis_seed=b"another")))
        return running[-1].url

    yield start
    for server in running:
        server.stop()


@pytest.mark.parametrize("chain_id", [31337, 5])
def test_an_endpoint_of_another_chain_is_never_read(world, stranger, chain_id, caplog):
    network = replace(world.network(world.first), fallback_urls=(stranger(chain_id),))
    chain = Chain.connect(network)
    genesis = chain.genesis_hash
    chain.confirmed_head()
    world.first.plan.by_chance(1.0, (Fault.RESET,))

    with pytest.raises(RpcUnavailable):
        chain.confirmed_head()

    assert "is not used" in caplog.text
    world.first.plan.clear()
    time.sleep(0.1)
    assert chain.block(0).hash == genesis


def test_an_endpoint_behind_what_was_confirmed_is_refused_until_it_has_caught_up(world, two):
    confirmed = two.confirmed_head()
    world.first.plan.by_chance(1.0, (Fault.RESET,))
    world.second.plan.by_chance(1.0, (Fault.LAGGING,))

    with pytest.raises(RpcUnavailable):
        two.confirmed_head()

    world.second.plan.clear()
    time.sleep(0.1)
    assert two.confirmed_head() == confirmed


def test_an_endpoint_that_falls_back_behind_what_it_confirmed_is_replaced(world, two):
    confirmed = two.confirmed_head()
    world.first.plan.by_chance(1.0, (Fault.LAGGING,))

    assert two.confirmed_head() == confirmed


def test_an_endpoint_that_stands_still_is_left(world, two, monkeypatch):
    monkeypatch.setattr(connection, "_SURVEY_SECONDS", 0.0)
    world.devchain.mine(5)
    world.first.lag = 4
    world.first.plan.by_chance(1.0, (Fault.LAGGING,))

    assert two.head().number == world.devchain.block_number


def test_what_one_endpoint_does_not_have_yet_another_one_may(world, two):
    world.first.plan.by_chance(1.0, (Fault.LAGGING,))
    world.first.lag = 1_000
    assert sender_of(two).receipt(world.receipt.transaction_hash) == world.receipt


def test_an_endpoint_on_another_branch_than_what_was_confirmed_is_refused(world, two):
    two._floor = replace(two.confirmed_head(), hash=bytes(32))
    world.first.plan.by_chance(1.0, (Fault.RESET,))
    with pytest.raises(RpcUnavailable):
        two.head()
    assert not two._endpoints.current.checked


# --- what an endpoint asks for -------------------------------------------------------------------


def test_a_wish_to_be_left_alone_is_kept(world):
    chain = Chain.connect(world.network(world.first))
    world.first.retry_after = 1
    world.first.plan.schedule("eth_getBalance", Fault.THROTTLED)
    started = time.monotonic()

    assert chain.balance(world.receipt.sender) > 0

    assert time.monotonic() - started >= 1


def test_a_long_wish_keeps_later_requests_from_being_sent_too(world):
    chain = Chain.connect(world.network(world.first))
    world.first.retry_after = 60
    world.first.plan.schedule("eth_getBalance", Fault.THROTTLED)
    with pytest.raises(RpcUnavailable, match="limiting requests"):
        chain.balance(world.receipt.sender)
    calls = world.first.plan.calls.copy()

    with pytest.raises(RpcUnavailable, match="limiting requests"):
        chain.head()

    assert world.first.plan.calls == calls


def test_a_signed_transaction_is_looked_for_before_it_is_sent_again(world):
    chain = Chain.connect(world.network(world.first))
    world.first.plan = FaultPlan()
    world.first.plan.schedule("eth_sendRawTransaction", Fault.LOST_REPLY)

    assert broadcast(chain, world)

    assert world.first.plan.calls["eth_sendRawTransaction"] == 1
    assert world.first.plan.calls["eth_getTransactionByHash"] == 1


def test_another_transactions_hash_is_no_answer_to_one_that_was_sent(world, monkeypatch):
    chain = Chain.connect(world.network(world.first))
    signed = sender_of(chain).prepare(Call(to=world.receipt.sender, data=b""))
    honest = chain.provider.make_request

    def lie(method: Any, params: Any) -> Any:
        answer = honest(method, params)
        wrong = to_hex(bytes(32))
        return {**answer, "result": wrong} if method == "eth_sendRawTransaction" else answer

    monkeypatch.setattr(chain.provider, "make_request", lie)
    assert sender_of(chain).broadcast(signed) == signed.hash  # found by its own hash


def test_an_outage_of_days_ends_like_a_short_one(world):
    chain = Chain.connect(world.network(world.first))
    endpoint = chain._endpoints.current
    for _ in range(5_000):
        endpoint.failed()

    assert endpoint.resting - time.monotonic() <= 30
    assert chain.balance(world.receipt.sender) > 0
    assert endpoint.failures == 0
