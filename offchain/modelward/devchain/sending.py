"""The methods that send transactions, signed by the client or by a development account."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from eth_account import Account
from eth_typing import Address
from eth_utils import encode_hex

from modelward.chain.development import DEVELOPMENT_ACCOUNTS
from modelward.devchain.execution import Call, estimate_gas
from modelward.devchain.faults import invalid_params
from modelward.devchain.messages import read_call
from modelward.devchain.methods import MethodTable
from modelward.devchain.node import SUGGESTED_TIP, Node
from modelward.devchain.parameters import data
from modelward.devchain.shapes import access_list_json, hex_address

METHODS = MethodTable()

_KEYS = {
    Address(bytes.fromhex(account.address[2:])): account.private_key
    for account in DEVELOPMENT_ACCOUNTS
}


@METHODS.answers("eth_accounts", "eth_requestAccounts")
def _accounts(node: Node) -> list[str]:
    return [hex_address(address) for address in node.ledger.accounts]


@METHODS.answers("eth_sendRawTransaction", least=1)
def _send_raw(node: Node, encoded: object) -> str:
    return encode_hex(node.submit(data(encoded, "transaction")))


@METHODS.answers("eth_sendTransaction", least=1)
def _send(node: Node, message: object) -> str:
    return encode_hex(node.submit(_signed(node, read_call(node, message))))


def _signed(node: Node, call: Call) -> bytes:
    """Fill in nonce, gas and fees, and sign.

    Raises:
        RpcFault: the sender is not one of the chain's accounts, or the gas cannot be estimated.
    """
    if call.sender not in node.ledger.accounts:
        raise invalid_params(f"unknown account {hex_address(call.sender)}: it has no key here")
    fields: dict[str, Any] = {
        "chainId": node.ledger.chain_id,
        "nonce": node.pending_nonce(call.sender) if call.nonce is None else call.nonce,
        "gas": _estimate(node, call) if call.gas is None else call.gas,
        "value": call.value,
        "data": call.data,
    }
    if call.to:
        fields["to"] = hex_address(call.to)
    if call.transaction_type == 2:
        tip = SUGGESTED_TIP if call.max_tip is None else call.max_tip
        max_fee = 2 * node.ledger.next_base_fee + tip if call.max_fee is None else call.max_fee
        fields["maxFeePerGas"] = max_fee
        fields["maxPriorityFeePerGas"] = min(tip, max_fee)
    else:
        fields["gasPrice"] = call.max_fee
    if call.transaction_type > 0:
        fields["type"] = call.transaction_type
        fields["accessList"] = access_list_json(call.access_list)
    return bytes(Account.sign_transaction(fields, _KEYS[call.sender]).raw_transaction)


def _estimate(node: Node, call: Call) -> int:
    base = node.pending()
    return estimate_gas(
        lambda: node.ledger.state(base, free=True),
        replace(call, max_fee=None, max_tip=None),
        base.header.gas_limit,
    )
