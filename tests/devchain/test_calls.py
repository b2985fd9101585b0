"""`eth_call` and `eth_estimateGas`: who may ask, in which block, and how failures read."""

import pytest
from eth_abi import decode
from eth_utils import keccak

from tests.devchain.conftest import GWEI, RpcFailed


def word(value):
    return value.to_bytes(32, "big").hex()


def selector(signature):
    return "0x" + keccak(text=signature)[:4].hex()


@pytest.fixture
def call(rpc, probe):
    """Call the contract by encoded data; gives the bytes returned."""

    def run(data, block="latest", **fields):
        answer = rpc("eth_call", {"to": probe.address, "data": data, **fields}, block)
        return bytes.fromhex(answer[2:])

    return run


class TestWhoMayCall:
    def test_anyone_may_call_without_money(self, call, stranger):
        data = selector("sender()")
        assert call(data)[12:] == bytes(20)
        assert call(data, **{"from": stranger})[12:] == bytes.fromhex(stranger[2:])
        assert call(data, gas="0x186a0", **{"from": stranger})[12:] == bytes.fromhex(stranger[2:])

    def test_a_contract_may_be_the_sender(self, call, probe):
        assert call(selector("sender()"), **{"from": probe.address})[12:].hex() == (
            probe.address[2:].lower()
        )

    def test_without_a_price_gas_is_free_and_both_prices_read_zero(self, call):
        assert decode(["uint256"] * 3, call(selector("price()"))) == (0, 0, 31337)

    def test_a_named_price_is_seen_by_the_contract(self, call, requester):
        data, sender = selector("price()"), {"from": requester.address}
        gas_price, base_fee, _ = decode(
            ["uint256"] * 3, call(data, gasPrice=hex(5 * GWEI), **sender)
        )
        assert gas_price == 5 * GWEI
        assert 0 < base_fee <= GWEI
        gas_price, base_fee, _ = decode(
            ["uint256"] * 3,
            call(data, maxFeePerGas=hex(5 * GWEI), maxPriorityFeePerGas=hex(GWEI), **sender),
        )
        assert gas_price == base_fee + GWEI

    def test_a_named_price_must_be_affordable_and_cover_the_base_fee(self, call, stranger, worker):
        data = selector("value()")
        with pytest.raises(RpcFailed, match="insufficient funds for gas"):
            call(data, gas="0x186a0", gasPrice=hex(5 * GWEI), **{"from": stranger})
        with pytest.raises(RpcFailed, match="max fee per gas less than block base fee"):
            call(data, gasPrice="0x1", **{"from": worker.address})

    def test_value_must_be_affordable(self, rpc, probe, stranger, worker):
        call = {"to": probe.address, "value": hex(10**18)}
        assert rpc("eth_call", {"from": worker.address, **call}, "latest") == "0x"
        for method in ("eth_call", "eth_estimateGas"):
            with pytest.raises(RpcFailed, match="insufficient funds"):
                rpc(method, {"from": stranger, **call}, "latest")

    def test_nothing_a_call_does_is_kept(self, call, rpc, requester):
        before = rpc("eth_getTransactionCount", requester.address, "latest")
        call(selector("demandGas(uint256)") + word(0), **{"from": requester.address})
        assert decode(["uint256"], call(selector("value()"))) == (5,)
        assert rpc("eth_getTransactionCount", requester.address, "latest") == before


