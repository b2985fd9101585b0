from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelward.errors import (
    EnvelopeCorrupted,
    EnvelopeError,
    EnvelopeMalformed,
    EnvelopeMisplaced,
    EnvelopeReordered,
    EnvelopeTruncated,
    InvalidTerms,
)
from modelward.sealing import envelope
from modelward.sealing.envelope import HEADER_BYTES, Header, open_envelope, seal

CHUNK = 2**10
SEALED_CHUNK = 4 + CHUNK + 16


@pytest.fixture
def small_chunks(monkeypatch):
    """Seal in chunks of 1 KiB, so that a few kilobytes make several."""
    monkeypatch.setattr(envelope, "CHUNK_BYTES", CHUNK)


def chunks_of(sealed):
    body = sealed[HEADER_BYTES:]
    return [body[start : start + SEALED_CHUNK] for start in range(0, len(body), SEALED_CHUNK)]


@pytest.mark.parametrize("length", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 5 * CHUNK + 7])
def test_what_was_sealed_is_what_is_opened(small_chunks, content_key, binding, length):
    content = random.Random(length).randbytes(length)

    sealed = seal(content, content_key, binding)

    assert open_envelope(sealed, content_key, binding) == content
    assert len(sealed) == HEADER_BYTES + length + 20 * max(1, -(-length // CHUNK))


def test_the_content_is_not_in_the_envelope(content_key, binding):
    assert b"marker" not in seal(b"marker" * 1000, content_key, binding)


def test_sealing_twice_gives_envelopes_that_share_nothing_but_the_header(content_key, binding):
    first, second = (seal(b"the same", content_key, binding) for _ in range(2))

    assert first[: HEADER_BYTES - 32] == second[: HEADER_BYTES - 32]
    assert first[HEADER_BYTES - 32 :] != second[HEADER_BYTES - 32 :]


def test_another_content_key_does_not_open_it(content_key, binding):
    with pytest.raises(EnvelopeCorrupted):
        open_envelope(seal(b"content", content_key, binding), b"\x05" * 32, binding)


@pytest.mark.parametrize("what", ["chain", "contract", "resource", "key epoch"])
def test_an_envelope_moved_elsewhere_says_where_it_belongs(content_key, binding, elsewhere, what):
    sealed = seal(b"content", content_key, binding)

    with pytest.raises(EnvelopeMisplaced) as refusal:
        open_envelope(sealed, content_key, elsewhere[what])

    assert refusal.value.what == what


@pytest.mark.parametrize("what", ["chain", "contract", "resource", "key epoch"])
def test_rewriting_where_it_belongs_does_not_open_it(content_key, binding, elsewhere, what):
    sealed = seal(b"content", content_key, binding)
    header = Header.decoded(sealed[:HEADER_BYTES])
    moved = Header(elsewhere[what], header.chunk_log2, header.salt).encoded()

    with pytest.raises(EnvelopeCorrupted):
        open_envelope(moved + sealed[HEADER_BYTES:], content_key, elsewhere[what])


def test_every_single_flipped_bit_is_noticed(content_key, binding):
    sealed = seal(b"a short content", content_key, binding)

    for position in range(8 * len(sealed)):
        flipped = bytearray(sealed)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(EnvelopeError):
            open_envelope(bytes(flipped), content_key, binding)


def test_every_truncation_is_noticed(small_chunks, content_key, binding):
    sealed = seal(bytes(2 * CHUNK + 9), content_key, binding)

    for length in range(len(sealed)):
        with pytest.raises((EnvelopeTruncated, EnvelopeCorrupted)):
            open_envelope(sealed[:length], content_key, binding)


def test_an_envelope_cut_off_between_chunks_is_truncated(small_chunks, content_key, binding):
    sealed = seal(bytes(3 * CHUNK), content_key, binding)

    with pytest.raises(EnvelopeTruncated):
        open_envelope(sealed[: HEADER_BYTES + 2 * SEALED_CHUNK], content_key, binding)


def test_swapped_chunks_are_reordered(small_chunks, content_key, binding):
    sealed = seal(bytes(range(256)) * 16, content_key, binding)
    first, second, *rest = chunks_of(sealed)

    with pytest.raises(EnvelopeReordered):
        open_envelope(sealed[:HEADER_BYTES] + second + first + b"".join(rest), content_key, binding)


def test_swapped_chunks_with_their_numbers_mended_do_not_open(small_chunks, content_key, binding):
    sealed = seal(bytes(range(256)) * 16, content_key, binding)
    first, second, *rest = chunks_of(sealed)
    swapped = first[:4] + second[4:] + second[:4] + first[4:] + b"".join(rest)

    with pytest.raises(EnvelopeCorrupted):
        open_envelope(sealed[:HEADER_BYTES] + swapped, content_key, binding)


def test_a_dropped_chunk_is_noticed(small_chunks, content_key, binding):
    sealed = seal(bytes(4 * CHUNK), content_key, binding)
    first, _, *rest = chunks_of(sealed)

    with pytest.raises(EnvelopeReordered):
        open_envelope(sealed[:HEADER_BYTES] + first + b"".join(rest), content_key, binding)


def test_a_chunk_of_another_envelope_under_the_same_key_does_not_open(
    small_chunks, content_key, binding
):
    ours, theirs = (seal(bytes([n]) * 3 * CHUNK, content_key, binding) for n in (1, 2))
    first, second, third = chunks_of(ours)
    mixed = first + chunks_of(theirs)[1] + third

    with pytest.raises(EnvelopeCorrupted):
        open_envelope(ours[:HEADER_BYTES] + mixed, content_key, binding)
    assert second != chunks_of(theirs)[1]


def test_what_is_added_behind_the_end_is_noticed(small_chunks, content_key, binding):
    for length in (10, CHUNK):
        with pytest.raises(EnvelopeError):
            open_envelope(seal(bytes(length), content_key, binding) + b"more", content_key, binding)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (lambda sealed: b"PK\x03\x04" + sealed[4:], "This is not an envelope."),
        (lambda sealed: sealed[:7] + b"\x02" + sealed[8:], "version 2"),
        (lambda sealed: sealed[:8] + b"\x3f" + sealed[9:], "chunks of 2^63 bytes"),
    ],
)
def test_what_is_no_envelope_of_this_version_is_said_to_be_none(
    content_key, binding, changed, sentence
):
    with pytest.raises(EnvelopeMalformed, match=sentence.replace("^", r"\^")):
        open_envelope(changed(seal(b"content", content_key, binding)), content_key, binding)


