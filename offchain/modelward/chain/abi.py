"""Contract ABIs: terms into calldata, and what comes back into terms.

Structs and enumerations are told by the names the compiler recorded in the ABI, and become the
classes of the same names in `modelward.terms`; a struct that has no class there is one whose
members its enclosing class holds itself. What is decoded is taken as it is: anyone can put
any name or text on chain, so decoding never applies the checks that terms make of a caller's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import IntEnum
from functools import cache, cached_property, lru_cache
from typing import Any

from eth_abi.exceptions import DecodingError, EncodingError
from eth_utils.abi import (
    abi_to_signature,
    collapse_if_tuple,
    event_abi_to_log_topic,
    function_abi_to_4byte_selector,
)

from modelward import abi_codec, terms
from modelward.commitments import canonical_address
from modelward.errors import InvalidTerms
from modelward.solidity import load_artifact

Component = Mapping[str, Any]
"""One parameter, or member of a struct, in a JSON ABI."""

_Conversion = Callable[[Any], Any]

_METRIC_NAME = "bytes23"
_DYNAMIC = re.compile(r"\[|string|bytes(?!\d)")
_RIGHTS = frozenset({"right", "rights"})


class Undecodable(Exception):
    """Data does not have the layout the ABI gives it."""


class ContractAbi:
    """The functions, events and errors of one contract, by name, topic and selector."""

    def __init__(self, name: str, abi: Sequence[Component]) -> None:
        self.name = name
        self._abi = abi
        self._functions: dict[str, _Function] = {}
        self._events: dict[bytes, EventLayout] = {}

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
        called = self._function(function)
        return called.selector + called.inputs.encode(arguments, called.signature)

    def selector(self, function: str) -> bytes:
        """The first four bytes of every call of `function`."""
        return self._function(function).selector

    def encode_constructor(self, *arguments: Any) -> bytes:
        """The constructor's arguments. Raises `InvalidTerms` for one that does not fit."""
        inputs: Sequence[Component] = next(
            (entry["inputs"] for entry in self._abi if entry["type"] == "constructor"), ()
        )
        layout = Layout(inputs)
        return layout.encode(arguments, f"the constructor {self.name}({','.join(layout.types)})")

    def decode_result(self, function: str, data: bytes) -> Any:
        """What `function` returned: a value, or a tuple where it returns several.

        Raises `Undecodable`.
        """
        values = self._function(function).outputs.decode(data)
        return values[0] if len(values) == 1 else values

    def signature(self, function: str) -> str:
        """The function as people write it, such as ``DataShare.grantAccess(address)``."""
        return self._function(function).signature

    def event(self, topic: bytes) -> EventLayout | None:
        """The event with this topic, None if the contract has no such one."""
        if topic not in self._events and topic in self.events:
            self._events[topic] = EventLayout(self.events[topic])
        return self._events.get(topic)

    def _function(self, name: str) -> _Function:
        if name not in self._functions:
            entry = self.functions[name]
            self._functions[name] = _Function(
                selector=function_abi_to_4byte_selector(entry),  # type: ignore[arg-type]
                signature=f"{self.name}.{abi_to_signature(entry)}",  # type: ignore[arg-type]
                inputs=Layout(entry["inputs"]),
                outputs=Layout(entry["outputs"]),
            )
        return self._functions[name]


@cache
def contract_abi(name: str) -> ContractAbi:
    """The ABI of one of our contracts. Raises `UnknownContract`."""
    return ContractAbi(name, load_artifact(name).abi)


@cache
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


def _converted(value: Any) -> Any:
    return value


def _to_abi(part: Component) -> _Conversion:
    """How values that `modelward.terms` has become those that an encoder takes."""
    kind: str = part["type"]
    if kind.endswith("]"):
        element = _to_abi(_element(part))
        return lambda values: [element(value) for value in values]
    if kind == "tuple":
        return _struct_to_abi(part)
    if kind == "address":
        return lambda value: canonical_address(value) if isinstance(value, str) else value
    if kind == _METRIC_NAME:
        return lambda value: value.encode("ascii") if isinstance(value, str) else value
    return _converted


def _struct_to_abi(part: Component) -> _Conversion:
    members = [_member(inner) for inner in part["components"]]
    cls, kind = _class_of(part), _type(part)

    def plain(value: Any) -> Any:
        return tuple(member(value) for member in members) if is_dataclass(value) else value

    if cls is None or _DYNAMIC.search(kind):
        return plain

    @lru_cache(maxsize=1_024)
    def encoded(value: Any) -> Any:
        return abi_codec.Encoded(abi_codec.encode([kind], [plain(value)]))

    return lambda value: encoded(value) if isinstance(value, cls) else plain(value)


