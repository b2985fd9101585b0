"""Bundles, inputs and outputs are sealed; those who hold a key open them, and nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelward.commitments import input_hash
from modelward.errors import HashMismatch, KeyNotGranted, NoEncryptionKey, RequestRefused
from modelward.models.bundle import open_bundle
from modelward.sdk import Catalogue, read_history, read_result, verify
from modelward.sdk.encryption_keys import EncryptionKeys
from modelward.sdk.payloads import carry_input
from modelward.sdk.result import require_answer
from modelward.sealing.keys import DecryptionKey
from modelward.terms import (
    ZERO_HASH,
    Frame,
    GrantTerms,
    Payload,
    RefusalReason,
    RequestStatus,
    Right,
    ServiceKey,
)

from .conftest import MODEL, REFERENCE


def answer_of(connection, placed):
    """The event that answered a request."""
    return require_answer(connection, read_history(connection, placed.id))


def test_the_requester_has_the_answer_of_the_model(published, requester, work, row, iris):
    placed = requester.send(REFERENCE, row)
    assert placed.private
    work()
    result = requester.result(placed.id)
    assert result.prediction.label == iris.estimator.predict(row)[0]


def test_neither_input_nor_output_is_on_chain_in_clear(published, requester, work, row):
    placed = requester.send(REFERENCE, row)
    work()
    history = read_history(requester.connection, placed.id)
    record = requester.connection.requests.get(history.requested.request.input_hash)
    output = requester.result(placed.id).canonical_output
    answer = answer_of(requester.connection, placed)
    assert history.requested.input[0] == answer.output[0] == Frame.SEALED
    for clear in (record.secret, record.canonical_input, output):
        assert clear not in history.requested.input + answer.output


def test_a_clear_request_can_be_asked_for(published, requester, work, row):
    placed = requester.send(REFERENCE, row, clear=True)
    work()
    history = read_history(requester.connection, placed.id)
    answer = answer_of(requester.connection, placed)
    assert history.requested.input[0] == answer.output[0] == Frame.CLEAR
    assert history.requested.request.reply_key == ZERO_HASH
    requester.result(placed.id)


def test_the_stored_bundle_is_not_the_model(published, owner, outsider):
    version = published.version
    stored = Catalogue(outsider.connection).bundle(version)
    with pytest.raises(HashMismatch):
        open_bundle(stored, version.version.bundle_hash)
    with pytest.raises(KeyNotGranted):
        outsider.connection.keyring.open_bundle(owner.address, version.version, stored)


@pytest.mark.parametrize("role", ["owner", "worker", "sponsor"])
def test_owner_workers_and_readers_can_replay(
    published, owner, requester, work, row, acting_as, sandbox, role
):
    placed = requester.send(REFERENCE, row)
    work()
    if role == "sponsor":
        EncryptionKeys(acting_as(role)).register()
        owner.grant(role, MODEL, Right.READ)
    assert verify(acting_as(role), placed.id, sandbox=sandbox).identical


@pytest.mark.parametrize("role", ["requester", "outsider"])
def test_others_are_told_that_they_cannot(
    published, requester, work, row, acting_as, sandbox, role
):
    placed = requester.send(REFERENCE, row)
    work()
    with pytest.raises(KeyNotGranted, match="has given"):
        verify(acting_as(role), placed.id, sandbox=sandbox)


def test_a_worker_without_an_encryption_key_is_not_granted_serve(publish, owner):
    publish()
    with pytest.raises(NoEncryptionKey, match="worker has registered no encryption key") as refused:
        owner.grant("worker", MODEL, Right.SERVE)
    assert "modelward key register" in (refused.value.hint or "")
    assert owner.grants(MODEL) == ()


def test_a_worker_reads_what_was_wrapped_to_its_earlier_key(
    published, requester, work, row, acting_as
):
    EncryptionKeys(acting_as("worker")).rotate()
    placed = requester.send(REFERENCE, row)
    work()
    requester.result(placed.id)


def test_a_worker_given_no_key_leaves_the_request_to_others(
    published, owner, requester, work, row, acting_as
):
    """SERVE without a wrapped key, as an owner with another client might grant it."""
    share = owner.connection.data_share
    grant = share.grant_of(owner.address, acting_as("worker").address, published.version.model_id)
    keeper = acting_as("keeper").address
    call = share.grant(keeper, published.version.model_id, GrantTerms(grant.rights))
    owner.connection.send(call)
    placed = requester.send(REFERENCE, row)
    work("keeper")
    escrow = requester.connection.escrow
    assert escrow.request_of(placed.id).status is RequestStatus.OPEN
    work("worker")
    requester.result(placed.id)


def test_a_sealed_input_that_is_not_the_one_committed_to_is_refused(
    published, requester, work, row, monkeypatch
):
    def another(connection, model, content, service_key):
        return carry_input(connection, model, content[:-1] + b"\xff", service_key)

    monkeypatch.setattr("modelward.sdk.requester.carry_input", another)
    placed = requester.send(REFERENCE, row)
    work()
    with pytest.raises(RequestRefused) as refused:
        requester.result(placed.id)
    assert refused.value.reason == RefusalReason.INPUT_HASH_MISMATCH


def test_an_input_sealed_to_another_key_is_refused(published, requester, work, row, monkeypatch):
    def misdirected(connection, model, content, service_key):
        other = DecryptionKey.random().public
        return carry_input(connection, model, content, ServiceKey(service_key.epoch, other))

    monkeypatch.setattr("modelward.sdk.requester.carry_input", misdirected)
    placed = requester.send(REFERENCE, row)
    work()
    with pytest.raises(RequestRefused) as refused:
        requester.result(placed.id)
    assert refused.value.reason == RefusalReason.INPUT_MALFORMED


@pytest.mark.parametrize("clear", [False, True], ids=["sealed", "clear"])
def test_what_does_not_fit_an_event_goes_by_reference(
    published, requester, work, row, monkeypatch, clear
):
    monkeypatch.setattr("modelward.sdk.payloads.MAX_INLINE_BYTES", 40)
    monkeypatch.setattr("modelward.sdk.requester.MAX_INLINE_BYTES", 40)
    placed = requester.send(REFERENCE, row, clear=clear)
    work()
    requester.result(placed.id)
    history = read_history(requester.connection, placed.id)
    for framed in (history.requested.input, answer_of(requester.connection, placed).output):
        payload = Payload.decoded(framed)
        assert payload.sealed is not clear
        assert payload.content_hash is not None
        assert requester.connection.store.has(payload.content_hash)


def test_the_same_model_is_published_once(published, publish):
    assert publish().changes == ()


def test_in_clear_it_is_another_version(published, publish):
    again = publish(private=False)
    assert not again.version.is_sealed
    assert again.version.number == 2


def test_a_model_that_becomes_private_gives_its_workers_the_key(
    publish, owner, requester, work, row, acting_as
):
    EncryptionKeys(acting_as("worker")).register()
    publish(private=False)
    owner.grant("worker", MODEL, Right.SERVE)
    owner.grant("requester", MODEL, Right.INFER)
    changes = publish().changes
    assert "gave the key to 1 who hold a grant" in changes
    placed = requester.send(REFERENCE, row)
    assert placed.private
    work()
    requester.result(placed.id)


def test_the_reply_can_be_opened_from_the_request_book_alone(published, requester, work, row):
    placed = requester.send(REFERENCE, row)
    work()
    reading = requester.connection
    nobody = replace(reading, account=None)
    result = read_result(nobody, read_history(nobody, placed.id))
    record = nobody.requests.get(read_history(nobody, placed.id).requested.request.input_hash)
    assert input_hash(record.secret, record.canonical_input) == record.request.input_hash
    assert result.canonical_output == requester.result(placed.id).canonical_output
