from modelward.chain.events import DataPublished
from modelward.terms import EVERYTHING, Right
from tests.contracts.said import event, said

DATA_KEY = b"\x11" * 32
CONTENT_HASH = b"\xc0" * 32
URI = "file:///data/\N{GREEK SMALL LETTER MU}.enc"


def test_it_publishes_the_hash_and_says_where_the_content_is(data_share, owner):
    receipt = owner.send(data_share.publish_data(DATA_KEY, CONTENT_HASH, URI))

    assert data_share.fetch_data(owner.address, DATA_KEY, sender=owner.address) == CONTENT_HASH
    assert said(receipt, data_share) == [
        event(
            DataPublished,
            owner=owner.address,
            data_key=DATA_KEY,
            content_hash=CONTENT_HASH,
            uri=URI,
        )
    ]


def test_it_replaces_what_was_published_before(data_share, owner):
    owner.send(data_share.publish_data(DATA_KEY, CONTENT_HASH, URI))
    owner.send(data_share.publish_data(DATA_KEY, b"\xc1" * 32, ""))

    assert data_share.fetch_data(owner.address, DATA_KEY, sender=owner.address) == b"\xc1" * 32


def test_each_owner_has_data_keys_of_its_own(data_share, owner, outsider):
    owner.send(data_share.publish_data(DATA_KEY, CONTENT_HASH, URI))
    outsider.send(data_share.publish_data(DATA_KEY, b"\xc1" * 32, ""))

    assert data_share.fetch_data(owner.address, DATA_KEY, sender=owner.address) == CONTENT_HASH


def test_the_key_for_everything_holds_no_content(data_share, owner, reverts):
    with reverts("ResourceIsEverything", rights=Right(0)):
        owner.send(data_share.publish_data(EVERYTHING, CONTENT_HASH, URI))


def test_a_zero_hash_is_refused(data_share, owner, reverts):
    with reverts("ContentHashIsZero"):
        owner.send(data_share.publish_data(DATA_KEY, bytes(32), URI))
