"""The codec differs from eth-abi's own in nothing but addresses, text, and how often it decodes."""

import eth_abi
import pytest
from eth_abi.exceptions import DecodingError, EncodingError
from eth_utils import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from modelward.abi_codec import Encoded, decode, encode

WORD = st.binary(min_size=32, max_size=32)
NUMBER = st.integers(0, 2**256 - 1)
ADDRESS = st.binary(min_size=20, max_size=20).map(to_checksum_address)
PAIR = st.tuples(ADDRESS, NUMBER)

LAYOUTS = [
    (["(address,uint256)"], st.tuples(PAIR)),
    (["(bytes32,(address,uint256))", "bytes"], st.tuples(st.tuples(WORD, PAIR), st.binary())),
    (["(address,uint256)[2]", "uint256"], st.tuples(st.tuples(PAIR, PAIR), NUMBER)),
    (["((address,uint256)[2],bytes32)"], st.tuples(st.tuples(st.tuples(PAIR, PAIR), WORD))),
    (["(address,uint256)[]", "address"], st.tuples(st.lists(PAIR).map(tuple), ADDRESS)),
    (["((address,uint256),bytes)[]"], st.tuples(st.lists(st.tuples(PAIR, st.binary())).map(tuple))),
]


def lowered(value):
    """Values as eth-abi's own codec gives them."""
    if isinstance(value, tuple):
        return tuple(map(lowered, value))
    return value.lower() if isinstance(value, str) else value


@pytest.mark.parametrize(("types", "values"), LAYOUTS, ids=lambda part: str(part)[:40])
def test_it_encodes_and_decodes_as_eth_abi_does(types, values):
    @given(values)
    def check(given_values):
        data = encode(types, given_values)
        assert data == eth_abi.encode(types, given_values)
        assert decode(types, data) == given_values
        assert eth_abi.decode(types, data) == lowered(given_values)

    check()


@pytest.mark.parametrize(("types", "values"), LAYOUTS, ids=lambda part: str(part)[:40])
def test_it_refuses_what_is_cut_off_as_eth_abi_does(types, values):
    @given(values, st.integers(1, 64))
    def check(given_values, missing):
        data = eth_abi.encode(types, given_values)[:-missing]
        with pytest.raises(DecodingError):
            decode(types, data)

    check()


def test_a_tuple_may_be_given_encoded_already():
    kind, value = "(address,uint256)", (to_checksum_address(b"\1" * 20), 7)
    ready = Encoded(encode([kind], [value]))
    assert encode([kind, "bytes"], [ready, b"x"]) == encode([kind, "bytes"], [value, b"x"])
    assert encode([f"{kind}[]"], [[ready, value]]) == encode([f"{kind}[]"], [[value, value]])


def test_plain_bytes_are_no_tuple():
    with pytest.raises(EncodingError):
        encode(["(address,uint256)"], [b"\0" * 64])
