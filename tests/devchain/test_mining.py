"""Time and blocks on demand: mining, waiting transactions, timestamps."""

import time

import pytest
from eth_utils import to_checksum_address

from tests.devchain.conftest import GWEI, RpcFailed, sign


def head(rpc):
    return rpc("eth_getBlockByNumber", "latest", False)


def timestamp(rpc):
    return int(head(rpc)["timestamp"], 16)


class TestTime:
    def test_timestamps_follow_the_wall_clock_and_never_stand_still(self, chain):
        start = max(chain.time + 1, int(time.time()))
        stamps = []
        for _ in range(5):
            chain.mine()
            stamps.append(chain.time)
        assert start <= stamps[0] <= start + 2
        assert stamps == list(range(stamps[0], stamps[0] + 5))

    def test_time_moves_forward_with_the_next_block(self, rpc):
        before = timestamp(rpc)
        lead = int(rpc("evm_increaseTime", 1000), 16)
        assert timestamp(rpc) == before
        rpc("evm_mine")
        assert before + 1000 <= timestamp(rpc) <= before + 1003
        assert int(rpc("evm_increaseTime", "0x3e8"), 16) == lead + 1000

    def test_the_next_block_gets_the_timestamp_promised(self, rpc):
        at = timestamp(rpc) + 500
        rpc("evm_setNextBlockTimestamp", at)
        rpc("evm_mine")
        assert timestamp(rpc) == at
        rpc("evm_mine")
        assert at < timestamp(rpc) <= at + 2
        rpc("evm_increaseTime", 100)
        rpc("evm_mine")
        assert at + 100 <= timestamp(rpc) <= at + 103, "the clock goes on from there"

    def test_a_transaction_can_be_put_on_the_second(self, chain, rpc, worker):
        at = chain.time + 77
        chain.set_next_timestamp(at)
        rpc("eth_sendRawTransaction", sign(worker))
        assert timestamp(rpc) == at

    def test_a_timestamp_not_after_the_head_is_refused(self, chain, rpc):
        for method in ("evm_setNextBlockTimestamp", "evm_mine"):
            with pytest.raises(RpcFailed, match="not after the latest block's") as caught:
                rpc(method, chain.time)
            assert caught.value.code == -32602
        with pytest.raises(ValueError, match="not after"):
            chain.set_next_timestamp(chain.time)

    def test_time_increased_in_python_is_seen_by_calls_at_once(self, chain):
        before, height = chain.time, chain.block_number
        chain.increase_time(86_400)
        assert chain.time >= before + 86_400
        assert chain.block_number == height + 1

    @pytest.mark.parametrize("seconds", [-1, "soon", 2**41, None])
    def test_time_does_not_go_back(self, rpc, seconds):
        with pytest.raises(RpcFailed) as caught:
            rpc("evm_increaseTime", seconds)
        assert caught.value.code == -32602


class TestMining:
    def test_one_or_several_blocks(self, chain, rpc):
        height = chain.block_number
        rpc("evm_mine")
        rpc("evm_mine", {"blocks": 2})
        rpc("anvil_mine", "0x3")
        rpc("hardhat_mine")
        assert chain.block_number == height + 7

    def test_blocks_an_interval_apart(self, chain, rpc):
        rpc("hardhat_mine", "0x3", "0x3c")
        stamps = []
        for number in range(chain.block_number - 2, chain.block_number + 1):
            block = rpc("eth_getBlockByNumber", hex(number), False)
            stamps.append(int(block["timestamp"], 16))
        assert [stamps[1] - stamps[0], stamps[2] - stamps[1]] == [60, 60]

    def test_at_a_timestamp(self, chain, rpc):
        at = chain.time + 50
        rpc("evm_mine", at)
        assert chain.time == at
        rpc("evm_mine", {"timestamp": at + 50, "blocks": 2})
        assert at + 51 <= chain.time <= at + 53

    @pytest.mark.parametrize("options", [{"blocks": 10_001}, {"blocks": -1}, "often", [1]])
    def test_malformed_options_are_refused(self, rpc, options):
        with pytest.raises(RpcFailed) as caught:
            rpc("evm_mine", options)
        assert caught.value.code == -32602

    def test_blocks_are_linked(self, chain, rpc):
        chain.mine(3)
        for number in range(1, chain.block_number + 1):
            block = rpc("eth_getBlockByNumber", hex(number), False)
            parent = rpc("eth_getBlockByNumber", hex(number - 1), False)
            assert block["parentHash"] == parent["hash"]
            assert int(block["timestamp"], 16) > int(parent["timestamp"], 16)


