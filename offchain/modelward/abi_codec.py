"""ABI encoding by eth-abi, with what its own codec does not do.

A tuple that holds no pointers, such as an offer, is decoded once for the same bytes, and may be
given encoded already; addresses come checksummed; text that is no UTF-8 comes escaped, for anyone
can put any text on chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from eth_abi.codec import ABICodec
from eth_abi.decoding import (
    AddressDecoder,
    ContextFramesBytesIO,
    SizedArrayDecoder,
    StringDecoder,
    TupleDecoder,
)
from eth_abi.encoding import TupleEncoder
from eth_abi.registry import BaseEquals, is_base_tuple
from eth_abi.registry import registry as default_registry
from eth_utils.address import to_checksum_address

_TUPLES_REMEMBERED = 1_024


class Encoded(bytes):
    """A tuple without pointers that is encoded already."""


def encode(types: Sequence[str], values: Sequence[Any]) -> bytes:
    """ABI-encode values of these types.

    Raises `eth_abi.exceptions.EncodingError`, `TypeError` or `OverflowError`.
    """
    return _CODEC.encode(types, values)


def decode(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """Decode values of these types.

    Raises `eth_abi.exceptions.DecodingError`, `ValueError` or `OverflowError`.
    """
    return _CODEC.decode(types, data)


class _ChecksummedAddress(AddressDecoder):
    decoder_fn = staticmethod(lru_cache(maxsize=8_192)(to_checksum_address))


class _TupleEncoder(TupleEncoder):
    def validate_value(self, value: Any) -> None:
        if not isinstance(value, Encoded):
            super().validate_value(value)  # type: ignore[no-untyped-call]

    def encode(self, values: Any) -> Any:
        return values if isinstance(values, Encoded) else super().encode(values)  # type: ignore[no-untyped-call]


class _TupleDecoder(TupleDecoder):
    """Decodes a tuple that holds no pointers, such as an offer, once for the same bytes."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self.words = sum(map(_words, self.decoders or ()))
        self._decode_once = lru_cache(maxsize=_TUPLES_REMEMBERED)(self._decode_static)

    def decode(self, stream: ContextFramesBytesIO) -> tuple[Any, ...]:
        if self.is_dynamic:
            return super().decode(stream)
        return self._decode_once(stream.read(32 * self.words))

    def _decode_static(self, data: bytes) -> tuple[Any, ...]:
        stream = ContextFramesBytesIO(data)  # type: ignore[no-untyped-call]
        return tuple(decoder(stream) for decoder in self.decoders or ())


def _words(decoder: Any) -> int:
    """How many words a value takes in the head."""
    if getattr(decoder, "is_dynamic", False):
        return 1
    if isinstance(decoder, _TupleDecoder):
        return decoder.words
    if isinstance(decoder, SizedArrayDecoder):
        return int(decoder.array_size or 0) * _words(decoder.item_decoder)
    return 1


def _codec() -> ABICodec:
    registry = default_registry.copy()  # type: ignore[no-untyped-call]
    registry.unregister_decoder("string")
    registry.register_decoder(
        BaseEquals("string"),  # type: ignore[no-untyped-call]
        StringDecoder(handle_string_errors="backslashreplace"),  # type: ignore[no-untyped-call]
        label="string",
    )
    registry.unregister_decoder("address")
    registry.register_decoder(
        BaseEquals("address", with_sub=False),  # type: ignore[no-untyped-call]
        _ChecksummedAddress,
        label="address",
    )
    registry.unregister("is_base_tuple")
    registry.register(is_base_tuple, _TupleEncoder, _TupleDecoder, label="is_base_tuple")
    return ABICodec(registry)


_CODEC = _codec()
