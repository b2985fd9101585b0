"""A JSON-RPC endpoint on loopback that stands before a node and fails as planned."""

from __future__ import annotations

import json
import logging
import socket
import struct
import threading
from collections.abc import Callable, Iterator
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

log = logging.getLogger(__name__)


class Stage(StrEnum):
    """Where a call is: on its way to the node, or back."""

    ASKED = "asked"
    ANSWERED = "answered"


Witness = Callable[[str, Stage, int | None], bool]
"""Told of every call's method, its stage, and how many of its batch are before it, None for a call
that is alone; if it returns True, the call goes no further, nor do those behind it."""


def see_nothing(_method: str, _stage: Stage, _before: int | None) -> bool:
    """The witness who lets everything pass."""
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

    Each call of a batch meets a fault of its own. One that breaks the exchange finds the calls
    before it done, and those behind it not.

    `witness` sees every call on its way to the node, and back unless the exchange broke, and can
    end it.
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
        self.witness: Witness = see_nothing
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
        batched = isinstance(request, list)
        calls: list[Any] = request if batched else [request]
        faults, broken = self._what_befalls(calls, batched)
        replies = self._replies(calls[: len(faults)], faults)
        answer = replies if batched else next(iter(replies), None)
        if broken is not None:
            _BREAKS[broken](self, answer)
        elif any(self._sees(Stage.ANSWERED, calls, batched)):
            self.reset(answer)
        else:
            self._say(answer)

    def _what_befalls(
        self, calls: list[Any], batched: bool
    ) -> tuple[list[Fault | None], Fault | None]:
        """What each call meets, up to the first that breaks the exchange; and how that breaks."""
        faults: list[Fault | None] = []
        for call, ended in zip(calls, self._sees(Stage.ASKED, calls, batched), strict=True):
            if ended:
                return faults, Fault.RESET
            fault = self.proxy.plan.next(call["method"], batched=batched)
            if fault in _BREAKS:
                return [*faults, None] if fault in _DONE_FIRST else faults, fault
            faults.append(fault)
        return faults, None

    def _sees(self, stage: Stage, calls: list[Any], batched: bool) -> Iterator[bool]:
        for number, call in enumerate(calls):
            yield self.proxy.witness(call["method"], stage, number if batched else None)

    def _replies(self, calls: list[Any], faults: list[Fault | None]) -> list[Any]:
        """What is said to each call; those that go on as they are reach the node together."""
        if Fault.DELAY in faults:
            self.proxy.stopping.wait(self.proxy.delay_seconds)
        pairs = list(zip(calls, faults, strict=True))
        asked = [call for call, fault in pairs if fault not in _MADE_UP]
        given = iter(self._ask_each(asked))
        replies = []
        for call, fault in pairs:
            if fault in _MADE_UP:
                replies.append(_reply(call, **_MADE_UP[fault](self, call)))
                continue
            reply = next(given)
            if fault is Fault.WRONG_ID:
                reply["id"] = f"{reply['id']}-another"
            elif fault is not None and "result" in reply:
                reply["result"] = self._falsified(fault, reply["result"], call)
            if fault is not Fault.LEFT_OUT:
                replies.append(reply)
        return replies[::-1] if Fault.DISORDERED in faults else replies

    # --- ways to break an exchange ---------------------------------------------------------------

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

    def truncate(self, answer: Any) -> None:
        body = json.dumps(answer).encode()
        self._send(200, body[: len(body) // 2], "application/json")

    # --- ways to answer without the node ---------------------------------------------------------

    def say_null(self, _: Any) -> dict[str, Any]:
        return {"result": None}

    def limit(self, _: Any) -> dict[str, Any]:
        return _error(-32005, "too many requests per second")

    def find_underpriced(self, _: Any) -> dict[str, Any]:
        return _error(-32000, "replacement transaction underpriced")

    def swallow(self, call: Any) -> dict[str, Any]:
        return {"result": f"0x{keccak(bytes.fromhex(call['params'][0][2:])).hex()}"}

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

    def lag(self, request: Any) -> dict[str, Any]:
        """What a node says that has not seen the newest blocks."""
        newest = max(0, quantity(self._result("eth_blockNumber")) - self.proxy.lag)
        method, params = request["method"], list(request["params"])
        params = [hex(newest) if value in ("latest", "pending") else value for value in params]
        if method == "eth_blockNumber":
            return {"result": hex(newest)}
        if method == "eth_getLogs" and "toBlock" in params[0]:
            query = params[0]
            if query["toBlock"] == "latest" or quantity(query["toBlock"]) > newest:
                params[0] = query | {"toBlock": hex(newest)}
            if quantity(query["fromBlock"]) > newest:
                return {"result": []}
        if method == "eth_getLogs" and self._is_after(newest, params[0].get("blockHash")):
            return _error(-32000, "unknown block")
        answer: dict[str, Any] = self._ask(request | {"params": params})
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

    def _ask_each(self, calls: list[Any]) -> list[Any]:
        if len(calls) < 2:
            return [self._ask(call) for call in calls]
        replies = {reply["id"]: reply for reply in self._ask(calls)}
        return [replies[call["id"]] for call in calls]

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


def _reply(call: Any, **outcome: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": call["id"]} | outcome


def _error(code: int, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


_BREAKS: Final[dict[Fault | None, Callable[[_Handler, Any], None]]] = {
    Fault.UNAVAILABLE: _Handler.refuse_for_now,
    Fault.THROTTLED: _Handler.throttle,
    Fault.RESET: _Handler.reset,
    Fault.HANG: _Handler.hang,
    Fault.HTML: _Handler.say_html,
    Fault.TRUNCATED: _Handler.truncate,
    Fault.LOST_REPLY: _Handler.reset,
}
_DONE_FIRST: Final = frozenset({Fault.TRUNCATED, Fault.LOST_REPLY})
"""Those that break the exchange after the call was done."""

_MADE_UP: Final[dict[Fault | None, Callable[[_Handler, Any], dict[str, Any]]]] = {
    Fault.NULL: _Handler.say_null,
    Fault.RATE_LIMITED: _Handler.limit,
    Fault.UNDERPRICED: _Handler.find_underpriced,
    Fault.SWALLOWED: _Handler.swallow,
    Fault.LAGGING: _Handler.lag,
}
