"""The JSON-RPC 2.0 envelope: ids come back, errors have their code, batches their order."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelward.devchain import DevChain

CHAIN_ID = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}


def error_of(answer):
    assert set(answer) == {"jsonrpc", "id", "error"}
    assert answer["jsonrpc"] == "2.0"
    return answer["id"], answer["error"]["code"]


@pytest.mark.parametrize("identity", [0, 1, -5, 2**63, "seven", "", None])
def test_the_id_is_echoed(chain, identity):
    answer = chain.handle({**CHAIN_ID, "id": identity})
    assert answer == {"jsonrpc": "2.0", "id": identity, "result": "0x7a69"}


@pytest.mark.parametrize("identity", [True, [], {}, 1.5])
def test_an_id_of_another_type_is_an_invalid_request(chain, identity):
    assert error_of(chain.handle({**CHAIN_ID, "id": identity})) == (None, -32600)


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"jsonrpc": NaN}', b"\xff\xfe\xfd", b"[" * 100_000, b"1" * 5000]
)
def test_what_is_not_json_is_a_parse_error(chain, body):
    assert error_of(json.loads(chain.handle(body))) == (None, -32700)


@pytest.mark.parametrize("request_", [5, "eth_chainId", None, True])
def test_what_is_not_an_object_is_an_invalid_request(chain, request_):
    answer = json.loads(chain.handle(json.dumps(request_).encode()))
    assert error_of(answer) == (None, -32600)


@pytest.mark.parametrize(
    "change", [{"jsonrpc": "1.0"}, {"jsonrpc": None}, {"method": 5}, {"method": None}]
)
def test_a_wrong_version_or_method_is_an_invalid_request(chain, change):
    assert error_of(chain.handle({**CHAIN_ID, **change})) == (1, -32600)


@pytest.mark.parametrize("method", ["eth_subscribe", "eth_newFilter", "debug_traceTransaction", ""])
def test_an_unknown_method_is_named_in_the_error(chain, method):
    answer = chain.handle({**CHAIN_ID, "method": method, "params": ["newHeads"]})
    assert error_of(answer) == (1, -32601)
    assert answer["error"]["message"] == f"the method {method} does not exist/is not available"


def test_parameters_by_name_are_refused(chain):
    assert error_of(chain.handle({**CHAIN_ID, "params": {"a": 1}})) == (1, -32602)


def test_parameters_may_be_left_out(chain):
    request = {key: value for key, value in CHAIN_ID.items() if key != "params"}
    assert chain.handle(request)["result"] == "0x7a69"


@pytest.mark.parametrize(
    ("method", "params"),
    [("eth_chainId", [1]), ("eth_getBalance", []), ("eth_getStorageAt", ["0x" + "11" * 20])],
)
def test_too_few_or_too_many_parameters_are_refused(chain, method, params):
    assert error_of(chain.handle({**CHAIN_ID, "method": method, "params": params})) == (1, -32602)


def test_optional_parameters_may_be_null(chain):
    params = ["0x" + "11" * 20, None]
    request = {**CHAIN_ID, "method": "eth_getBalance", "params": params}
    assert chain.handle(request)["result"] == "0x0"
    assert error_of(chain.handle({**request, "params": [None]})) == (1, -32602)
    block = {**CHAIN_ID, "method": "eth_getBlockByNumber", "params": ["latest", None]}
    assert chain.handle(block)["result"]["transactions"] == []


def test_a_notification_is_carried_out_and_not_answered(chain):
    before = chain.block_number
    assert chain.handle({"jsonrpc": "2.0", "method": "evm_mine"}) is None
    assert chain.handle(b'{"jsonrpc":"2.0","method":"evm_mine"}') == b""
    assert chain.block_number == before + 2


def test_a_batch_is_answered_in_order_without_its_notifications(chain):
    answers = chain.handle(
        [
            {**CHAIN_ID, "id": 3},
            {"jsonrpc": "2.0", "method": "evm_mine"},
            {**CHAIN_ID, "id": 1, "method": "nothing"},
            "nonsense",
            {**CHAIN_ID, "id": 2, "method": "net_version"},
        ]
    )
    assert [answer["id"] for answer in answers] == [3, 1, None, 2]
    assert [answer.get("result") for answer in answers] == ["0x7a69", None, None, "31337"]


def test_a_batch_of_notifications_alone_is_not_answered(chain):
    assert chain.handle([{"jsonrpc": "2.0", "method": "evm_mine"}]) is None


@pytest.mark.parametrize("batch", [[], [CHAIN_ID] * 1001])
def test_an_empty_or_a_huge_batch_is_an_invalid_request(chain, batch):
    assert error_of(chain.handle(batch)) == (None, -32600)


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | FLOATS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=8,
)
METHODS = [
    "eth_call",
    "eth_estimateGas",
    "eth_feeHistory",
    "eth_getBalance",
    "eth_getBlockByHash",
    "eth_getBlockByNumber",
    "eth_getBlockReceipts",
    "eth_getLogs",
    "eth_getStorageAt",
    "eth_getTransactionByBlockNumberAndIndex",
    "eth_getTransactionReceipt",
    "eth_sendRawTransaction",
    "eth_sendTransaction",
    "evm_increaseTime",
    "evm_revert",
    "evm_setAutomine",
    "anvil_reorg",
    "anvil_setBalance",
    "anvil_setCode",
]
LISTENER = DevChain()


@given(st.sampled_from(METHODS), st.lists(JSON_VALUES, max_size=4))
def test_no_parameters_whatever_are_an_internal_error(method, params):
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = json.loads(LISTENER.handle(json.dumps(request).encode()))
    assert answer["id"] == 1
    assert answer.get("error", {"code": 0})["code"] in (0, -32000, -32602)
