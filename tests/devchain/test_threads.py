"""One chain used by several threads at once stays one chain."""

from concurrent.futures import ThreadPoolExecutor

from eth_typing import HexStr
from web3 import Web3

from modelward.chain.development import DEVELOPMENT_ACCOUNTS
from tests.devchain.conftest import sign


def test_no_transaction_of_several_threads_is_lost(chain, rpc):
    def send(account):
        web3 = Web3(chain.provider())
        for nonce in range(10):
            web3.eth.send_raw_transaction(HexStr(sign(account, nonce=nonce)))
            assert web3.eth.get_transaction_count(account.address) == nonce + 1

    height = chain.block_number
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(send, DEVELOPMENT_ACCOUNTS[:5]))
    assert chain.block_number == height + 50
    parent = rpc("eth_getBlockByNumber", hex(height), False)
    for number in range(height + 1, height + 51):
        block = rpc("eth_getBlockByNumber", hex(number), False)
        assert block["parentHash"] == parent["hash"]
        assert len(block["transactions"]) == 1
        parent = block


def test_one_provider_may_be_shared(chain, probe):
    with ThreadPoolExecutor(4) as pool:
        values = list(pool.map(lambda _: probe.functions.value().call(), range(40)))
    assert values == [5] * 40
