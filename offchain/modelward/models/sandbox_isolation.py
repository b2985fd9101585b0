"""Cuts a process off from the network and from files that are none of its business, on Linux.

A user and network namespace of its own leaves it no network device at all. Landlock leaves it the
files that Python and its libraries are made of, to read; no file can be written, made or removed.
Neither needs a privilege, and either may be missing: an older kernel, or a container that forbids
them. What was achieved is returned, never assumed.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_NEWIPC = 0x1000_0000, 0x4000_0000, 0x0800_0000
_PR_SET_NO_NEW_PRIVS = 38

# linux/landlock.h; the system calls have these numbers on every architecture
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_EXECUTE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 2, 1 << 3
_FILE_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 5: 16}
_TCP = 0b11
_SIGNALS_AND_ABSTRACT_SOCKETS = 0b11
_RULESET, _PATH_BENEATH = struct.Struct("=QQQ"), struct.Struct("=Qi")

_SYSTEM_FILES = (
    "/usr",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/dev/null",
    "/dev/urandom",
    "/proc",
    "/sys",
)


@dataclass(frozen=True, slots=True)
class Isolation:
    """What a process was cut off from.

    `network`: it has no network. `files`: it can read nothing but the libraries it runs on, and
    write, make or remove no file.
    """

    network: bool
    files: bool

    @property
    def complete(self) -> bool:
        """Whether it was cut off from both."""
        return self.network and self.files

    def __str__(self) -> str:
        missing = [
            name
            for name, cut_off in (("the network", self.network), ("the user's files", self.files))
            if not cut_off
        ]
        if not missing:
            return "no network, no files"
        return f"NOT cut off from {' and '.join(missing)}: this system does not permit it"


def leave_network() -> bool:
    """Move this process into a network namespace without devices; whether that was permitted.

    It must have one thread.
    """
    return _call("unshare", _CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC)


def leave_files() -> bool:
    """Leave this process nothing but its libraries, to read; whether that was permitted.

    Files that are open stay open, and what is imported later is still found.
    """
    if sys.platform != "linux" or platform.architecture()[0] != "64bit":
        return False
    abi = _system_call(_CREATE_RULESET, None, ctypes.c_size_t(0), _CREATE_RULESET_VERSION)
    if abi < 1:
        return False
    rights = (1 << max(count for since, count in _FILE_RIGHTS_BY_ABI.items() if since <= abi)) - 1
    attributes = _RULESET.pack(
        rights,
        _TCP if abi >= 4 else 0,
        _SIGNALS_AND_ABSTRACT_SOCKETS if abi >= 6 else 0,
    )
    known = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = _system_call(_CREATE_RULESET, attributes[:known], ctypes.c_size_t(known), 0)
    if ruleset < 0:
        return False
    try:
        return (
            all(_allow_reading(ruleset, path) for path in _libraries())
            and _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            and _system_call(_RESTRICT_SELF, ruleset, 0) == 0
        )
    finally:
        os.close(ruleset)


def _libraries() -> Iterable[Path]:
    places = (*_SYSTEM_FILES, *sys.path, sys.prefix, sys.exec_prefix, sys.base_prefix)
    return {Path(place) for place in places if place and Path(place).exists()}


def _allow_reading(ruleset: int, path: Path) -> bool:
    rights = _READ_FILE | _EXECUTE | (_READ_DIR if path.is_dir() else 0)
    descriptor = os.open(path, getattr(os, "O_PATH", os.O_RDONLY) | os.O_CLOEXEC)
    try:
        rule = _PATH_BENEATH.pack(rights, descriptor)
        return _system_call(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0) == 0
    finally:
        os.close(descriptor)


def _system_call(*arguments: object) -> int:
    try:
        return int(ctypes.CDLL(None).syscall(*arguments))
    except AttributeError:
        return -1


def _call(function: str, *arguments: object) -> bool:
    """Call a function of the C library that returns 0 when it succeeded."""
    found = getattr(ctypes.CDLL(None), function, None)
    return found is not None and found(*arguments) == 0
