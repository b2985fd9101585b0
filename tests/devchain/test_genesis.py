"""A restarted chain is told apart by its genesis hash; a seeded one is always the same."""

import pytest

from modelward.devchain import DevChain
from tests.devchain.conftest import rpc_of


def test_every_chain_has_a_genesis_hash_of_its_own():
    chains = [DevChain(genesis_time=1_700_000_000) for _ in range(3)]
    assert len({chain.genesis_hash for chain in chains}) == 3
    assert {chain.chain_id for chain in chains} == {31337}


def test_the_hash_is_that_of_block_0():
    chain = DevChain()
    assert rpc_of(chain)("eth_getBlockByNumber", "earliest", False)["hash"] == chain.genesis_hash


def test_a_seed_fixes_the_genesis_hash():
    seed, same = DevChain(genesis_seed=b"one"), DevChain(genesis_seed=b"one")
    assert seed.genesis_hash == same.genesis_hash
    assert seed.genesis_hash != DevChain(genesis_seed=b"two").genesis_hash
    assert seed.genesis_hash != DevChain(genesis_seed=b"one", accounts=9).genesis_hash
    assert seed.genesis_hash != DevChain(genesis_seed=b"one", genesis_time=1).genesis_hash


@pytest.mark.parametrize("genesis_time", [1, 1_700_000_000, 4_000_000_000])
def test_the_genesis_time_is_the_first_timestamp(genesis_time):
    chain = DevChain(genesis_time=genesis_time)
    assert chain.time == genesis_time
    chain.mine()
    assert chain.time > genesis_time


def test_a_genesis_in_the_future_sets_the_clock():
    chain = DevChain(genesis_time=4_000_000_000)
    chain.mine()
    assert 4_000_000_000 < chain.time < 4_000_000_010
    rpc_of(chain)("evm_increaseTime", 1000)
    chain.mine()
    assert 4_000_001_000 <= chain.time < 4_000_001_010


def test_chain_id_and_number_of_accounts_are_as_asked_for():
    rpc = rpc_of(DevChain(chain_id=1234, accounts=3))
    assert rpc("eth_chainId") == hex(1234)
    assert len(rpc("eth_accounts")) == 3


@pytest.mark.parametrize("arguments", [{"accounts": 0}, {"accounts": 11}, {"chain_id": 0}])
def test_what_cannot_be_is_refused(arguments):
    with pytest.raises(ValueError, match="must be"):
        DevChain(**arguments)