class TestWaiting:
    @pytest.fixture(autouse=True)
    def manual(self, rpc):
        assert rpc("anvil_getAutomine") is True
        rpc("evm_setAutomine", False)

    @pytest.fixture
    def send(self, rpc):
        return lambda *args, **fields: rpc("eth_sendRawTransaction", sign(*args, **fields))

    def test_transactions_of_one_sender_wait_and_go_into_one_block(self, chain, rpc, send, worker):
        sent = [send(worker, nonce=nonce) for nonce in range(3)]
        assert rpc("eth_getTransactionCount", worker.address, "latest") == "0x0"
        assert rpc("eth_getTransactionCount", worker.address, "pending") == "0x3"
        assert rpc("eth_getTransactionReceipt", sent[0]) is None
        waiting = rpc("eth_getTransactionByHash", sent[0])
        assert waiting["blockHash"] is waiting["blockNumber"] is waiting["transactionIndex"] is None
        assert rpc("eth_getRawTransactionByHash", sent[0]) == sign(worker, nonce=0)
        chain.mine()
        assert head(rpc)["transactions"] == sent
        assert rpc("eth_getTransactionCount", worker.address, "latest") == "0x3"

    def test_a_gap_in_the_nonces_holds_back_what_follows(self, chain, rpc, send, worker):
        late = send(worker, nonce=2)
        first = send(worker, nonce=0)
        assert rpc("eth_getTransactionCount", worker.address, "pending") == "0x1"
        chain.mine()
        assert head(rpc)["transactions"] == [first]
        middle = send(worker, nonce=1)
        chain.mine()
        assert head(rpc)["transactions"] == [middle, late]

    def test_the_best_tip_goes_first_and_ties_go_by_arrival(
        self, chain, rpc, send, worker, requester, spare
    ):
        second = send(worker, maxPriorityFeePerGas=GWEI)
        third = send(spare, maxPriorityFeePerGas=GWEI)
        first = send(requester, maxPriorityFeePerGas=2 * GWEI)
        chain.mine()
        assert head(rpc)["transactions"] == [first, second, third]

    def test_arrival_counts_and_not_the_senders_first_appearance(
        self, chain, rpc, send, worker, requester
    ):
        third = send(worker, nonce=1)
        first = send(requester, nonce=0)
        second = send(worker, nonce=0)
        chain.mine()
        assert head(rpc)["transactions"] == [first, second, third]

    def test_the_same_transaction_is_already_known(self, send, worker):
        send(worker)
        with pytest.raises(RpcFailed, match=r"^already known$"):
            send(worker)

    def test_a_replacement_needs_a_tenth_more_of_both_fees(self, chain, rpc, send, worker):
        first = send(worker, maxFeePerGas=4 * GWEI, maxPriorityFeePerGas=GWEI)
        for fees in ((5 * GWEI, GWEI), (4 * GWEI, 2 * GWEI), (4.39 * GWEI, 1.1 * GWEI)):
            with pytest.raises(RpcFailed, match="replacement transaction underpriced"):
                send(worker, maxFeePerGas=int(fees[0]), maxPriorityFeePerGas=int(fees[1]))
        second = send(worker, maxFeePerGas=int(4.4 * GWEI), maxPriorityFeePerGas=int(1.1 * GWEI))
        assert rpc("eth_getTransactionByHash", first) is None
        chain.mine()
        assert head(rpc)["transactions"] == [second]

    def test_a_price_below_the_base_fee_waits(self, chain, rpc, send, worker):
        base_fee = int(rpc("eth_getBlockByNumber", "pending", False)["baseFeePerGas"], 16)
        sent = send(worker, maxFeePerGas=base_fee - 1, maxPriorityFeePerGas=1)
        assert rpc("eth_getBlockByNumber", "pending", False)["transactions"] == []
        assert rpc("eth_getTransactionCount", worker.address, "pending") == "0x1"
        chain.mine()
        assert head(rpc)["transactions"] == []
        chain.mine()
        assert head(rpc)["transactions"] == [sent]

    def test_a_block_takes_no_more_gas_than_it_has(self, chain, rpc, send, worker, requester):
        sent = [send(worker, nonce=0), send(worker, nonce=1, gas=29_990_000)]
        other = send(requester)
        chain.mine()
        assert head(rpc)["transactions"] == [sent[0], other]
        chain.mine()
        assert head(rpc)["transactions"] == [sent[1]]

    def test_money_spent_by_an_earlier_transaction_cannot_be_spent_again(
        self, chain, rpc, send, worker
    ):
        half = 6_000 * 10**18
        first = send(worker, nonce=0, value=half)
        second = send(worker, nonce=1, value=half)
        chain.mine()
        assert head(rpc)["transactions"] == [first]
        assert rpc("eth_getTransactionByHash", second) is None

    def test_what_follows_a_transaction_that_cannot_be_paid_still_waits(
        self, chain, rpc, send, worker
    ):
        send(worker, nonce=0, value=6_000 * 10**18)
        send(worker, nonce=1, value=6_000 * 10**18)
        third = send(worker, nonce=2)
        chain.mine()
        assert rpc("eth_getTransactionByHash", third)["blockHash"] is None
        second = send(worker, nonce=1)
        chain.mine()
        assert head(rpc)["transactions"] == [second, third]

    def test_the_pending_block_and_its_state_show_what_waits(self, rpc, send, worker, stranger):
        sent = send(worker, to=to_checksum_address(stranger), value=123)
        assert rpc("eth_getBlockByNumber", "pending", False)["transactions"] == [sent]
        (whole,) = rpc("eth_getBlockByNumber", "pending", True)["transactions"]
        assert (whole["hash"], whole["blockHash"]) == (sent, None)
        assert rpc("eth_getTransactionByBlockNumberAndIndex", "pending", "0x0") == whole
        assert rpc("eth_getBalance", stranger, "pending") == hex(123)
        assert rpc("eth_getBalance", stranger, "latest") == "0x0"

    def test_a_waiting_transaction_can_be_dropped(self, chain, rpc, send, worker):
        sent = send(worker)
        assert rpc("anvil_dropTransaction", sent) == sent
        assert rpc("anvil_dropTransaction", sent) is None
        assert rpc("eth_getTransactionByHash", sent) is None
        chain.mine()
        assert head(rpc)["transactions"] == []

    def test_automine_mines_what_waits_when_turned_on(self, rpc, send, worker):
        sent = send(worker)
        later = send(worker, nonce=2)
        rpc("evm_setAutomine", True)
        assert head(rpc)["transactions"] == [sent]
        middle = send(worker, nonce=1)
        assert head(rpc)["transactions"] == [middle, later]


