"""A `DevChain` over HTTP, on loopback only.

The development accounts are unlocked, so whoever can send a request can spend. Three checks keep
other machines and web pages out: the address must be loopback, the Host header must name it (DNS
rebinding), and a request must be JSON by its Content-Type and come from no foreign Origin (a page
in the same browser).
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any, Final, Self, cast
from urllib.parse import urlsplit

from modelward.errors import ConfigurationError

if TYPE_CHECKING:
    from types import TracebackType

    from modelward.devchain.chain import DevChain

log = logging.getLogger(__name__)

MAX_REQUEST_BYTES: Final = 8 * 1024 * 1024
LAST_ANSWER_SECONDS: Final = 5
LINGER_SECONDS: Final = 1
LINGER_READS: Final = 256
IDLE_SECONDS: Final = 300
"""How long a connection may stay silent before it is closed."""


class Server:
    """A running server; close it with `stop` or by leaving its `with` block."""

    def __init__(self, chain: DevChain, address: tuple[str, int], block_time: float) -> None:
        self.chain = chain
        self._http = _Http(address, chain)
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._http.serve_forever, args=(0.05,))]
        if block_time > 0:
            self._threads.append(threading.Thread(target=self._tick, args=(block_time,)))
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    @property
    def port(self) -> int:
        """The port listened on."""
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        """Where to send requests."""
        host = str(self._http.server_address[0])
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def stop(self) -> None:
        """Finish the request at hand, close every connection and give the port back."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._http.shutdown()
        self._http.close_connections()
        self._http.server_close()
        for thread in self._threads:
            thread.join()

    def _tick(self, block_time: float) -> None:
        due = time.monotonic() + block_time
        while not self._stopping.wait(max(due - time.monotonic(), 0)):
            self.chain.mine()
            due = max(due + block_time, time.monotonic())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def serve(chain: DevChain, host: str = "127.0.0.1", port: int = 0, block_time: float = 0) -> Server:
    """Serve a chain over HTTP until `Server.stop`.

    Args:
        chain: what answers.
        host: a loopback address, or a name that stands for one.
        port: 0 takes a free one.
        block_time: seconds between blocks mined whether or not there are transactions; with 0 only
            transactions make blocks. Transactions never wait for it.

    Raises:
        ConfigurationError: the address is not loopback, or the port cannot be had.
    """
    address = _loopback(host)
    if not 0 <= port <= 65535:
        raise ConfigurationError(f"{port} is not a port number.")
    try:
        return Server(chain, (address, port), block_time)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot listen on {address}:{port}: {error.strerror or error}.",
            hint="Something else may be using the port; choose another with --port.",
        ) from error


def _loopback(host: str) -> str:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigurationError(f"{host!r} is not an address of this machine.") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not all(ipaddress.ip_address(address).is_loopback for address in addresses):
        raise ConfigurationError(
            f"The development chain refuses to listen on {host}: its accounts are unlocked and "
            "their keys public.",
            hint="Use 127.0.0.1, and a tunnel if another machine must reach it.",
        )
    return addresses[0]


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], chain: DevChain) -> None:
        self.chain = chain
        self._open: set[socket.socket] = set()
        self._guard = threading.Condition()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without looking the host's name up, as `HTTPServer` does."""
        TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, then serve it in a thread."""
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection and close it."""
        with self._guard:
            self._open.discard(request)
            self._guard.notify_all()
        super().shutdown_request(request)

    def close_connections(self) -> None:
        """Let every connection answer the request it has, and no other."""
        with self._guard:
            for connection in self._open:
                with suppress(OSError):  # the client may have closed it
                    connection.shutdown(socket.SHUT_RD)
            self._guard.wait_for(lambda: not self._open, LAST_ANSWER_SECONDS)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Log what a connection died of; the server goes on."""
        log.debug("connection of %s failed", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = IDLE_SECONDS
    server_version = "modelward"
    sys_version = ""

    def do_POST(self) -> None:
        """Answer a JSON-RPC request or batch."""
        refusal = self._refusal()
        if refusal is not None:
            self._refuse(*refusal)
            return
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = cast("_Http", self.server).chain.handle(body)
        self.send_response(HTTPStatus.OK if answer else HTTPStatus.NO_CONTENT)
        if answer:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_GET(self) -> None:
        """Refuse: JSON-RPC is posted."""
        self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "send JSON-RPC requests with POST")

    def _refusal(self) -> tuple[HTTPStatus, str] | None:
        if not _is_local(self.headers.get("Host", "")):
            return HTTPStatus.FORBIDDEN, "the Host header does not name this machine"
        origin = self.headers.get("Origin")
        if origin is not None and not _is_local(urlsplit(origin).netloc):
            return HTTPStatus.FORBIDDEN, "requests from web pages elsewhere are refused"
        if self.headers.get_content_type() != "application/json":
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json"
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            return HTTPStatus.LENGTH_REQUIRED, "Content-Length is needed"
        if int(length) > MAX_REQUEST_BYTES:
            return (
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"a request may have at most {MAX_REQUEST_BYTES} bytes",
            )
        return None

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        body = f"{reason}\n".encode()
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        self._linger()

    def _linger(self) -> None:
        """Read what a refused client still sends: closing at once could cost it the answer."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(LINGER_SECONDS)
            for _ in range(LINGER_READS):
                if not self.connection.recv(65_536):
                    break

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log requests at debug level."""
        log.debug(format, *args)


def _is_local(netloc: str) -> bool:
    """Tell whether `host` or `host:port` names this machine by a loopback address."""
    try:
        host = urlsplit(f"//{netloc}").hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
