"""The gateway's one endpoint: `POST /content` with a signed ticket gives ciphertext."""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from modelward.chain.encoding import to_address
from modelward.chain.events import DataPublished, VersionPublished
from modelward.content.store import PIECE_BYTES
from modelward.errors import BadInput, ContentTooLarge, ContractRefused, HashMismatch, Unavailable
from modelward.gateway.allowance import Allowance
from modelward.sdk.connection import Connection
from modelward.sdk.fetch_ticket import FetchTicket, is_signed
from modelward.terms import ZERO_HASH, Access, ModelId, Right

MAX_BODY_BYTES = 4096
LONGEST_TICKET = 600
"""Seconds a ticket may be valid from now at most."""

_log = logging.getLogger(__name__)


class _Turned(Exception):
    """A request turned away, with its HTTP status."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


def make_gateway(
    connection: Connection,
    *,
    per_minute: float = 60,
    burst: int = 20,
    max_bytes: int = 1 << 30,
) -> Starlette:
    """The gateway to a connection's store, as an ASGI application.

    `per_minute` and `burst` hold for each address that asks and for each account; nothing larger
    than `max_bytes` is handed out.
    """
    gateway = _Gateway(connection, Allowance(per_minute, burst), max_bytes)
    return Starlette(routes=[Route("/content", gateway.content, methods=["POST"])])


class _Gateway:
    def __init__(self, connection: Connection, allowance: Allowance, max_bytes: int) -> None:
        self._connection = connection
        self._allowance = allowance
        self._max_bytes = max_bytes

    async def content(self, request: Request) -> Response:
        caller = request.client.host if request.client else "unknown"
        try:
            if not self._allowance.take(caller):
                raise _Turned(429, "Too many requests.")
            ticket, signature = _read(await _body(request))
            file = await run_in_threadpool(self._fetched, ticket, signature)
        except _Turned as turned:
            return JSONResponse({"error": turned.words}, turned.status)
        except ClientDisconnect:
            return Response(status_code=400)
        except Unavailable as error:
            _log.warning("%s", error.message)
            return JSONResponse({"error": "Chain or store cannot be reached."}, 503)
        return StreamingResponse(_pieces(file), media_type="application/octet-stream")

    def _fetched(self, ticket: FetchTicket, signature: bytes) -> BinaryIO:
        """The content in a temporary file, its hash checked, for a ticket that holds."""
        connection = self._connection
        now = connection.now()
        if not now <= ticket.deadline <= max(now, int(time.time())) + LONGEST_TICKET:
            raise _Turned(403, "The ticket has expired, or is valid for too long.")
        share = connection.data_share
        if not is_signed(connection.chain, ticket, signature, data_share=share.address):
            raise _Turned(403, "The ticket is not signed by its account.")
        if not self._allowance.take(ticket.account):
            raise _Turned(429, "Too many requests.")
        if not any(
            share.access_of(ticket.owner, ticket.account, ticket.resource, right) is Access.GRANTED
            for right in (Right.READ, Right.SERVE)
        ):
            raise _Turned(403, "No live grant covers it.")
        if not self._belongs(ticket):
            raise _Turned(404, "The owner published no such content under this resource.")
        file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            connection.store.get_file(ticket.content_hash, file, limit=self._max_bytes)
        except ContentTooLarge as error:
            file.close()
            raise _Turned(413, "It is larger than this gateway hands out.") from error
        except HashMismatch as error:
            file.close()
            _log.error("%s", error.message)
            raise _Turned(502, "The store does not have the right bytes.") from error
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return file

    def _belongs(self, ticket: FetchTicket) -> bool:
        """Whether the content is what the owner published: data as it stands, or any version."""
        connection = self._connection
        padded = bytes(12) + bytes.fromhex(ticket.owner[2:])
        published = [
            event.content_hash
            for event in connection.events(DataPublished, about=[padded])
            if event.data_key == ticket.resource
        ]
        if published:
            return published[-1] == ticket.content_hash
        if not self._owns(ticket):
            return False
        return any(
            event.version.content_hash == ticket.content_hash
            for event in connection.events(VersionPublished, about=[ticket.resource])
        )

    def _owns(self, ticket: FetchTicket) -> bool:
        try:
            model = self._connection.registry.model_of(ModelId(ticket.resource))
        except ContractRefused:
            return False
        return model.owner == ticket.owner


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise _Turned(413, "The request is too long.")
    return body


def _read(body: bytes) -> tuple[FetchTicket, bytes]:
    try:
        document: dict[str, Any] = json.loads(body)
        deadline = document["deadline"]
        ticket = FetchTicket(
            account=to_address(document["account"]),
            owner=to_address(document["owner"]),
            resource=_hash(document["resource"]),
            content_hash=_hash(document["content_hash"]),
            deadline=deadline,
        )
        signature = bytes.fromhex(document["signature"].removeprefix("0x"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, BadInput) as error:
        raise _Turned(400, "This is not a ticket.") from error
    if type(deadline) is not int or not 0 <= deadline < 2**64 or ticket.resource == ZERO_HASH:
        raise _Turned(400, "This is not a ticket.")
    return ticket, signature


def _hash(text: str) -> bytes:
    value = bytes.fromhex(text.removeprefix("0x"))
    if len(value) != 32:
        raise ValueError("not a hash")
    return value


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE_BYTES):
            yield piece
