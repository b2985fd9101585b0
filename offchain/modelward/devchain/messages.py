"""Reading the transaction objects of `eth_call`, `eth_estimateGas` and `eth_sendTransaction`."""

from __future__ import annotations

from typing import Any

from eth_typing import Address

from modelward.devchain.execution import Call
from modelward.devchain.faults import invalid_params, refused
from modelward.devchain.node import Node
from modelward.devchain.parameters import (
    MAX_UINT64,
    address,
    array,
    data,
    hash32,
    mapping,
    quantity,
)

ZERO_ADDRESS = Address(bytes(20))
CREATE = Address(b"")


def read_call(node: Node, value: object) -> Call:
    """Read a transaction object; `input` and `data` mean the same, unknown members nothing.

    Raises:
        RpcFault: a member has the wrong form, or two contradict each other.
    """
    members = mapping(value, "transaction")
    if "chainId" in members:
        stated = quantity(members["chainId"], "chainId")
        if stated != node.ledger.chain_id:
            raise refused(
                f"chainId does not match node's (have={stated}, want={node.ledger.chain_id})"
            )
    max_fee, max_tip = _read_fees(members)
    return Call(
        sender=address(members["from"], "from") if "from" in members else ZERO_ADDRESS,
        to=_read_recipient(members),
        data=_read_input(members),
        value=_quantity(members, "value") or 0,
        gas=_quantity(members, "gas", maximum=MAX_UINT64),
        max_fee=max_fee,
        max_tip=max_tip,
        nonce=_quantity(members, "nonce", maximum=MAX_UINT64),
        access_list=_read_access_list(members),
        transaction_type=_implied_type(members),
    )


def _quantity(members: dict[str, Any], name: str, *, maximum: int | None = None) -> int | None:
    if name not in members:
        return None
    if maximum is None:
        return quantity(members[name], name)
    return quantity(members[name], name, maximum=maximum)


def _read_recipient(members: dict[str, Any]) -> Address:
    recipient = members.get("to", "")
    return CREATE if recipient in ("", "0x") else address(recipient, "to")


def _read_input(members: dict[str, Any]) -> bytes:
    given = [data(members[name], name) for name in ("input", "data") if name in members]
    if len(given) == 2 and given[0] != given[1]:
        raise invalid_params('both "data" and "input" are set and not equal')
    return given[0] if given else b""


def _read_fees(members: dict[str, Any]) -> tuple[int | None, int | None]:
    price = _quantity(members, "gasPrice")
    max_fee = _quantity(members, "maxFeePerGas")
    max_tip = _quantity(members, "maxPriorityFeePerGas")
    if price is not None:
        if max_fee is not None or max_tip is not None:
            raise invalid_params(
                "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified"
            )
        return price, price
    if max_fee is not None and max_tip is not None and max_tip > max_fee:
        raise invalid_params(f"maxFeePerGas ({max_fee}) < maxPriorityFeePerGas ({max_tip})")
    return max_fee, max_tip


def _implied_type(members: dict[str, Any]) -> int:
    if "gasPrice" not in members:
        return 2
    return 1 if "accessList" in members else 0


def _read_access_list(members: dict[str, Any]) -> tuple[tuple[Address, tuple[int, ...]], ...]:
    entries = []
    for entry in array(members.get("accessList", []), "accessList"):
        fields = mapping(entry, "access list entry")
        keys = array(fields.get("storageKeys", []), "storageKeys")
        entries.append(
            (
                address(fields.get("address"), "access list address"),
                tuple(int.from_bytes(hash32(key, "storage key"), "big") for key in keys),
            )
        )
    return tuple(entries)
