"""The methods that send transactions, signed by the client or by a development account."""

from __future__ import annotations

from dataclasses import replace

from eth.vm.forks.prague.transactions import PragueTransactionBuilder
from eth_keys import keys
from eth_typing import Address
from eth_utils import encode_hex

from modelward.chain.development import DEVELOPMENT_ACCOUNTS
from modelward.devchain.execution import Call, estimate_gas
from modelward.devchain.faults import invalid_params
from modelward.devchain.messages import read_call
from modelward.devchain.methods import MethodTable
from modelward.devchain.node import SUGGESTED_TIP, Node
from modelward.devchain.parameters import data
from modelward.devchain.shapes import hex_address

METHODS = MethodTable()

_KEYS = {
    Address(bytes.fromhex(account.address[2:])): bytes.fromhex(account.private_key[2:])
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
    key = keys.PrivateKey(_KEYS[call.sender])
    tip = SUGGESTED_TIP if call.max_tip is None else call.max_tip
    max_fee = 2 * node.ledger.next_base_fee + tip if call.max_fee is None else call.max_fee
    nonce = node.pending_nonce(call.sender) if call.nonce is None else call.nonce
    gas = call.gas
    if gas is None:
        base = node.pending()
        gas = estimate_gas(
            lambda: node.ledger.state(base, free=True),
            replace(call, max_fee=None, max_tip=None),
            base.header.gas_limit,
        )
    if call.is_legacy:
        return (
            PragueTransactionBuilder.create_unsigned_transaction(
                nonce=nonce,
                gas_price=max_fee,
                gas=gas,
                to=call.to,
                value=call.value,
                data=call.data,
            )
            .as_signed_transaction(key, chain_id=node.ledger.chain_id)
            .encode()
        )
    if call.is_type_1:
        return (
            PragueTransactionBuilder.new_unsigned_access_list_transaction(
                chain_id=node.ledger.chain_id,
                nonce=nonce,
                gas_price=max_fee,
                gas=gas,
                to=call.to,
                value=call.value,
                data=call.data,
                access_list=call.access_list,
            )
            .as_signed_transaction(key)
            .encode()
        )
    return (
        PragueTransactionBuilder.new_unsigned_dynamic_fee_transaction(
            chain_id=node.ledger.chain_id,
            nonce=nonce,
            max_priority_fee_per_gas=min(tip, max_fee),
            max_fee_per_gas=max_fee,
            gas=gas,
            to=call.to,
            value=call.value,
            data=call.data,
            access_list=call.access_list,
        )
        .as_signed_transaction(key)
        .encode()
    )
