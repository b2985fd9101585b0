"""Blocks, transactions, receipts and accounts as clients read them."""

import pytest
import rlp
from eth_utils import keccak

from modelward.chain.development import DEVELOPMENT_ACCOUNTS
from tests.devchain.conftest import RpcFailed, sign

BLOOM_DIGITS = 2 + 512
BLOCK_QUANTITIES = (
    "number",
    "difficulty",
    "totalDifficulty",
    "size",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "baseFeePerGas",
    "blobGasUsed",
    "excessBlobGas",
)
BLOCK_HASHES = (
    "hash",
    "parentHash",
    "sha3Uncles",
    "transactionsRoot",
    "stateRoot",
    "receiptsRoot",
    "mixHash",
    "withdrawalsRoot",
    "parentBeaconBlockRoot",
    "requestsHash",
)
TRANSACTION_QUANTITIES = (
    "nonce",
    "value",
    "gas",
    "gasPrice",
    "maxFeePerGas",
    "maxPriorityFeePerGas",
    "chainId",
    "type",
    "v",
    "r",
    "s",
    "yParity",
    "blockNumber",
    "transactionIndex",
)
RECEIPT_QUANTITIES = (
    "transactionIndex",
    "blockNumber",
    "cumulativeGasUsed",
    "gasUsed",
    "effectiveGasPrice",
    "status",
    "type",
)


def test_the_genesis_block(rpc):
    block = rpc("eth_getBlockByNumber", "earliest", True)
    assert block["number"] == "0x0"
    assert block["parentHash"] == "0x" + "00" * 32
    assert block["transactions"] == []
    for account in DEVELOPMENT_ACCOUNTS:
        assert rpc("eth_getBalance", account.address, "earliest") == hex(10_000 * 10**18)


def test_every_number_is_a_quantity_and_every_hash_is_whole(rpc, probe, requester):
    probe.functions.set(1, "").transact({"from": requester.address})
    block = rpc("eth_getBlockByNumber", "latest", True)
    for name in BLOCK_QUANTITIES:
        assert block[name] == hex(int(block[name], 16)), name
    for name in BLOCK_HASHES:
        assert len(block[name]) == 66, name
    (transaction,) = block["transactions"]
    for name in TRANSACTION_QUANTITIES:
        assert transaction[name] == hex(int(transaction[name], 16)), name
    assert transaction["input"] == transaction["data"]
    assert transaction["accessList"] == []
    receipt = rpc("eth_getTransactionReceipt", transaction["hash"])
    for name in RECEIPT_QUANTITIES:
        assert receipt[name] == hex(int(receipt[name], 16)), name
    assert len(block["logsBloom"]) == len(receipt["logsBloom"]) == BLOOM_DIGITS
    assert block["logsBloom"] == receipt["logsBloom"] != "0x" + "00" * 256


def test_the_hash_is_that_of_the_header(rpc, requester, spare):
    rpc("eth_sendTransaction", {"from": requester.address, "to": spare.address, "value": "0x1"})
    block = rpc("eth_getBlockByNumber", "latest", False)

    def quantity(name):
        digits = block[name][2:]
        return b"" if digits == "0" else bytes.fromhex(digits.zfill(len(digits) + len(digits) % 2))

    def data(name):
        return bytes.fromhex(block[name][2:])

    header = [
        *map(data, ("parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot")),
        *map(data, ("receiptsRoot", "logsBloom")),
        *map(quantity, ("difficulty", "number", "gasLimit", "gasUsed", "timestamp")),
        *map(data, ("extraData", "mixHash", "nonce")),
        *(quantity("baseFeePerGas"), data("withdrawalsRoot")),
        *map(quantity, ("blobGasUsed", "excessBlobGas")),
        *map(data, ("parentBeaconBlockRoot", "requestsHash")),
    ]
    assert "0x" + keccak(rlp.encode(header)).hex() == block["hash"]


def test_a_block_is_the_same_by_number_by_hash_and_by_tag(chain, rpc, probe):
    chain.mine()
    height = hex(chain.block_number)
    block = rpc("eth_getBlockByNumber", height, True)
    assert rpc("eth_getBlockByHash", block["hash"], True) == block
    for tag in ("latest", "safe", "finalized"):
        assert rpc("eth_getBlockByNumber", tag, True) == block
    assert rpc("eth_blockNumber") == height


