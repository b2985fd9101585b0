"""`EventReader`: every block is read, in order, whatever ranges the node allows."""

import itertools
from collections import Counter
from typing import Any

import pytest
from web3.providers import BaseProvider

from modelward.chain.connection import Chain
from modelward.chain.events import AccessGranted, AccessRevoked
from modelward.chain.logs import EventReader
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