class TestTransactionObjects:
    def test_input_and_data_mean_the_same(self, rpc, probe):
        data = selector("value()")
        for fields in ({"input": data}, {"data": data}, {"input": data, "data": data}):
            assert rpc("eth_call", {"to": probe.address, **fields}) == "0x" + word(5)

    def test_input_and_data_must_not_differ(self, rpc, probe):
        with pytest.raises(RpcFailed, match="not equal") as caught:
            rpc("eth_call", {"to": probe.address, "input": "0x00", "data": "0x01"})
        assert caught.value.code == -32602

    @pytest.mark.parametrize("recipient", [{}, {"to": None}, {"to": ""}, {"to": "0x"}])
    def test_no_recipient_means_a_deployment(self, rpc, recipient):
        assert rpc("eth_call", {"data": "0x602a5f5360015ff3", **recipient}) == "0x2a"

    def test_null_and_unknown_members_are_ignored(self, rpc, probe):
        fields: dict[str, object] = {
            "gas": None,
            "from": None,
            "accessList": None,
            "blobs": [],
            "type": "0x2",
        }
        data = selector("value()")
        assert rpc("eth_call", {"to": probe.address, "data": data, **fields}) == "0x" + word(5)

    @pytest.mark.parametrize(
        "fields",
        [
            {"to": "0x12"},
            {"from": 5},
            {"gas": 100_000},
            {"gas": "0x10000000000000000"},
            {"value": "5"},
            {"data": "0x0"},
            {"gasPrice": "0x1", "maxFeePerGas": "0x1"},
            {"maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x2"},
            {"accessList": [{"address": "0x12", "storageKeys": []}]},
            {"accessList": {"address": "0x12"}},
        ],
    )
    def test_malformed_members_are_invalid_parameters(self, rpc, fields):
        for method in ("eth_call", "eth_estimateGas", "eth_sendTransaction"):
            with pytest.raises(RpcFailed) as caught:
                rpc(method, fields)
            assert caught.value.code == -32602

    def test_another_chain_id_is_refused(self, rpc):
        with pytest.raises(RpcFailed, match="chainId does not match"):
            rpc("eth_call", {"chainId": "0x1"})

    def test_a_warm_slot_is_cheaper(self, rpc, probe, requester):
        message = {"from": requester.address, "to": probe.address, "data": selector("value()")}
        cold = int(rpc("eth_estimateGas", message), 16)
        entry = {"address": probe.address, "storageKeys": ["0x" + word(0)]}
        warm = int(rpc("eth_estimateGas", {**message, "accessList": [entry]}), 16)
        assert warm - cold == 2400 + 1900 - 2000


class TestFailures:
    def test_a_custom_error_is_code_3_with_its_data(self, rpc, probe):
        data = selector("set(uint256,string)") + word(101) + word(64) + word(0)
        for method in ("eth_call", "eth_estimateGas"):
            with pytest.raises(RpcFailed) as caught:
                rpc(method, {"to": probe.address, "data": data})
            assert caught.value.code == 3
            assert caught.value.message == "execution reverted"
            assert caught.value.data == (
                selector("TooHigh(uint256,uint256)") + word(101) + word(100)
            )

    @pytest.mark.parametrize(
        ("signature", "argument", "message"),
        [
            ("failWithString()", "", "execution reverted: not today"),
            (
                "failWithPanic(uint256)",
                word(0),
                "execution reverted: division or modulo by zero",
            ),
            ("failWithNothing()", "", "execution reverted"),
        ],
    )
    def test_reasons_are_decoded(self, call, signature, argument, message):
        with pytest.raises(RpcFailed) as caught:
            call(selector(signature) + argument)
        assert (caught.value.code, caught.value.message) == (3, message)
        assert caught.value.data.startswith("0x")

    def test_an_error_that_decodes_as_a_string_keeps_its_data(self, call):
        with pytest.raises(RpcFailed) as caught:
            call(selector("failLikeAString()"))
        assert caught.value.data == (
            selector("LooksLikeAString(uint256,uint256)") + word(32) + word(0)
        )

    def test_other_failures_are_no_reverts(self, call):
        with pytest.raises(RpcFailed, match="InvalidInstruction") as caught:
            call(selector("failWithInvalid()"))
        assert (caught.value.code, caught.value.data) == (-32000, None)
        with pytest.raises(RpcFailed, match="out of gas") as caught:
            call(selector("burnGas()"), gas="0x186a0")
        assert (caught.value.code, caught.value.data) == (-32000, None)

    def test_gas_below_the_intrinsic_cost_is_refused(self, call):
        with pytest.raises(RpcFailed, match="intrinsic gas too low"):
            call(selector("value()"), gas="0x5208")

    def test_gas_below_the_data_floor_is_refused(self, rpc, stranger):
        message = {"to": stranger, "data": "0x" + "ff" * 100}
        assert rpc("eth_call", {**message, "gas": hex(25_000)}) == "0x"
        with pytest.raises(RpcFailed, match="intrinsic gas too low: have 24999, want 25000"):
            rpc("eth_call", {**message, "gas": hex(24_999)})

    def test_an_address_without_code_returns_nothing(self, rpc, stranger):
        assert rpc("eth_call", {"to": stranger, "data": "0x12345678"}) == "0x"

    def test_calls_may_nest_as_deep_as_their_gas_lasts(self, call):
        (depth,) = decode(["uint256"], call(selector("dive(uint256)") + word(0)))
        assert depth > 300


