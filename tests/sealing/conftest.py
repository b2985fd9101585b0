from __future__ import annotations

import pytest

from modelward.sealing.binding import Binding
from modelward.sealing.envelope import new_content_key
from modelward.sealing.keys import DecryptionKey
from modelward.terms import Address

OWNER_CONTRACT = Address("0x" + 20 * "1c")
GRANTEE = Address("0x" + 20 * "2d")


@pytest.fixture(scope="session")
def binding() -> Binding:
    return Binding(chain_id=31337, contract=OWNER_CONTRACT, resource=b"\x07" * 32, epoch=3)


@pytest.fixture(scope="session")
def elsewhere(binding) -> dict[str, Binding]:
    """The same binding with one thing changed, by what was changed."""
    return {
        "chain": Binding(1, binding.contract, binding.resource, binding.epoch),
        "contract": Binding(31337, Address("0x" + 20 * "1d"), binding.resource, binding.epoch),
        "resource": Binding(31337, binding.contract, b"\x08" * 32, binding.epoch),
        "key epoch": Binding(31337, binding.contract, binding.resource, 4),
    }


@pytest.fixture(scope="session")
def content_key() -> bytes:
    return new_content_key()


@pytest.fixture(scope="session")
def reader_key() -> DecryptionKey:
    return DecryptionKey.random()


@pytest.fixture(scope="session")
def grantee() -> Address:
    return GRANTEE
