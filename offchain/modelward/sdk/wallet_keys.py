"""An encryption key from a wallet that gives out signatures, but not its private key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modelward.errors import InvalidTerms
from modelward.sealing.keys import DecryptionKey

WARNING = (
    "This signature IS your modelward encryption key. Whoever gets it can read everything "
    "shared with you. Sign it only in software you trust."
)


def wallet_message(index: int) -> dict[str, Any]:
    """The EIP-712 message a wallet signs for its key number `index`, the same on every chain."""
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
            ],
            "EncryptionKey": [
                {"name": "warning", "type": "string"},
                {"name": "index", "type": "uint32"},
            ],
        },
        "domain": {"name": "modelward encryption key", "version": "1"},
        "primaryType": "EncryptionKey",
        "message": {"warning": WARNING, "index": index},
    }


def key_from_wallet(sign: Callable[[dict[str, Any]], bytes], index: int) -> DecryptionKey:
    """The key number `index` of a wallet, from its signature of `wallet_message`.

    `sign` has the wallet sign typed data and gives the 65 bytes. It is asked twice: a wallet whose
    signatures differ could never derive the key again.

    Raises `InvalidTerms` when they differ, or are none.
    """
    message = wallet_message(index)
    first, second = sign(message), sign(message)
    if first != second:
        raise InvalidTerms(
            "This wallet signs the same text differently each time; no key can follow from it.",
            hint="Use an account whose private key is in a keystore.",
        )
    return DecryptionKey.of_signature(first, index)
