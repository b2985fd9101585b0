"""Parameters are read strictly: what is not exactly right is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelward.devchain import parameters
from modelward.devchain.faults import RpcFault


@given(st.integers(0, 2**256 - 1))
def test_every_quantity_a_client_writes_is_read_back(value):
    assert parameters.quantity(hex(value), "x") == value


@pytest.mark.parametrize(
    "value", [None, 5, True, "", "0x", "5", "0x05", "0x00", "0X5", "-0x1", "0xg", "0x5 ", "0x٣", []]
)
def test_what_is_no_quantity_is_refused(value):
    with pytest.raises(RpcFault) as caught:
        parameters.quantity(value, "x")
    assert caught.value.code == -32602


def test_a_quantity_above_the_maximum_is_refused():
    assert parameters.quantity("0xff", "x", maximum=255) == 255
    with pytest.raises(RpcFault):
        parameters.quantity("0x100", "x", maximum=255)


@given(st.binary(max_size=80))
def test_every_byte_string_is_read_back(value):
    assert parameters.data(f"0x{value.hex()}", "x") == value
    assert parameters.data(f"0x{value.hex().upper()}", "x") == value


@pytest.mark.parametrize("value", [None, 5, "", "00", "0x0", "0x0g", "0x00\n", b"\0"])
def test_what_is_no_byte_string_is_refused(value):
    with pytest.raises(RpcFault):
        parameters.data(value, "x")


@pytest.mark.parametrize("length", [0, 19, 21, 32])
def test_an_address_has_twenty_bytes(length):
    with pytest.raises(RpcFault):
        parameters.address("0x" + "11" * length, "x")


@pytest.mark.parametrize(("value", "expected"), [(5, 5), ("5", 5), ("0x5", 5), ("007", 7)])
def test_control_methods_take_numbers_in_any_form(value, expected):
    assert parameters.number(value, "x") == expected


@pytest.mark.parametrize("value", [-1, 2**64, 1.5, True, None, "five", "-1", "٣"])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(RpcFault):
        parameters.number(value, "x")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("latest", {"tag": "latest"}),
        ("0x0", {"number": 0}),
        ({"blockNumber": "0x2"}, {"number": 2}),
        ({"blockNumber": "safe"}, {"tag": "safe"}),
        ({"blockHash": "0x" + "11" * 32, "requireCanonical": True}, {"hash": b"\x11" * 32}),
        ("0x" + "11" * 32, {"hash": b"\x11" * 32}),
    ],
)
def test_a_block_is_named_by_tag_number_hash_or_object(value, expected):
    assert parameters.block_reference(value) == parameters.BlockReference(**expected)


@pytest.mark.parametrize(
    "value",
    [
        5,
        "",
        "newest",
        "0x01",
        "0x10000000000000000",
        {},
        {"blockHash": "0x11"},
        {"blockHash": "0x" + "11" * 32, "blockNumber": "0x1"},
    ],
)
def test_what_names_no_block_is_refused(value):
    with pytest.raises(RpcFault):
        parameters.block_reference(value)
