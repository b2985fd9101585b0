"""JSON-RPC over HTTP, as a web3 provider that takes nothing on trust.

web3's own provider hides failed attempts in a retry loop of its own, ignores ``Retry-After``,
follows redirects, and accepts an answer that carries another request's id.
"""

from __future__ import annotations

import json
import time
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any
from urllib.parse import urlsplit

import requests
from eth_typing import URI
from web3.providers.rpc import HTTPProvider
from web3.types import RPCEndpoint, RPCResponse

from modelward.json_nesting import depth

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
"""Hosts no proxy of the environment stands before."""


_MAX_NESTING = 64
"""Deeper than any answer to a method that is used."""


class BadAnswer(Exception):
    """The endpoint answered something that is not JSON-RPC, or not to this request."""


class Throttled(Exception):
    """The endpoint asks to slow down; `retry_after` is its wish in seconds, if it said one."""

    def __init__(self, retry_after: float | None) -> None:
        super().__init__("the endpoint is limiting requests")
        self.retry_after = retry_after


class HttpProvider(HTTPProvider):
    """One request, one answer to that very request, or an exception.

    Raises `requests.RequestException`, `BadAnswer` or `Throttled`. An error object of the
    endpoint is part of the answer and returned.
    """

    global_ccip_read_enabled = False

    def __init__(self, url: str, *, timeout: float) -> None:
        options: dict[str, Any] = {"timeout": timeout, "allow_redirects": False}
        host = urlsplit(url).hostname or ""
        if host in _LOOPBACK:
            options["proxies"] = {"no_proxy": host}
        super().__init__(URI(url), request_kwargs=options, exception_retry_configuration=None)

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Send one request and return the JSON-RPC answer to it."""
        request = self._request(method, params)
        answer = self._post(method, json.dumps(request).encode())
        return _answer_to(request["id"], answer)

    def make_batch_request(
        self, requests: list[tuple[RPCEndpoint, Any]]
    ) -> list[RPCResponse] | RPCResponse:
        """Send several at once and return the answers in their order, or an error to them all."""
        batch = [self._request(method, params) for method, params in requests]
        answers = self._post(requests[0][0], json.dumps(batch).encode())
        if isinstance(answers, dict) and "error" in answers:
            return answers  # type: ignore[return-value]
        if not isinstance(answers, list) or not all(isinstance(each, dict) for each in answers):
            raise BadAnswer("the answer to several requests is not JSON-RPC")
        by_identity = {str(answer.get("id")): answer for answer in answers}
        if len(answers) != len(batch) or len(by_identity) != len(batch):
            raise BadAnswer("not every request was answered once")
        return [
            _answer_to(request["id"], by_identity.get(str(request["id"]), {})) for request in batch
        ]

    def _request(self, method: RPCEndpoint, params: Any) -> dict[str, Any]:
        identity = next(self.request_counter)
        return {"jsonrpc": "2.0", "id": identity, "method": method, "params": params}

    def _post(self, method: RPCEndpoint, body: bytes) -> Any:
        try:
            raw = self._make_request(method, body)
        except requests.HTTPError as error:
            # Many nodes put a JSON-RPC error into an HTTP error; any other body says nothing.
            response = error.response
            if response.status_code in (429, 503):
                raise Throttled(_seconds(response.headers.get("Retry-After"))) from error
            try:
                return _parsed(response.content)
            except ValueError:
                raise BadAnswer(f"the answer is HTTP status {response.status_code}") from error
        try:
            return _parsed(raw)
        except ValueError as error:
            raise BadAnswer("the answer is not JSON") from error


def _answer_to(identity: int | None, answer: Any) -> RPCResponse:
    if not isinstance(answer, dict) or ("result" in answer) == bool(answer.get("error")):
        raise BadAnswer("the answer is not JSON-RPC")
    if answer.get("id") != identity and not (answer.get("id") is None and "error" in answer):
        raise BadAnswer("the answer belongs to another request")
    return answer  # type: ignore[return-value]


def _parsed(raw: bytes) -> Any:
    document = raw.decode("utf-8")
    if depth(document) > _MAX_NESTING:
        raise ValueError("it is nested too deeply")
    return json.loads(document)


def _seconds(value: str | None) -> float | None:
    """How long a ``Retry-After`` asks for, in seconds: it is a number of them, or a date."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            until = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = until.timestamp() - time.time()
    return max(0.0, seconds) if isfinite(seconds) else None
