"""The guide for Solidity developers: its contract compiles as it stands there."""

import re

from modelward.solidity.build import compile_source


def test_the_contract_in_the_guide_compiles(repository, compiler, tmp_path):
    guide = (repository / "docs" / "consumers.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"```solidity\n(.*?)```", guide, re.DOTALL)
    for folder in ("contracts", "node_modules"):
        (tmp_path / folder).symlink_to(repository / folder)
    text = source.replace('"modelward/contracts/', '"./contracts/')
    (tmp_path / "Guide.sol").write_text(f"pragma solidity ^0.8.26;\n{text}", encoding="utf-8")

    (thermostat,) = compile_source(compiler, tmp_path, "Guide.sol")

    declared = {entry["name"] for entry in thermostat.abi if entry["type"] == "function"}
    assert thermostat.name == "Thermostat"
    assert {"ask", "heating", "onInference", "deliver", "clear", "withdrawFees"} <= declared
