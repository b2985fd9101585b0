"""What blocks, transactions, receipts and logs look like in JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from eth_utils import encode_hex, to_checksum_address

if TYPE_CHECKING:
    from eth.abc import LogAPI, SignedTransactionAPI

    from modelward.devchain.ledger import Block, Mined

JsonObject = dict[str, Any]


def hex_address(address: bytes) -> str:
    """Return a checksummed address."""
    return str(to_checksum_address(address))


def block_json(block: Block, *, full: bool, pending: bool = False) -> JsonObject:
    """Return a block, with whole transactions or their hashes.

    A pending block has no hash, nonce or miner yet, as in geth.
    """
    header: Any = block.header  # py-evm types the fields of later forks as optional
    return {
        "number": hex(block.number),
        "hash": None if pending else encode_hex(block.hash),
        "parentHash": encode_hex(header.parent_hash),
        "nonce": None if pending else encode_hex(header.nonce),
        "sha3Uncles": encode_hex(header.uncles_hash),
        "logsBloom": _bloom(header.bloom),
        "transactionsRoot": encode_hex(header.transaction_root),
        "stateRoot": encode_hex(header.state_root),
        "receiptsRoot": encode_hex(header.receipt_root),
        "miner": None if pending else hex_address(header.coinbase),
        "difficulty": hex(header.difficulty),
        "totalDifficulty": "0x0",
        "extraData": encode_hex(header.extra_data),
        "size": hex(block.size),
        "gasLimit": hex(header.gas_limit),
        "gasUsed": hex(header.gas_used),
        "timestamp": hex(header.timestamp),
        "transactions": [
            transaction_json(block, mined, pending=pending) if full else encode_hex(mined.hash)
            for mined in block.transactions
        ],
        "uncles": [],
        "baseFeePerGas": hex(header.base_fee_per_gas),
        "mixHash": encode_hex(header.mix_hash),
        "withdrawals": [],
        "withdrawalsRoot": encode_hex(header.withdrawals_root),
        "blobGasUsed": hex(header.blob_gas_used),
        "excessBlobGas": hex(header.excess_blob_gas),
        "parentBeaconBlockRoot": encode_hex(header.parent_beacon_block_root),
        "requestsHash": encode_hex(header.requests_hash),
    }


def transaction_json(block: Block, mined: Mined, *, pending: bool = False) -> JsonObject:
    """Return a transaction that is in a block."""
    fields = _signed_fields(mined.transaction, mined.hash, mined.sender)
    fields["gasPrice"] = hex(mined.effective_gas_price)
    if not pending:
        fields["blockHash"] = encode_hex(block.hash)
        fields["blockNumber"] = hex(block.number)
        fields["transactionIndex"] = hex(mined.index)
    return fields


def waiting_json(
    transaction: SignedTransactionAPI, transaction_hash: bytes, sender: bytes
) -> JsonObject:
    """Return a transaction that waits for a block."""
    return _signed_fields(transaction, transaction_hash, sender)


def receipt_json(block: Block, mined: Mined) -> JsonObject:
    """Return a receipt, logs included."""
    return {
        "transactionHash": encode_hex(mined.hash),
        "transactionIndex": hex(mined.index),
        "blockHash": encode_hex(block.hash),
        "blockNumber": hex(block.number),
        "from": hex_address(mined.sender),
        "to": hex_address(mined.transaction.to) if mined.transaction.to else None,
        "cumulativeGasUsed": hex(mined.receipt.gas_used),
        "gasUsed": hex(mined.gas_used),
        "effectiveGasPrice": hex(mined.effective_gas_price),
        "contractAddress": (
            hex_address(mined.contract_address) if mined.contract_address else None
        ),
        "logs": list(logs_json(block, mined)),
        "logsBloom": _bloom(mined.receipt.bloom),
        "status": hex(mined.succeeded),
        "type": hex(_type_of(mined.transaction)),
    }


def logs_json(block: Block, mined: Mined) -> Iterator[JsonObject]:
    """Yield the logs of one transaction."""
    for offset, log in enumerate(mined.receipt.logs):
        yield log_json(block, mined, log, mined.first_log_index + offset)


def log_json(block: Block, mined: Mined, log: LogAPI, index: int) -> JsonObject:
    """Return one log; `index` counts through the block."""
    return {
        "address": hex_address(log.address),
        "topics": [f"0x{topic:064x}" for topic in log.topics],
        "data": encode_hex(log.data),
        "blockNumber": hex(block.number),
        "blockHash": encode_hex(block.hash),
        "blockTimestamp": hex(block.timestamp),
        "transactionHash": encode_hex(mined.hash),
        "transactionIndex": hex(mined.index),
        "logIndex": hex(index),
        "removed": False,
    }


def access_list_json(entries: Iterable[tuple[bytes, Iterable[int]]]) -> list[JsonObject]:
    """Return an access list (EIP-2930)."""
    return [
        {"address": hex_address(address), "storageKeys": [f"0x{key:064x}" for key in keys]}
        for address, keys in entries
    ]


def _signed_fields(
    transaction: SignedTransactionAPI, transaction_hash: bytes, sender: bytes
) -> JsonObject:
    kind = _type_of(transaction)
    fields: JsonObject = {
        "type": hex(kind),
        "hash": encode_hex(transaction_hash),
        "nonce": hex(transaction.nonce),
        "blockHash": None,
        "blockNumber": None,
        "transactionIndex": None,
        "from": hex_address(sender),
        "to": hex_address(transaction.to) if transaction.to else None,
        "value": hex(transaction.value),
        "gas": hex(transaction.gas),
        "gasPrice": hex(transaction.max_fee_per_gas),
        "input": encode_hex(transaction.data),
        "data": encode_hex(transaction.data),
    }
    if transaction.chain_id is not None:
        fields["chainId"] = hex(transaction.chain_id)
    if kind == 0:
        fields["v"] = hex(transaction.v)  # type: ignore[attr-defined]
    else:
        fields["accessList"] = access_list_json(transaction.access_list)
        fields["yParity"] = fields["v"] = hex(transaction.y_parity)
    if kind == 2:
        fields["maxFeePerGas"] = hex(transaction.max_fee_per_gas)
        fields["maxPriorityFeePerGas"] = hex(transaction.max_priority_fee_per_gas)
    fields["r"] = hex(transaction.r)
    fields["s"] = hex(transaction.s)
    return fields


def _type_of(transaction: SignedTransactionAPI) -> int:
    return getattr(transaction, "type_id", None) or 0


def _bloom(bloom: int) -> str:
    return f"0x{bloom:0512x}"
