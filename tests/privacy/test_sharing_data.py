"""Files go sealed to those who were granted them, in constant memory, whole or not at all."""

from __future__ import annotations

import pytest

from modelward.errors import (
    AccessDenied,
    BadInput,
    ContractRefused,
    HashMismatch,
    InvalidTerms,
    KeyNotGranted,
    NoEncryptionKey,
)
from modelward.sdk.data import DataOwner, data_key, fetch_data, find_data
from modelward.sdk.encryption_keys import EncryptionKeys
from modelward.sdk.rotation import carry_out

NAME = "measurements"
CONTENT = b"patient,diagnosis\n7,benign\n" * 40_000


@pytest.fixture
def sharer(owner) -> DataOwner:
    return DataOwner(owner.connection)


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "measurements.csv"
    file.write_bytes(CONTENT)
    return file


@pytest.fixture
def shared(sharer, file, acting_as):
    """The file, shared with the requester."""
    EncryptionKeys(acting_as("requester")).register()
    sharer.publish(file, NAME)
    sharer.grant("requester", NAME)
    return find_data(sharer.connection, sharer.address, data_key(NAME))


@pytest.fixture
def target(tmp_path):
    return tmp_path / "fetched.csv"


def test_a_grantee_fetches_the_file(shared, acting_as, target):
    fetch_data(acting_as("requester"), "owner", NAME, target)
    assert target.read_bytes() == CONTENT


def test_right_and_key_come_in_one_transaction(shared, sharer):
    granted = sharer.grant("requester", NAME)
    assert len(granted.wrapped_key) == 80


def test_what_is_stored_has_nothing_of_the_file(shared, tmp_path):
    stored = [path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert stored
    assert not any(b"benign" in content for content in stored)


def test_without_a_grant_nothing_is_fetched(shared, acting_as, target):
    with pytest.raises(AccessDenied):
        fetch_data(acting_as("outsider"), "owner", NAME, target)
    assert not target.exists()


def test_a_grant_on_everything_comes_without_a_key(shared, sharer, acting_as, target):
    outsider = acting_as("outsider")
    sharer.connection.send(sharer.connection.data_share.grant_access(outsider.address))
    with pytest.raises(KeyNotGranted, match="has given outsider no key"):
        fetch_data(outsider, "owner", NAME, target)


def test_a_grantee_without_an_encryption_key_is_not_granted(sharer, file):
    sharer.publish(file, NAME)
    with pytest.raises(NoEncryptionKey):
        sharer.grant("outsider", NAME)


def test_what_was_never_published_is_neither_granted_nor_fetched(sharer, acting_as, target):
    with pytest.raises(InvalidTerms, match="Nothing is published"):
        sharer.grant("requester", NAME)
    with pytest.raises(ContractRefused, match=r".+"):
        fetch_data(acting_as("owner"), "owner", NAME, target)


def test_a_file_that_exists_is_not_replaced(shared, acting_as, target):
    target.write_bytes(b"mine")
    with pytest.raises(BadInput, match="was left as it is"):
        fetch_data(acting_as("requester"), "owner", NAME, target)
    assert target.read_bytes() == b"mine"
    fetch_data(acting_as("requester"), "owner", NAME, target, overwrite=True)
    assert target.read_bytes() == CONTENT


def test_a_store_that_lies_is_named_and_no_file_appears(shared, acting_as, target, tmp_path):
    digest = shared.content_hash.hex()
    stored = tmp_path / "store" / digest[:2] / digest
    stored.write_bytes(stored.read_bytes()[:-1] + b"?")
    with pytest.raises(HashMismatch, match="store"):
        fetch_data(acting_as("requester"), "owner", NAME, target)
    assert not target.exists()


def test_what_is_published_next_is_open_to_standing_grantees(
    shared, sharer, acting_as, file, target
):
    file.write_bytes(b"more")
    sharer.publish(file, NAME)
    fetch_data(acting_as("requester"), "owner", NAME, target)
    assert target.read_bytes() == b"more"


@pytest.fixture
def rotated(shared, sharer, acting_as):
    """The requester removed, the sponsor still there."""
    EncryptionKeys(acting_as("sponsor")).register()
    sharer.grant("sponsor", NAME)
    plan = sharer.plan_rotation(NAME, revoke="requester")
    carry_out(sharer.connection, plan)
    return plan


def test_after_a_rotation_who_remains_still_fetches(rotated, acting_as, target):
    assert rotated.remaining == (acting_as("sponsor").address,)
    fetched = fetch_data(acting_as("sponsor"), "owner", NAME, target)
    assert fetched.epoch == 2
    assert target.read_bytes() == CONTENT


def test_after_a_rotation_who_was_removed_has_neither_grant_nor_key(rotated, acting_as, target):
    requester = acting_as("requester")
    with pytest.raises(AccessDenied):
        fetch_data(requester, "owner", NAME, target)
    data = find_data(requester, acting_as("owner").address, data_key(NAME))
    assert data is not None
    with pytest.raises(KeyNotGranted, match="up to epoch 1 only"):
        requester.keyring.epoch_key(data.owner, data.key, data.epoch, newest=data.epoch)
    assert not target.exists()
