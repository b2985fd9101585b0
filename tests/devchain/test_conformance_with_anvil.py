"""One script of requests, answered by this chain and by anvil: what differs is listed, with why.

Values that must differ (hashes, signatures, times, fees that depend on them) are compared by form,
everything else as it is: gas, status, logs, results, error codes, revert data.
"""

import json
import time
import urllib.request
from pathlib import Path

import pytest
from eth_utils import keccak

from modelward.chain.development import development_account
from modelward.devchain import DevChain, launch, serve
from modelward.devchain.anvil import find_anvil

NODE_MODULES = Path(__file__).parents[2] / "node_modules"
pytestmark = pytest.mark.skipif(not NODE_MODULES.is_dir(), reason="node_modules is not installed")

DEPLOYER = development_account("deployer").address
OWNER = development_account("owner").address
STRANGER = "0x" + "12" * 20
NOTHING = "0x" + "11" * 32

VOLATILE = frozenset(
    {
        *("hash", "parentHash", "stateRoot", "transactionsRoot", "receiptsRoot", "mixHash"),
        *("blockHash", "transactionHash", "timestamp", "blockTimestamp", "extraData", "size"),
        *("baseFeePerGas", "gasPrice", "maxFeePerGas", "effectiveGasPrice", "balance"),
        *("transactions", "r", "s", "v", "yParity", "message", "gasUsedRatio"),
    }
)


def word(value):
    return f"{value:064x}"


def calldata(signature, *words):
    return "0x" + keccak(text=signature)[:4].hex() + "".join(words)


SET_7 = calldata("set(uint256,string)", word(7), word(64), word(2), "6869".ljust(64, "0"))
SET_0 = calldata("set(uint256,string)", word(0), word(64), word(0))
SET_101 = calldata("set(uint256,string)", word(101), word(64), word(0))
CHANGED = "0x" + keccak(text="Changed(address,uint256,string)").hex()


