"""Transactions: which are admitted, what refusals say, what becomes of those that fail."""

import pytest
import rlp
from eth_account import Account
from eth_keys import keys
from eth_utils import keccak, to_checksum_address

from tests.devchain.conftest import GWEI, RpcFailed, sign


@pytest.fixture
def send(rpc):
    return lambda raw: rpc("eth_sendRawTransaction", raw)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"gasPrice": 2 * GWEI}, "0x0"),
        ({"gasPrice": 2 * GWEI, "chainId": None}, "0x0"),
        ({"gasPrice": 2 * GWEI, "accessList": [], "type": 1}, "0x1"),
        ({}, "0x2"),
    ],
)
def test_every_supported_type_is_mined(rpc, send, worker, spare, fields, kind):
    raw = unprotected(worker, spare) if "chainId" in fields else sign(worker, **fields)
    sent = send(raw)
    transaction = rpc("eth_getTransactionByHash", sent)
    receipt = rpc("eth_getTransactionReceipt", sent)
    assert transaction["type"] == receipt["type"] == kind
    assert receipt["status"] == "0x1"
    assert transaction["from"] == receipt["from"] == worker.address
    assert transaction["to"] == receipt["to"] == spare.address
    assert transaction["gasPrice"] == receipt["effectiveGasPrice"]
    assert rpc("eth_getRawTransactionByHash", sent) == raw


def unprotected(account, recipient):
    """A transaction from before EIP-155, which names no chain."""
    fields = [b"", (2 * GWEI).to_bytes(4, "big"), (21_000).to_bytes(2, "big")]
    fields += [bytes.fromhex(recipient.address[2:]), b"\1", b""]
    key = keys.PrivateKey(bytes.fromhex(account.private_key[2:]))
    signature = key.sign_msg_hash(keccak(rlp.encode(fields)))
    vrs = [bytes([27 + signature.v]), number(signature.r), number(signature.s)]
    return "0x" + rlp.encode(fields + vrs).hex()


def number(value):
    return value.to_bytes(32, "big").lstrip(b"\0")


def test_a_legacy_transaction_keeps_its_v(rpc, send, worker):
    transaction = rpc("eth_getTransactionByHash", send(sign(worker, gasPrice=2 * GWEI)))
    assert int(transaction["v"], 16) in (31337 * 2 + 35, 31337 * 2 + 36)
    assert "yParity" not in transaction
    assert transaction["chainId"] == "0x7a69"


def test_money_moves_and_the_price_paid_is_base_fee_plus_tip(rpc, send, worker, stranger):
    before = int(rpc("eth_getBalance", worker.address, "latest"), 16)
    raw = sign(worker, to=to_checksum_address(stranger), value=10**18)
    receipt = rpc("eth_getTransactionReceipt", send(raw))
    block = rpc("eth_getBlockByNumber", receipt["blockNumber"], False)
    price = int(block["baseFeePerGas"], 16) + GWEI
    assert int(receipt["effectiveGasPrice"], 16) == price
    assert int(rpc("eth_getBalance", stranger, "latest"), 16) == 10**18
    after = int(rpc("eth_getBalance", worker.address, "latest"), 16)
    assert before - after == 10**18 + 21_000 * price


def test_a_nonce_already_used_is_too_low(send, worker):
    raw = sign(worker)
    send(raw)
    for again in (raw, sign(worker, value=2)):
        with pytest.raises(RpcFailed, match=r"^nonce too low"):
            send(again)


