"""The published examples open, and what is derived is what they say.

`python tests/sealing/test_vectors.py` makes new ones; the formats' version must then change too.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from modelward.sealing import envelope
from modelward.sealing.binding import Binding
from modelward.sealing.envelope import open_envelope, seal
from modelward.sealing.epochs import EpochKey
from modelward.sealing.keys import DecryptionKey
from modelward.sealing.message import INPUT, OUTPUT, open_message, seal_message
from modelward.sealing.wrapping import unwrap_key, wrap_key
from modelward.solidity.compiler import find_node
from modelward.terms import Address

VECTORS = Path(__file__).with_name("vectors.json")
CHUNKED = bytes(range(256)) * 9
PURPOSES = {"input": INPUT, "output": OUTPUT}


@pytest.fixture(scope="module")
def vectors() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(VECTORS.read_text("utf-8"))
    return read


def binding_of(vector):
    found = vector["binding"]
    return Binding(
        found["chain_id"],
        Address(found["contract"]),
        bytes.fromhex(found["resource"]),
        found["epoch"],
    )


def test_a_binding_is_encoded_as_published(vectors):
    assert binding_of(vectors).encoded().hex() == vectors["binding"]["encoded"]


def test_keys_are_derived_as_published(vectors):
    owner = bytes.fromhex(vectors["owner_account_key"])
    grantee = bytes.fromhex(vectors["grantee_account_key"])
    binding = binding_of(vectors)

    key = EpochKey.of_owner(
        owner,
        chain_id=binding.chain_id,
        contract=binding.contract,
        resource=binding.resource,
        epoch=binding.epoch,
    )

    assert key.secret.hex() == vectors["epoch_key"]
    assert key.at(1).secret.hex() == vectors["epoch_key_of_epoch_1"]
    assert key.content_key().hex() == vectors["content_key"]
    assert key.service_key().secret().hex() == vectors["service_private_key"]
    assert DecryptionKey.of_account(grantee, 1).secret().hex() == vectors["grantee_private_key"]


def test_the_wrapped_key_unwraps(vectors):
    grantee = DecryptionKey.from_secret(bytes.fromhex(vectors["grantee_private_key"]))

    unwrapped = unwrap_key(
        bytes.fromhex(vectors["wrapped_key"]),
        grantee,
        binding_of(vectors),
        Address(vectors["grantee_address"]),
    )

    assert unwrapped.hex() == vectors["epoch_key"]


def test_the_envelope_opens(vectors):
    content = open_envelope(
        bytes.fromhex(vectors["envelope"]),
        bytes.fromhex(vectors["content_key"]),
        binding_of(vectors),
    )

    assert content.hex() == vectors["content"]


@pytest.mark.parametrize("purpose", ["input", "output"])
def test_the_sealed_messages_open(vectors, purpose):
    key = DecryptionKey.from_secret(bytes.fromhex(vectors["service_private_key"]))

    said = open_message(
        bytes.fromhex(vectors[f"sealed_{purpose}"]), key, binding_of(vectors), PURPOSES[purpose]
    )

    assert said.hex() == vectors["content"]


def test_the_envelope_of_several_chunks_opens(vectors):
    content = open_envelope(
        bytes.fromhex(vectors["envelope_of_chunks"]),
        bytes.fromhex(vectors["content_key"]),
        binding_of(vectors),
    )

    assert content == CHUNKED


def test_another_implementation_opens_them_all(vectors):
    """Node's cryptography, in a program that follows docs/envelopes.md."""
    node = find_node()
    if node is None:
        pytest.skip("there is no Node")
    script = Path(__file__).with_name("open_vectors.mjs")

    ran = subprocess.run([node, script, VECTORS], capture_output=True, text=True, check=True)

    derived = ("epoch_key", "epoch_key_of_epoch_1", "content_key", "service_private_key")
    assert json.loads(ran.stdout) == {
        "encoded": vectors["binding"]["encoded"],
        **{name: vectors[name] for name in (*derived, "grantee_private_key")},
        "wrapped_key": vectors["epoch_key"],
        "envelope": vectors["content"],
        "envelope_of_chunks": CHUNKED.hex(),
        "sealed_input": vectors["content"],
        "sealed_output": vectors["content"],
    }


def in_chunks(content: bytes, content_key: bytes, binding: Binding) -> bytes:
    """An envelope of chunks of 1 KiB."""
    usual, envelope.CHUNK_BYTES = envelope.CHUNK_BYTES, 1 << 10
    try:
        return seal(content, content_key, binding)
    finally:
        envelope.CHUNK_BYTES = usual


def make() -> dict[str, Any]:
    owner, grantee = bytes(range(1, 33)), bytes(range(33, 65))
    address = Address("0x" + bytes(range(100, 120)).hex())
    binding = Binding(31337, Address("0x" + bytes(range(20)).hex()), bytes(range(200, 232)), 3)
    key = EpochKey.of_owner(
        owner,
        chain_id=binding.chain_id,
        contract=binding.contract,
        resource=binding.resource,
        epoch=binding.epoch,
    )
    reader, service = DecryptionKey.of_account(grantee, 1), key.service_key()
    content = b"what only its readers know"
    return {
        "binding": {
            "chain_id": binding.chain_id,
            "contract": binding.contract,
            "resource": binding.resource.hex(),
            "epoch": binding.epoch,
            "encoded": binding.encoded().hex(),
        },
        "owner_account_key": owner.hex(),
        "grantee_account_key": grantee.hex(),
        "grantee_address": address,
        "grantee_private_key": reader.secret().hex(),
        "epoch_key": key.secret.hex(),
        "epoch_key_of_epoch_1": key.at(1).secret.hex(),
        "content_key": key.content_key().hex(),
        "service_private_key": service.secret().hex(),
        "wrapped_key": wrap_key(key.secret, reader.public, binding, address).hex(),
        "content": content.hex(),
        "envelope": seal(content, key.content_key(), binding).hex(),
        "envelope_of_chunks": in_chunks(CHUNKED, key.content_key(), binding).hex(),
        "sealed_input": seal_message(content, service.public, binding, INPUT).hex(),
        "sealed_output": seal_message(content, service.public, binding, OUTPUT).hex(),
    }


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(make(), indent=2) + "\n", "utf-8")
