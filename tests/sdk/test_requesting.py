"""A request is checked, recorded and paid for, in this order; what fails before costs nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from modelward.chain.events import InferenceRequested
from modelward.errors import (
    AccessDenied,
    ContractRefused,
    InsufficientFunds,
    InvalidInput,
    InvalidTerms,
    RecordUnavailable,
    RpcUnavailable,
    UnknownModel,
    UnknownVersion,
)
from modelward.sdk import verify
from modelward.sdk.request_book import RequestBook
from modelward.terms import NEVER, RequestStatus, Right, parse_clear_input
from tests.market import MODEL, PRICE
from tests.pipeline.orchard import apples_with_notes


@pytest.fixture
def row(breast_cancer):
    return breast_cancer.inputs.iloc[0].to_dict()


@pytest.fixture
def untouched(requester, market):
    """After the test neither money nor record has moved."""
    account = requester.address
    before = requester.connection.chain.balance(account)
    yield
    assert requester.connection.chain.balance(account) == before
    assert list((market.home / "requests").glob("*")) == []
    assert requester.connection.chain.balance(requester.connection.escrow.address) == 0


# --- placing -------------------------------------------------------------------------------------


def test_the_fee_is_held_from_the_request_on(requester, row):
    connection = requester.connection
    before = connection.chain.balance(requester.address)
    placed = requester.send(MODEL, row)
    state = connection.escrow.request_of(placed.id)
    assert (state.status, state.payer, state.fee) == (RequestStatus.OPEN, requester.address, PRICE)
    assert connection.chain.balance(connection.escrow.address) == PRICE
    assert connection.chain.balance(requester.address) == before - PRICE - placed.receipt.fee


@pytest.mark.parametrize(
    "form",
    [
        lambda frame: frame.iloc[0].to_dict(),
        lambda frame: frame.iloc[0].tolist(),
        lambda frame: frame.iloc[0].to_numpy(),
        lambda frame: frame.iloc[[0]],
        lambda frame: frame.iloc[0],
        lambda frame: np.asarray(frame.iloc[[0]]),
    ],
    ids=["dict", "list", "array", "one-row frame", "series", "one-row array"],
)
def test_the_same_row_in_any_form_is_the_same_input(form, requester, breast_cancer, row):
    placed = requester.send(MODEL, form(breast_cancer.inputs))
    manifest = requester.quote(MODEL).manifest
    event = requester.connection.event_in(placed.receipt, InferenceRequested)
    canonical_input = manifest.canonical_input(manifest.input.row(row))
    assert parse_clear_input(event.input).canonical_input == canonical_input


@pytest.mark.parametrize("length", [100, 4000], ids=["in the event", "by reference"])
def test_a_row_may_hold_text(length, owner, requester, worker, sandbox):
    table = apples_with_notes()
    columns = make_column_transformer((TfidfVectorizer(), "note"))
    inputs, labels = table[["note"]], table["grade"]
    estimator = make_pipeline(columns, LogisticRegression()).fit(inputs, labels)
    owner.publish(estimator, inputs, labels, name="notes", price=PRICE, open=True, private=False)
    owner.grant("worker", "notes", Right.SERVE)
    note = "crisp and shiny ".ljust(length, "!")
    placed = requester.send("owner/notes", {"note": note})
    worker.answer(placed.id)
    expected = estimator.predict(pd.DataFrame({"note": [note]}))[0]
    assert requester.result(placed.id).prediction.label == expected
    assert verify(requester.connection, placed.id, sandbox=sandbox).identical


@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_the_row_may_be_in_a_file(suffix, requester, breast_cancer, row, tmp_path):
    file = tmp_path / f"row{suffix}"
    one = breast_cancer.inputs.iloc[[0]]
    file.write_text(
        one.iloc[0].to_json() if suffix == ".json" else one.to_csv(index=False), encoding="utf-8"
    )
    placed = requester.send(MODEL, file)
    manifest = requester.quote(MODEL).manifest
    event = requester.connection.event_in(placed.receipt, InferenceRequested)
    canonical_input = manifest.canonical_input(manifest.input.row(row))
    assert parse_clear_input(event.input).canonical_input == canonical_input


@pytest.mark.parametrize("version", ["", "@1", "@latest", "@0x"])
def test_a_version_goes_by_number_by_the_beginning_of_its_id_or_as_the_newest(
    version, requester, row, market
):
    published = market.published.version
    named = version + published.id.hex()[:6] if version == "@0x" else version
    placed = requester.send(MODEL + named, row)
    assert placed.reference == published.reference


def test_the_owner_may_be_named_by_its_address(requester, row, owner):
    placed = requester.send(f"{owner.address}/breast-cancer", row)
    assert placed.reference.startswith(owner.address)


def test_two_requests_for_the_same_row_have_different_ids(requester, row):
    assert requester.send(MODEL, row).id != requester.send(MODEL, row).id


def test_the_record_is_on_disk_before_the_network_sees_the_transaction(requester, row, monkeypatch):
    sender_class = type(requester.connection.sender)
    seen = []

    def broadcast(sender, signed):
        [record] = requester.connection.requests.records(
            genesis_hash=sender.chain.genesis_hash,
            escrow=requester.connection.escrow.address,
        )
        seen.append((record.transaction_hash, signed.hash))
        return original(sender, signed)

    original = sender_class.broadcast
    monkeypatch.setattr(sender_class, "broadcast", broadcast)
    requester.send(MODEL, row)
    [(recorded, sent)] = seen
    assert recorded == sent


def test_a_request_whose_sending_failed_halfway_is_still_listed(requester, row, monkeypatch):
    sender_class = type(requester.connection.sender)
    original = sender_class.broadcast

    def sent_but_not_told(sender, signed):
        original(sender, signed)
        raise RpcUnavailable("The connection broke.")

    with monkeypatch.context() as patch:
        patch.setattr(sender_class, "broadcast", sent_but_not_told)
        with pytest.raises(RpcUnavailable) as failure:
            requester.send(MODEL, row)
    assert "request list" in str(failure.value.hint)
    [standing] = requester.list()
    assert standing.status is RequestStatus.OPEN
    assert standing.id is not None


def test_a_request_that_never_left_is_listed_as_never_placed(requester, row, monkeypatch):
    def unreachable(sender, signed):
        raise RpcUnavailable("Nothing listens there.")

    with monkeypatch.context() as patch:
        patch.setattr(type(requester.connection.sender), "broadcast", unreachable)
        with pytest.raises(RpcUnavailable):
            requester.send(MODEL, row)
    [standing] = requester.list()
    assert (standing.id, standing.status) == (None, RequestStatus.NONE)


def test_a_request_placed_under_an_offer_that_changed_meanwhile_is_found_all_the_same(
    requester, owner, row, breast_cancer, worker
):
    offered = requester.quote(MODEL)
    owner.publish(
        breast_cancer.estimator,
        breast_cancer.inputs,
        breast_cancer.labels,
        name="breast-cancer",
        price=PRICE,
        payee_bps=1_000,
        private=False,
    )
    placed = requester.send(offered, row)
    worker.answer(placed.id)
    [standing] = requester.list()
    assert standing.id == placed.id
    assert requester.result(placed.id).prediction.label == "malignant"


# --- what is refused costs nothing ---------------------------------------------------------------


@pytest.mark.usefixtures("untouched")
class TestNothingIsSent:
    """Each of these is one sentence, and neither money nor a file has moved."""

    @pytest.mark.parametrize(
        ("reference", "error", "sentence"),
        [
            ("owner/breast-cancr", UnknownModel, "owner has no model 'breast-cancr'"),
            ("owner/breast-cancer@2", UnknownVersion, "owner/breast-cancer has no version 2"),
            ("owner/breast-cancer@0xff", UnknownVersion, "has no version 0xff"),
            ("breast-cancer", InvalidTerms, "not a model reference"),
        ],
    )
    def test_an_unknown_model_or_version(self, requester, row, reference, error, sentence):
        with pytest.raises(error, match=sentence):
            requester.send(reference, row)

    def test_a_misspelt_model_is_guessed(self, requester, row):
        with pytest.raises(UnknownModel) as unknown:
            requester.send("owner/breast-cancr", row)
        assert unknown.value.hint == "Did you mean owner/breast-cancer?"

    @pytest.mark.parametrize(("fee", "side"), [(PRICE - 1, "below"), (PRICE + 1, "above")])
    def test_a_fee_other_than_the_price(self, requester, row, fee, side):
        with pytest.raises(InvalidTerms, match=f"is {side} the price"):
            requester.send(MODEL, row, fee=fee)

    def test_a_price_above_the_limit(self, requester, row):
        with pytest.raises(InvalidTerms, match=r"0\.001 ether, is above the 0\.0009 ether"):
            requester.send(MODEL, row, max_fee=PRICE * 9 // 10)

    @pytest.mark.parametrize(
        ("terms", "sentence"),
        [
            ({"deadline": 1}, "passed"),
            ({"delay": 0}, "passed"),
            ({"delay": -5}, "passed"),
            ({"delay": 86_400 + 60}, "may wait 24 h at most"),
            ({"deadline": NEVER}, "may wait 24 h at most"),
            ({"deadline": NEVER, "delay": 5}, "not both"),
        ],
        ids=["past", "now", "negative", "beyond", "never", "both"],
    )
    def test_a_deadline_in_the_past_or_beyond_the_bound(self, requester, row, terms, sentence):
        with pytest.raises(InvalidTerms, match=sentence):
            requester.send(MODEL, row, **terms)

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            (lambda row: {**row, "mean radius": float("nan")}, "'mean radius' .* NaN"),
            (lambda row: {**row, "mean radius": float("inf")}, "'mean radius' .* infinite"),
            (lambda row: {**row, "mean radius": "big"}, "'mean radius' must be a number"),
            (lambda row: {**row, "mean radius": 1e9}, "outside its declared range"),
            (lambda row: {k: v for k, v in row.items() if k != "mean radius"}, "lacks"),
            (lambda row: {**row, "mean raduis": 1.0}, "which the model does not know"),
            (lambda row: list(row.values())[:-1], "has 29 values, the model takes 30"),
            (lambda _: 7, "must be an object of feature names or a list"),
        ],
        ids=["nan", "infinity", "text", "range", "missing", "unknown", "too few", "a number"],
    )
    def test_a_row_that_does_not_fit_the_schema(self, requester, row, change, sentence):
        with pytest.raises(InvalidInput, match=sentence):
            requester.send(MODEL, change(row))

    def test_a_retired_version(self, requester, owner, row):
        owner.retire(f"{MODEL}@1")
        with pytest.raises(ContractRefused, match="it was retired"):
            requester.send(f"{MODEL}@1", row)
        with pytest.raises(UnknownVersion, match="no version that can be served"):
            requester.send(MODEL, row)

    def test_a_retired_model(self, requester, owner, row):
        owner.retire(MODEL)
        with pytest.raises(UnknownVersion, match="was retired"):
            requester.send(MODEL, row)

    def test_a_price_that_rose_after_the_quotation(self, requester, owner, row, breast_cancer):
        offered = requester.quote(MODEL)
        owner.publish(
            breast_cancer.estimator,
            breast_cancer.inputs,
            breast_cancer.labels,
            name="breast-cancer",
            price=2 * PRICE,
            private=False,
        )
        with pytest.raises(ContractRefused) as refused:
            requester.send(offered, row)
        assert refused.value.error == "WrongFee"
        assert refused.value.message == (
            "The fee sent is 0.001 ether, but the price is 0.002 ether."
        )

    def test_an_account_without_a_grant(self, requester, owner, row):
        owner.revoke("requester", MODEL)
        with pytest.raises(AccessDenied, match="there is no grant"):
            requester.send(MODEL, row)

    def test_a_model_paid_in_a_token(self, requester, row):
        offered = requester.quote(MODEL)
        token = dataclasses.replace(offered.quote.offer, token=requester.address)
        with pytest.raises(InvalidTerms, match="this client pays ETH"):
            requester.send(
                dataclasses.replace(offered, quote=dataclasses.replace(offered.quote, offer=token)),
                row,
            )


def test_an_account_that_cannot_pay_is_told_what_it_lacks(market, requester, owner, row):
    owner.grant("spare", MODEL, Right.INFER)
    spare = type(requester)(market.connection("spare"))
    spare.connection.chain.rpc("anvil_setBalance", [spare.address, hex(PRICE)])
    with pytest.raises(InsufficientFunds) as short:
        spare.send(MODEL, row)
    assert short.value.have == PRICE
    assert spare.list() == ()


def test_nothing_is_sent_when_the_request_cannot_be_recorded(requester, row, monkeypatch):
    def full(self, record):
        raise RecordUnavailable("The disk is full.")

    before = requester.connection.sender.nonce("pending")
    monkeypatch.setattr(RequestBook, "write", full)
    with pytest.raises(RecordUnavailable):
        requester.send(MODEL, row)
    assert requester.connection.sender.nonce("pending") == before


def test_the_record_of_a_request_that_was_mined_and_failed_is_dropped(
    requester, owner, row, monkeypatch
):
    """The grant is revoked between the dry run and the block."""
    sender_class = type(requester.connection.sender)
    original = sender_class.broadcast

    def revoked_first(sender, signed):
        if sender.address == requester.address:
            owner.revoke_all("requester")
        return original(sender, signed)

    before = requester.connection.chain.balance(requester.address)
    monkeypatch.setattr(sender_class, "broadcast", revoked_first)
    with pytest.raises(AccessDenied, match="revoked"):
        requester.send(MODEL, row)
    assert requester.list() == ()
    paid = before - requester.connection.chain.balance(requester.address)
    assert 0 < paid < PRICE