def test_a_nonce_that_leaves_a_gap_is_too_high(send, worker):
    with pytest.raises(RpcFailed, match=r"^nonce too high"):
        send(sign(worker, nonce=1))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"value": 10**23}, r"insufficient funds for gas \* price \+ value"),
        ({"gas": 20_999}, "intrinsic gas too low: gas 20999, minimum needed 21000"),
        ({"gas": 21_100, "data": "0x" + "ff" * 10}, "intrinsic gas too low"),
        ({"gas": 30_000_001}, "exceeds block gas limit"),
        ({"maxFeePerGas": 5, "maxPriorityFeePerGas": 5}, "less than block base fee"),
        ({"maxPriorityFeePerGas": 5 * GWEI}, "max priority fee per gas higher than max fee"),
        ({"chainId": 1}, "invalid chain id for signer: have 1 want 31337"),
        ({"to": "", "data": "0x" + "00" * 49_153, "gas": 9_000_000}, "max initcode size exceeded"),
        ({"data": "0x" + "00" * 131_072, "gas": 9_000_000}, "oversized data"),
    ],
)
def test_what_can_never_be_mined_is_refused_and_costs_nothing(rpc, send, worker, fields, message):
    before = rpc("eth_getBalance", worker.address, "latest")
    with pytest.raises(RpcFailed, match=message) as caught:
        send(sign(worker, **fields))
    assert caught.value.code == -32000
    assert rpc("eth_getBalance", worker.address, "latest") == before
    assert rpc("eth_getTransactionCount", worker.address, "pending") == "0x0"


def test_gas_between_the_intrinsic_cost_and_the_data_floor_is_too_low(send, worker):
    data = "0x" + "ff" * 100
    with pytest.raises(RpcFailed, match="floor data gas cost: gas 24999, minimum needed 25000"):
        send(sign(worker, data=data, gas=24_999))
    send(sign(worker, data=data, gas=25_000))


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("0x", -32602),
        ("0x02", -32602),
        ("0x02c0", -32602),
        ("0xc0", -32602),
        ("0xdeadbeef", -32602),
        ("0x03f800", -32000),
        ("0x04f800", -32000),
        ("0x7f", -32000),
        ("nonsense", -32602),
        (None, -32602),
    ],
)
def test_bytes_that_are_no_supported_transaction_are_refused(send, raw, code):
    with pytest.raises(RpcFailed) as caught:
        send(raw)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("field", "value"), [(1, 2**64 - 1), (3, 2**256), (4, 2**256), (6, 2**256)]
)
def test_numbers_no_evm_can_hold_are_refused(send, worker, field, value):
    fields = rlp.decode(bytes.fromhex(sign(worker)[4:]))
    fields[field] = value.to_bytes(33, "big").lstrip(b"\0")
    with pytest.raises(RpcFailed, match="a number is too large"):
        send("0x02" + rlp.encode(fields).hex())


def test_trailing_bytes_are_refused(send, worker):
    with pytest.raises(RpcFailed, match="failed to decode"):
        send(sign(worker) + "00")


def test_a_malleable_signature_is_refused(send, worker):
    fields = rlp.decode(bytes.fromhex(sign(worker)[4:]))
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    fields[9] = b"" if fields[9] else b"\1"
    fields[11] = number(order - int.from_bytes(fields[11], "big"))
    with pytest.raises(RpcFailed, match="invalid sender"):
        send("0x02" + rlp.encode(fields).hex())


def test_a_signature_of_zeros_is_refused(send, worker):
    fields = rlp.decode(bytes.fromhex(sign(worker)[4:]))
    fields[10] = fields[11] = b""
    with pytest.raises(RpcFailed, match="invalid sender"):
        send("0x02" + rlp.encode(fields).hex())


def test_a_transaction_that_reverts_is_mined_with_status_0(rpc, send, probe, worker):
    data = probe.encode_abi("set", [101, ""])
    sent = send(sign(worker, to=probe.address, value=0, data=data, gas=100_000))
    receipt = rpc("eth_getTransactionReceipt", sent)
    assert receipt["status"] == "0x0"
    assert receipt["logs"] == []
    assert 21_000 < int(receipt["gasUsed"], 16) < 100_000
    assert probe.functions.value().call() == 5


def test_a_transaction_out_of_gas_is_charged_all_of_it(rpc, send, probe, worker):
    data = probe.encode_abi("burnGas", [])
    sent = send(sign(worker, to=probe.address, value=0, data=data, gas=100_000))
    receipt = rpc("eth_getTransactionReceipt", sent)
    assert (receipt["status"], receipt["gasUsed"]) == ("0x0", hex(100_000))