def test_transactions_come_whole_or_as_hashes(rpc, probe):
    whole = rpc("eth_getBlockByNumber", "latest", True)
    hashes = rpc("eth_getBlockByNumber", "latest", False)
    assert [transaction["hash"] for transaction in whole["transactions"]] == hashes["transactions"]
    (transaction,) = whole["transactions"]
    assert rpc("eth_getTransactionByHash", transaction["hash"]) == transaction
    number, block_hash = whole["number"], whole["hash"]
    assert rpc("eth_getTransactionByBlockNumberAndIndex", number, "0x0") == transaction
    assert rpc("eth_getTransactionByBlockHashAndIndex", block_hash, "0x0") == transaction
    assert rpc("eth_getTransactionByBlockNumberAndIndex", number, "0x1") is None
    assert rpc("eth_getBlockTransactionCountByNumber", number) == "0x1"
    assert rpc("eth_getBlockTransactionCountByHash", block_hash) == "0x1"


def test_what_is_not_there_is_null(rpc):
    nothing = "0x" + "11" * 32
    for method, *params in (
        ("eth_getBlockByNumber", "0xfffff", False),
        ("eth_getBlockByHash", nothing, False),
        ("eth_getTransactionByHash", nothing),
        ("eth_getTransactionReceipt", nothing),
        ("eth_getRawTransactionByHash", nothing),
        ("eth_getBlockReceipts", "0xfffff"),
        ("eth_getBlockReceipts", nothing),
        ("eth_getBlockTransactionCountByNumber", "0xfffff"),
        ("eth_getBlockTransactionCountByHash", nothing),
        ("eth_getTransactionByBlockNumberAndIndex", "0xfffff", "0x0"),
        ("eth_getTransactionByBlockHashAndIndex", nothing, "0x0"),
    ):
        assert rpc(method, *params) is None, method


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_getBlockByNumber", ["0x" + "11" * 32, False]),
        ("eth_getBlockByNumber", [1, False]),
        ("eth_getBlockByNumber", ["latest", "yes"]),
        ("eth_getBlockByHash", ["latest", False]),
        ("eth_getTransactionByHash", ["0x11"]),
        ("eth_getStorageAt", ["0x" + "11" * 20, "0x" + "11" * 33]),
        ("eth_getBalance", ["0x" + "11" * 20, 5]),
        ("eth_getBalance", ["owner.eth", "latest"]),
    ],
)
def test_malformed_parameters_are_refused(rpc, method, params):
    with pytest.raises(RpcFailed) as caught:
        rpc(method, *params)
    assert caught.value.code == -32602


def test_a_pending_block_has_no_hash_yet(chain, rpc):
    block = rpc("eth_getBlockByNumber", "pending", False)
    assert block["hash"] is block["nonce"] is block["miner"] is None
    assert int(block["number"], 16) == chain.block_number + 1
    assert block["parentHash"] == rpc("eth_getBlockByNumber", "latest", False)["hash"]


def test_a_receipt_names_the_contract_made(rpc, probe, deployer):
    block = rpc("eth_getBlockByNumber", "latest", False)
    receipt = rpc("eth_getTransactionReceipt", block["transactions"][0])
    assert receipt["contractAddress"] == probe.address
    assert receipt["to"] is None
    assert receipt["from"] == deployer.address
    assert receipt["blockHash"] == block["hash"]


def test_a_receipt_of_a_plain_call_names_no_contract(rpc, probe, requester):
    sent = probe.functions.set(1, "").transact({"from": requester.address})
    receipt = rpc("eth_getTransactionReceipt", f"0x{bytes(sent).hex()}")
    assert receipt["contractAddress"] is None
    assert receipt["to"] == probe.address


def test_gas_adds_up_over_a_block(chain, rpc, probe, requester, worker):
    rpc("evm_setAutomine", False)
    for account in (requester, worker):
        data = probe.encode_abi("touch", [b"\2" * 32, 3])
        message = {"from": account.address, "to": probe.address, "data": data, "gas": "0x30d40"}
        rpc("eth_sendTransaction", message)
    chain.mine()
    block = rpc("eth_getBlockByNumber", "latest", False)
    receipts = rpc("eth_getBlockReceipts", "latest")
    assert rpc("eth_getBlockReceipts", block["hash"]) == receipts
    used = [int(receipt["gasUsed"], 16) for receipt in receipts]
    total = [int(receipt["cumulativeGasUsed"], 16) for receipt in receipts]
    assert total == [used[0], used[0] + used[1]]
    assert int(block["gasUsed"], 16) == sum(used)
    assert [receipt["transactionHash"] for receipt in receipts] == block["transactions"]


