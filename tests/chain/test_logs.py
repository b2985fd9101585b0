"""`EventReader`: every block is read, in order, whatever ranges the node allows."""

import itertools
import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web3.providers import BaseProvider

from modelward.chain.connection import Chain
from modelward.chain.events import AccessGranted, AccessRevoked
from modelward.chain.logs import MANY_LOGS, EventReader, RangeWidth
from modelward.errors import RpcError, RpcUnavailable


class NarrowProvider(BaseProvider):
    """A node before the real one that refuses ranges of more than `widest` blocks."""

    def __init__(self, provider: BaseProvider, widest: int, refusal: str) -> None:
        super().__init__()
        self.provider, self.widest, self.refusal = provider, widest, refusal
        self.asked: list[tuple[int, int]] = []

    def make_request(self, method: Any, params: Any) -> Any:
        if method == "eth_getLogs":
            first, last = (int(params[0][key], 16) for key in ("fromBlock", "toBlock"))
            self.asked.append((first, last))
            if last - first + 1 > self.widest:
                error = {"code": -32005, "message": self.refusal}
                return {"jsonrpc": "2.0", "id": 1, "error": error}
        return self.provider.make_request(method, params)


@pytest.fixture
def history(owner, requester, worker, data_share, devchain):
    """Grants and revocations over some twenty blocks, with empty blocks between them."""
    for other in (requester, worker, requester):
        owner.send(data_share.grant_access(other.address))
        devchain.mine(3)
        owner.send(data_share.revoke_access(other.address))
        owner.send(data_share.revoke(other.address, b"\1" * 32))
    return owner.chain.head().number


@pytest.fixture
def narrow(chain, configured):
    def chain_behind(widest: int, refusal: str = "query exceeds max block range", **changes: Any):
        behind = configured(chain, **changes)
        return Chain(behind.network, NarrowProvider(chain.provider, widest, refusal))

    return chain_behind


def reader(chain, deployment, *kinds):
    return EventReader(chain, deployment.names, kinds or None)


def test_all_events_come_in_the_chains_order(chain, deployment, history):
    events = reader(chain, deployment).read_all(0, history)

    assert [event.position for event in events] == sorted(event.position for event in events)
    assert Counter(type(event).__name__ for event in events) == {
        "AccessGranted": 3,
        "AllAccessRevoked": 3,
        "AccessRevoked": 3,
    }
    assert all(chain.block(event.block_number).hash == event.block_hash for event in events)


def test_only_the_kinds_asked_for_are_read(chain, deployment, history):
    events = reader(chain, deployment, AccessGranted, AccessRevoked).read_all(0, history)

    assert Counter(map(type, events)) == {AccessGranted: 3, AccessRevoked: 3}


def test_only_the_subjects_asked_for_are_read(chain, deployment, history, owner, outsider):
    def about(account):
        subject = bytes(12) + bytes.fromhex(account.address[2:])
        return EventReader(chain, deployment.names, subjects=[subject]).read_all(0, history)

    assert len(about(owner)) == 9
    assert about(outsider) == ()


@pytest.mark.parametrize("log_range", [1, 2, 7, 1_000])
def test_ranges_follow_on_each_other_and_leave_nothing_out(
    chain, deployment, history, configured, log_range
):
    narrowed = configured(chain, log_range=log_range)

    parts = list(reader(narrowed, deployment).read(1, history))

    assert parts[0].first == 1
    assert parts[-1].last == history
    assert all(a.last + 1 == b.first for a, b in itertools.pairwise(parts))
    assert all(part.last - part.first < log_range for part in parts)
    for part in parts:
        assert all(part.first <= event.block_number <= part.last for event in part.events)
    everything = reader(chain, deployment).read_all(1, history)
    assert tuple(event for part in parts for event in part.events) == everything


@pytest.mark.parametrize("widest", [1, 3, 10])
@pytest.mark.parametrize(
    "refusal",
    ["query exceeds max block range", "query returned more than 10000 results", "block range is "
     "too wide: limit 10", "query timeout exceeded", "Log response size exceeded"],
)  # fmt: skip
def test_a_node_that_finds_a_range_too_wide_is_asked_for_narrower_ones(
    chain, deployment, history, narrow, widest, refusal
):
    limited = narrow(widest, refusal)

    events = reader(limited, deployment).read_all(0, history)

    assert events == reader(chain, deployment).read_all(0, history)
    assert len(limited.provider.asked) < 4 * (history + 2)


