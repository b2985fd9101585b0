"""What comparable work costs elsewhere, to read the figures of `gas` by.

Receipts' `gasUsed` under prague's rules, measured once, from the projects' own contracts compiled
and run on a local chain with 32-byte payloads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Anchor(NamedTuple):
    """Somebody else's figure for the same work, in gas."""

    name: str
    gas: int


FLOOR: Final = "floor: one slot, one event, a pull credit, no access check"

ANCHORS: Final[Mapping[str, tuple[Anchor, ...]]] = {
    "request": (
        Anchor(FLOOR, 45_950),
        Anchor("Chainlink Operator, minimal consumer", 91_612),
        Anchor("Chainlink Operator, client consumer", 125_050),
        Anchor("Ritual Infernet 1.1, paid", 197_330),
        Anchor("ORA OAO", 208_177),
    ),
    "fulfil": (
        Anchor(FLOOR, 34_205),
        Anchor("Chainlink Operator, minimal consumer", 62_392),
        Anchor("Chainlink Operator, client consumer", 64_005),
        Anchor("ORA OAO", 73_488),
        Anchor("Ritual Infernet 1.1, paid", 166_875),
    ),
    "request_plus_fulfil": (
        Anchor(FLOOR, 80_155),
        Anchor("Chainlink Operator, minimal consumer", 154_004),
        Anchor("Chainlink Operator, client consumer", 189_055),
        Anchor("UMA OOv3, assert and settle", 255_743),
        Anchor("ORA OAO", 281_665),
        Anchor("Ritual Infernet 1.1, paid", 364_205),
    ),
    "refund": (Anchor(FLOOR, 30_313),),
    "grant": (
        Anchor("naive mapping with an event", 45_511),
        Anchor("Solady roles", 47_839),
        Anchor("OpenZeppelin AccessControl", 51_454),
    ),
    "revoke": (
        Anchor("naive mapping with an event", 23_671),
        Anchor("Solady roles", 26_043),
        Anchor("OpenZeppelin AccessControl", 29_512),
    ),
    "publish_version": (
        Anchor("hash and owner in one slot, URI in an event", 48_262),
        Anchor("ERC721URIStorage", 125_810),
        Anchor("naive struct in storage", 165_097),
    ),
}
"""By the key of the figure in `gas`; cheapest first."""
