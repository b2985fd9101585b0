"""Content kept where somebody else says it is: the store at hand first, then the one named."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from modelward.content.store import ContentStore
from modelward.errors import (
    ConfigurationError,
    ContentMissing,
    ContentTooLarge,
    HashMismatch,
    KeyNotGranted,
    StoreUnavailable,
)

FOLLOWED_SCHEMES = frozenset({"file", "https", "s3", "gs", "gcs", "az", "ipfs"})
"""The kinds of store read on a stranger's word; any other must be configured."""

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


def stores_for(uri: str, at_hand: ContentStore) -> list[ContentStore]:
    """Where to look for content that is said to be in the store `uri`."""
    stores = [at_hand]
    scheme, separator, _ = uri.partition("://")
    if separator and scheme in FOLLOWED_SCHEMES and uri != at_hand.url:
        try:
            stores.append(ContentStore(uri))
        except ConfigurationError as error:
            _log.warning("a store named on chain cannot be used: %s", error.message)
    return stores


def fetch(digest: bytes, uri: str, at_hand: ContentStore, *, limit: int) -> bytes:
    """The bytes with this hash, at most `limit`, from the first store that gives them.

    Raises:
        StoreUnavailable: a store does not answer, or has not got them.
        HashMismatch, ContentTooLarge: every store gives something else.
    """
    return first_of(partial(store.get, digest, limit=limit) for store in stores_for(uri, at_hand))


def first_of(attempts: Iterable[Callable[[], _T]]) -> _T:
    """What the first attempt to read content gives.

    Raises as `fetch` when all fail, or `KeyNotGranted` when one of them raised that.
    """
    denied: KeyNotGranted | None = None
    unavailable: StoreUnavailable | None = None
    wrong: HashMismatch | ContentTooLarge | None = None
    for attempt in attempts:
        try:
            return attempt()
        except KeyNotGranted as error:
            denied = error
        except StoreUnavailable as error:
            if unavailable is None or isinstance(unavailable, ContentMissing):
                unavailable = error
        except (HashMismatch, ContentTooLarge) as error:
            wrong = error
    raise denied or unavailable or wrong or StoreUnavailable("No content store is known for it.")
