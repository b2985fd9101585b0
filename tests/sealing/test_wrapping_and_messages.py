from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelward.errors import (
    EnvelopeError,
    EnvelopeMalformed,
    EnvelopeMisplaced,
    InvalidTerms,
    KeyNotForReader,
)
from modelward.sealing.keys import DecryptionKey
from modelward.sealing.message import (
    INPUT,
    MESSAGE_OVERHEAD_BYTES,
    OUTPUT,
    epoch_of,
    open_message,
    seal_message,
)
from modelward.sealing.wrapping import unwrap_key, wrap_key
from modelward.terms import Address

LOW_ORDER_POINTS = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
]


# --- wrapped keys ---------------------------------------------------------------------------------


def test_a_wrapped_key_has_80_bytes_and_unwraps(content_key, reader_key, binding, grantee):
    wrapped = wrap_key(content_key, reader_key.public, binding, grantee)

    assert len(wrapped) == 80
    assert unwrap_key(wrapped, reader_key, binding, grantee) == content_key


def test_it_unwraps_for_no_other_key(content_key, reader_key, binding, grantee):
    wrapped = wrap_key(content_key, reader_key.public, binding, grantee)

    with pytest.raises(KeyNotForReader):
        unwrap_key(wrapped, DecryptionKey.random(), binding, grantee)


def test_it_unwraps_in_no_other_place(content_key, reader_key, binding, elsewhere, grantee):
    wrapped = wrap_key(content_key, reader_key.public, binding, grantee)

    for other in elsewhere.values():
        with pytest.raises(KeyNotForReader):
            unwrap_key(wrapped, reader_key, other, grantee)


def test_it_unwraps_for_no_other_grantee(content_key, reader_key, binding, grantee):
    wrapped = wrap_key(content_key, reader_key.public, binding, grantee)

    with pytest.raises(KeyNotForReader):
        unwrap_key(wrapped, reader_key, binding, Address("0x" + 40 * "9"))


def test_every_flipped_bit_of_it_is_noticed(content_key, reader_key, binding, grantee):
    wrapped = wrap_key(content_key, reader_key.public, binding, grantee)

    for position in range(8 * len(wrapped)):
        flipped = bytearray(wrapped)
        flipped[position // 8] ^= 1 << position % 8
        # X25519 ignores the highest bit of a public key (RFC 7748, section 5), but HPKE hashes it.
        with pytest.raises(KeyNotForReader):
            unwrap_key(bytes(flipped), reader_key, binding, grantee)


def test_a_wrapped_key_of_another_length_is_malformed(reader_key, binding, grantee):
    for length in (0, 79, 81):
        with pytest.raises(EnvelopeMalformed, match=f"80 bytes, not {length}"):
            unwrap_key(bytes(length), reader_key, binding, grantee)


@pytest.mark.parametrize("public_key", [*LOW_ORDER_POINTS, b"", bytes(31)])
def test_nothing_is_sealed_to_what_is_no_usable_public_key(
    content_key, binding, grantee, public_key
):
    with pytest.raises(InvalidTerms):
        wrap_key(content_key, public_key, binding, grantee)
    with pytest.raises(InvalidTerms):
        seal_message(b"content", public_key, binding, INPUT)


# --- messages -------------------------------------------------------------------------------------


@given(content=st.binary(max_size=1024))
def test_a_message_opens_to_what_was_sealed(content, reader_key, binding):
    message = seal_message(content, reader_key.public, binding, INPUT)

    assert len(message) == len(content) + MESSAGE_OVERHEAD_BYTES
    assert open_message(message, reader_key, binding, INPUT) == content
    assert epoch_of(message) == binding.epoch


def test_a_message_for_another_epoch_says_so(reader_key, binding, elsewhere):
    message = seal_message(b"content", reader_key.public, binding, INPUT)

    with pytest.raises(EnvelopeMisplaced) as refusal:
        open_message(message, reader_key, elsewhere["key epoch"], INPUT)
    assert (refusal.value.what, refusal.value.actual) == ("key epoch", binding.epoch)


@pytest.mark.parametrize("what", ["chain", "contract", "resource"])
def test_a_message_opens_in_no_other_place(reader_key, binding, elsewhere, what):
    message = seal_message(b"content", reader_key.public, binding, INPUT)

    with pytest.raises(KeyNotForReader):
        open_message(message, reader_key, elsewhere[what], INPUT)


def test_an_input_is_not_taken_for_an_output(reader_key, binding):
    message = seal_message(b"content", reader_key.public, binding, INPUT)

    with pytest.raises(KeyNotForReader):
        open_message(message, reader_key, binding, OUTPUT)


@given(message=st.binary(max_size=300))
def test_no_bytes_crash_the_reader_of_messages(message, reader_key, binding):
    with pytest.raises(EnvelopeError):
        open_message(message, reader_key, binding, OUTPUT)


# --- keys -----------------------------------------------------------------------------------------


def test_an_accounts_keys_come_back_from_its_private_key_alone():
    account = b"\x01" * 32

    assert (
        DecryptionKey.of_account(account, 1).public == DecryptionKey.of_account(account, 1).public
    )


def test_keys_of_other_accounts_numbers_and_origins_differ():
    signature = b"\x01" * 32 + b"\x02" * 32 + b"\x1b"
    keys = [
        DecryptionKey.of_account(b"\x01" * 32, 1),
        DecryptionKey.of_account(b"\x01" * 32, 2),
        DecryptionKey.of_account(b"\x02" * 32, 1),
        DecryptionKey.of_signature(signature, 1),
        DecryptionKey.of_signature(signature, 2),
    ]

    assert len({key.public for key in keys}) == len(keys)


def test_a_key_does_not_show_its_secret():
    key = DecryptionKey.random()

    assert key.secret().hex() not in repr(key)
    assert DecryptionKey.from_secret(key.secret()).public == key.public


@pytest.mark.parametrize("index", [0, -1, 2**32])
def test_keys_are_numbered_from_one(index):
    with pytest.raises(InvalidTerms, match="numbered from 1"):
        DecryptionKey.of_account(b"\x01" * 32, index)
