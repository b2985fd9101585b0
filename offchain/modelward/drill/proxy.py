"""A JSON-RPC endpoint on loopback that stands before a node and fails as planned."""

from __future__ import annotations

import json
import logging
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from types import TracebackType
from typing import Any, Final, Self, cast
from urllib.parse import urlsplit

from eth_utils.crypto import keccak

from modelward.chain.encoding import quantity
from modelward.drill.faults import Fault, FaultPlan

_UPSTREAM_SECONDS: Final = 60.0
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER: on, and no time to linger, so that closing resets the connection."""

_ERRORS: Final = {
    Fault.RATE_LIMITED: (-32005, "too many requests per second"),
    Fault.UNDERPRICED: (-32000, "replacement transaction underpriced"),
}

log = logging.getLogger(__name__)


class Stage(StrEnum):
    """Where a call is: on its way to the node, or back."""

    ASKED = "asked"
    ANSWERED = "answered"


Witness = Callable[[str, Stage], bool]
"""Told of every call's method and stage; if it returns True, the call goes no further."""


def _see_nothing(_method: str, _stage: Stage) -> bool:
    return False


class Proxy:
    """A running proxy; stop it with `stop` or by leaving its `with` block.

    Args:
        node_url: the node's address, ``http://host:port``.
        plan: which call meets which fault.
        hang_seconds: how long `Fault.HANG` is silent, unless the client gives up before.
        delay_seconds: how long `Fault.DELAY` takes.
        retry_after: what `Fault.THROTTLED` asks for, in whole seconds.
        lag: how many blocks behind `Fault.LAGGING` is.

    `witness` sees every call that no fault befalls, and can end it.
    """

    def __init__(
        self,
        node_url: str,
        plan: FaultPlan | None = None,
        *,
        hang_seconds: float = 30.0,
        delay_seconds: float = 0.3,
        retry_after: int = 1,
        lag: int = 2,
    ) -> None:
        self.plan = plan or FaultPlan()
        self.node_url = node_url
        self.hang_seconds = hang_seconds
        self.delay_seconds = delay_seconds
        self.retry_after = retry_after
        self.lag = lag
        self.witness: Witness = _see_nothing
        self.stopping = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.daemon = True
        self._thread.start()

    @property
    def url(self) -> str:
        """Where to send requests."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def stop(self) -> None:
        """Give the port back; clients that hang are let go."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        log.debug("a connection failed", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self) -> None:
        super().setup()
        self.proxy = cast("_Server", self.server).proxy
        node = urlsplit(self.proxy.node_url)
        self._node = HTTPConnection(node.hostname or "", node.port, timeout=_UPSTREAM_SECONDS)

    def finish(self) -> None:
        self._node.close()
        with suppress(OSError):
            super().finish()

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if isinstance(request, list):
            self._forward_batch(request)
            return
        method = request["method"]
        if self.proxy.witness(method, Stage.ASKED):
            self.reset(request)
            return
        fault = self.proxy.plan.next(method)
        way = _WAYS.get(fault) if fault is not None else None
        if way is not None:
            way(self, request)
        elif fault in _ERRORS:
            code, message = _ERRORS[fault]
            self._answer(request, error={"code": code, "message": message})
        elif fault is Fault.LAGGING:
            self._say(self._ask_lagging(request))
        else:
            answer = self._ask(request)
            if self.proxy.witness(method, Stage.ANSWERED):
                self.reset(request)
                return
            if fault is not None and "result" in answer:
                answer["result"] = self._falsified(fault, answer["result"], request)
            self._say(answer)

    def _forward_batch(self, requests: list[Any]) -> None:
        """A batch is one call, and what befalls it befalls all of it."""
        fault = self.proxy.plan.next(requests[0]["method"] if requests else "")
        way = _WAYS.get(fault) if fault is not None else None
        if way is not None:
            way(self, requests)
        else:
            self._say(self._ask(requests))

    # --- ways to fail ----------------------------------------------------------------------------

    def refuse_for_now(self, _: Any) -> None:
        self._send(503, b"no server is available", "text/plain")

    def throttle(self, _: Any) -> None:
        self._send(429, b"", "text/plain", {"Retry-After": str(self.proxy.retry_after)})

    def reset(self, _: Any) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.close_connection = True
        self.connection.close()

    def hang(self, _: Any) -> None:
        self.close_connection = True
        self.connection.settimeout(0.1)
        for _ in range(int(self.proxy.hang_seconds * 10)):
            with suppress(TimeoutError):
                if not self.connection.recv(1):
                    return
            if self.proxy.stopping.is_set():
                return

    def say_html(self, _: Any) -> None:
        self._send(200, b"<html><body><h1>Bad gateway</h1></body></html>", "text/html")

    def truncate(self, request: Any) -> None:
        body = json.dumps(self._ask(request)).encode()
        self._send(200, body[: len(body) // 2], "application/json")

    def answer_another(self, request: Any) -> None:
        """The right answer, under the id of another request."""
        answer = self._ask(request)
        for each in answer if isinstance(answer, list) else [answer]:
            each["id"] = f"{each.get('id')}-another"
        self._say(answer)

    def say_null(self, request: Any) -> None:
        if isinstance(request, list):
            self._say([{"jsonrpc": "2.0", "id": each["id"], "result": None} for each in request])
        else:
            self._answer(request, result=None)

    def lose_the_reply(self, request: Any) -> None:
        self._ask(request)
        self.reset(request)

    def delay(self, request: Any) -> None:
        self.proxy.stopping.wait(self.proxy.delay_seconds)
        self._say(self._ask(request))

    def swallow(self, request: Any) -> None:
        raw = bytes.fromhex(request["params"][0][2:])
        self._answer(request, result=f"0x{keccak(raw).hex()}")

    # --- ways to lie -----------------------------------------------------------------------------

    def _falsified(self, fault: Fault, result: Any, request: Any) -> Any:
        if not isinstance(result, list):
            return result
        random = Random(f"{self.proxy.plan.seed} {json.dumps(request['params'])}")  # noqa: S311
        match fault:
            case Fault.EMPTY_LOGS:
                return []
            case Fault.DUPLICATED_LOGS:
                return [each for each in result for _ in range(random.randint(1, 3))]
            case Fault.REORDERED_LOGS:
                return random.sample(result, len(result))
            case Fault.REMOVED_LOGS:
                gone = [
                    entry | {"removed": True, "blockHash": f"0x{random.randbytes(32).hex()}"}
                    for entry in result
                ]
                return gone + result
        return result

    def _ask_lagging(self, request: Any) -> Any:
        """What a node says that has not seen the newest blocks."""
        newest = max(0, quantity(self._result("eth_blockNumber")) - self.proxy.lag)
        method, params = request["method"], list(request["params"])
        params = [hex(newest) if value in ("latest", "pending") else value for value in params]
        if method == "eth_blockNumber":
            return {"jsonrpc": "2.0", "id": request["id"], "result": hex(newest)}
        if method == "eth_getLogs" and "toBlock" in params[0]:
            query = params[0]
            if query["toBlock"] == "latest" or quantity(query["toBlock"]) > newest:
                params[0] = query | {"toBlock": hex(newest)}
            if quantity(query["fromBlock"]) > newest:
                return {"jsonrpc": "2.0", "id": request["id"], "result": []}
        if method == "eth_getLogs" and self._is_after(newest, params[0].get("blockHash")):
            error = {"code": -32000, "message": "unknown block"}
            return {"jsonrpc": "2.0", "id": request["id"], "error": error}
        answer = self._ask(request | {"params": params})
        found = answer.get("result")
        if isinstance(found, dict):
            number = found.get("number", found.get("blockNumber"))
            if number is not None and quantity(number) > newest:
                answer["result"] = None
        return answer

    def _is_after(self, newest: int, block_hash: str | None) -> bool:
        if block_hash is None:
            return False
        block = self._result("eth_getBlockByHash", block_hash, False)
        return block is None or quantity(block["number"]) > newest

    # --- the node, and the client ----------------------------------------------------------------

    def _ask(self, request: Any) -> Any:
        body = json.dumps(request).encode()
        for attempt in (1, 2):  # the node may have closed a connection that was idle
            try:
                self._node.request("POST", "/", body, {"Content-Type": "application/json"})
                return json.loads(self._node.getresponse().read())
            except (HTTPException, OSError):
                self._node.close()
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def _result(self, method: str, *params: Any) -> Any:
        request = {"jsonrpc": "2.0", "id": 0, "method": method, "params": params}
        return self._ask(request)["result"]

    def _answer(self, request: Any, **outcome: Any) -> None:
        self._say({"jsonrpc": "2.0", "id": request["id"]} | outcome)

    def _say(self, answer: Any) -> None:
        self._send(200, json.dumps(answer).encode(), "application/json")

    def _send(
        self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        log.debug(format, *args)


_WAYS: Final[dict[Fault, Callable[[_Handler, Any], None]]] = {
    Fault.UNAVAILABLE: _Handler.refuse_for_now,
    Fault.THROTTLED: _Handler.throttle,
    Fault.RESET: _Handler.reset,
    Fault.HANG: _Handler.hang,
    Fault.HTML: _Handler.say_html,
    Fault.TRUNCATED: _Handler.truncate,
    Fault.WRONG_ID: _Handler.answer_another,
    Fault.NULL: _Handler.say_null,
    Fault.LOST_REPLY: _Handler.lose_the_reply,
    Fault.DELAY: _Handler.delay,
    Fault.SWALLOWED: _Handler.swallow,
}
