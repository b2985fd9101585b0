"""Every error and every event of a contract is expected by a test."""

import ast
from pathlib import Path

import pytest

from modelward.solidity import load_artifact

FOLDERS = {
    "DataShare": "data_share",
    "ModelRegistry": "model_registry",
    "InferenceEscrow": "inference_escrow",
    "PrivacyLedger": "privacy_ledger",
    "ExactPrograms": "exact_programs",
    "ExactReferee": "exact_referee",
}
UNREACHABLE = {"InvalidShortString", "StringTooLong", "EIP712DomainChanged"}
"""Of OpenZeppelin's EIP712: the contracts' names fit a word, and their domains never change."""


@pytest.fixture(scope="module")
def expected(repository) -> set[str]:
    """Names that tests expect: of errors as strings, of events as the first argument of `event`."""
    names = set()
    for file in (repository / "tests" / "contracts").rglob("test_*.py"):
        if file == Path(__file__):
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                names.add(node.value)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                first = node.args[0] if node.func.id == "event" else None
                if isinstance(first, ast.Name):
                    names.add(first.id)
    return names


@pytest.mark.parametrize("contract", FOLDERS)
@pytest.mark.parametrize("kind", ["error", "event"])
def test_each_is_expected_by_a_test(expected, contract, kind):
    declared = {entry["name"] for entry in load_artifact(contract).abi if entry["type"] == kind}

    assert declared - UNREACHABLE - expected == set()


@pytest.mark.parametrize(("contract", "folder"), FOLDERS.items())
def test_each_contract_has_a_folder(contract, folder):
    assert (Path(__file__).parent / folder).is_dir()
