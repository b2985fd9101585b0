"""Signatures of EIP-712 digests."""

from __future__ import annotations

from eth_account import Account
from eth_keys import keys
from eth_typing import Hash32

from modelward.chain.sender import Sender

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def sign(signer: Sender, digest: bytes) -> bytes:
    """A key's signature, 65 bytes."""
    signed = Account.unsafe_sign_hash(Hash32(digest), signer.account.private_key)
    return bytes(signed.signature)


def mirrored(signature: bytes) -> bytes:
    """The other signature of the same digest by the same key, in the order's upper half."""
    s = CURVE_ORDER - int.from_bytes(signature[32:64])
    return signature[:32] + s.to_bytes(32) + bytes([55 - signature[64]])


def recovered(digest: bytes, signature: bytes) -> str:
    """Whose signature of `digest` this is."""
    vrs = signature[64] - 27, int.from_bytes(signature[:32]), int.from_bytes(signature[32:64])
    return keys.Signature(vrs=vrs).recover_public_key_from_msg_hash(digest).to_checksum_address()
