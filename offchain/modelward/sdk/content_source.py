"""Where an account gets what owners have published: from stores, and through gateways."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO
from urllib.parse import urlsplit

from modelward.content.references import first_of, stores_for
from modelward.content.store import ContentStore
from modelward.sdk.gateway_client import GatewayClient, PublishedContent

_PREFIX = "gateway+"


def gateway_reference(url: str) -> str:
    """How a published URI names the gateway at `url`, http or https."""
    return f"{_PREFIX}{url}"


class ContentSource:
    """A store at hand and, with a `client`, gateways: `gateway` before all others if given, and
    those that published URIs name, over https only.
    """

    def __init__(
        self,
        store: ContentStore,
        client: GatewayClient | None = None,
        gateway: str | None = None,
    ) -> None:
        self._store = store
        self._client = client
        self._gateway = gateway

    def get(self, content: PublishedContent, *, limit: int) -> bytes:
        """The stored bytes. Raises as `write`."""
        target = io.BytesIO()
        self.write(content, target, limit=limit)
        return target.getvalue()

    def write(self, content: PublishedContent, target: BinaryIO, *, limit: int) -> None:
        """Write the stored bytes to `target`, which is to be discarded on an error.

        Raises:
            KeyNotGranted: a gateway finds no live grant.
            StoreUnavailable: a store or gateway does not answer, or has not got them.
            HashMismatch, ContentTooLarge: all give something else.
        """

        def attempt(write: Callable[[BinaryIO], None]) -> None:
            target.seek(0)
            target.truncate()
            write(target)

        first_of(partial(attempt, each) for each in self._places(content, limit))

    def _places(
        self, content: PublishedContent, limit: int
    ) -> Iterator[Callable[[BinaryIO], None]]:
        if self._client is not None and self._gateway is not None:
            yield partial(self._client.write, self._gateway, content, limit=limit)
        for store in stores_for(content.uri, self._store):
            yield partial(store.get_file, content.content_hash, limit=limit)
        named = content.uri.removeprefix(_PREFIX)
        if self._client is not None and named != content.uri and urlsplit(named).scheme == "https":
            yield partial(self._client.write, named, content, limit=limit)