def _member(part: Component) -> _Conversion:
    """How a struct's member is taken out of the object that stands for the struct."""
    name, convert, nested = snake_case(part["name"]), _to_abi(part), part["type"] == "tuple"

    def member(whole: Any) -> Any:
        flattened = nested and not hasattr(whole, name)
        return convert(whole if flattened else getattr(whole, name))

    return member


def _from_abi(part: Component) -> _Conversion:
    """How decoded values become those that `modelward.terms` has."""
    kind: str = part["type"]
    if kind.endswith("]"):
        element = _from_abi(_element(part))
        return lambda values: tuple(element(value) for value in values)
    if kind == "tuple":
        return _struct(part)
    if kind == _METRIC_NAME:
        return lambda value: value.rstrip(b"\0").decode("ascii", "backslashreplace")
    if part["name"] in _RIGHTS:
        return terms.Right
    enumeration = getattr(terms, _internal_name(part, "enum "), None)
    if enumeration is not None and issubclass(enumeration, IntEnum):
        return enumeration  # type: ignore[no-any-return]
    return _converted


def _struct(part: Component) -> _Conversion:
    members = [(snake_case(inner["name"]), _from_abi(inner)) for inner in part["components"]]
    flattened = [
        inner["type"] == "tuple" and _class_of(inner) is None for inner in part["components"]
    ]
    cls = _class_of(part)

    def struct(values: Sequence[Any]) -> Any:
        found: dict[str, Any] = {}
        for (name, convert), flat, value in zip(members, flattened, values, strict=True):
            if flat:
                found |= convert(value)
            else:
                found[name] = convert(value)
        if cls is None:
            return found
        made = object.__new__(cls)
        for name, value in found.items():
            object.__setattr__(made, name, value)
        return made

    if cls is not None and {field.name for field in fields(cls)} != _names(part):
        raise TypeError(f"terms.{cls.__name__} does not mirror the struct of that name")
    return struct


def _names(part: Component) -> set[str]:
    """The members of a struct, with those of structs in it that have no class of their own."""
    names: set[str] = set()
    for inner in part["components"]:
        flat = inner["type"] == "tuple" and _class_of(inner) is None
        names |= _names(inner) if flat else {snake_case(inner["name"])}
    return names


def _class_of(part: Component) -> Any:
    return getattr(terms, _internal_name(part, "struct "), None)


def _internal_name(part: Component, prefix: str) -> str:
    internal: str = part.get("internalType", "")
    return internal.removeprefix(prefix).rpartition(".")[2] if internal.startswith(prefix) else ""


class Layout:
    """The types of some values that are ABI-encoded together."""

    def __init__(self, components: Sequence[Component]) -> None:
        self.types = [_type(part) for part in components]
        self._to_abi = [_to_abi(part) for part in components]
        self._components = components

    @cached_property
    def _from_abi(self) -> list[_Conversion]:
        return [_from_abi(part) for part in self._components]

    def encode(self, values: Sequence[Any], what: str) -> bytes:
        """ABI-encode values. Raises `InvalidTerms`, naming `what` they are for."""
        if len(values) != len(self.types):
            raise InvalidTerms(f"{what} takes {len(self.types)} arguments, not {len(values)}.")
        try:
            plain = [convert(value) for convert, value in zip(self._to_abi, values, strict=True)]
            return abi_codec.encode(self.types, plain)
        except (EncodingError, TypeError, OverflowError) as error:
            raise InvalidTerms(f"{what} cannot take these arguments: {error}") from error

    def decode(self, data: bytes) -> tuple[Any, ...]:
        """Decode ABI-encoded values. Raises `Undecodable`."""
        try:
            values = abi_codec.decode(self.types, data)
        except (DecodingError, OverflowError, ValueError) as error:
            raise Undecodable(str(error)) from error
        return tuple(convert(value) for convert, value in zip(self._from_abi, values, strict=True))


class EventLayout:
    """What a log of an event holds in its topics, and what in its data."""

    def __init__(self, entry: Component) -> None:
        self.name: str = entry["name"]
        indexed = [part for part in entry["inputs"] if part["indexed"]]
        plain = [part for part in entry["inputs"] if not part["indexed"]]
        self._indexed = [(part["name"], Layout([part])) for part in indexed]
        self._plain = [part["name"] for part in plain]
        self._data = Layout(plain)

    def values(self, topics: Sequence[bytes], data: bytes) -> dict[str, Any]:
        """What a log says, by the Solidity names. Raises `Undecodable`."""
        if len(topics) != len(self._indexed) + 1:
            raise Undecodable(f"{len(topics)} topics, not {len(self._indexed) + 1}")
        values = {
            name: layout.decode(topic)[0]
            for (name, layout), topic in zip(self._indexed, topics[1:], strict=True)
        }
        values |= zip(self._plain, self._data.decode(data), strict=True)
        return values


@dataclass(frozen=True, slots=True)
class _Function:
    selector: bytes
    signature: str
    inputs: Layout
    outputs: Layout
