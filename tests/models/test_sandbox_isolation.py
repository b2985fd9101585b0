"""What a process that has isolated itself can still do: read its libraries, and nothing else."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from modelward.models.sandbox import Sandbox
from modelward.models.sandbox_isolation import Isolation

PRISONER = """
import json, os, signal, socket, sys
from pathlib import Path
from modelward.models.sandbox_isolation import leave_files, leave_network

secret, port, parent = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
network, files = leave_network(), leave_files()
folder = secret.parent

attempts = {
    "read a secret": secret.read_bytes,
    "list a folder": lambda: list(folder.iterdir()),
    "write a file": lambda: (folder / "new").write_bytes(b"x"),
    "write in a library": lambda: Path(sys.prefix, "new").write_bytes(b"x"),
    "change a file": lambda: secret.write_bytes(b"x"),
    "cut a file": lambda: os.truncate(secret, 0),
    "remove a file": secret.unlink,
    "make a folder": (folder / "folder").mkdir,
    "make a link": lambda: (folder / "link").symlink_to(secret),
    "run a program": lambda: os.posix_spawn(secret, ["program"], {}),
    "connect": lambda: socket.create_connection(("127.0.0.1", port), 5),
    "send a datagram": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(
        b"x", ("127.0.0.1", port)
    ),
    "signal its parent": lambda: os.kill(parent, signal.SIGCONT),
    "look into its parent": lambda: Path(f"/proc/{parent}/environ").read_bytes(),
}
done = []
for name, attempt in attempts.items():
    try:
        attempt()
    except OSError:
        continue
    done.append(name)
import sqlite3, wave  # libraries are still found
print(json.dumps({"network": network, "files": files, "done": done}))
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    secret = tmp_path_factory.mktemp("home") / "keystore"
    secret.write_bytes(b"#!/bin/sh\n")
    secret.chmod(0o700)
    with socket.create_server(("127.0.0.1", 0)) as server:
        arguments = (secret, server.getsockname()[1], os.getpid())
        ran = subprocess.run(
            [sys.executable, "-c", PRISONER, *map(str, arguments)], capture_output=True, text=True
        )
    assert ran.returncode == 0, ran.stderr
    assert [file.name for file in secret.parent.iterdir()] == ["keystore"]
    assert secret.read_bytes() == b"#!/bin/sh\n"
    return json.loads(ran.stdout)


def test_it_has_no_files_but_its_libraries(report):
    if not report["files"]:
        pytest.skip("this system has no Landlock")
    network = {"connect", "send a datagram"}
    assert set(report["done"]) <= network


def test_it_has_no_network(report):
    if not report["network"]:
        pytest.skip("this system permits no user namespaces")
    assert not {"connect", "send a datagram"} & set(report["done"])


def test_the_sandbox_tells_what_its_child_is_cut_off_from(report):
    with Sandbox() as sandbox:
        assert sandbox.isolation == Isolation(report["network"], report["files"])
        if sys.platform == "linux" and report["network"]:
            theirs = Path(f"/proc/{sandbox.process_id}/ns/net").readlink()
            assert theirs != Path("/proc/self/ns/net").readlink()


def test_what_is_missing_is_said_in_words():
    assert str(Isolation(network=True, files=True)) == "no network, no files"
    missing = Isolation(network=False, files=False)
    assert not missing.complete
    assert "NOT cut off from the network and the user's files" in str(missing)
