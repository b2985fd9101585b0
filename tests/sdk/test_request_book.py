"""The book keeps every request that was placed, and gives back exactly what was written."""

from __future__ import annotations

import dataclasses
import json
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelward.errors import RecordUnavailable
from modelward.sdk.request_book import RequestBook, RequestRecord
from modelward.terms import Address, ModelId, Offer, Request, VersionId

OWNER, REQUESTER, ESCROW = (Address("0x" + digit * 40) for digit in "123")
GENESIS = b"\x08" * 32


def record(input_hash=b"\x04" * 32, **changes):
    placed = RequestRecord(
        chain_id=31337,
        genesis_hash=GENESIS,
        escrow=ESCROW,
        model=f"{OWNER}/breast-cancer@1",
        offer=Offer(
            model_id=ModelId(b"\x01" * 32),
            version_id=VersionId(b"\x02" * 32),
            owner=OWNER,
            payee=OWNER,
            payee_bps=5_000,
            token=Address("0x" + 40 * "0"),
            fee=10**15,
            verifier=Address("0x" + 40 * "0"),
        ),
        request=Request(
            requester=REQUESTER, payer=REQUESTER, input_hash=input_hash, deadline=1_900_000_000
        ),
        secret=b"\x09" * 32,
        canonical_input=b"\x01" + bytes(16),
        transaction_hash=b"\x0a" * 32,
        written_at=1_800_000_000 * 10**9,
    )
    return dataclasses.replace(placed, **changes)


def test_a_record_is_read_back_as_it_was_written(tmp_path):
    RequestBook(tmp_path / "requests").write(record())
    assert RequestBook(tmp_path / "requests").get(b"\x04" * 32) == record()


def test_a_request_placed_by_somebody_else_is_not_in_the_book(tmp_path):
    assert RequestBook(tmp_path / "requests").get(b"\x04" * 32) is None


def test_only_its_user_may_read_a_record(tmp_path):
    book = RequestBook(tmp_path / "requests")
    book.write(record())
    [file] = book.directory.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(book.directory.stat().st_mode) == 0o700


def test_neither_secret_nor_input_is_in_what_is_printed_of_a_record():
    printed = repr(record())
    assert "secret" not in printed
    assert "canonical_input" not in printed


def test_records_of_another_chain_or_escrow_are_left_out(tmp_path):
    book = RequestBook(tmp_path)
    book.write(record())
    book.write(record(b"\x14" * 32, genesis_hash=b"\x18" * 32))
    book.write(record(b"\x24" * 32, escrow=OWNER))
    assert book.records(genesis_hash=GENESIS, escrow=ESCROW) == (record(),)


def test_records_come_oldest_first(tmp_path):
    book = RequestBook(tmp_path)
    newer, older = record(b"\x01" * 32, written_at=20), record(b"\x02" * 32, written_at=10)
    book.write(newer)
    book.write(older)
    assert book.records(genesis_hash=GENESIS, escrow=ESCROW) == (older, newer)


def test_no_draft_is_left_when_a_record_cannot_be_written(tmp_path, monkeypatch):
    def no_space(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", no_space)
    book = RequestBook(tmp_path / "requests")
    with pytest.raises(RecordUnavailable, match="No space left on device"):
        book.write(record())
    assert list(book.directory.iterdir()) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "",
        lambda _: "[]",
        lambda document: json.dumps(document | {"format": 2}),
        lambda document: json.dumps(document | {"secret": 7}),
        lambda document: json.dumps(document | {"secret": "0xzz"}),
        lambda document: json.dumps(document | {"written_at": "12"}),
        lambda document: json.dumps(document | {"written_at": True}),
        lambda document: json.dumps(document | {"request": {}}),
        lambda document: json.dumps({k: v for k, v in document.items() if k != "offer"}),
    ],
    ids=["empty", "list", "format", "number", "hex", "text", "truth", "request", "offer"],
)
def test_a_damaged_record_is_reported_by_its_path(tmp_path, damage):
    book = RequestBook(tmp_path)
    book.write(record())
    [file] = tmp_path.iterdir()
    file.write_text(damage(json.loads(file.read_text())))
    with pytest.raises(RecordUnavailable, match=file.name):
        book.get(b"\x04" * 32)


@settings(max_examples=20, deadline=None)
@given(
    secret=st.binary(min_size=32, max_size=32),
    canonical_input=st.binary(max_size=300),
    model=st.text(min_size=1, max_size=80),
    written_at=st.integers(min_value=0, max_value=2**63),
)
def test_any_record_survives_the_round_trip(
    tmp_path_factory, secret, canonical_input, model, written_at
):
    book = RequestBook(tmp_path_factory.mktemp("book"))
    written = record(
        secret=secret, canonical_input=canonical_input, model=model, written_at=written_at
    )
    book.write(written)
    assert book.get(written.request.input_hash) == written
