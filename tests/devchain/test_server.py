"""The chain over HTTP: only this machine's programs get in, and nothing is left behind."""

import http.client
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from modelward.devchain import DevChain, serve
from modelward.devchain.server import MAX_REQUEST_BYTES
from modelward.errors import ConfigurationError

REQUEST = b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}'
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server():
    with serve(DevChain()) as running:
        yield running


@pytest.fixture
def connection(server):
    open_connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    yield open_connection
    open_connection.close()


def post(connection, body=REQUEST, headers=JSON, method="POST"):
    connection.request(method, "/", body, headers)
    response = connection.getresponse()
    return response.status, response.read()


def test_a_request_is_answered(connection):
    status, body = post(connection)
    assert status == 200
    assert json.loads(body) == {"jsonrpc": "2.0", "id": 1, "result": "0x7a69"}


def test_a_batch_is_answered(connection):
    status, body = post(connection, b"[" + b",".join([REQUEST] * 3) + b"]")
    assert status == 200
    assert len(json.loads(body)) == 3


def test_a_notification_is_answered_without_content(connection):
    assert post(connection, b'{"jsonrpc":"2.0","method":"evm_mine"}') == (204, b"")
    assert post(connection)[0] == 200


def test_what_is_no_json_is_a_json_rpc_error(connection):
    status, body = post(connection, b"{")
    assert status == 200
    assert json.loads(body)["error"]["code"] == -32700


def test_a_connection_is_kept_and_answers_at_once(connection):
    post(connection)
    kept = connection.sock
    started = time.monotonic()
    for _ in range(50):
        post(connection)
    assert connection.sock is kept
    assert (time.monotonic() - started) / 50 < 0.02, "Nagle's algorithm would cost 40 ms a call"


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS", "DELETE", "HEAD"])
def test_only_post_is_served(connection, method):
    status, _ = post(connection, method=method)
    assert status in (405, 501)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8545", "localhost", "localhost:1", "[::1]:8545", "LOCALHOST"]
)
def test_a_host_header_that_names_this_machine_is_let_in(connection, host):
    assert post(connection, headers={**JSON, "Host": host})[0] == 200


@pytest.mark.parametrize(
    "host",
    ["", "example.org", "127.0.0.1.example.org:8545", "10.0.0.1", "localhost.evil", "[", "::"],
)
def test_any_other_host_header_is_refused(connection, host):
    """A page whose name was rebound to 127.0.0.1 still sends its own name."""
    assert post(connection, headers={**JSON, "Host": host})[0] == 403


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1", "https://[::1]"])
def test_a_local_origin_is_let_in(connection, origin):
    assert post(connection, headers={**JSON, "Origin": origin})[0] == 200


@pytest.mark.parametrize("origin", ["https://example.org", "null", "file://", ""])
def test_any_other_origin_is_refused(connection, origin):
    assert post(connection, headers={**JSON, "Origin": origin})[0] == 403


@pytest.mark.parametrize(
    "headers", [{}, {"Content-Type": "text/plain"}, {"Content-Type": "multipart/form-data"}]
)
def test_a_request_a_web_page_could_send_unasked_is_refused(connection, headers):
    assert post(connection, headers=headers)[0] == 415


def test_a_content_type_with_a_charset_is_let_in(connection):
    assert post(connection, headers={"Content-Type": "application/json; charset=utf-8"})[0] == 200


def test_a_request_too_large_is_refused_unread(connection):
    headers = {**JSON, "Content-Length": str(MAX_REQUEST_BYTES + 1)}
    assert post(connection, b"", headers)[0] == 413


@pytest.mark.parametrize("length", ["-1", "five", "", "٣"])
def test_a_length_that_is_no_number_is_refused(server, length):
    head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 411")


def test_a_chunked_request_is_refused(server):
    head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 411")


def test_a_client_that_leaves_in_the_middle_does_no_harm(server, connection):
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
        raw.sendall(b"Content-Length: 1000\r\n\r\n{")
    assert post(connection)[0] == 200


def test_many_clients_at_once_lose_nothing(server):
    def mine(_):
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        try:
            for _ in range(10):
                status, body = post(client, b'{"jsonrpc":"2.0","id":1,"method":"evm_mine"}')
                assert (status, json.loads(body)["result"]) == (200, "0x0")
        finally:
            client.close()

    before = server.chain.block_number
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(mine, range(8)))
    assert server.chain.block_number == before + 80


def test_blocks_come_by_themselves_with_a_block_time():
    chain = DevChain()
    with serve(chain, block_time=0.05):
        deadline = time.monotonic() + 10
        while chain.block_number < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
    assert chain.block_number >= 3
    height = chain.block_number
    time.sleep(0.15)
    assert chain.block_number == height


def test_without_a_block_time_nothing_happens_by_itself(server):
    height = server.chain.block_number
    time.sleep(0.15)
    assert server.chain.block_number == height


def test_stopping_closes_connections_and_gives_the_port_back():
    threads = threading.active_count()
    running = serve(DevChain(), block_time=1)
    client = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
    assert post(client)[0] == 200
    started = time.monotonic()
    running.stop()
    running.stop()
    assert time.monotonic() - started < 2
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", running.port), timeout=5)
    assert client.sock is not None
    assert client.sock.recv(1) == b""
    client.close()
    with serve(DevChain(), port=running.port) as again:
        assert again.port == running.port
    deadline = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= threads


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "8.8.8.8"])
def test_other_machines_are_never_listened_to(host):
    with pytest.raises(ConfigurationError, match="refuses to listen"):
        serve(DevChain(), host)


@pytest.mark.parametrize(("host", "port"), [("no.such.host.invalid", 0), ("127.0.0.1", 65_536)])
def test_an_impossible_address_is_one_sentence(host, port):
    with pytest.raises(ConfigurationError):
        serve(DevChain(), host, port)


def test_a_port_in_use_is_one_sentence(server):
    with pytest.raises(ConfigurationError, match="Cannot listen") as caught:
        serve(DevChain(), port=server.port)
    assert "--port" in (caught.value.hint or "")


def test_localhost_is_loopback():
    with serve(DevChain(), "localhost") as running:
        assert running.url.startswith(("http://127.0.0.1:", "http://[::1]:"))