def test_a_content_key_of_another_length_is_refused(binding):
    with pytest.raises(InvalidTerms, match="32 bytes, not 16"):
        seal(b"content", bytes(16), binding)


@given(content=st.binary(max_size=4 * CHUNK), data=st.data())
@settings(max_examples=200, deadline=None)
def test_a_mutated_envelope_never_opens_and_never_crashes(content, data, binding, content_key):
    sealed = seal(content, content_key, binding)
    mutated = data.draw(mutations(sealed))

    if mutated != sealed:
        with pytest.raises(EnvelopeError):
            open_envelope(mutated, content_key, binding)


@st.composite
def mutations(draw, sealed):
    """Bytes cut out, repeated, replaced or inserted somewhere."""
    start = draw(st.integers(0, len(sealed)))
    end = draw(st.integers(start, min(len(sealed), start + 64)))
    replacement = draw(st.one_of(st.just(b""), st.binary(max_size=64), st.just(sealed[start:end])))
    return sealed[:start] + replacement + sealed[end:]


def test_ten_thousand_mutated_envelopes_do_not_open(content_key, binding):
    randomness = random.Random(20)
    sealed = seal(randomness.randbytes(300), content_key, binding)
    for _ in range(10_000):
        mutated = bytearray(sealed)
        for _ in range(randomness.randint(1, 4)):
            mutated[randomness.randrange(len(mutated))] ^= randomness.randint(1, 255)
        if randomness.random() < 0.3:
            del mutated[randomness.randrange(len(mutated)) :]
        if bytes(mutated) == sealed:
            continue
        with pytest.raises(EnvelopeError):
            open_envelope(bytes(mutated), content_key, binding)


def test_a_file_is_sealed_and_opened_whole(tmp_path, small_chunks, content_key, binding):
    (tmp_path / "data.csv").write_bytes(bytes(range(256)) * 40)

    envelope.seal_file(tmp_path / "data.csv", tmp_path / "data.sealed", content_key, binding)
    envelope.open_file(tmp_path / "data.sealed", tmp_path / "opened.csv", content_key, binding)

    assert (tmp_path / "opened.csv").read_bytes() == (tmp_path / "data.csv").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "data.csv",
        "data.sealed",
        "opened.csv",
    ]


def test_a_file_that_does_not_open_whole_leaves_nothing_and_replaces_nothing(
    tmp_path, small_chunks, content_key, binding
):
    sealed = seal(bytes(4 * CHUNK), content_key, binding)
    (tmp_path / "cut.sealed").write_bytes(sealed[:-30])
    (tmp_path / "kept.csv").write_bytes(b"from before")

    with pytest.raises(EnvelopeError):
        envelope.open_file(tmp_path / "cut.sealed", tmp_path / "kept.csv", content_key, binding)

    assert (tmp_path / "kept.csv").read_bytes() == b"from before"
    assert len(list(tmp_path.iterdir())) == 2
