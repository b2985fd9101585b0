"""Fetching stored content through a gateway, with a ticket the account signs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urlsplit

import requests
from eth_hash.auto import keccak

from modelward.chain.accounts import Account
from modelward.chain.connection import Chain
from modelward.content.store import PIECE_BYTES
from modelward.content.time_limit import within
from modelward.errors import (
    ConfigurationError,
    ContentMissing,
    ContentTooLarge,
    HashMismatch,
    KeyNotGranted,
    StoreTimedOut,
    StoreUnavailable,
)
from modelward.sdk.fetch_ticket import FetchTicket, sign_ticket
from modelward.terms import Address

TICKET_VALIDITY = 120
"""Seconds."""


@dataclass(frozen=True, slots=True)
class PublishedContent:
    """What an owner has published of a resource, a model's id or a data key, and where it says
    that it is.
    """

    owner: Address
    resource: bytes
    content_hash: bytes
    uri: str


class GatewayClient:
    """Asks gateways in the name of an account. One that says nothing for `timeout` seconds, or
    takes that long for a MiB, is given up.
    """

    def __init__(
        self, chain: Chain, data_share: Address, account: Account, *, timeout: float = 30.0
    ) -> None:
        self._chain = chain
        self._data_share = data_share
        self._account = account
        self._timeout = timeout

    def write(self, url: str, content: PublishedContent, target: BinaryIO, *, limit: int) -> None:
        """Write content to `target`, as the gateway at `url` gives it.

        Discard `target` on an error.

        Raises:
            KeyNotGranted: the gateway turns the account away.
            StoreUnavailable: it does not answer, or does not have the content.
            HashMismatch, ContentTooLarge: it gives something else.
            ConfigurationError: `url` is not one of a gateway.
        """
        if urlsplit(url).scheme not in ("http", "https"):
            raise ConfigurationError(f"{url!r} is not the URL of a gateway.")
        ticket = self._ticket(content)
        hasher, length = keccak.new(b""), 0
        try:
            with within(self._timeout, lambda: self._post(url, ticket)) as answer:
                self._check(url, answer)
                pieces = answer.iter_content(PIECE_BYTES)
                while piece := within(self._timeout, lambda: next(pieces, b"")):
                    length += len(piece)
                    if length > limit:
                        raise ContentTooLarge(f"What {url} gives is longer than {limit} bytes.")
                    hasher.update(piece)
                    target.write(piece)
        except TimeoutError as error:
            raise StoreTimedOut(f"The gateway {url} does not answer: it timed out.") from error
        except requests.RequestException as error:
            raise StoreUnavailable(
                f"The gateway {url} cannot be used: {type(error).__name__}."
            ) from error
        if hasher.digest() != content.content_hash:
            raise HashMismatch(
                f"What the gateway {url} gave",
                expected=content.content_hash,
                actual=hasher.digest(),
            )

    def _ticket(self, content: PublishedContent) -> dict[str, object]:
        """The JSON document that asks for content."""
        ticket = FetchTicket(
            account=self._account.address,
            owner=content.owner,
            resource=content.resource,
            content_hash=content.content_hash,
            deadline=self._chain.now() + TICKET_VALIDITY,
        )
        signature = sign_ticket(
            ticket, self._account, chain_id=self._chain.chain_id, data_share=self._data_share
        )
        return ticket.document(signature)

    def _post(self, url: str, document: dict[str, object]) -> requests.Response:
        return requests.post(
            f"{url.rstrip('/')}/content",
            json=document,
            stream=True,
            timeout=2 * self._timeout,  # ends the thread that was given up
            allow_redirects=False,
        )

    def _check(self, url: str, answer: requests.Response) -> None:
        if answer.status_code == 403:
            raise KeyNotGranted(f"The gateway {url} turned {self._account.name} away.")
        if answer.status_code == 404:
            raise ContentMissing(f"The gateway {url} does not have it.")
        if answer.status_code != 200:
            raise StoreUnavailable(f"The gateway {url} answered {answer.status_code}.")
