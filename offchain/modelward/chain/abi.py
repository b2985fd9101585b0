"""Contract ABIs: terms into calldata, and what comes back into terms.

Structs and enumerations are told by the names the compiler recorded in the ABI, and become the
classes of the same names in `modelward.terms`; a struct that has no class there is one whose
members its enclosing class holds itself. What is decoded is taken as it is: anyone can put
any name or text on chain, so decoding never applies the checks that terms make of a caller's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import IntEnum
from functools import cache, cached_property
from typing import Any

from eth_abi.codec import ABICodec
from eth_abi.decoding import StringDecoder
from eth_abi.exceptions import DecodingError, EncodingError
from eth_abi.registry import BaseEquals
from eth_abi.registry import registry as default_registry
from eth_utils.abi import (
    abi_to_signature,
    collapse_if_tuple,
    event_abi_to_log_topic,
    function_abi_to_4byte_selector,
)

from modelward import terms
from modelward.chain.encoding import to_address
from modelward.commitments import canonical_address
from modelward.errors import InvalidTerms
from modelward.solidity import load_artifact

Component = Mapping[str, Any]
"""One parameter, or member of a struct, in a JSON ABI."""

_METRIC_NAME = "bytes23"
_RIGHTS = frozenset({"right", "rights"})


class Undecodable(Exception):
    """Data does not have the layout the ABI gives it."""


def _codec() -> ABICodec:
    registry = default_registry.copy()  # type: ignore[no-untyped-call]
    registry.unregister_decoder("string")
    registry.register_decoder(
        BaseEquals("string"),  # type: ignore[no-untyped-call]
        StringDecoder(handle_string_errors="backslashreplace"),  # type: ignore[no-untyped-call]
        label="string",
    )
    return ABICodec(registry)


_CODEC = _codec()


class ContractAbi:
    """The functions, events and errors of one contract, by name, topic and selector."""

    def __init__(self, name: str, abi: Sequence[Component]) -> None:
        self.name = name
        self._abi = abi

    @cached_property
    def functions(self) -> dict[str, Component]:
        """Functions by name; none of ours is overloaded."""
        return {entry["name"]: entry for entry in self._abi if entry["type"] == "function"}

    @cached_property
    def events(self) -> dict[bytes, Component]:
        """Events by topic."""
        return {
            event_abi_to_log_topic(entry): entry  # type: ignore[arg-type]
            for entry in self._abi
            if entry["type"] == "event"
        }

    @cached_property
    def errors(self) -> dict[bytes, Component]:
        """Custom errors by selector."""
        return {
            function_abi_to_4byte_selector(entry): entry  # type: ignore[arg-type]
            for entry in self._abi
            if entry["type"] == "error"
        }

    def encode_call(self, function: str, *arguments: Any) -> bytes:
        """Calldata that calls `function`. Raises `InvalidTerms` for a value that does not fit."""
        inputs = self.functions[function]["inputs"]
        return self.selector(function) + encode(inputs, arguments, self.signature(function))

    def selector(self, function: str) -> bytes:
        """The first four bytes of every call of `function`."""
        return function_abi_to_4byte_selector(self.functions[function])  # type: ignore[arg-type]

    def encode_constructor(self, *arguments: Any) -> bytes:
        """The constructor's arguments. Raises `InvalidTerms` for one that does not fit."""
        inputs: Sequence[Component] = next(
            (entry["inputs"] for entry in self._abi if entry["type"] == "constructor"), ()
        )
        types = ",".join(map(_type, inputs))
        return encode(inputs, arguments, f"the constructor {self.name}({types})")

    def decode_result(self, function: str, data: bytes) -> Any:
        """What `function` returned: a value, or a tuple where it returns several.

        Raises `Undecodable`.
        """
        values = decode(self.functions[function]["outputs"], data)
        return values[0] if len(values) == 1 else values

    def signature(self, function: str) -> str:
        """The function as people write it, such as ``DataShare.grantAccess(address)``."""
        return f"{self.name}.{abi_to_signature(self.functions[function])}"  # type: ignore[arg-type]


