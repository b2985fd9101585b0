"""Snapshots and reorgs: what is dropped is gone, and what replaces it differs."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from modelward.chain.development import development_account
from modelward.devchain import DevChain
from tests.devchain.conftest import RpcFailed, rpc_of, sign


def head(rpc):
    return rpc("eth_getBlockByNumber", "latest", False)


class TestSnapshots:
    def test_everything_is_as_it_was(self, rpc, probe, worker):
        before = head(rpc)
        balance = rpc("eth_getBalance", worker.address, "latest")
        snapshot = rpc("evm_snapshot")
        sent = rpc("eth_sendRawTransaction", sign(worker))
        mined = head(rpc)
        assert rpc("evm_revert", snapshot) is True
        assert head(rpc) == before
        assert rpc("eth_getBalance", worker.address, "latest") == balance
        assert rpc("eth_getTransactionCount", worker.address, "latest") == "0x0"
        assert rpc("eth_getTransactionByHash", sent) is None
        assert rpc("eth_getTransactionReceipt", sent) is None
        assert rpc("eth_getBlockByHash", mined["hash"], False) is None
        assert rpc("eth_getBlockByNumber", mined["number"], False) is None
        assert probe.functions.value().call() == 5

    def test_the_same_transaction_can_be_mined_again_in_another_block(self, rpc, worker):
        snapshot = rpc("evm_snapshot")
        sent = rpc("eth_sendRawTransaction", sign(worker))
        before = rpc("eth_getTransactionReceipt", sent)
        rpc("evm_revert", snapshot)
        assert rpc("eth_sendRawTransaction", sign(worker)) == sent
        after = rpc("eth_getTransactionReceipt", sent)
        assert after["blockNumber"] == before["blockNumber"]
        assert after["blockHash"] != before["blockHash"]

    def test_a_snapshot_is_used_up_with_those_after_it(self, rpc):
        first, second, third = (rpc("evm_snapshot") for _ in range(3))
        assert rpc("evm_revert", second) is True
        assert rpc("evm_revert", second) is False
        assert rpc("evm_revert", third) is False
        assert rpc("evm_revert", first) is True

    def test_an_unknown_snapshot_is_reported(self, chain, rpc):
        assert rpc("evm_revert", "0xffff") is False
        with pytest.raises(KeyError):
            chain.revert(10**6)

    def test_clock_pool_and_automine_go_back_too(self, chain, rpc, worker):
        rpc("evm_setAutomine", False)
        waiting = rpc("eth_sendRawTransaction", sign(worker))
        snapshot, now = rpc("evm_snapshot"), chain.time
        rpc("evm_setAutomine", True)
        chain.increase_time(10**6)
        rpc("evm_revert", snapshot)
        assert rpc("anvil_getAutomine") is False
        assert rpc("eth_getTransactionByHash", waiting)["blockHash"] is None
        chain.mine()
        assert chain.time < now + 100
        assert head(rpc)["transactions"] == [waiting]


class TestReorg:
    def test_the_last_blocks_are_replaced_by_others(self, chain, rpc, worker):
        sent = rpc("eth_sendRawTransaction", sign(worker))
        chain.mine(3)
        old = [rpc("eth_getBlockByNumber", hex(n), False) for n in range(chain.block_number + 1)]
        rpc("anvil_reorg", 3)
        new = [rpc("eth_getBlockByNumber", hex(n), False) for n in range(chain.block_number + 1)]
        assert len(new) == len(old)
        assert new[:-3] == old[:-3]
        for before, after in zip(old[-3:], new[-3:], strict=True):
            assert before["hash"] != after["hash"]
            assert before["timestamp"] == after["timestamp"]
            assert rpc("eth_getBlockByHash", before["hash"], False) is None
        assert rpc("eth_getTransactionReceipt", sent)["status"] == "0x1"

    def test_what_the_dropped_blocks_carried_is_gone(self, chain, rpc, worker, probe):
        data = probe.encode_abi("touch", [b"\1" * 32, 1])
        raw = sign(worker, to=probe.address, value=0, data=data, gas=100_000)
        sent = rpc("eth_sendRawTransaction", raw)
        chain.mine()
        rpc("anvil_reorg", 2, [])
        assert rpc("eth_getTransactionByHash", sent) is None
        assert rpc("eth_getLogs", {"fromBlock": "0x0", "address": probe.address}) == []
        assert rpc("eth_getTransactionCount", worker.address, "latest") == "0x0"
        assert rpc("eth_sendRawTransaction", raw) == sent

    def test_transactions_can_be_put_into_the_new_blocks(self, chain, rpc, worker, probe):
        data = probe.encode_abi("set", [9, ""])
        raw = sign(worker, to=probe.address, value=0, data=data, gas=100_000)
        sent = rpc("eth_sendRawTransaction", raw)
        place = chain.block_number
        chain.mine(2)
        rpc("anvil_reorg", 3, [[raw, 1], [sign(worker, nonce=1), 1]])
        receipt = rpc("eth_getTransactionReceipt", sent)
        assert (receipt["status"], int(receipt["blockNumber"], 16)) == ("0x1", place + 1)
        assert rpc("eth_getTransactionCount", worker.address, "latest") == "0x2"
        assert probe.functions.value().call() == 9

    def test_what_waits_keeps_waiting_unless_its_nonce_is_used_up(self, chain, rpc, worker):
        chain.mine(2)
        rpc("evm_setAutomine", False)
        used_up = rpc("eth_sendRawTransaction", sign(worker, value=1))
        kept = rpc("eth_sendRawTransaction", sign(worker, nonce=1))
        rpc("anvil_reorg", 2, [[sign(worker, value=2), 0]])
        assert rpc("anvil_getAutomine") is False
        assert rpc("eth_getTransactionByHash", used_up) is None
        assert rpc("eth_getTransactionByHash", kept)["blockHash"] is None
        chain.mine()
        assert head(rpc)["transactions"] == [kept]

    def test_a_reorg_that_cannot_be_done_changes_nothing(self, chain, rpc, worker):
        rpc("eth_sendRawTransaction", sign(worker))
        chain.mine(2)
        before = head(rpc)
        gap = [[sign(worker, value=5), 0], [sign(worker, value=10**30, nonce=1), 1]]
        unmined = [[sign(worker, nonce=5), 0]]
        for params in (
            [3, unmined],
            [0],
            [chain.block_number + 1],
            ["x"],
            [2, [["0x00", 0]]],
            [3, gap],
        ):
            with pytest.raises(RpcFailed):
                rpc("anvil_reorg", *params)
            assert head(rpc) == before
        for pairs in ([["0x00", 2]], [["0x00"]], ["0x00"], "0x00"):
            with pytest.raises(RpcFailed) as caught:
                rpc("anvil_reorg", 2, pairs)
            assert caught.value.code == -32602

    def test_snapshots_of_dropped_blocks_are_gone(self, chain, rpc):
        kept = rpc("evm_snapshot")
        chain.mine(2)
        dropped = rpc("evm_snapshot")
        rpc("anvil_reorg", 1)
        assert rpc("evm_revert", dropped) is False
        assert rpc("evm_revert", kept) is True


class History(RuleBasedStateMachine):
    """Whatever is mined, reverted and reorganised, the chain is one chain."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = SHARED
        self.rpc = rpc_of(self.chain)
        self.start = self.chain.snapshot()
        self.snapshots: list[tuple[str, str]] = []
        self.dropped: set[str] = set()

    def teardown(self) -> None:
        self.chain.revert(self.start)

    def hashes(self) -> list[str]:
        return [
            self.rpc("eth_getBlockByNumber", hex(n), False)["hash"]
            for n in range(self.chain.block_number + 1)
        ]

    @rule(count=st.integers(1, 3))
    def mine(self, count):
        self.chain.mine(count)

    @rule(seconds=st.integers(0, 10_000))
    def let_time_pass(self, seconds):
        self.rpc("evm_increaseTime", seconds)

    @rule(value=st.integers(0, 100))
    def send(self, value):
        nonce = int(self.rpc("eth_getTransactionCount", WORKER.address, "pending"), 16)
        sent = self.rpc("eth_sendRawTransaction", sign(WORKER, nonce=nonce, value=value))
        assert self.rpc("eth_getTransactionReceipt", sent)["status"] == "0x1"

    @rule()
    def snapshot(self):
        self.snapshots.append((self.rpc("evm_snapshot"), head(self.rpc)["hash"]))

    @rule(data=st.data())
    def revert(self, data):
        if not self.snapshots:
            return
        index = data.draw(st.integers(0, len(self.snapshots) - 1))
        number, block_hash = self.snapshots[index]
        before = self.hashes()
        known = self.rpc("eth_getBlockByHash", block_hash, False) is not None
        assert self.rpc("evm_revert", number) is known
        if known:
            assert head(self.rpc)["hash"] == block_hash
            self.dropped |= set(before) - set(self.hashes())
            del self.snapshots[index:]

    @rule(data=st.data())
    def reorganise(self, data):
        if self.chain.block_number == 0:
            return
        depth = data.draw(st.integers(1, self.chain.block_number))
        before = self.hashes()
        self.rpc("anvil_reorg", depth)
        self.dropped |= set(before) - set(self.hashes())
        assert len(set(before) - set(self.hashes())) == depth

    @invariant()
    def blocks_are_linked_and_later_than_their_parents(self):
        parent = None
        sent = 0
        for number in range(self.chain.block_number + 1):
            block = self.rpc("eth_getBlockByNumber", hex(number), False)
            assert block["hash"] not in self.dropped
            assert self.rpc("eth_getBlockByHash", block["hash"], False) == block
            if parent is not None:
                assert block["parentHash"] == parent["hash"]
                assert int(block["timestamp"], 16) > int(parent["timestamp"], 16)
            for transaction in block["transactions"]:
                receipt = self.rpc("eth_getTransactionReceipt", transaction)
                assert receipt["blockHash"] == block["hash"]
                sent += 1
            parent = block
        assert self.rpc("eth_getTransactionCount", WORKER.address, "latest") == hex(sent)


SHARED = DevChain()
WORKER = development_account("worker")
TestHistory = History.TestCase
TestHistory.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
