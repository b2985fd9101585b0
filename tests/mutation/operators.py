"""Every small change to a Solidity source that ought to be noticed by a test.

Mutants are found on the compiler's syntax tree, so that each is one edit of one expression or
statement: another operator, a check that is never or always passed, a statement left out, two
arguments of one type exchanged, a number one higher or lower, the next value of an enumeration.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from modelward.solidity.compiler import find_compiler
from modelward.solidity.sources import compiler_input, deployable_sources

Node = Mapping[str, Any]

_INSTEAD = {
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<="),
    ">=": (">", "<"),
    "==": ("!=",),
    "!=": ("==",),
    "+": ("-",),
    "-": ("+",),
    "*": ("/",),
    "/": ("*",),
    "%": ("*",),
    "&": ("|",),
    "|": ("&",),
    "<<": (">>",),
    ">>": ("<<",),
    "&&": ("||",),
    "||": ("&&",),
    "+=": ("-=", "="),
    "-=": ("+=", "="),
    "|=": ("=", "&="),
    "++": ("--",),
    "--": ("++",),
}
_YUL_INSTEAD = {"add": "sub", "sub": "add"}


@dataclass(frozen=True)
class Change(ABC):
    """A change to the file `source` that ought to be noticed by a test."""

    source: str

    @property
    def contract(self) -> str:
        """The contract or library that is changed."""
        return Path(self.source).stem

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is called in lists."""

    @abstractmethod
    def applied_to(self, content: bytes) -> bytes:
        """The changed file."""


ChangeT = TypeVar("ChangeT", bound=Change)


@dataclass(frozen=True)
class Mutant(Change):
    """One edit: `length` bytes at `start` of the file become `replacement`.

    `number` tells apart those that read the same within one function.
    """

    function: str
    start: int
    length: int
    original: str
    replacement: str
    number: int = 1

    @property
    def name(self) -> str:
        """Independent of lines and offsets, so that a list of survivors outlives other edits."""
        number = f" ({self.number})" if self.number > 1 else ""
        return f"{self.contract}.{self.function}: {self.original} => {self.replacement}{number}"

    def applied_to(self, content: bytes) -> bytes:
        return (
            content[: self.start] + self.replacement.encode() + content[self.start + self.length :]
        )


MUTATED = (
    "contracts/DataShare.sol",
    "contracts/InferenceEscrow.sol",
    "contracts/ModelRegistry.sol",
    "contracts/libraries/Commitments.sol",
    "contracts/libraries/Payload.sol",
    "contracts/libraries/RequestWord.sol",
    "contracts/libraries/Signatures.sol",
    "contracts/libraries/Terms.sol",
)
"""The three contracts that the Foundry suite is about, and the libraries they are made of."""

OF_OTHERS = {("contracts/libraries/Payload.sol", "shows")}
"""Functions that none of the three uses."""


def mutants_of(root: Path) -> list[Mutant]:
    """All mutants of what `MUTATED` names."""
    trees = _syntax_trees(root)
    enumerations = {
        node["id"]: [member["name"] for member in node["members"]]
        for tree in trees.values()
        for node in _nodes(tree)
        if node["nodeType"] == "EnumDefinition"
    }
    found: dict[tuple[str, int, int, str], Mutant] = {}
    for source, tree in sorted(trees.items()):
        if source not in MUTATED:
            continue
        finder = _Finder(source, (root / source).read_bytes(), enumerations)
        for mutant in finder.walk(tree, "constant"):
            place = (source, mutant.start, mutant.length, mutant.replacement)
            if (source, mutant.function) not in OF_OTHERS:
                found.setdefault(place, mutant)
    counts: Counter[str] = Counter()
    numbered = []
    for mutant in sorted(found.values(), key=lambda mutant: (mutant.source, mutant.start)):
        counts[mutant.name] += 1
        numbered.append(replace(mutant, number=counts[mutant.name]))
    return numbered


def _syntax_trees(root: Path) -> dict[str, Node]:
    wanted = compiler_input(root, *deployable_sources(root))
    settings = {"viaIR": True, "outputSelection": {"*": {"": ["ast"]}}}
    output, _ = find_compiler(project=root).compile({**wanted, "settings": settings})
    return {name: source["ast"] for name, source in output["sources"].items()}


def _nodes(value: Any) -> Iterator[Node]:
    if isinstance(value, dict):
        if "nodeType" in value:
            yield value
        for child in value.values():
            yield from _nodes(child)
    elif isinstance(value, list):
        for child in value:
            yield from _nodes(child)


def _type_of(expression: Node) -> str | None:
    name: str | None = expression["typeDescriptions"].get("typeString")
    return name


