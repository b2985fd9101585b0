"""The ids of models and versions, and their twins in Python."""

from dataclasses import fields, replace

import pytest
from eth_utils import keccak
from hypothesis import example, given
from hypothesis import strategies as st

from modelward import commitments
from modelward.chain.encoding import to_address
from modelward.terms import Version
from tests.contracts.specimens import ACCURACY, NAME, hash_of, version_of
from tests.contracts.strategies import addresses, examples, versions


@given(owner_address=addresses, name=st.text(max_size=100))
@example(owner_address=to_address(b"\x01" * 20), name="")
@example(owner_address=to_address(b"\x01" * 20), name="n" * 32)
@examples(60)
def test_the_model_id_is_the_clients_own(registry, owner_address, name):
    expected = commitments.model_id(owner_address, name)

    assert registry.model_id_of(owner_address, name) == expected


def test_the_model_id_hashes_owner_and_name(registry):
    owner_address = to_address(b"\xaa" * 20)
    encoded = (
        bytes(12)
        + b"\xaa" * 20
        + (64).to_bytes(32)
        + (13).to_bytes(32)
        + b"breast-cancer".ljust(32, b"\0")
    )

    assert registry.model_id_of(owner_address, "breast-cancer") == keccak(encoded)


@given(version=versions)
@examples(60)
def test_the_version_id_is_the_clients_own(registry, version):
    assert registry.version_id_of(version) == commitments.version_id(version)


@pytest.mark.parametrize("field", [field.name for field in fields(Version)])
def test_the_version_id_depends_on_every_field(registry, owner, field):
    version = version_of(commitments.model_id(owner.address, NAME), owner.address)
    changed = {
        "model_id": hash_of("another model"),
        "verifier": registry.address,
        "attestor": registry.address,
        "metrics": (ACCURACY,),
        "uri": "file:///elsewhere",
    }.get(field, hash_of("another"))

    other = replace(version, **{field: changed})

    assert registry.version_id_of(other) != registry.version_id_of(version)
