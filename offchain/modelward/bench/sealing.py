"""How fast things are sealed and opened, in how much memory, and what sharing costs in gas."""

from __future__ import annotations

import io
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from modelward.sealing.binding import Binding
from modelward.sealing.envelope import (
    new_content_key,
    open_file,
    open_stream,
    seal_file,
    seal_stream,
)
from modelward.sealing.keys import DecryptionKey
from modelward.sealing.wrapping import unwrap_key, wrap_key
from modelward.terms import Address, GrantTerms, RevokeItem, Right

MIB = 1 << 20
CROWD = 100
_PLACE = Binding(31337, Address("0x" + "11" * 20), b"\x22" * 32, 1)
_GRANTEE = Address("0x" + "33" * 20)


def measure(*, content_mib: int = 64, file_mib: int = 1024, rounds: int = 3) -> dict[str, Any]:
    """All figures: speeds are the best of `rounds`, memory is that of a process of its own."""
    return {
        **_wrapping(),
        **_streaming(content_mib, rounds),
        "file_mib": file_mib,
        "file_peak_memory_mib": _peak_memory(file_mib),
        "gas": _gas(),
    }


def _wrapping(count: int = 500) -> dict[str, int]:
    key, secret = DecryptionKey.random(), new_content_key()
    wrapped = wrap_key(secret, key.public, _PLACE, _GRANTEE)
    wrap = _seconds(lambda: wrap_key(secret, key.public, _PLACE, _GRANTEE), count)
    unwrap = _seconds(lambda: unwrap_key(wrapped, key, _PLACE, _GRANTEE), count)
    return {"wraps_per_second": round(count / wrap), "unwraps_per_second": round(count / unwrap)}


def _streaming(mib: int, rounds: int) -> dict[str, float]:
    """Sealing and opening in memory, beside AES-GCM of the same library over the same bytes."""
    content, key = os.urandom(MIB) * mib, new_content_key()
    raw, nonce = AESGCM(key), bytes(12)
    ciphertext = raw.encrypt(nonce, content, None)
    envelope = io.BytesIO()
    seal_stream(io.BytesIO(content), envelope, key, _PLACE)
    sealed = envelope.getvalue()
    best: dict[str, float] = {}
    for _ in range(rounds):  # interleaved, so that all see the same machine
        for name, action in (
            ("raw_encrypt", lambda: raw.encrypt(nonce, content, None)),
            ("seal", lambda: seal_stream(io.BytesIO(content), io.BytesIO(), key, _PLACE)),
            ("raw_decrypt", lambda: raw.decrypt(nonce, ciphertext, None)),
            ("open", lambda: open_stream(io.BytesIO(sealed), io.BytesIO(), key, _PLACE)),
        ):
            seconds = _seconds(action, 1)
            best[name] = min(best.get(name, seconds), seconds)
    figures: dict[str, float] = {"content_mib": mib}
    figures |= {f"{name}_mib_per_second": round(mib / took) for name, took in best.items()}
    figures["seal_ratio"] = round(best["raw_encrypt"] / best["seal"], 3)
    figures["open_ratio"] = round(best["raw_decrypt"] / best["open"], 3)
    return figures


def _peak_memory(mib: int) -> float:
    """Most memory, in MiB, that a process needs to seal and open a file of that size."""
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(mib)], capture_output=True, text=True, check=True
    )
    return round(float(done.stdout), 1)


def _seal_and_open_a_file(mib: int) -> float:
    key, piece = new_content_key(), os.urandom(MIB)
    with tempfile.TemporaryDirectory(prefix="modelward-bench-") as folder:
        clear, envelope, opened = (Path(folder) / name for name in ("clear", "envelope", "opened"))
        with clear.open("wb") as file:
            for _ in range(mib):
                file.write(piece)
        seal_file(clear, envelope, key, _PLACE)
        clear.unlink()
        open_file(envelope, opened, key, _PLACE)
    return _own_peak_memory()


def _own_peak_memory() -> float:
    """In MiB. Linux's `ru_maxrss` would count what the parent used before it started this."""
    status = Path("/proc/self/status")
    if status.exists():
        [kibibytes] = re.findall(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.MULTILINE)
        return int(kibibytes) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _gas() -> dict[str, Any]:
    """Gas of whole transactions; of those for a crowd, also for each of it."""
    from modelward.chain.accounts import Account
    from modelward.chain.connection import Chain
    from modelward.chain.sender import Sender
    from modelward.config import load_config
    from modelward.deployment import deploy
    from modelward.devchain import DevChain

    with tempfile.TemporaryDirectory(prefix="modelward-bench-") as folder:
        config = load_config(environ={"MODELWARD_HOME": folder})
        chain = Chain.connect(config.network("embedded"), DevChain().provider())
        share = deploy(chain, Account.development("deployer"), config).data_share
        owner, reader = (Sender(chain, Account.development(role)) for role in ("owner", "worker"))
        resource_, wrapped = b"\x22" * 32, os.urandom(80)
        read = GrantTerms(Right.READ)
        crowd = [Address(f"0x{number:040x}") for number in range(2**160 - CROWD, 2**160)]
        rotate = owner.send(share.rewrap_keys(resource_, crowd, wrapped * CROWD)).gas_used
        register = reader.send(share.register_key(os.urandom(32))).gas_used
        granted = owner.send(share.grant(reader.address, resource_, read, wrapped)).gas_used
        revoked = owner.send(share.revoke(reader.address, resource_)).gas_used
        all_revoked = owner.send(share.revoke_access(reader.address)).gas_used
        many = owner.send(share.revoke_many([RevokeItem(each, resource_) for each in crowd]))
    return {
        "register_key": register,
        "grant_with_wrapped_key": granted,
        "revoke": revoked,
        "revoke_access": all_revoked,
        f"revoke_many_{CROWD}": many.gas_used,
        f"rewrap_keys_{CROWD}": rotate,
        f"rewrap_keys_{CROWD}_each": rotate // CROWD,
    }


def _seconds(action: Callable[[], object], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        action()
    return time.perf_counter() - start


if __name__ == "__main__":
    print(_seal_and_open_a_file(int(sys.argv[1])))