@pytest.mark.parametrize("recipient", [{"to": ""}, {"to": None}, {}])
def test_an_unlocked_account_deploys_however_the_recipient_is_left_out(
    rpc, probe_artifact, deployer, recipient
):
    data = "0x" + probe_artifact.bytecode.hex() + (5).to_bytes(32, "big").hex()
    sent = rpc("eth_sendTransaction", {"from": deployer.address, "data": data, **recipient})
    receipt = rpc("eth_getTransactionReceipt", sent)
    assert receipt["to"] is None
    assert rpc("eth_getTransactionByHash", sent)["to"] is None
    assert rpc("eth_getCode", receipt["contractAddress"], "latest") != "0x"


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, "0x2"),
        ({"gasPrice": hex(3 * GWEI)}, "0x0"),
        ({"gasPrice": hex(3 * GWEI), "accessList": []}, "0x1"),
        ({"maxFeePerGas": hex(3 * GWEI), "maxPriorityFeePerGas": "0x1", "gas": "0x5208"}, "0x2"),
    ],
)
def test_an_unlocked_account_signs_what_it_is_asked_to(rpc, requester, spare, fields, kind):
    message = {"from": requester.address, "to": spare.address, "value": "0x5", **fields}
    transaction = rpc("eth_getTransactionByHash", rpc("eth_sendTransaction", message))
    assert (transaction["type"], transaction["from"]) == (kind, requester.address)
    assert (transaction["gas"], transaction["value"]) == ("0x5208", "0x5")


def test_a_price_below_the_usual_tip_is_all_tip(chain, rpc, requester):
    chain.mine(6)
    message = {"from": requester.address, "to": requester.address, "maxFeePerGas": hex(GWEI - 1)}
    transaction = rpc("eth_getTransactionByHash", rpc("eth_sendTransaction", message))
    assert transaction["maxPriorityFeePerGas"] == hex(GWEI - 1)


def test_gas_is_estimated_after_what_waits(chain, rpc, probe_artifact, deployer):
    rpc("evm_setAutomine", False)
    data = "0x" + probe_artifact.bytecode.hex() + (5).to_bytes(32, "big").hex()
    created = rpc("eth_sendTransaction", {"from": deployer.address, "data": data})
    nonce = int(rpc("eth_getTransactionByHash", created)["nonce"], 16)
    address = keccak(rlp.encode([bytes.fromhex(deployer.address[2:]), nonce]))[12:].hex()
    data = "0x" + keccak(text="demandGas(uint256)")[:4].hex() + "00" * 32
    call = {"from": deployer.address, "to": f"0x{address}", "data": data}
    sent = rpc("eth_sendTransaction", call)
    chain.mine()
    assert rpc("eth_getTransactionReceipt", sent)["status"] == "0x1"
    assert int(rpc("eth_getStorageAt", f"0x{address}", "0x0", "latest"), 16) == 6


def test_sending_without_gas_fails_where_the_estimate_does(rpc, probe, requester):
    data = probe.encode_abi("set", [101, ""])
    with pytest.raises(RpcFailed) as caught:
        rpc("eth_sendTransaction", {"from": requester.address, "to": probe.address, "data": data})
    assert caught.value.code == 3
    assert rpc("eth_getTransactionCount", requester.address, "latest") == "0x0"


def test_an_account_without_a_key_here_cannot_send(rpc, stranger):
    with pytest.raises(RpcFailed, match="unknown account") as caught:
        rpc("eth_sendTransaction", {"from": stranger, "to": stranger})
    assert caught.value.code == -32602
    with pytest.raises(RpcFailed, match="unknown account"):
        rpc("eth_sendTransaction", {"to": stranger})


def test_the_unlocked_accounts_are_listed_in_order(rpc, deployer, spare):
    accounts = rpc("eth_accounts")
    assert (len(accounts), accounts[0], accounts[9]) == (10, deployer.address, spare.address)


def test_an_account_made_elsewhere_may_send_once_it_has_money(rpc, send, worker):
    newcomer = Account.create()
    send(sign(worker, to=newcomer.address, value=10**18))
    raw = newcomer.sign_transaction(
        {
            "chainId": 31337,
            "nonce": 0,
            "to": worker.address,
            "value": 1,
            "gas": 21_000,
            "gasPrice": 2 * GWEI,
        }
    ).raw_transaction
    receipt = rpc("eth_getTransactionReceipt", send(f"0x{bytes(raw).hex()}"))
    assert receipt["from"] == newcomer.address
