"""Bundles nobody's program wrote: archives, manifests and estimators made to harm their reader.

A payload that got to run would end its process with `TELLTALE` as exit code.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import joblib
import numpy as np
from eth_utils.crypto import keccak
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from modelward.models.bundle import ESTIMATOR_MEMBER, MANIFEST_MEMBER, PROGRAM_MEMBER
from modelward.pipeline.package import PackagedModel, package

from .hostile import crashing_tree, endless_tree, raising_model, trapped_tree, tree_with

TELLTALE = 42

Members = dict[str, bytes]
Edit = Callable[[Any], Any]


class Payload:
    """Unpickling it ends the process."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (TELLTALE,)


@cache
def honest(kind: str = "linear") -> PackagedModel:
    """The model the others are made from."""
    inputs, labels = load_breast_cancer(return_X_y=True, as_frame=True)
    estimator = (
        DecisionTreeClassifier(max_depth=3, random_state=0)
        if kind == "tree"
        else LogisticRegression(solver="newton-cholesky")
    )
    estimator.fit(inputs[:400], labels[:400])
    exact = kind == "exact"
    return package(estimator, inputs[400:], labels[400:], name="hostile", exact=exact)


@cache
def canonical_row() -> bytes:
    """An input that the honest model accepts."""
    inputs, _ = load_breast_cancer(return_X_y=True, as_frame=True)
    schema = honest().manifest.input
    (row,) = schema.rows(inputs[400:401].itertuples(index=False, name=None))
    return schema.encode_row(row)


# --- parts and wholes ----------------------------------------------------------------------------


def parts(kind: str = "linear") -> tuple[bytes, Members]:
    """The manifest and the estimator's files of the honest bundle."""
    with zipfile.ZipFile(io.BytesIO(honest(kind).bundle.data)) as archive:
        with zipfile.ZipFile(io.BytesIO(archive.read(ESTIMATOR_MEMBER))) as inner:
            members = {name: inner.read(name) for name in inner.namelist()}
        return archive.read(MANIFEST_MEMBER), members


def zipped(
    members: Members | list[tuple[str | zipfile.ZipInfo, bytes]],
    compression: int = zipfile.ZIP_STORED,
) -> bytes:
    """A zip archive, with fixed timestamps unless entries say otherwise."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items() if isinstance(members, dict) else members:
            entry = (
                name
                if isinstance(name, zipfile.ZipInfo)
                else zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            )
            entry.create_system = 3
            entry.compress_type = compression
            archive.writestr(entry, content)
    return buffer.getvalue()


def bundle(manifest: bytes | None = None, estimator: bytes | None = None) -> bytes:
    """A bundle with the outer form of an honest one."""
    usual, members = parts()
    return zipped(
        {
            MANIFEST_MEMBER: usual if manifest is None else manifest,
            ESTIMATOR_MEMBER: zipped(members) if estimator is None else estimator,
        }
    )


def with_manifest(edit: Edit) -> bytes:
    document = json.loads(parts()[0])
    edited = edit(document) or document
    text = json.dumps(edited, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return bundle(manifest=text.encode("utf-8", "surrogatepass"))


def with_schema(edit: Edit, kind: str = "linear") -> bytes:
    """With another skops schema."""
    manifest, members = parts(kind)
    document = json.loads(members["schema.json"])
    document = edit(document) or document
    return zipped(
        {
            MANIFEST_MEMBER: manifest,
            ESTIMATOR_MEMBER: zipped(members | {"schema.json": json.dumps(document).encode()}),
        }
    )


def with_array(content: bytes) -> bytes:
    """With other bytes in the place of an array."""
    _, members = parts()
    name = next(name for name in members if name.endswith(".npy"))
    return bundle(estimator=zipped(members | {name: content}))


def with_program(change: Callable[[bytes], bytes]) -> bytes:
    """A bundle whose exact program was changed."""
    with zipfile.ZipFile(io.BytesIO(honest("exact").bundle.data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return zipped(members | {PROGRAM_MEMBER: change(members[PROGRAM_MEMBER])})


def with_coefficients(coefficients: Any) -> bytes:
    """A linear model with other coefficients."""
    buffer = io.BytesIO()
    np.save(buffer, coefficients, allow_pickle=True)
    _, members = parts()
    shapes = {
        name: np.load(io.BytesIO(data)).shape
        for name, data in members.items()
        if name != "schema.json"
    }
    name = next(name for name, shape in shapes.items() if shape == (1, 30))
    return bundle(estimator=zipped(members | {name: buffer.getvalue()}))


# --- pieces of schema ----------------------------------------------------------------------------


def first_parameter(schema: Any, node: Any) -> None:
    """Put a node in the place of the estimator's first parameter."""
    content = schema["content"]["content"]
    content[next(iter(content))] = node