class TestBlockContext:
    def test_latest_runs_in_the_head_and_pending_in_the_block_to_come(self, chain, rpc, call):
        chain.set_next_timestamp(chain.time + 100)
        head = rpc("eth_getBlockByNumber", "latest", False)
        number, timestamp, parent = decode(
            ["uint256", "uint256", "bytes32"], call(selector("where()"))
        )
        assert number == int(head["number"], 16)
        assert timestamp == int(head["timestamp"], 16)
        assert parent.hex() == head["parentHash"][2:]
        number, timestamp, parent = decode(
            ["uint256", "uint256", "bytes32"], call(selector("where()"), "pending")
        )
        assert number == int(head["number"], 16) + 1
        assert timestamp == chain.time + 100
        assert parent.hex() == head["hash"][2:]

    def test_an_old_block_has_its_old_state(self, chain, rpc, probe, requester, call):
        heights = {}
        for value in (1, 2, 3):
            probe.functions.set(value, "").transact({"from": requester.address})
            heights[value] = chain.block_number
        for value, height in heights.items():
            assert call(selector("value()"), hex(height)) == bytes.fromhex(word(value))
            block_hash = rpc("eth_getBlockByNumber", hex(height), False)["hash"]
            for block in (block_hash, {"blockHash": block_hash}, {"blockNumber": hex(height)}):
                assert call(selector("value()"), block) == bytes.fromhex(word(value))

    @pytest.mark.parametrize("tag", ["latest", "safe", "finalized", "pending"])
    def test_every_tag_of_the_head_sees_the_contract(self, call, tag):
        assert call(selector("value()"), tag) == bytes.fromhex(word(5))

    def test_the_contract_was_not_there_at_the_beginning(self, call):
        assert call(selector("value()"), "earliest") == b""

    @pytest.mark.parametrize("block", ["0xffff", {"blockHash": "0x" + "11" * 32}])
    def test_a_block_that_is_not_there_is_an_error(self, rpc, stranger, block):
        for method, *params in (
            ("eth_call", {"to": stranger}),
            ("eth_estimateGas", {"to": stranger}),
            ("eth_getBalance", stranger),
            ("eth_getTransactionCount", stranger),
            ("eth_getCode", stranger),
            ("eth_getStorageAt", stranger, "0x0"),
        ):
            with pytest.raises(RpcFailed, match="header not found"):
                rpc(method, *params, block)


class TestEstimates:
    def test_a_transfer_needs_exactly_21000(self, rpc, requester, stranger):
        message = {"from": requester.address, "to": stranger, "value": "0x1"}
        assert rpc("eth_estimateGas", message) == hex(21_000)

    @pytest.mark.parametrize(
        ("signature", "arguments"),
        [
            ("set(uint256,string)", word(9) + word(64) + word(0)),
            ("touch(bytes32,uint256)", word(1) + word(30)),
            ("setThroughCall(uint256)", word(9)),
            ("demandGas(uint256)", word(3_000_000)),
            ("set(uint256,string)", word(9) + word(64) + word(4096) + "ff" * 4096),
        ],
    )
    def test_an_estimate_suffices_and_is_close_to_the_least(
        self, rpc, probe, requester, signature, arguments
    ):
        message = {
            "from": requester.address,
            "to": probe.address,
            "data": selector(signature) + arguments,
        }
        estimate = int(rpc("eth_estimateGas", message), 16)
        snapshot = rpc("evm_snapshot")
        assert status_with(rpc, message, estimate) == "0x1"
        assert rpc("evm_revert", snapshot)
        assert status_with(rpc, message, int(estimate * 0.984)) in ("0x0", "intrinsic gas too low")

    def test_a_cap_or_a_balance_too_small_is_named(self, rpc, probe, requester, stranger):
        message = {"to": probe.address, "data": selector("demandGas(uint256)") + word(0)}
        with pytest.raises(RpcFailed, match=r"gas required exceeds allowance \(25000\)"):
            rpc("eth_estimateGas", {**message, "from": requester.address, "gas": hex(25_000)})
        with pytest.raises(RpcFailed, match=r"gas required exceeds allowance \(0\)"):
            rpc("eth_estimateGas", {**message, "from": stranger, "gasPrice": hex(5 * GWEI)})

    def test_a_deployment_is_estimated(self, rpc, probe_artifact, deployer):
        data = "0x" + probe_artifact.bytecode.hex() + word(5)
        estimate = rpc("eth_estimateGas", {"from": deployer.address, "data": data})
        sent = rpc("eth_sendTransaction", {"from": deployer.address, "data": data, "gas": estimate})
        assert rpc("eth_getTransactionReceipt", sent)["status"] == "0x1"


def status_with(rpc, message, gas):
    """The status a transaction with that much gas is mined with, or why it is not mined at all."""
    try:
        sent = rpc("eth_sendTransaction", {**message, "gas": hex(gas)})
    except RpcFailed as refusal:
        return refusal.message.partition(":")[0]
    return rpc("eth_getTransactionReceipt", sent)["status"]
