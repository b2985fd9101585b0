"""Fetching stored content through a gateway, with a ticket the account signs."""

from __future__ import annotations

from typing import BinaryIO
from urllib.parse import urlsplit

import requests
from eth_hash.auto import keccak

from modelward.errors import (
    ConfigurationError,
    ContentTooLarge,
    HashMismatch,
    KeyNotGranted,
    StoreUnavailable,
)
from modelward.sdk.connection import Connection
from modelward.sdk.fetch_ticket import FetchTicket, sign_ticket
from modelward.terms import Address

_VALID = 120
_TIMEOUT = 30
_PIECE = 1 << 20


def fetch_through(
    connection: Connection,
    url: str,
    owner: Address,
    resource: bytes,
    content_hash: bytes,
    target: BinaryIO,
    *,
    limit: int,
) -> None:
    """Write the content with this hash to `target`, as the gateway at `url` gives it.

    Discard `target` on an error. Raises `KeyNotGranted` when the gateway turns the account away,
    `StoreUnavailable`, `HashMismatch` or `ContentTooLarge`.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise ConfigurationError(f"{url!r} is not the URL of a gateway.")
    account, share = connection.sender.account, connection.data_share.address
    ticket = FetchTicket(
        connection.address, owner, resource, content_hash, connection.now() + _VALID
    )
    signature = sign_ticket(ticket, account, chain_id=connection.chain.chain_id, data_share=share)
    document = {
        "account": ticket.account,
        "owner": ticket.owner,
        "resource": f"0x{resource.hex()}",
        "content_hash": f"0x{content_hash.hex()}",
        "deadline": ticket.deadline,
        "signature": f"0x{signature.hex()}",
    }
    hasher, length = keccak.new(b""), 0
    try:
        with requests.post(
            f"{url.rstrip('/')}/content",
            json=document,
            stream=True,
            timeout=_TIMEOUT,
            allow_redirects=False,
        ) as answer:
            if answer.status_code == 403:
                raise KeyNotGranted(f"The gateway {url} turned {account.name} away.")
            if answer.status_code != 200:
                raise StoreUnavailable(f"The gateway {url} answered {answer.status_code}.")
            for piece in answer.iter_content(_PIECE):
                length += len(piece)
                if length > limit:
                    raise ContentTooLarge(f"What {url} gives is longer than {limit} bytes.")
                hasher.update(piece)
                target.write(piece)
    except requests.RequestException as error:
        raise StoreUnavailable(
            f"The gateway {url} cannot be used: {type(error).__name__}."
        ) from error
    if hasher.digest() != content_hash:
        raise HashMismatch(
            f"What the gateway {url} gave", expected=content_hash, actual=hasher.digest()
        )