@dataclass(frozen=True)
class _Finder:
    source: str
    content: bytes
    enumerations: Mapping[int, list[str]]

    def walk(self, value: Any, function: str) -> Iterator[Mutant]:
        if isinstance(value, list):
            for child in value:
                yield from self.walk(child, function)
        if not isinstance(value, dict) or value.get("nodeType") == "ImportDirective":
            return
        kind = value.get("nodeType")
        if kind == "FunctionDefinition":
            function = value["name"] or value["kind"]
        elif kind == "VariableDeclaration" and value["stateVariable"]:
            function = value["name"]
        visit = getattr(self, f"_{kind}", None)
        if visit:
            for start, end, replacement in visit(value):
                yield self._mutant(function, start, end, replacement)
        for child in value.values():
            yield from self.walk(child, function)

    def _mutant(self, function: str, start: int, end: int, replacement: str) -> Mutant:
        original = " ".join(self.content[start:end].decode().split())
        return Mutant(self.source, function, start, end - start, original, replacement)

    def _span(self, node: Node) -> tuple[int, int]:
        start, length, _ = map(int, node["src"].split(":"))
        return start, start + length

    def _text(self, node: Node) -> str:
        start, end = self._span(node)
        return self.content[start:end].decode()

    def _BinaryOperation(self, node: Node) -> Iterator[tuple[int, int, str]]:
        left, right = node["leftExpression"], node["rightExpression"]
        operator = node["operator"]
        start, end = self._span(node)
        for other in _INSTEAD.get(operator, ()):
            between = self.content[self._span(left)[1] : self._span(right)[0]].decode()
            middle = between.replace(operator, other, 1)
            yield start, end, self._text(left) + middle + self._text(right)
        if operator in ("&&", "||"):
            yield start, end, self._text(left)
            yield start, end, self._text(right)

    def _UnaryOperation(self, node: Node) -> Iterator[tuple[int, int, str]]:
        start, end = self._span(node)
        for other in _INSTEAD.get(node["operator"], ()):
            yield start, end, self._text(node).replace(node["operator"], other, 1)
        if node["operator"] in "!~-":
            yield start, end, self._text(node["subExpression"])

    def _Assignment(self, node: Node) -> Iterator[tuple[int, int, str]]:
        start, end = self._span(node)
        for other in _INSTEAD.get(node["operator"], ()):
            yield start, end, self._text(node).replace(node["operator"], other, 1)

    def _Conditional(self, node: Node) -> Iterator[tuple[int, int, str]]:
        for branch in ("trueExpression", "falseExpression"):
            yield *self._span(node), f"({self._text(node[branch])})"

    def _IfStatement(self, node: Node) -> Iterator[tuple[int, int, str]]:
        yield *self._span(node["condition"]), "false"
        body = node["trueBody"]
        statements = body["statements"] if body["nodeType"] == "Block" else [body]
        if statements[-1]["nodeType"] != "RevertStatement":
            yield *self._span(node["condition"]), "true"

    def _ForStatement(self, node: Node) -> Iterator[tuple[int, int, str]]:
        yield *self._span(node["condition"]), "false"

    _WhileStatement = _ForStatement

    def _ExpressionStatement(self, node: Node) -> Iterator[tuple[int, int, str]]:
        start, end = self._span(node)
        yield start, self.content.index(b";", end - 1) + 1, "{}"

    _EmitStatement = _ExpressionStatement

    def _Return(self, node: Node) -> Iterator[tuple[int, int, str]]:
        if node.get("expression") is not None:
            yield from self._ExpressionStatement(node)

    def _ModifierInvocation(self, node: Node) -> Iterator[tuple[int, int, str]]:
        if node["kind"] == "modifierInvocation":
            yield *self._span(node), ""

    def _Literal(self, node: Node) -> Iterator[tuple[int, int, str]]:
        start, end = self._span(node)
        text = self._text(node)
        if node["kind"] == "bool":
            yield start, end, "false" if node["value"] == "true" else "true"
        elif node["kind"] == "string" and len(text) > 2:
            yield start, end, text[0] + "_" + text[2:]
        elif node["kind"] == "number":
            digits = text.split()[0]
            if digits.replace("_", "").isdigit():
                number = int(digits)
                yield start, end, text.replace(digits, str(number + 1), 1)
                if number > 1:
                    yield start, end, text.replace(digits, str(number - 1), 1)

    def _FunctionCall(self, node: Node) -> Iterator[tuple[int, int, str]]:
        arguments = node["arguments"]
        for first, second in pairwise(arguments):
            of_one_type = _type_of(first) == _type_of(second)
            if of_one_type and self._text(first) != self._text(second):
                start, end = self._span(first)[0], self._span(second)[1]
                between = self.content[self._span(first)[1] : self._span(second)[0]].decode()
                yield start, end, self._text(second) + between + self._text(first)

    def _MemberAccess(self, node: Node) -> Iterator[tuple[int, int, str]]:
        declared = node["expression"].get("referencedDeclaration")
        members = self.enumerations.get(declared, [])
        if node["memberName"] in members:
            following = members[(members.index(node["memberName"]) + 1) % len(members)]
            yield *self._span(node), f"{self._text(node['expression'])}.{following}"

    def _YulLiteral(self, node: Node) -> Iterator[tuple[int, int, str]]:
        if node["kind"] == "number" and node["value"].isdigit():
            yield *self._span(node), str(int(node["value"]) + 1)

    def _YulFunctionCall(self, node: Node) -> Iterator[tuple[int, int, str]]:
        name = node["functionName"]
        if name["name"] in _YUL_INSTEAD:
            yield *self._span(name), _YUL_INSTEAD[name["name"]]

    def _YulExpressionStatement(self, node: Node) -> Iterator[tuple[int, int, str]]:
        yield *self._span(node), "pop(0)"