def ask(url):
    """Call a method over HTTP; gives the result, or the error object in a list."""

    def call(method, *params):
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        request = urllib.request.Request(
            url, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
        return answer["result"] if "result" in answer else {"error": answer["error"]}

    return call


def play(rpc, creation):
    """Run the script; gives the answers by the name of their step."""
    seen = {}

    def step(name, method, *params):
        seen[name] = rpc(method, *params)
        return seen[name]

    def mined(transaction_hash):
        """Wait for the receipt: anvil mines after it has answered."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if rpc("eth_getTransactionReceipt", transaction_hash) is not None:
                return transaction_hash
            time.sleep(0.01)
        raise AssertionError(f"{transaction_hash} was not mined")

    step("genesis", "eth_getBlockByNumber", "earliest", False)
    deployed = mined(rpc("eth_sendTransaction", {"from": DEPLOYER, "data": creation}))
    contract = step("deployment", "eth_getTransactionReceipt", deployed)["contractAddress"]
    change = {"from": OWNER, "to": contract, "data": SET_7}
    step("estimate", "eth_estimateGas", change)
    sent = mined(rpc("eth_sendTransaction", change))
    step("receipt", "eth_getTransactionReceipt", sent)
    step("transaction", "eth_getTransactionByHash", sent)
    step("transaction by place", "eth_getTransactionByBlockNumberAndIndex", "0x2", "0x0")
    step("block", "eth_getBlockByNumber", "latest", False)
    step("whole block", "eth_getBlockByNumber", "latest", True)
    step("block receipts", "eth_getBlockReceipts", "0x2")
    step("pending block", "eth_getBlockByNumber", "pending", False)
    step("safe block", "eth_getBlockByNumber", "safe", False)
    step("logs", "eth_getLogs", {"fromBlock": "0x0", "topics": [[CHANGED, NOTHING], None]})
    step("logs beyond the head", "eth_getLogs", {"fromBlock": "0x2", "toBlock": "0x99"})
    step("logs of a reversed range", "eth_getLogs", {"fromBlock": "0x5", "toBlock": "0x1"})
    step("logs of an unknown block", "eth_getLogs", {"blockHash": NOTHING})
    for signature, *words in (
        ("value()",),
        ("sender()",),
        ("failWithString()",),
        ("failLikeAString()",),
        ("failWithPanic(uint256)", word(0)),
        ("failWithNothing()",),
        ("failWithInvalid()",),
    ):
        for method in ("eth_call", "eth_estimateGas"):
            message = {"from": OWNER, "to": contract, "data": calldata(signature, *words)}
            step(f"{method} of {signature}", method, message, "latest")
    for method in ("eth_call", "eth_estimateGas"):
        step(f"{method} with a custom error", method, {"to": contract, "data": SET_101}, "latest")
    step("call by a stranger", "eth_call", {"from": STRANGER, "to": contract, "data": "0x3fa4f245"})
    poor = {"from": STRANGER, "to": contract, "gas": "0xffff", "gasPrice": hex(10**10)}
    step("call a stranger cannot pay", "eth_call", poor, "latest")
    step("estimate beyond the cap", "eth_estimateGas", {**change, "gas": "0x6000"})
    step("nested estimate", "eth_estimateGas", {**change, "data": NESTED})
    step("demanding estimate", "eth_estimateGas", {**change, "data": DEMANDING})
    for block in ("latest", "pending", "earliest", "0x1", "0x99"):
        step(f"nonce at {block}", "eth_getTransactionCount", OWNER, block)
        step(f"code at {block}", "eth_getCode", contract, block)
        step(f"storage at {block}", "eth_getStorageAt", contract, "0x0", block)
        step(f"value at {block}", "eth_call", {"to": contract, "data": "0x3fa4f245"}, block)
        step(f"money at {block}", "eth_getBalance", STRANGER, block)
    step("unknown block", "eth_getBlockByNumber", "0x99", False)
    step("unknown block hash", "eth_getBlockByHash", NOTHING, False)
    step("unknown transaction", "eth_getTransactionByHash", NOTHING)
    step("unknown receipt", "eth_getTransactionReceipt", NOTHING)
    step("unknown receipts", "eth_getBlockReceipts", "0x99")
    step("fee history", "eth_feeHistory", "0x2", "latest", [10, 90])
    step("tip", "eth_maxPriorityFeePerGas")
    step("chain id", "eth_chainId")
    step("network", "net_version")
    step("listening", "net_listening")
    step("syncing", "eth_syncing")
    step("accounts", "eth_accounts")
    step("hash", "web3_sha3", "0x")
    step("unknown method", "eth_nothing")
    step("missing parameter", "eth_getBalance")
    step("malformed address", "eth_getBalance", "0x1", "latest")
    step("used nonce", "eth_sendTransaction", {**change, "nonce": "0x0", "gas": "0xffff"})
    step("too little gas", "eth_sendTransaction", {**change, "gas": "0x5000"})
    step("too much value", "eth_sendTransaction", {**change, "value": hex(10**25), "gas": "0xffff"})
    step("malformed transaction", "eth_sendRawTransaction", "0x02c0")
    step("unknown sender", "eth_sendTransaction", {"from": STRANGER, "to": OWNER})
    failed = mined(rpc("eth_sendTransaction", {**change, "data": SET_101, "gas": "0x30000"}))
    step("failed transaction", "eth_getTransactionReceipt", failed)
    for name, fields in SENT_FOR_THEIR_GAS.items():
        message = {"from": OWNER, "to": contract, **fields}
        step(name, "eth_getTransactionReceipt", mined(rpc("eth_sendTransaction", message)))
    step("time", "evm_increaseTime", 60)
    step("mine", "evm_mine")
    step("past timestamp", "evm_setNextBlockTimestamp", 5)
    step("unknown snapshot", "evm_revert", "0x99")
    snapshot = rpc("evm_snapshot")
    step("reverted", "evm_revert", snapshot)
    step("automine", "evm_setAutomine", False)
    waiting = rpc("eth_sendTransaction", {"from": OWNER, "to": DEPLOYER, "gas": "0x5208"})
    step("waiting transaction", "eth_getTransactionByHash", waiting)
    step("waiting receipt", "eth_getTransactionReceipt", waiting)
    step("waiting nonce", "eth_getTransactionCount", OWNER, "pending")
    step("several blocks", "anvil_mine", "0x2")
    step("set balance", "anvil_setBalance", STRANGER, "0x7")
    step("balance set", "eth_getBalance", STRANGER, "latest")
    step("set code", "anvil_setCode", STRANGER, "0x5f5ff3")
    step("code set", "eth_getCode", STRANGER, "latest")
    step("reorg", "anvil_reorg", 1, [])
    step("height", "eth_blockNumber")
    return seen


NESTED = calldata("setThroughCall(uint256)", word(9))
DEMANDING = calldata("demandGas(uint256)", word(3_000_000))

SENT_FOR_THEIR_GAS = {
    "refund": {"data": SET_0},
    "data floor": {"to": DEPLOYER, "data": "0x" + "ff00" * 2000},
    "data floor of a call": {"data": SET_7 + "ff" * 4000},
    "access list": {"data": SET_7, "accessList": [{"address": STRANGER, "storageKeys": []}]},
    "failed creation": {"to": None, "data": "0x5f5ffd", "gas": "0xffff"},
    "empty creation": {"to": None, "data": "0x", "gas": "0xffff"},
    "gas burnt": {"data": calldata("burnGas()"), "gas": "0xffff"},
}

OF_A_TRANSACTION = {
    "data": "ours alone has: some clients look for it beside input",
    "blockTimestamp": "anvil alone has: its own addition",
}
OF_A_RECEIPT = {
    "blobGasPrice": "anvil alone has: only type 3 has one, which is refused here",
    "blockTimestamp": "anvil alone has: its own addition, as a number",
}
NOT_THERE = {"error.code": "-32000 as geth; anvil answers -32602"}
INVALID = {"error.code": "-32000 as geth; anvil answers -32603"}
REFUSED = {"error.code": "-32000 as geth; anvil answers -32003"}


def below(prefix, differences):
    return {f"{prefix}{path}": why for path, why in differences.items()}


DIFFERENCES = {
    "deployment": OF_A_RECEIPT,
    "receipt": OF_A_RECEIPT,
    "failed transaction": OF_A_RECEIPT,
    **dict.fromkeys(SENT_FOR_THEIR_GAS, OF_A_RECEIPT),
    "block receipts": below("[0].", OF_A_RECEIPT),
    "transaction": OF_A_TRANSACTION,
    "transaction by place": OF_A_TRANSACTION,
    "whole block": below("transactions[0].", OF_A_TRANSACTION),
    "waiting transaction": {"data": OF_A_TRANSACTION["data"]},
    "pending block": {
        "hash": "null as geth: it is not mined; anvil makes one up",
        "nonce": "null as geth",
        "miner": "null as geth",
    },
    "safe block": dict.fromkeys(
        ("number", "gasUsed", "logsBloom", "transactions"),
        "the head here, where nobody else can reorganise; anvil keeps 32 blocks' distance",
    ),
    "eth_call of failWithInvalid()": INVALID,
    "eth_estimateGas of failWithInvalid()": INVALID,
    "call a stranger cannot pay": REFUSED,
    "estimate beyond the cap": {"error.code": "-32000 as geth; anvil answers otherwise"},
    "used nonce": REFUSED,
    "too much value": REFUSED,
    **{f"{what} at 0x99": NOT_THERE for what in ("nonce", "code", "storage", "value", "money")},
    "nested estimate": {"": "both suffice; anvil's search stops elsewhere"},
    "demanding estimate": {"": "both suffice; anvil's search stops elsewhere"},
    "time": {"": "a quantity, as every integer here; anvil answers a number"},
    "automine": {"": "true as Hardhat; anvil answers null"},
}


@pytest.fixture(scope="module")
def answers(probe_artifact):
    creation = "0x" + probe_artifact.bytecode.hex() + word(5)
    with serve(DevChain()) as server:
        ours = play(ask(server.url), creation)
    with launch(executable=find_anvil(NODE_MODULES.parent)) as anvil:
        theirs = play(ask(anvil.url), creation)
    return ours, theirs


def form(value):
    """What kind of value this is, where the value itself must differ.

    A hash is not told from a number: some numbers (signatures) are as long.
    """
    if isinstance(value, list):
        return [form(item) for item in value]
    if isinstance(value, str) and value.startswith("0x"):
        return "address" if len(value) == 42 else "hex"
    return type(value).__name__


def differences(ours, theirs, path="", name=""):
    """Paths at which two answers differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted({*ours, *theirs}):
            below_here = f"{path}.{key}" if path else key
            if key in ours and key in theirs:
                yield from differences(ours[key], theirs[key], below_here, key)
            else:
                yield below_here
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(mine, other, f"{path}[{index}]", name)
    elif name in VOLATILE:
        if form(ours) != form(theirs):
            yield path
    elif str(ours).lower() != str(theirs).lower():
        yield path


def test_the_answers_differ_from_anvils_only_where_it_is_meant(answers):
    ours, theirs = answers
    assert ours.keys() == theirs.keys()
    found = {}
    for name in ours:
        paths = set(differences(ours[name], theirs[name]))
        if paths:
            found[name] = paths
    assert found == {name: set(paths) for name, paths in DIFFERENCES.items()}


def test_gas_is_the_same_to_the_unit(answers):
    ours, theirs = answers
    for name in ("deployment", "receipt", "failed transaction", *SENT_FOR_THEIR_GAS):
        assert ours[name]["gasUsed"] == theirs[name]["gasUsed"], name
    assert ours["estimate"] == theirs["estimate"] == ours["receipt"]["gasUsed"]
