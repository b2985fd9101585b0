"""Lineage: hashes from the source to the model card, each linked to the one before.

The manifest of a version holds the links, so that the registry pins them. A link is
``keccak256(salt | content | link before)`` of a 32-byte content hash; the first has 32 zero bytes
before it. Its salt keeps anybody from telling by guessing what the data were: the owner keeps the
salts, and can show any link by giving its salt and its content.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from eth_utils.crypto import keccak

LINKS = ("source", "cleaned", "split", "training", "card")
"""The links in their order, by the names they have in a manifest's lineage."""

CARD = "model card"
"""The name by which a manifest's lineage has the hash of the card itself, which is public."""

_FIRST = bytes(32)


@dataclass(frozen=True)
class Lineage:
    """The content hash and the salt (32 bytes each) of every link."""

    contents: Mapping[str, bytes]
    salts: Mapping[str, bytes]

    @classmethod
    def of(cls, contents: Mapping[str, bytes]) -> Lineage:
        """The lineage of `contents`, with new salts."""
        return cls(contents, {name: secrets.token_bytes(32) for name in LINKS})

    def links(self) -> dict[str, bytes]:
        """The links, as a manifest holds them."""
        links, before = {}, _FIRST
        for name in LINKS:
            before = keccak(self.salts[name] + self.contents[name] + before)
            links[name] = before
        return links