class TestBalancesByDecree:
    def test_a_balance_is_set_without_a_block(self, chain, rpc, stranger):
        height, block = chain.block_number, head(rpc)
        rpc("anvil_setBalance", stranger, hex(10**18))
        assert rpc("eth_getBalance", stranger, "latest") == hex(10**18)
        assert (chain.block_number, head(rpc)) == (height, block)
        chain.mine()
        assert rpc("eth_getBalance", stranger, "latest") == hex(10**18)

    def test_money_can_be_forced_on_a_contract(self, rpc, probe):
        rpc("hardhat_setBalance", probe.address, "0x5")
        assert rpc("eth_getBalance", probe.address, "latest") == "0x5"
        assert probe.functions.value().call() == 5

    def test_code_is_set_without_a_block(self, chain, rpc, stranger):
        height = chain.block_number
        for code in ("0x5f5ff3", "0x"):
            rpc("anvil_setCode", stranger, code)
            assert rpc("eth_getCode", stranger, "latest") == code
        assert chain.block_number == height

    def test_going_back_takes_it_away(self, rpc, stranger):
        snapshot = rpc("evm_snapshot")
        rpc("anvil_setBalance", stranger, "0x5")
        assert rpc("evm_revert", snapshot) is True
        assert rpc("eth_getBalance", stranger, "latest") == "0x0"
