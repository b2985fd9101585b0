"""`modelward node`: what it prints, how it ends, what it refuses."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from modelward.chain.development import DEVELOPMENT_ACCOUNTS

RUN = [sys.executable, "-c", "import sys; from modelward.cli import main; sys.exit(main())", "node"]


@pytest.fixture
def start():
    """Start the command; whatever still runs at the end of the test is killed."""
    started = []

    def run(*arguments):
        process = subprocess.Popen(
            [*RUN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def read_until_listening(process):
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith("listening on"):
            return lines
    raise AssertionError(process.stderr.read())


def ask(url, method, *params):
    port = int(url.rpartition(":")[2])
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    client.request("POST", "/", body, {"Content-Type": "application/json"})
    answer = json.loads(client.getresponse().read())
    client.close()
    return answer["result"]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_all_one_needs_and_ends_when_told(start, ending):
    process = start("--port", "0", "--block-time", "0.1", "--chain-id", "4321", "--accounts", "3")
    printed = "\n".join(read_until_listening(process))
    (url,) = re.findall(r"^listening on +(http://127\.0\.0\.1:\d+)$", printed, re.MULTILINE)
    (genesis,) = re.findall(r"^genesis hash +(0x[0-9a-f]{64})$", printed, re.MULTILINE)
    assert re.search(r"^chain id +4321$", printed, re.MULTILINE)
    assert "These keys are public" in printed
    for account in DEVELOPMENT_ACCOUNTS[:3]:
        assert f"{account.name:<10} {account.address} {account.private_key}" in printed
    assert DEVELOPMENT_ACCOUNTS[3].address not in printed

    assert ask(url, "eth_chainId") == hex(4321)
    assert len(ask(url, "eth_accounts")) == 3
    assert ask(url, "eth_getBlockByNumber", "earliest", False)["hash"] == genesis
    deadline = time.monotonic() + 10
    while int(ask(url, "eth_blockNumber"), 16) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert int(ask(url, "eth_blockNumber"), 16) >= 2

    process.send_signal(ending)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "stopped\n", "")


def test_a_port_in_use_is_one_sentence(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start("--port", str(taken.getsockname()[1]))
        out, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert out == ""
    assert err.startswith("error: Cannot listen on 127.0.0.1:")
    assert "Traceback" not in err


def test_other_machines_are_never_listened_to(start):
    process = start("--host", "0.0.0.0", "--port", "0")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "refuses to listen on 0.0.0.0" in err


@pytest.mark.parametrize(
    "arguments", [("--port", "70000"), ("--accounts", "11"), ("--block-time", "-1")]
)
def test_numbers_out_of_range_are_refused(start, arguments):
    process = start(*arguments)
    process.communicate(timeout=30)
    assert process.returncode == 2


def test_its_help_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from modelward.cli import main\n"
        "assert main(['node', '--help']) == 0\n"
        "heavy = {'web3', 'eth', 'eth_account', 'eth_tester', 'eth_utils'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=30)
