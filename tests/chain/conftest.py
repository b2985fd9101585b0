"""A chain behind an endpoint that misbehaves on demand."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from modelward.chain import connection
from modelward.chain.connection import Chain
from modelward.config import Network
from modelward.devchain import DevChain
from modelward.terms import GWEI, ModelTerms

TIMEOUT = 0.3


class Endpoint:
    """Serves a chain over HTTP; `faults` are answered first, one a request, in their order.

    A fault is an HTTP status, raw bytes, a JSON-RPC error object, an HTTP status with one, a result
    in place of the true one, or one of "hang", "reset", "another id" and "lost" (the request is
    carried out, and its answer lost).
    """

    def __init__(self, devchain: DevChain) -> None:
        self.devchain = devchain
        self.faults: list[Any] = []
        self.requests: list[dict[str, Any]] = []
        self.headers: dict[str, str] = {}
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.requests.append(json.loads(body))
                endpoint.answer(self, body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def methods(self) -> list[str]:
        return [request["method"] for request in self.requests]

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        fault = self.faults.pop(0) if self.faults else None
        status, answer = 200, b""
        match fault:
            case "hang":
                time.sleep(2 * TIMEOUT)
                return
            case "reset":
                handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0" * 2)
                handler.connection.close()
                return
            case "lost":
                self.devchain.handle(body)
                status = 502
            case "another id":
                answer = self.devchain.handle(json.dumps({**json.loads(body), "id": 999}).encode())
            case int():
                status, answer = fault, b"<html>sorry</html>"
            case bytes():
                answer = fault
            case {"result": result}:
                answer = self.said(body, result=result)
            case {"code": _}:
                answer = self.said(body, error=fault)
            case (int(), dict()):
                status, answer = fault[0], self.said(body, error=fault[1])
            case None:
                answer = self.devchain.handle(body)
        handler.send_response(status)
        for name, value in self.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(answer)))
        handler.end_headers()
        handler.wfile.write(answer)

    def said(self, request: bytes, **outcome: Any) -> bytes:
        answer = {"jsonrpc": "2.0", "id": json.loads(request)["id"], **outcome}
        return json.dumps(answer).encode()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def endpoint(devchain: DevChain) -> Iterator[Endpoint]:
    """The chain with the contracts, over HTTP."""
    endpoint = Endpoint(devchain)
    yield endpoint
    endpoint.close()


@pytest.fixture
def network(endpoint: Endpoint) -> Network:
    """How to reach `endpoint`."""
    return Network(
        name="faulty",
        url=endpoint.url,
        chain_id=31337,
        timeout=TIMEOUT,
        poll_interval=0.01,
        development_accounts=True,
    )


@pytest.fixture
def remote(network: Network, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Chain:
    """The chain reached through `endpoint`; pauses between attempts are short."""
    monkeypatch.setattr(connection, "_FIRST_PAUSE", 0.01)
    chain = Chain.connect(network)
    endpoint.requests.clear()
    return chain


@pytest.fixture
def configured() -> Callable[..., Chain]:
    """`configured(chain, confirmations=3)`: the same chain under a network configured otherwise."""

    def configured_otherwise(chain: Chain, **changes: Any) -> Chain:
        return Chain(replace(chain.network, **changes), chain.provider)

    return configured_otherwise


@pytest.fixture
def model_terms() -> ModelTerms:
    """Terms any model may have."""
    return ModelTerms(fee=5 * GWEI)
