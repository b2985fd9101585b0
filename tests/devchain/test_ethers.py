"""ethers works on the chain over HTTP, and sees what it sees on anvil."""

import json
import subprocess
from pathlib import Path

import pytest

from modelward.devchain import DevChain, launch, serve
from modelward.devchain.anvil import find_anvil
from modelward.solidity.compiler import find_node

HERE = Path(__file__).parent
NODE_MODULES = HERE.parents[1] / "node_modules"
pytestmark = pytest.mark.skipif(not NODE_MODULES.is_dir(), reason="node_modules is not installed")


@pytest.fixture(scope="module")
def server():
    with serve(DevChain()) as running:
        yield running


@pytest.fixture(scope="module")
def artifact_file(probe_artifact, tmp_path_factory):
    file = tmp_path_factory.mktemp("ethers") / "Probe.json"
    artifact = {
        "abi": list(probe_artifact.abi),
        "bytecode": f"0x{probe_artifact.bytecode.hex()}",
    }
    file.write_text(json.dumps(artifact), "utf-8")
    return file


@pytest.fixture(scope="module")
def seen_on(artifact_file, requester):
    def run(url):
        script = HERE / "ethers_client.mjs"
        ended = subprocess.run(
            [str(find_node()), str(script), url, str(artifact_file), requester.private_key],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    return run


@pytest.fixture(scope="module")
def seen(seen_on, server):
    return seen_on(server.url)


def test_it_deploys_sends_and_reads(seen):
    assert seen["initial"] == "5"
    assert seen["receipt"] == {"status": 1, "type": 2, "logs": 1}
    assert (seen["before"], seen["value"]) == ("5", "8")
    assert seen["chainId"] == "31337"
    assert seen["block"]["transactions"] == 1


def test_it_finds_events(seen, requester, deployer):
    assert seen["events"] == [
        [requester.address, "7", "by wallet"],
        [deployer.address, "8", "by node"],
    ]
    assert seen["mine"] == 1


def test_it_sees_a_custom_error_with_its_arguments(seen):
    assert seen["customError"]["signature"] == "TooHigh(uint256,uint256)"
    assert seen["customError"]["args"] == ["101", "100"]
    assert seen["customErrorWhileSending"]["data"] == seen["customError"]["data"]


def test_it_sees_reasons_panics_and_failed_transactions(seen):
    assert seen["reason"]["args"] == ["not today"]
    assert seen["panic"]["args"] == ["18"]
    assert seen["mined"]["action"] == "sendTransaction"


def test_it_understands_why_a_transaction_is_refused(seen):
    assert seen["nonceTooLow"]["code"] == "NONCE_EXPIRED"
    assert seen["poor"]["code"] == "INSUFFICIENT_FUNDS"


def test_it_sees_the_same_on_anvil(seen, seen_on):
    with launch(executable=find_anvil(NODE_MODULES.parent)) as anvil:
        there = seen_on(anvil.url)
    seen, there = dict(seen), dict(there)
    assert seen.pop("poor")["code"] == there.pop("poor")["code"]  # refused a step earlier here
    assert seen == there
