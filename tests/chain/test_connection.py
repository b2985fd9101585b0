"""`Chain`: what it reads, and how it tells one failure from another."""

from dataclasses import replace

import pytest

from modelward.chain.connection import Chain
from modelward.config import Network
from modelward.devchain import launch
from modelward.errors import (
    ConfigurationError,
    ContractRefused,
    RpcError,
    RpcUnavailable,
    WrongChain,
)


def test_a_chain_reads_the_same_in_process_and_over_http(chain, remote, data_share, owner):
    assert remote.chain_id == chain.chain_id == 31337
    assert remote.genesis_hash == chain.genesis_hash
    assert remote.head() == chain.head()
    assert remote.balance(owner.address) == chain.balance(owner.address) > 0
    assert remote.code(data_share.address) == chain.code(data_share.address) != b""
    assert remote.code(owner.address) == b""


def test_a_block_is_found_by_number_hash_and_tag(chain, devchain):
    devchain.mine(2)
    head = chain.head()

    assert chain.block(head.number) == chain.block(head.hash) == chain.block("latest") == head
    assert chain.block(head.number - 1).hash == head.parent_hash


def test_a_block_that_is_not_there_is_an_error(chain):
    with pytest.raises(RpcError, match="has no block"):
        chain.block(chain.head().number + 100)
    with pytest.raises(RpcError, match="has no block 0x0101"):
        chain.block(b"\1" * 32)


def test_with_one_confirmation_the_head_is_confirmed(chain):
    assert chain.confirmed_head() == chain.head()


def test_with_more_confirmations_the_confirmed_head_lags_behind(chain, devchain, configured):
    devchain.mine(3)
    slow = configured(chain, confirmations=3)

    assert slow.confirmed_head().number == chain.head().number - 2


def test_a_chain_shorter_than_the_depth_has_its_genesis_confirmed(chain, configured):
    slow = configured(chain, confirmations=1_000)

    assert slow.confirmed_head().number == 0


def test_the_confirmed_head_can_be_the_nodes_tag(chain, configured):
    for finality in ("safe", "finalized"):
        tagged = configured(chain, finality=finality)
        assert tagged.confirmed_head() == chain.block(finality)


@pytest.mark.parametrize(
    "fault", [{"result": None}, {"code": -39001, "message": "finalized block not found"}]
)
def test_before_anything_is_finalized_the_genesis_block_is_confirmed(
    remote, endpoint, configured, fault
):
    endpoint.faults = [fault]

    assert configured(remote, finality="finalized").confirmed_head().number == 0


def test_another_chain_id_than_configured_is_refused(network):
    with pytest.raises(WrongChain, match="serves chain 31337") as caught:
        Chain.connect(replace(network, chain_id=1))
    assert caught.value.exit_code == 2


def test_a_network_in_process_cannot_be_reached_from_elsewhere(config):
    with pytest.raises(ConfigurationError, match="lives inside a process"):
        Chain.connect(config.network("embedded"))


def test_an_unreachable_endpoint_is_named_without_its_secrets():
    network = Network("main", "http://user:hunter2@127.0.0.1:9/v3/hunter2?key=hunter2", 31337)

    with pytest.raises(RpcUnavailable) as caught:
        Chain.connect(network)

    assert "http://127.0.0.1:9" in caught.value.message
    assert "hunter2" not in caught.value.message
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    "fault",
    [500, 502, 503, 429, "hang", "reset", "another id", b"<html>", b"", b"[]", b'{"id":1}', b'"x"',
     b'{"jsonrpc":"2.0","id":1,"result":'],
)  # fmt: skip
def test_a_passing_fault_of_the_endpoint_is_waited_out(remote, endpoint, fault):
    endpoint.faults = [fault, fault]

    assert remote.head().number == endpoint.devchain.block_number
    assert endpoint.methods == 3 * ["eth_getBlockByNumber"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (500, "HTTP status 500"),
        (429, "limiting requests"),
        ("reset", "connection broke"),
        ("hang", "no answer within 0.3 s"),
        ("another id", "belongs to another request"),
        (b"<html>", "not JSON"),
        (b"[]", "not JSON-RPC"),
        (100_000 * b"[", "not JSON"),
    ],
)
def test_a_lasting_fault_of_the_endpoint_is_said(remote, endpoint, fault, reason):
    endpoint.faults = 10 * [fault]

    with pytest.raises(RpcUnavailable, match=reason):
        remote.head()
    assert len(endpoint.requests) == 4


def test_a_rate_limit_is_waited_out(remote, endpoint):
    endpoint.faults = [{"code": -32005, "message": "daily request rate exceeded"}]

    assert remote.head().number == endpoint.devchain.block_number


def test_a_wish_to_be_left_alone_for_long_is_not_waited_out(remote, endpoint):
    endpoint.headers = {"Retry-After": "3600"}
    endpoint.faults = [429]

    with pytest.raises(RpcUnavailable, match="limiting requests"):
        remote.head()
    assert len(endpoint.requests) == 1


def test_what_may_not_be_sent_twice_is_not(remote, endpoint):
    endpoint.faults = ["lost"]

    with pytest.raises(RpcUnavailable):
        remote.rpc("evm_mine")
    assert endpoint.methods == ["evm_mine"]


def test_an_error_of_the_node_keeps_its_code_and_reason(remote):
    with pytest.raises(RpcError) as caught:
        remote.rpc("eth_nonsense")
    assert caught.value.code == -32601
    assert caught.value.reason


def test_an_error_object_inside_an_http_error_is_the_nodes_word(remote, endpoint):
    endpoint.faults = [(400, {"code": -32602, "message": "no such thing"})]

    with pytest.raises(RpcError, match="no such thing") as caught:
        remote.head()
    assert caught.value.code == -32602


@pytest.mark.parametrize("value", ["12", 12, None, "0xzz", ""])
def test_a_number_that_is_not_hex_is_the_endpoints_fault(remote, endpoint, value):
    endpoint.faults = 4 * [{"result": value}]

    with pytest.raises(RpcUnavailable, match="where a hex number belongs"):
        remote.balance("0x" + 40 * "1")


def test_a_revert_is_the_contracts_word_over_http_too(remote, data_share, outsider):
    call = data_share.call("requireAccess", data_share.address, outsider.address, bytes(32), 1)

    with pytest.raises(ContractRefused) as caught:
        remote.call(call.to, call.data, sender=outsider.address)
    assert caught.value.error == "AccessDenied"


@pytest.mark.slow
def test_a_node_with_moving_tags_confirms_by_them(config, configured):
    with launch(arguments=("--no-mining", "--slots-in-an-epoch", "2")) as anvil:
        chain = Chain.connect(replace(config.network("local"), url=anvil.url))
        chain.rpc("anvil_mine", [hex(10)])

        safe = configured(chain, finality="safe").confirmed_head()
        finalized = configured(chain, finality="finalized").confirmed_head()

        assert finalized.number < safe.number < chain.confirmed_head().number == 10