def node(loader: str, module: str, name: str, content: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "__class__": name,
        "__module__": module,
        "__loader__": loader,
        "__id__": 7,
        "content": content,
        **more,
    }


def text_node(value: Any) -> dict[str, Any]:
    return node("JsonNode", "builtins", "str", json.dumps(value), is_json=True)


def tuple_node(*items: Any) -> dict[str, Any]:
    return node("TupleNode", "builtins", "tuple", [text_node(item) for item in items])


def exit_by_reduce() -> dict[str, Any]:
    return node("ConstructorFromReduceNode", "os", "_exit", tuple_node(TELLTALE))


def exit_by_partial() -> dict[str, Any]:
    function = node("FunctionNode", "os", "_exit")
    return node(
        "PartialNode",
        "functools",
        "partial",
        {"func": function, "args": tuple_node(TELLTALE), "kwds": None, "namespace": None},
    )


def deep(depth: int) -> str:
    return "[" * depth + "]" * depth


def npy(header: str, body: bytes = b"") -> bytes:
    """A .npy file with any header."""
    text = header.encode("latin1")
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", min(len(text), 65_535)) + text[:65_535] + body


def pickled(dump: Callable[[Any, Any], Any]) -> bytes:
    buffer = io.BytesIO()
    dump(Payload(), buffer)
    return buffer.getvalue()


