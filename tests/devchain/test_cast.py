"""cast works on the chain over HTTP."""

import json
import subprocess
from pathlib import Path

import pytest

from modelward.devchain import DevChain, serve

NODE_MODULES = Path(__file__).parents[2] / "node_modules"
pytestmark = pytest.mark.skipif(not NODE_MODULES.is_dir(), reason="node_modules is not installed")


@pytest.fixture(scope="module")
def server():
    with serve(DevChain()) as running:
        yield running


@pytest.fixture(scope="module")
def cast(server):
    executable = NODE_MODULES / ".bin" / "cast"
    if not executable.exists():
        pytest.skip("cast is not installed for this platform")

    def run(command, *arguments, succeeds=True):
        ended = subprocess.run(
            [str(executable), command, "--rpc-url", server.url, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (ended.returncode == 0) is succeeds, ended.stderr or ended.stdout
        return (ended.stdout if succeeds else ended.stderr).strip()

    return run


@pytest.fixture(scope="module")
def contract(cast, probe_artifact, worker):
    creation = f"0x{probe_artifact.bytecode.hex()}{5:064x}"
    key = ("--private-key", worker.private_key)
    return json.loads(cast("send", *key, "--json", "--create", creation))["contractAddress"]


def test_it_deploys_and_calls(cast, contract):
    assert cast("call", contract, "value()(uint256)") == "5"


@pytest.mark.parametrize("kind", [[], ["--legacy"]])
def test_it_sends_signed_transactions(cast, contract, worker, kind):
    key = ("--private-key", worker.private_key)
    sent = cast("send", *key, *kind, "--json", contract, "set(uint256,string)", "7", "cast")
    receipt = json.loads(sent)
    assert receipt["status"] == "0x1"
    assert cast("call", contract, "value()(uint256)") == "7"
    assert cast("receipt", receipt["transactionHash"], "status") == "true"
    assert cast("tx", receipt["transactionHash"], "from") == worker.address


def test_it_sends_from_an_unlocked_account(cast, contract, requester):
    sender = ("--unlocked", "--from", requester.address)
    sent = cast("send", *sender, "--json", contract, "set(uint256,string)", "9", "unlocked")
    assert json.loads(sent)["status"] == "0x1"


def test_it_sees_a_custom_error_with_its_arguments(cast, contract, worker):
    arguments = (contract, "set(uint256,string)", "101", "")
    for told in (
        cast("call", *arguments, succeeds=False),
        cast("send", "--private-key", worker.private_key, *arguments, succeeds=False),
    ):
        assert "error code 3: execution reverted" in told
        assert f"{101:064x}{100:064x}" in told


def test_it_reads_logs(cast, contract, worker):
    cast(
        "send",
        "--private-key",
        worker.private_key,
        contract,
        "touch(bytes32,uint256)",
        "0x" + "07" * 32,
        "3",
    )
    logs = json.loads(
        cast(
            "logs",
            "--json",
            "--from-block",
            "0",
            "--address",
            contract,
            "Touched(bytes32 indexed)",
            "0x" + "07" * 32,
        )
    )
    assert [log["logIndex"] for log in logs] == ["0x0", "0x1", "0x2"]


def test_it_reads_the_chain(cast, contract, requester):
    assert cast("chain-id") == "31337"
    assert cast("client").startswith("modelward/")
    assert int(cast("gas-price")) > 0
    assert int(cast("estimate", contract, "touch(bytes32,uint256)", "0x" + "07" * 32, "1"))
    assert int(cast("balance", requester.address)) <= 10_000 * 10**18
    assert int(cast("nonce", requester.address)) >= 0
    assert cast("code", contract).startswith("0x60")
    assert int(cast("storage", contract, "0"), 16) >= 5
    for block in ("latest", "pending", "safe", "finalized", "earliest"):
        assert "parentHash" in cast("block", block)
    height = int(cast("block-number"))
    cast("rpc", "evm_mine")
    assert int(cast("block-number")) == height + 1