def test_accounts_are_read_in_any_block(chain, rpc, probe, requester):
    created = chain.block_number
    probe.functions.set(77, "").transact({"from": requester.address})
    before, after = hex(created), hex(created + 1)
    assert rpc("eth_getStorageAt", probe.address, "0x0", before) == f"0x{5:064x}"
    assert rpc("eth_getStorageAt", probe.address, "0x" + "00" * 32, after) == f"0x{77:064x}"
    assert rpc("eth_getTransactionCount", requester.address, before) == "0x0"
    assert rpc("eth_getTransactionCount", requester.address, after) == "0x1"
    assert rpc("eth_getCode", probe.address, hex(created - 1)) == "0x"
    assert rpc("eth_getCode", probe.address, before) == rpc("eth_getCode", probe.address)
    assert int(rpc("eth_getBalance", requester.address, before), 16) > int(
        rpc("eth_getBalance", requester.address, after), 16
    )


def test_the_node_introduces_itself(rpc):
    assert rpc("web3_clientVersion").startswith("modelward/")
    assert rpc("net_version") == "31337"
    assert rpc("eth_chainId") == "0x7a69"
    assert rpc("net_listening") is True
    assert rpc("net_peerCount") == "0x0"
    assert rpc("eth_syncing") is False
    assert rpc("web3_sha3", "0x") == "0x" + keccak(b"").hex()


class TestFees:
    def test_the_base_fee_falls_by_an_eighth_in_empty_blocks(self, chain, rpc):
        chain.mine(2)
        _, first, second = (
            int(rpc("eth_getBlockByNumber", hex(n), False)["baseFeePerGas"], 16) for n in (0, 1, 2)
        )
        assert second == first - first // 8

    def test_suggested_prices_get_a_transaction_mined(self, chain, rpc, worker):
        chain.mine(3)
        price, tip = int(rpc("eth_gasPrice"), 16), int(rpc("eth_maxPriorityFeePerGas"), 16)
        pending = rpc("eth_getBlockByNumber", "pending", False)
        assert price == int(pending["baseFeePerGas"], 16) + tip
        sent = rpc("eth_sendRawTransaction", sign(worker, gasPrice=price))
        assert rpc("eth_getTransactionReceipt", sent)["effectiveGasPrice"] == hex(price)

    def test_a_fee_history_has_one_base_fee_more_than_blocks(self, chain, rpc, worker):
        chain.mine(3)
        rpc("eth_sendRawTransaction", sign(worker, maxPriorityFeePerGas=123, maxFeePerGas=10**10))
        history = rpc("eth_feeHistory", "0x2", "latest", [0, 50.5, 100])
        assert history["oldestBlock"] == hex(chain.block_number - 1)
        assert history["baseFeePerGas"] == [
            rpc("eth_getBlockByNumber", block, False)["baseFeePerGas"]
            for block in (hex(chain.block_number - 1), "latest", "pending")
        ]
        assert history["gasUsedRatio"] == [0, 21_000 / 30_000_000]
        assert history["reward"] == [["0x0"] * 3, [hex(123)] * 3]

    def test_tips_are_weighed_by_gas(self, chain, rpc, probe, worker, requester):
        rpc("evm_setAutomine", False)
        touch = probe.encode_abi("touch", [b"\1" * 32, 20])
        heavy = {"to": probe.address, "value": 0, "data": touch, "gas": 100_000}
        fees = {"maxFeePerGas": 10**10}
        rpc("eth_sendRawTransaction", sign(worker, maxPriorityFeePerGas=100, **heavy, **fees))
        rpc("eth_sendRawTransaction", sign(requester, maxPriorityFeePerGas=5, **fees))
        chain.mine()
        heavy_gas, light_gas = (
            int(receipt["gasUsed"], 16) for receipt in rpc("eth_getBlockReceipts", "latest")
        )
        share = 100 * light_gas / (light_gas + heavy_gas)
        assert 10 < share < 50
        history = rpc("eth_feeHistory", "0x1", "latest", [0, share - 1, share + 1, 100])
        assert [int(tip, 16) for tip in history["reward"][0]] == [5, 5, 100, 100]

    def test_a_fee_history_without_percentiles_has_no_rewards(self, rpc):
        assert "reward" not in rpc("eth_feeHistory", "0x1", "latest", [])
        assert "reward" not in rpc("eth_feeHistory", 1, "pending")

    def test_a_fee_history_stops_at_genesis(self, rpc):
        history = rpc("eth_feeHistory", "0x400", "0x0")
        assert history["oldestBlock"] == "0x0"
        assert len(history["gasUsedRatio"]) == 1

    @pytest.mark.parametrize("percentiles", [[50, 10], [-1], [101], ["5"], 5, [0] * 101])
    def test_percentiles_ascend_from_0_to_100(self, rpc, percentiles):
        with pytest.raises(RpcFailed) as caught:
            rpc("eth_feeHistory", "0x1", "latest", percentiles)
        assert caught.value.code == -32602

    def test_the_blob_base_fee_is_the_least(self, rpc):
        assert rpc("eth_blobBaseFee") == "0x1"