def object_array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Payload()], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def symlink() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(MANIFEST_MEMBER, (1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o120777 << 16
    return entry


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("../../evil"))
    return buffer.getvalue()


def with_lying_size() -> bytes:
    data = bytearray(bundle())
    central = data.rindex(b"PK\x01\x02")
    data[central + 24 : central + 28] = struct.pack("<I", 0xFFFF_FFF0)
    return bytes(data)


def encrypted() -> bytes:
    data = bytearray(bundle())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def zeros(size: int) -> bytes:
    return bytes(size)


def inner_bomb() -> bytes:
    _, members = parts()
    return bundle(estimator=zipped(members | {"bomb.npy": zeros(200 << 20)}, zipfile.ZIP_DEFLATED))


def nested_bomb() -> bytes:
    inside = zipped({"data.npy": zeros(200 << 20)}, zipfile.ZIP_DEFLATED)
    return bundle(estimator=zipped(parts()[1] | {"matrix.npz": inside}))


def members_list(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    return zipped(list(entries))


def usual() -> tuple[tuple[str, bytes], tuple[str, bytes]]:
    manifest, members = parts()
    return (MANIFEST_MEMBER, manifest), (ESTIMATOR_MEMBER, zipped(members))


def edited(change: Callable[[Any], None]) -> Edit:
    """An edit that changes in place."""

    def edit(document: Any) -> Any:
        change(document)
        return document

    return edit


def nodes_set(column: str, value: Any) -> Edit:
    def edit(nodes: Any) -> None:
        nodes[column][:] = value

    return edit


def endless_pair(nodes: Any) -> None:
    nodes["left_child"][0] = nodes["right_child"][0] = 1
    nodes["left_child"][1] = nodes["right_child"][1] = 0


ARCHIVES: dict[str, Callable[[], bytes]] = {
    # no archive, or a strange one
    "nothing": lambda: b"",
    "random bytes": lambda: random.Random(0).randbytes(10_000),
    "a pickle": lambda: pickled(pickle.dump),
    "a joblib file": lambda: pickled(joblib.dump),
    "a tar archive": tarred,
    "a truncated archive": lambda: bundle()[:-100],
    "a bundle with something behind it": lambda: bundle() + b"x",
    "a bundle with something before it": lambda: b"#!/bin/sh\n" + bundle(),
    "compressed members": lambda: zipped(dict(usual()), zipfile.ZIP_DEFLATED),
    "a zip bomb for a manifest": lambda: zipped(
        dict(usual()) | {MANIFEST_MEMBER: zeros(64 << 20)}, zipfile.ZIP_DEFLATED
    ),
    "a lying size": with_lying_size,
    "encrypted members": encrypted,
    "a third member": lambda: members_list(*usual(), ("setup.py", b"import os")),
    "a path that leaves": lambda: members_list(*usual(), ("../../evil", b"x")),
    "an absolute path": lambda: members_list(("/etc/evil", b"x"), *usual()),
    "a symbolic link": lambda: members_list((symlink(), b"/etc/passwd"), usual()[1]),
    "the manifest twice": lambda: members_list(usual()[0], *usual()),
    "members in another order": lambda: members_list(*reversed(usual())),
    "no manifest": lambda: members_list(usual()[1]),
    "a pickle for an estimator": lambda: bundle(estimator=pickled(pickle.dump)),
    # manifests
    "a manifest nested 100,000 deep": lambda: bundle(manifest=deep(100_000).encode()),
    "a manifest of 5 MiB": lambda: with_manifest(lambda d: d | {"name": "x" * (5 << 20)}),
    "a key twice": lambda: bundle(manifest=b'{"format":1,' + parts()[0][1:]),
    "a number of 100,000 digits": lambda: bundle(manifest=b'{"format":' + b"9" * 100_000 + b"}"),
    "NaN in the manifest": lambda: with_manifest(lambda d: d | {"format": float("nan")}),
    "a manifest that is no text": lambda: bundle(manifest=b"\xff\xfe" * 100),
    "a feature too few": lambda: with_manifest(edited(lambda d: d["input"]["columns"].pop())),
    "classes of another model": lambda: with_manifest(
        edited(lambda d: d["output"].update(classes=["cat", "dog"]))
    ),
    "another estimator than told": lambda: with_manifest(
        lambda d: d | {"estimator": "sklearn.Ridge"}
    ),
    # exact programs
    "a program that is none": lambda: with_program(lambda _: b"\xff" * 100),
    "a program cut short": lambda: with_program(lambda program: program[:-1]),
    "a program of another model": lambda: with_program(lambda p: p[:-1] + bytes([p[-1] ^ 1])),
    "a program nobody announced": lambda: zipped(dict(usual()) | {PROGRAM_MEMBER: b"x"}),
    # what skops reads
    "a bomb in the estimator": inner_bomb,
    "a bomb in a matrix": nested_bomb,
    "no schema": lambda: bundle(estimator=zipped({"x.npy": b""})),
    "a schema nested 100,000 deep": lambda: bundle(
        estimator=zipped({"schema.json": deep(100_000).encode()})
    ),
    "a schema deep within a string": lambda: with_schema(
        edited(lambda s: first_parameter(s, text_node(None) | {"content": deep(100_000)}))
    ),
    "a function that ends the process": lambda: with_schema(
        edited(lambda s: first_parameter(s, node("FunctionNode", "os", "_exit")))
    ),
    "a constructor that ends the process": lambda: with_schema(
        edited(lambda s: first_parameter(s, exit_by_reduce()))
    ),
    "a partial that would end the process": lambda: with_schema(
        edited(lambda s: first_parameter(s, exit_by_partial()))
    ),
    "a shell command for an estimator": lambda: with_schema(
        lambda _: node("ConstructorFromReduceNode", "posix", "system", tuple_node("exit 42"))
    ),
    "a method of a module": lambda: with_schema(
        edited(
            lambda s: first_parameter(
                s, node("MethodNode", "os", "_exit", {"func": "_exit", "obj": text_node("x")})
            )
        )
    ),
    "an operator": lambda: with_schema(
        edited(
            lambda s: first_parameter(
                s, node("OperatorFuncNode", "operator", "methodcaller", tuple_node("system"))
            )
        )
    ),
    "an unknown loader": lambda: with_schema(
        edited(lambda s: first_parameter(s, node("ExecNode", "os", "system")))
    ),
    "a schema that contains itself": lambda: with_schema(
        edited(
            lambda s: first_parameter(
                s, node("CachedNode", "builtins", "object") | {"__id__": s["__id__"]}
            )
        )
    ),
    "a class for an estimator": lambda: with_schema(
        lambda _: node("TypeNode", "sklearn.linear_model", "LogisticRegression")
    ),
    # arrays
    "an array of objects": lambda: with_array(object_array()),
    "an array of 10^13 numbers": lambda: with_array(
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000,), }\n")
    ),
    "an array with a program for a header": lambda: with_array(npy("__import__('os')._exit(42)\n")),
    "an array with a deep header": lambda: with_array(npy("(" * 60_000 + ")" * 5_000)),
    "a negative shape": lambda: with_array(
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -1), }\n", bytes(64))
    ),
    "coefficients that are text": lambda: with_coefficients(np.array([["x"] * 30])),
    "coefficients of too many dimensions": lambda: with_coefficients(np.ones((1, 30, 1, 1))),
    "coefficients that are not numbers": lambda: with_coefficients(np.full((1, 30), np.nan)),
    # trees
    "children far outside": lambda: crashing_tree().data,
    "a root that is its own child": lambda: endless_tree().data,
    "two nodes that are each other's children": lambda: tree_with(endless_pair).data,
    "a trap on one side": lambda: trapped_tree().bundle.data,
    "negative children": lambda: tree_with(nodes_set("left_child", -7)).data,
    "thresholds that are no numbers": lambda: tree_with(nodes_set("threshold", np.nan)).data,
    "a feature there is not": lambda: tree_with(nodes_set("feature", 10**9)).data,
    "a coefficient too few": lambda: raising_model().data,
}
"""Hostile bundles by what is wrong with them."""