def test_a_width_that_worked_is_kept_for_the_next_read(deployment, history, narrow):
    limited = narrow(4)
    events = reader(limited, deployment)
    events.read_all(0, history)
    limited.provider.asked.clear()

    events.read_all(history, history + 3)

    first, last = limited.provider.asked[0]
    assert last - first < 8


def test_a_single_block_that_cannot_be_read_is_an_error(deployment, history, narrow):
    with pytest.raises(RpcError, match="max block range"):
        reader(narrow(0), deployment).read_all(0, history)


def test_another_error_is_not_answered_by_narrowing(deployment, history, narrow):
    refusing = narrow(0, "no such method")

    with pytest.raises(RpcError, match="no such method"):
        reader(refusing, deployment).read_all(0, history)
    assert len(refusing.provider.asked) == 1


def test_what_was_read_before_an_error_is_not_lost(chain, deployment, history, narrow):
    limited = narrow(1_000, "no such method", log_range=5)
    parts = reader(limited, deployment).read(0, history)

    first = next(parts)
    limited.provider.widest = 0
    with pytest.raises(RpcError):
        next(parts)

    assert (first.first, first.last) == (0, 4)
    limited.provider.widest = 1_000
    rest = reader(limited, deployment).read_all(first.last + 1, history)
    assert first.events + rest == reader(chain, deployment).read_all(0, history)


def test_nothing_is_asked_for_when_the_range_is_empty(deployment, narrow):
    limited = narrow(1_000)

    assert list(reader(limited, deployment).read(5, 4)) == []
    assert limited.provider.asked == []


def test_only_eth_get_logs_is_used_and_no_filter_is_left_behind(
    remote, endpoint, deployment, history
):
    reader(remote, deployment).read_all(0, history)

    assert set(endpoint.methods) == {"eth_getLogs"}


@pytest.mark.parametrize("result", [None, {}, [{}], [{"address": "0x"}], "0x"])
def test_a_malformed_answer_is_the_endpoints_fault(remote, endpoint, deployment, result):
    endpoint.faults = 4 * [{"result": result}]

    with pytest.raises(RpcUnavailable):
        reader(remote, deployment).read_all(0, 1)


def test_logs_that_were_not_asked_for_are_the_endpoints_fault(
    remote, endpoint, deployment, history
):
    logs = remote.rpc("eth_getLogs", [{"fromBlock": "0x0", "toBlock": hex(history)}])
    elsewhere = [{**logs[0], "address": "0x" + 40 * "1"}]

    for result in (elsewhere, logs):
        endpoint.faults = [{"result": result}]
        with pytest.raises(RpcUnavailable, match="not asked for"):
            reader(remote, deployment).read_all(0, 1)


# --- widths --------------------------------------------------------------------------------------


def read_through(blocks: int, limit: int, widest: int = 2_000, reason: str = "limit") -> int:
    """Read so many blocks from a node that allows `limit` at once; how often it was asked."""
    width, asked, done = RangeWidth(widest), 0, 0
    while done < blocks:
        wanted = min(width.current, blocks - done)
        asked += 1
        if wanted > limit:
            width.refused(wanted, reason)
        else:
            width.accepted(wanted)
            done += wanted
    return asked


@given(limit=st.integers(1, 3_000), blocks=st.integers(1, 20_000))
def test_whatever_a_node_allows_few_requests_are_refused(limit, blocks):
    needed = math.ceil(blocks / min(limit, 2_000))
    assert read_through(blocks, limit) <= 1.5 * needed + 30


@given(logs_a_block=st.integers(1, 500))
def test_where_blocks_are_full_of_logs_few_are_asked_for_at_once(logs_a_block):
    width, answers = RangeWidth(2_000), []
    for _ in range(50):
        answers.append(width.current * logs_a_block)
        width.accepted(width.current, answers[-1])
    assert max(answers[1:]) <= max(MANY_LOGS, logs_a_block)

    width.accepted(width.current, 0)
    width.accepted(width.current, 0)
    assert width.current > 1_000

    width.accepted(1, logs_a_block)
    assert width.current * logs_a_block <= max(MANY_LOGS, logs_a_block)


