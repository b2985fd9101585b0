"""Stores that do not answer: given up after a bounded time, under an error of their own."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fsspec.config
import pytest
from eth_utils.crypto import keccak

from modelward.content.references import fetch
from modelward.content.store import ContentStore
from modelward.errors import ContentMissing, StoreTimedOut

TIMEOUT = 0.4
BOUND = 20.0  # seconds: a busy machine takes a few
DIGEST = keccak(b"content")


class SlowServer:
    """Accepts every connection on loopback and says `answer`, a byte at a time, then no more."""

    def __init__(self, answer: bytes = b"", pause: float = 0.0) -> None:
        self._answer = answer
        self._pause = pause
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._taken: list[socket.socket] = []
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for each in (self._listener, *self._taken):
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._taken.append(connection)
            threading.Thread(target=self._say, args=(connection,), daemon=True).start()

    def _say(self, connection: socket.socket) -> None:
        try:
            for byte in self._answer:
                connection.sendall(bytes([byte]))
                time.sleep(self._pause)
        except OSError:
            return


@pytest.fixture
def slow_server() -> Iterator[Callable[..., SlowServer]]:
    running: list[SlowServer] = []

    def start(*arguments, **options):
        running.append(SlowServer(*arguments, **options))
        return running[-1]

    yield start
    for server in running:
        server.close()


@pytest.fixture
def on_s3(monkeypatch) -> Callable[..., ContentStore]:
    """A store in a bucket of the S3 server on a port of this machine."""

    def on_s3(port, timeout=TIMEOUT):
        endpoint = {"endpoint_url": f"http://127.0.0.1:{port}", "key": "tester", "secret": "tester"}
        monkeypatch.setitem(fsspec.config.conf, "s3", endpoint)
        return ContentStore("s3://bundles/prefix", timeout=timeout)

    return on_s3


@pytest.fixture
def silent(slow_server, on_s3) -> Callable[[str], ContentStore]:
    """A store of a kind, on a server that never says a word."""
    port = slow_server().port

    def silent(kind):
        if kind == "s3":
            return on_s3(port)
        return ContentStore(f"http://127.0.0.1:{port}/content", timeout=TIMEOUT)

    return silent


@pytest.mark.parametrize("kind", ["http", "s3"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda store, _: store.get(DIGEST),
        lambda store, _: store.get_file(DIGEST, io.BytesIO(), limit=100),
        lambda store, _: store.has(DIGEST),
        lambda store, _: store.put(b"content"),
        lambda store, file: store.put_file(file),
    ],
    ids=["get", "get_file", "has", "put", "put_file"],
)
def test_a_store_that_never_answers_is_given_up_and_named(silent, tmp_path, kind, ask):
    store = silent(kind)
    (tmp_path / "file").write_bytes(b"content")
    started = time.monotonic()
    with pytest.raises(StoreTimedOut, match=f"{store.url} cannot be read: it timed out"):
        ask(store, tmp_path / "file")
    assert time.monotonic() - started < BOUND


def test_a_store_that_answers_a_byte_at_a_time_is_given_up(slow_server):
    content = b"x" * 1000
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nAccept-Ranges: none\r\n\r\n"
    server = slow_server(head + content, pause=0.01)
    store = ContentStore(f"http://127.0.0.1:{server.port}/content", timeout=TIMEOUT)
    started = time.monotonic()
    with pytest.raises(StoreTimedOut):
        store.get(keccak(content))
    assert time.monotonic() - started < BOUND


class EmptyBucket(BaseHTTPRequestHandler):
    """A bucket that has nothing, and takes what it is given without ever saying so."""

    def do_HEAD(self):
        self.send_response(404 if self.path.count("/") > 1 else 200)
        self.end_headers()

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<ListBucketResult><Name>bundles</Name></ListBucketResult>")

    def do_PUT(self):
        time.sleep(20 * TIMEOUT)

    def log_message(self, *_):
        pass


@pytest.fixture
def stuck(on_s3) -> Iterator[ContentStore]:
    """A store on a server that answers whoever reads, and nobody who writes."""
    with ThreadingHTTPServer(("127.0.0.1", 0), EmptyBucket) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        store = on_s3(server.server_port, timeout=30)
        with pytest.raises(ContentMissing):
            store.get(DIGEST)  # loads what takes long
        store._timeout = 5 * TIMEOUT
        yield store
        server.shutdown()


def test_a_write_that_hangs_is_given_up(stuck):
    with pytest.raises(StoreTimedOut, match="cannot be written: it timed out"):
        stuck.put(b"content")


def test_what_another_store_has_is_not_lost_with_it(silent, tmp_path):
    with_it = ContentStore(f"file://{tmp_path}")
    with_it.put(b"content")
    assert fetch(DIGEST, with_it.url, silent("http"), limit=100) == b"content"


def test_that_one_hangs_is_said_before_that_another_has_nothing(silent, tmp_path):
    empty = ContentStore(f"file://{tmp_path}")
    with pytest.raises(StoreTimedOut):
        fetch(DIGEST, empty.url, silent("http"), limit=100)