def manifest_hash_of(data: bytes) -> bytes:
    """The hash a publisher of these bytes would pin with them."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return keccak(archive.read(MANIFEST_MEMBER))
    except Exception:  # noqa: BLE001 - there is none
        return bytes(32)


def mutants(count: int, seed: int = 0) -> Iterator[bytes]:
    """Honest bundles with random changes, in every layer of them."""
    for number in range(count):
        yield _mutant(random.Random(f"{seed}-{number}"))


def _mutant(chance: random.Random) -> bytes:
    manifest, members = parts(chance.choice(("linear", "tree")))
    what = chance.choice(("bundle", "manifest", "schema", "schema", "array", "array"))
    if what == "manifest":
        manifest = _damaged(manifest, chance)
    elif what != "bundle":
        arrays = [name for name in members if name != "schema.json"]
        name = "schema.json" if what == "schema" else chance.choice(arrays)
        members[name] = _damaged(members[name], chance)
        if what == "schema" and chance.random() < 0.5:
            members[name] = _reshuffled(members[name], chance)
    data = zipped({MANIFEST_MEMBER: manifest, ESTIMATOR_MEMBER: zipped(members)})
    return _damaged(data, chance) if what == "bundle" else data


def _damaged(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(len(changed))
        match chance.randrange(4):
            case 0:
                changed[at] ^= 1 << chance.randrange(8)
            case 1:
                changed[at : at + chance.randrange(1, 9)] = chance.randbytes(chance.randrange(9))
            case 2:
                changed[at:at] = changed[at : at + chance.randrange(64)]
            case 3:
                changed[at] = chance.choice(b'\x00\xff09-."{}[]')
        if not changed:
            break
    return bytes(changed)


def _reshuffled(schema: bytes, chance: random.Random) -> bytes:
    """Exchange the values of two keys of a JSON text, where it is still one."""
    try:
        document = json.loads(schema)
    except ValueError:
        return schema
    found: list[tuple[Any, Any]] = []
    pending = [document]
    while pending:
        item = pending.pop()
        pairs = item.items() if isinstance(item, dict) else enumerate(item)
        for key, value in pairs:
            found.append((item, key))
            if isinstance(value, dict | list):
                pending.append(value)
    (a, i), (b, j) = chance.choice(found), chance.choice(found)
    a[i], b[j] = b[j], a[i]
    try:
        return json.dumps(document).encode()
    except (ValueError, RecursionError):
        return schema