@pytest.mark.parametrize("limit", [1, 10, 100, 1_000])
def test_a_limit_is_found_and_kept_to(limit):
    width = RangeWidth(2_000)
    for _ in range(50):
        if width.current > limit:
            width.refused(width.current, "block range too large")
        else:
            width.accepted(width.current)
    assert width.current == limit


@pytest.mark.parametrize(
    ("reason", "width"),
    [
        ("You can make eth_getLogs requests with up to a 10 block range.", 10),
        ("You can make eth_getLogs requests with up to a 1K block range.", 1_000),
        ("eth_getLogs is limited to a 1,000 blocks range", 1_000),
        ("exceed maximum block range: 500", 500),
        ("ranges over 100 blocks are not supported on freetier", 100),
        ("query exceeds max block range 1000", 1_000),
        ("query returned more than 10000 results. Try with this block range [0x10, 0x1f].", 16),
        ("block range is too wide", 1_000),
        ("query returned more than 10000 results", 1_000),
        ("response size should not exceed 10485760 bytes", 1_000),
        ("Log response size exceeded. this block range should work: [0x0, 0x63]", 100),
        ("Block range limit exceeded.", 1_000),
    ],
)
def test_a_width_that_a_refusal_names_is_taken_at_once(reason, width):
    ranges = RangeWidth(2_000)
    ranges.refused(2_000, reason)
    assert ranges.current == width


def test_a_limit_that_passes_is_forgotten(monkeypatch):
    ranges = RangeWidth(1_000)
    ranges.refused(1_000, "query returned more than 10000 results")
    for _ in range(200):
        ranges.accepted(ranges.current)
    assert ranges.current == 1_000


# --- logs that are not as they should be ---------------------------------------------------------


@pytest.fixture
def lying(chain, deployment, history):
    """What a reader makes of the answer to `eth_getLogs`, changed."""

    def read_changed(change):
        class Liar(BaseProvider):
            def make_request(self, method: Any, params: Any) -> Any:
                answer = chain.provider.make_request(method, params)
                if method == "eth_getLogs":
                    answer = {**answer, "result": change(answer["result"])}
                return answer

        liar = Chain(chain.network, Liar())
        return reader(liar, deployment).read_all(0, history)

    return read_changed


def test_logs_given_twice_out_of_order_or_taken_back_are_read_once(
    chain, deployment, history, lying
):
    def disorder(logs):
        gone = [{**log, "removed": True, "blockHash": "0x" + 64 * "e"} for log in logs]
        return [*reversed(logs), *gone, *logs]

    assert lying(disorder) == reader(chain, deployment).read_all(0, history)


def test_two_logs_in_one_place_are_the_endpoints_fault(lying):
    with pytest.raises(RpcUnavailable, match="two logs for one place"):
        lying(lambda logs: [*logs, {**logs[0], "data": "0x00"}])


def test_a_block_with_more_logs_than_a_node_gives_is_read_one_kind_at_a_time(
    chain, deployment, history
):
    class Stingy(BaseProvider):
        def make_request(self, method: Any, params: Any) -> Any:
            wide = method == "eth_getLogs" and (
                len(params[0]["address"]) > 1 or len(params[0]["topics"][0]) > 1
            )
            if wide:
                error = {"code": -32005, "message": "query returned more than 1 results"}
                return {"jsonrpc": "2.0", "id": 1, "error": error}
            return chain.provider.make_request(method, params)

    kinds = (AccessGranted, AccessRevoked)
    events = reader(Chain(chain.network, Stingy()), deployment, *kinds).read_all(0, history)
    assert events == reader(chain, deployment, *kinds).read_all(0, history)


def test_the_bloom_filter_announces_every_block_with_logs(chain, deployment, history):
    events = reader(chain, deployment)
    with_logs = {event.block_number for event in events.read_all(0, history)}
    announced = {n for n in range(history + 1) if events.may_concern(chain.block(n))}
    assert with_logs <= announced < set(range(history + 1))


def test_a_block_is_read_by_its_hash(chain, deployment, history):
    everything = reader(chain, deployment).read_all(0, history)
    (block,) = {event.block_number for event in everything[-1:]}
    found = reader(chain, deployment).read_block(chain.block(block))
    assert found == tuple(event for event in everything if event.block_number == block)
