"""`eth_getLogs`: ranges, addresses, topics, and what is no filter."""

import pytest
from eth_utils import keccak

from tests.devchain.conftest import RpcFailed, deploy_probe

CHANGED = "0x" + keccak(text="Changed(address,uint256,string)").hex()
TOUCHED = "0x" + keccak(text="Touched(bytes32)").hex()


def topic(value):
    return "0x" + (bytes.fromhex(value[2:]) if isinstance(value, str) else value).hex().zfill(64)


def number(value):
    return f"0x{value:064x}"


@pytest.fixture
def history(chain, rpc, probe, requester, worker):
    """Three blocks: requester sets 1, worker sets 2, requester touches a key twice."""
    probe.functions.set(1, "one").transact({"from": requester.address})
    probe.functions.set(2, "two").transact({"from": worker.address})
    probe.functions.touch(b"\7" * 32, 2).transact({"from": requester.address})
    chain.mine()
    return chain.block_number - 3


@pytest.fixture
def find(rpc, history):
    """Logs matching a filter, over all blocks unless it says otherwise."""

    def run(**wanted):
        if "blockHash" not in wanted:
            wanted = {"fromBlock": "earliest", **wanted}
        return rpc("eth_getLogs", wanted)

    return run


def heights(logs, first):
    return [int(log["blockNumber"], 16) - first for log in logs]


def test_a_log_says_where_it_is(rpc, find, history, probe, requester):
    log, *_ = find(topics=[CHANGED])
    block = rpc("eth_getBlockByNumber", hex(history), False)
    assert log == {
        "address": probe.address,
        "topics": [CHANGED, topic(requester.address.lower()), number(1)],
        "data": "0x" + f"{32:064x}{3:064x}" + b"one".hex().ljust(64, "0"),
        "blockNumber": block["number"],
        "blockHash": block["hash"],
        "blockTimestamp": block["timestamp"],
        "transactionHash": block["transactions"][0],
        "transactionIndex": "0x0",
        "logIndex": "0x0",
        "removed": False,
    }


def test_the_default_is_the_latest_block(rpc, find, history):
    assert rpc("eth_getLogs", {}) == []
    assert rpc("eth_getLogs", {"fromBlock": hex(history)})[0]["topics"][0] == CHANGED


def test_a_range_includes_both_ends(find, history):
    assert heights(find(), history) == [0, 1, 2, 2]
    assert heights(find(fromBlock=hex(history + 1), toBlock=hex(history + 2)), history) == [1, 2, 2]
    assert heights(find(fromBlock=hex(history + 1), toBlock=hex(history + 1)), history) == [1]


def test_a_range_may_reach_beyond_the_head(find, history):
    assert heights(find(fromBlock=hex(history + 2), toBlock="0xffffff"), history) == [2, 2]
    assert find(fromBlock="0xfffff0", toBlock="0xffffff") == []


@pytest.mark.parametrize(("first", "last"), [("0x5", "0x4"), ("latest", "0x0"), ("0xff", "latest")])
def test_a_reversed_range_is_an_error(find, first, last):
    with pytest.raises(RpcFailed, match="invalid block range params") as caught:
        find(fromBlock=first, toBlock=last)
    assert caught.value.code == -32602


def test_one_block_by_its_hash(rpc, find, history):
    block = rpc("eth_getBlockByNumber", hex(history + 1), False)
    assert heights(find(blockHash=block["hash"]), history) == [1]
    assert find(blockHash=block["hash"], topics=[TOUCHED]) == []


def test_an_unknown_block_hash_is_an_error(find):
    with pytest.raises(RpcFailed, match="unknown block"):
        find(blockHash="0x" + "11" * 32)


def test_logs_of_several_addresses(web3, probe_artifact, deployer, probe, find, stranger):
    other = deploy_probe(web3, probe_artifact, deployer)
    other.functions.touch(b"\1" * 32, 1).transact({"from": deployer.address})
    assert len(find(address=probe.address)) == 4
    assert len(find(address=other.address.lower())) == 1
    assert len(find(address=[other.address])) == 1
    assert len(find(address=[other.address, probe.address])) == 5
    assert len(find(address=[])) == 5
    assert find(address=stranger) == []


def test_topics_match_by_position(find, history, requester, worker):
    by_requester, by_worker = topic(requester.address.lower()), topic(worker.address.lower())
    assert heights(find(topics=[CHANGED]), history) == [0, 1]
    assert heights(find(topics=[CHANGED, by_worker]), history) == [1]
    assert heights(find(topics=[None, by_requester]), history) == [0]
    assert heights(find(topics=[CHANGED, None, number(2)]), history) == [1]
    assert heights(find(topics=[[CHANGED, TOUCHED]]), history) == [0, 1, 2, 2]
    assert heights(find(topics=[CHANGED, [by_worker, by_requester]]), history) == [0, 1]
    assert heights(find(topics=[CHANGED, [by_worker, by_requester], [number(1)]]), history) == [0]
    assert heights(find(topics=[[], None]), history) == [0, 1, 2, 2]
    assert heights(find(topics=[[CHANGED, None]]), history) == [0, 1, 2, 2]
    assert find(topics=[by_worker]) == []


def test_a_log_with_fewer_topics_than_asked_for_does_not_match(find, history):
    assert heights(find(topics=[None, None, None]), history) == [0, 1]
    assert find(topics=[None, None, None, None]) == []


def test_logs_of_one_block_are_numbered_through(chain, rpc, probe, requester, worker, find):
    rpc("evm_setAutomine", False)
    for account, times in ((requester, 2), (worker, 3)):
        data = probe.encode_abi("touch", [b"\2" * 32, times])
        message = {"from": account.address, "to": probe.address, "data": data, "gas": "0x30d40"}
        rpc("eth_sendTransaction", message)
    chain.mine()
    logs = find(fromBlock="latest")
    assert [log["logIndex"] for log in logs] == ["0x0", "0x1", "0x2", "0x3", "0x4"]
    assert [log["transactionIndex"] for log in logs] == ["0x0"] * 2 + ["0x1"] * 3
    receipts = rpc("eth_getBlockReceipts", "latest")
    assert [log for receipt in receipts for log in receipt["logs"]] == logs


@pytest.mark.parametrize(
    "wanted",
    [
        {"fromBlock": 5},
        {"fromBlock": "0x05"},
        {"toBlock": {"blockNumber": "0x1"}},
        {"address": "0x12"},
        {"address": ["0x" + "11" * 20, 5]},
        {"topics": "0x" + "11" * 32},
        {"topics": ["0x11"]},
        {"topics": [["0x11"]]},
        {"topics": [None] * 5},
        {"blockHash": "0x" + "11" * 32, "fromBlock": "0x0"},
        {"blockHash": "0x11"},
        [],
        None,
    ],
)
def test_what_is_no_filter_is_refused(rpc, wanted):
    with pytest.raises(RpcFailed) as caught:
        rpc("eth_getLogs", wanted)
    assert caught.value.code == -32602
