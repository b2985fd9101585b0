"""What an answer to each JSON-RPC method must look like, whoever gives it.

An endpoint that answers a question with null, with another type, or with the answer to another
question has not answered: it is asked again, or another one is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from eth_utils.crypto import keccak

from modelward.chain.log import read_log
from modelward.errors import RpcUnavailable

_QUANTITY: Final = re.compile(r"0x[0-9a-fA-F]{1,64}")
_DATA: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_HASH: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_ALWAYS_THERE: Final = frozenset({"latest", "earliest"})

NULLABLE: Final = frozenset(
    {
        "eth_getBlockByHash",
        "eth_getBlockByNumber",
        "eth_getBlockReceipts",
        "eth_getTransactionByHash",
        "eth_getTransactionReceipt",
    }
)
"""Methods that answer null to say that there is no such thing, or not yet."""


def fault_in(method: str, params: Sequence[Any], result: Any) -> str | None:
    """What is wrong with the result of a request, None where nothing is or nobody can tell."""
    check = _CHECKS.get(method)
    expected = None if check is None else check(params, result)
    return None if expected is None else f"it gave {result!r:.80} where {expected} belongs"


def _number(_: Sequence[Any], result: Any) -> str | None:
    return None if _matches(_QUANTITY, result) else "a hex number"


def _bytes(_: Sequence[Any], result: Any) -> str | None:
    return None if _matches(_DATA, result) else "hex data"


def _logs(_: Sequence[Any], result: Any) -> str | None:
    if not isinstance(result, list):
        return "a list of logs"
    try:
        for entry in result:
            read_log(entry)
    except RpcUnavailable:
        return "a list of logs"
    return None


def _receipts(_: Sequence[Any], result: Any) -> str | None:
    if result is None:
        return None
    listed = isinstance(result, list) and all(
        isinstance(receipt, dict) and isinstance(receipt.get("logs"), list) for receipt in result
    )
    if not listed:
        return "a list of receipts"
    return _logs((), [entry for receipt in result for entry in receipt["logs"]])


def _block_by_number(params: Sequence[Any], result: Any) -> str | None:
    wanted = params[0]
    if result is None:
        return "a block" if wanted in _ALWAYS_THERE else None
    if not _is_block(result):
        return "a block"
    if _matches(_QUANTITY, wanted) and int(result["number"], 16) != int(wanted, 16):
        return f"the block {int(wanted, 16)}"
    return None


def _block_by_hash(params: Sequence[Any], result: Any) -> str | None:
    if result is None or (_is_block(result) and _same(result["hash"], params[0])):
        return None
    return f"the block {params[0]}"


def _transaction(params: Sequence[Any], result: Any) -> str | None:
    if result is None or (isinstance(result, dict) and _same(result.get("hash"), params[0])):
        return None
    return f"the transaction {params[0]}"


def _receipt(params: Sequence[Any], result: Any) -> str | None:
    if result is None:
        return None
    if isinstance(result, dict) and _same(result.get("transactionHash"), params[0]):
        return None
    return f"the receipt of {params[0]}"


def _sent(params: Sequence[Any], result: Any) -> str | None:
    raw = bytes.fromhex(params[0][2:])
    return None if _same(result, "0x" + keccak(raw).hex()) else "the transaction's hash"


def _is_block(result: Any) -> bool:
    return (
        isinstance(result, dict)
        and all(_matches(_QUANTITY, result.get(key)) for key in ("number", "timestamp", "gasLimit"))
        and all(_matches(_HASH, result.get(key)) for key in ("hash", "parentHash"))
        and (result.get("baseFeePerGas") is None or _matches(_QUANTITY, result["baseFeePerGas"]))
        and (result.get("logsBloom") is None or _matches(_DATA, result["logsBloom"]))
    )


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _same(value: Any, wanted: Any) -> bool:
    return isinstance(value, str) and isinstance(wanted, str) and value.lower() == wanted.lower()


_Check = Callable[[Sequence[Any], Any], str | None]

_CHECKS: Final[Mapping[str, _Check]] = {
    "eth_blockNumber": _number,
    "eth_call": _bytes,
    "eth_chainId": _number,
    "eth_estimateGas": _number,
    "eth_gasPrice": _number,
    "eth_getBalance": _number,
    "eth_getBlockByHash": _block_by_hash,
    "eth_getBlockByNumber": _block_by_number,
    "eth_getBlockReceipts": _receipts,
    "eth_getCode": _bytes,
    "eth_getLogs": _logs,
    "eth_getTransactionByHash": _transaction,
    "eth_getTransactionCount": _number,
    "eth_getTransactionReceipt": _receipt,
    "eth_maxPriorityFeePerGas": _number,
    "eth_sendRawTransaction": _sent,
}