@cache
def contract_abi(name: str) -> ContractAbi:
    """The ABI of one of our contracts. Raises `UnknownContract`."""
    return ContractAbi(name, load_artifact(name).abi)


def encode(components: Sequence[Component], values: Sequence[Any], what: str) -> bytes:
    """ABI-encode `values`. Raises `InvalidTerms`, naming `what` they are for."""
    if len(values) != len(components):
        raise InvalidTerms(f"{what} takes {len(components)} arguments, not {len(values)}.")
    plain = [_to_abi(part, value) for part, value in zip(components, values, strict=True)]
    try:
        return _CODEC.encode([_type(part) for part in components], plain)
    except (EncodingError, TypeError, OverflowError) as error:
        raise InvalidTerms(f"{what} cannot take these arguments: {error}") from error


def decode(components: Sequence[Component], data: bytes) -> tuple[Any, ...]:
    """Decode ABI-encoded values. Raises `Undecodable`."""
    try:
        values = _CODEC.decode([_type(part) for part in components], data)
    except (DecodingError, OverflowError, ValueError) as error:
        raise Undecodable(str(error)) from error
    return tuple(_from_abi(part, v) for part, v in zip(components, values, strict=True))


def snake_case(name: str) -> str:
    """A Solidity name as Python writes it: ``payeeBps`` becomes ``payee_bps``."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def _type(part: Component) -> str:
    return collapse_if_tuple(part)  # type: ignore[arg-type]


def _element(part: Component) -> Component:
    inner = dict(part)
    for key in ("type", "internalType"):
        if key in inner:
            inner[key] = inner[key].rpartition("[")[0]
    return inner


def _to_abi(part: Component, value: Any) -> Any:
    if part["type"].endswith("]"):
        element = _element(part)
        return [_to_abi(element, item) for item in value]
    if part["type"] == "tuple" and is_dataclass(value):
        return tuple(_member(inner, value) for inner in part["components"])
    if part["type"] == "address" and isinstance(value, str):
        return canonical_address(value)
    if part["type"] == _METRIC_NAME and isinstance(value, str):
        return value.encode("ascii")
    return value


def _member(part: Component, whole: Any) -> Any:
    flattened = part["type"] == "tuple" and not hasattr(whole, snake_case(part["name"]))
    return _to_abi(part, whole if flattened else getattr(whole, snake_case(part["name"])))


def _from_abi(part: Component, value: Any) -> Any:
    kind: str = part["type"]
    if kind.endswith("]"):
        element = _element(part)
        return tuple(_from_abi(element, item) for item in value)
    if kind == "tuple":
        return _struct(part, value)
    if kind == "address":
        return to_address(value)
    if kind == _METRIC_NAME:
        return value.rstrip(b"\0").decode("ascii", "backslashreplace")
    if part["name"] in _RIGHTS:
        return terms.Right(value)
    enumeration = getattr(terms, _internal_name(part, "enum "), None)
    if enumeration is not None and issubclass(enumeration, IntEnum):
        return enumeration(value)
    return value


def _struct(part: Component, values: Sequence[Any]) -> Any:
    members: dict[str, Any] = {}
    for inner, value in zip(part["components"], values, strict=True):
        member = _from_abi(inner, value)
        members |= member if isinstance(member, dict) else {snake_case(inner["name"]): member}
    cls = getattr(terms, _internal_name(part, "struct "), None)
    if cls is None:
        return members
    if {field.name for field in fields(cls)} != members.keys():
        raise TypeError(f"terms.{cls.__name__} does not mirror the struct of that name")
    made = object.__new__(cls)
    for name, value in members.items():
        object.__setattr__(made, name, value)
    return made


def _internal_name(part: Component, prefix: str) -> str:
    internal: str = part.get("internalType", "")
    return internal.removeprefix(prefix).rpartition(".")[2] if internal.startswith(prefix) else ""
