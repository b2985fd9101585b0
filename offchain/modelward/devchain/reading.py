"""The methods that read the chain."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from eth_utils import encode_hex, keccak

from modelward.devchain.execution import CALL_GAS_CAP, estimate_gas, output_of, run
from modelward.devchain.faults import refused
from modelward.devchain.ledger import Block
from modelward.devchain.logs import LogFilter, find_logs
from modelward.devchain.messages import read_call
from modelward.devchain.methods import MethodTable
from modelward.devchain.node import SUGGESTED_TIP, Node
from modelward.devchain.parameters import (
    LATEST,
    MAX_UINT64,
    BlockReference,
    address,
    block_reference,
    boolean,
    data,
    hash32,
    numbered_block,
    quantity,
    slot,
)
from modelward.devchain.shapes import (
    JsonObject,
    block_json,
    receipt_json,
    transaction_json,
    waiting_json,
)

if TYPE_CHECKING:
    from eth.abc import StateAPI

METHODS = MethodTable()


def find_block(node: Node, reference: BlockReference) -> Block | None:
    """Return the block meant, or None if there is none.

    `safe` and `finalized` are the head: nobody but the chain's own user can reorganise it. A
    pending block is made up on the spot.
    """
    if reference.hash is not None:
        return node.ledger.block_by_hash(reference.hash)
    if reference.number is not None:
        return node.ledger.block(reference.number)
    if reference.tag == "earliest":
        return node.ledger.genesis
    if reference.tag == "pending":
        return node.pending()
    return node.ledger.head


def existing_block(node: Node, reference: BlockReference) -> Block:
    """Return the block meant.

    Raises:
        RpcFault: there is none.
    """
    block = find_block(node, reference)
    if block is None:
        raise refused("header not found")
    return block


def state_at(node: Node, value: object, *, free: bool = False) -> StateAPI:
    """Return the state after the block meant by a parameter (default: latest)."""
    reference = LATEST if value is None else block_reference(value)
    return node.ledger.state(existing_block(node, reference), free=free)


# --- the node ------------------------------------------------------------------------------------


@METHODS.answers("web3_clientVersion")
def _client_version(_: Node) -> str:
    return f"modelward/{version('modelward')}/py-evm/{version('py-evm')}"


@METHODS.answers("web3_sha3", least=1)
def _sha3(_: Node, value: object) -> str:
    return encode_hex(keccak(data(value, "data")))


@METHODS.answers("net_version")
def _network_version(node: Node) -> str:
    return str(node.ledger.chain_id)


@METHODS.answers("net_listening")
def _listening(_: Node) -> bool:
    return True


@METHODS.answers("net_peerCount")
def _peer_count(_: Node) -> str:
    return hex(0)


@METHODS.answers("eth_chainId")
def _chain_id(node: Node) -> str:
    return hex(node.ledger.chain_id)


@METHODS.answers("eth_syncing")
def _syncing(_: Node) -> bool:
    return False


@METHODS.answers("eth_mining")
def _mining(node: Node) -> bool:
    return node.automine


@METHODS.answers("eth_blockNumber")
def _block_number(node: Node) -> str:
    return hex(node.ledger.head.number)


# --- accounts ------------------------------------------------------------------------------------


@METHODS.answers("eth_getBalance", least=1, most=2)
def _balance(node: Node, account: object, block: object = None) -> str:
    owner = address(account, "address")
    return hex(state_at(node, block).get_balance(owner))


@METHODS.answers("eth_getTransactionCount", least=1, most=2)
def _transaction_count(node: Node, account: object, block: object = None) -> str:
    sender = address(account, "address")
    reference = LATEST if block is None else block_reference(block)
    if reference.tag == "pending":
        return hex(node.pending_nonce(sender))
    return hex(state_at(node, block).get_nonce(sender))


@METHODS.answers("eth_getCode", least=1, most=2)
def _code(node: Node, account: object, block: object = None) -> str:
    contract = address(account, "address")
    return encode_hex(state_at(node, block).get_code(contract))


@METHODS.answers("eth_getStorageAt", least=2, most=3)
def _storage_at(node: Node, account: object, position: object, block: object = None) -> str:
    contract, key = address(account, "address"), slot(position)
    return f"0x{state_at(node, block).get_storage(contract, key):064x}"


# --- calls ---------------------------------------------------------------------------------------


@METHODS.answers("eth_call", least=1, most=2)
def _call(node: Node, message: object, block: object = None) -> str:
    """Run a message after the block meant, in that block's own context.

    On `latest` a contract therefore sees the number and timestamp of the head, as on geth and
    anvil; on `pending` it sees those of the block that would be mined now.
    """
    wanted = read_call(node, message)
    state = state_at(node, block, free=wanted.is_free)
    gas = CALL_GAS_CAP if wanted.gas is None else min(wanted.gas, CALL_GAS_CAP)
    return encode_hex(output_of(run(state, wanted, gas)))


@METHODS.answers("eth_estimateGas", least=1, most=2)
def _gas_estimate(node: Node, message: object, block: object = None) -> str:
    wanted = read_call(node, message)
    reference = LATEST if block is None else block_reference(block)
    base = existing_block(node, reference)
    return hex(
        estimate_gas(
            lambda: node.ledger.state(base, free=wanted.is_free), wanted, base.header.gas_limit
        )
    )


# --- blocks and transactions ---------------------------------------------------------------------


def _by_hash(block_hash: object) -> BlockReference:
    return BlockReference(hash=hash32(block_hash, "block hash"))


def _block_answer(block: Block | None, reference: BlockReference, full: bool) -> JsonObject | None:
    if block is None:
        return None
    return block_json(block, full=full, pending=reference.tag == "pending")


@METHODS.answers("eth_getBlockByNumber", least=1, most=2)
def _block_by_number(node: Node, block: object, full: object = False) -> JsonObject | None:
    reference = numbered_block(block)
    whole = boolean(full, "full transactions flag")
    return _block_answer(find_block(node, reference), reference, whole)


@METHODS.answers("eth_getBlockByHash", least=1, most=2)
def _block_by_hash(node: Node, block_hash: object, full: object = False) -> JsonObject | None:
    reference = _by_hash(block_hash)
    whole = boolean(full, "full transactions flag")
    return _block_answer(find_block(node, reference), reference, whole)


def _transaction_count_of(node: Node, reference: BlockReference) -> str | None:
    found = find_block(node, reference)
    return None if found is None else hex(len(found.transactions))


@METHODS.answers("eth_getBlockTransactionCountByNumber", least=1)
def _transaction_count_by_number(node: Node, block: object) -> str | None:
    return _transaction_count_of(node, numbered_block(block))


@METHODS.answers("eth_getBlockTransactionCountByHash", least=1)
def _transaction_count_by_hash(node: Node, block_hash: object) -> str | None:
    return _transaction_count_of(node, _by_hash(block_hash))


@METHODS.answers("eth_getTransactionByHash", least=1)
def _transaction_by_hash(node: Node, transaction_hash: object) -> JsonObject | None:
    wanted = hash32(transaction_hash, "transaction hash")
    found = node.ledger.transaction(wanted)
    if found is not None:
        return transaction_json(*found)
    waiting = node.pool.get(wanted)
    if waiting is None:
        return None
    return waiting_json(waiting.transaction, waiting.hash, waiting.sender)


def _transaction_at(node: Node, reference: BlockReference, index: object) -> JsonObject | None:
    place = quantity(index, "transaction index", maximum=MAX_UINT64)
    found = find_block(node, reference)
    if found is None or place >= len(found.transactions):
        return None
    return transaction_json(found, found.transactions[place], pending=reference.tag == "pending")


@METHODS.answers("eth_getTransactionByBlockNumberAndIndex", least=2)
def _transaction_by_number(node: Node, block: object, index: object) -> JsonObject | None:
    return _transaction_at(node, numbered_block(block), index)


@METHODS.answers("eth_getTransactionByBlockHashAndIndex", least=2)
def _transaction_by_block_hash(node: Node, block_hash: object, index: object) -> JsonObject | None:
    return _transaction_at(node, _by_hash(block_hash), index)


@METHODS.answers("eth_getRawTransactionByHash", least=1)
def _raw_transaction(node: Node, transaction_hash: object) -> str | None:
    wanted = hash32(transaction_hash, "transaction hash")
    found = node.ledger.transaction(wanted)
    carrier = found[1] if found is not None else node.pool.get(wanted)
    return None if carrier is None else encode_hex(carrier.transaction.encode())


@METHODS.answers("eth_getTransactionReceipt", least=1)
def _receipt(node: Node, transaction_hash: object) -> JsonObject | None:
    found = node.ledger.transaction(hash32(transaction_hash, "transaction hash"))
    return None if found is None else receipt_json(*found)


@METHODS.answers("eth_getBlockReceipts", least=1)
def _block_receipts(node: Node, block: object) -> list[JsonObject] | None:
    found = find_block(node, block_reference(block))
    return None if found is None else [receipt_json(found, mined) for mined in found.transactions]


@METHODS.answers("eth_getLogs", least=1)
def _logs(node: Node, wanted: object) -> list[JsonObject]:
    def height(reference: BlockReference) -> int:
        if reference.number is not None:
            return reference.number
        return existing_block(node, reference).number

    return list(find_logs(node.ledger, LogFilter.read(wanted), height))


# --- fees ----------------------------------------------------------------------------------------


@METHODS.answers("eth_gasPrice")
def _gas_price(node: Node) -> str:
    return hex(node.ledger.next_base_fee + SUGGESTED_TIP)


@METHODS.answers("eth_maxPriorityFeePerGas")
def _suggested_tip(_: Node) -> str:
    return hex(SUGGESTED_TIP)


@METHODS.answers("eth_blobBaseFee")
def _blob_base_fee(node: Node) -> str:
    return hex(node.ledger.state(node.ledger.head).blob_base_fee)


@METHODS.answers("eth_feeHistory", least=2, most=3)
def _fee_history(node: Node, count: object, newest: object, percentiles: Any = None) -> JsonObject:
    from modelward.devchain.fee_history import fee_history_json, read_count, read_percentiles

    last = existing_block(node, numbered_block(newest))
    if last.number > node.ledger.head.number:
        last = node.ledger.head
    return fee_history_json(node.ledger, read_count(count), last, read_percentiles(percentiles))
