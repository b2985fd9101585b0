"""What slither finds in contracts that were compiled already, as JSON.

Runs in slither's own environment, which shares nothing with the package's: the compiler's output
comes from stdin, its version is the only argument.
"""

from __future__ import annotations

import inspect
import json
import sys
from typing import Any

from crytic_compile import CryticCompile
from crytic_compile.compilation_unit import CompilationUnit
from crytic_compile.compiler.compiler import CompilerVersion
from crytic_compile.platform.solc_standard_json import (
    SolcStandardJson,
    parse_standard_json_output,
)
from slither import Slither
from slither.detectors import all_detectors
from slither.detectors.abstract_detector import AbstractDetector

_NO_CODE = {"object": "", "sourceMap": ""}


class Compiled(SolcStandardJson):  # type: ignore[misc]
    """The compiler's output: syntax trees and ABIs, without bytecode, which no detector reads."""

    def compile(self, crytic_compile: CryticCompile, **kwargs: Any) -> None:
        """Hand the output over instead of compiling."""
        unit = CompilationUnit(crytic_compile, "standard_json")
        unit.compiler_version = CompilerVersion("solc", sys.argv[1], optimized=False)
        output = self.to_dict()
        for contracts in output["contracts"].values():
            for contract in contracts.values():
                contract["evm"] = {"bytecode": _NO_CODE, "deployedBytecode": _NO_CODE}
        parse_standard_json_output(output, unit)


def main() -> None:
    """Print the findings and the names of contracts that slither could not read."""
    analysis = Slither(CryticCompile(Compiled(json.load(sys.stdin))))
    for _, detector in inspect.getmembers(all_detectors, inspect.isclass):
        if issubclass(detector, AbstractDetector) and detector is not AbstractDetector:
            analysis.register_detector(detector)
    findings = [finding for found in analysis.run_detectors() for finding in found]
    json.dump(
        {
            "detectors": len(analysis.detectors),
            "unread": [c.name for c in analysis.contracts if c.is_incorrectly_constructed],
            "findings": [_shortened(finding) for finding in findings],
        },
        sys.stdout,
    )


def _shortened(finding: dict[str, Any]) -> dict[str, Any]:
    return {
        "check": finding["check"],
        "impact": finding["impact"],
        "description": finding["description"].strip(),
        "places": [
            [_name(element), element["source_mapping"]["filename_relative"]]
            for element in finding["elements"]
        ],
    }


def _name(element: dict[str, Any]) -> str:
    """`Contract.function` of whatever an element lies in."""
    parent = element.get("type_specific_fields", {}).get("parent")
    if element["type"] == "contract" or parent is None:
        return str(element["name"])
    if element["type"] == "node":
        return _name(parent)
    return f"{_name(parent)}.{element['name']}"


if __name__ == "__main__":
    main()
