"""The methods that move time and blocks, named as in anvil and Hardhat."""

from __future__ import annotations

from typing import Final

from eth_utils import encode_hex

from modelward.devchain.faults import invalid_params
from modelward.devchain.methods import MethodTable
from modelward.devchain.node import Node
from modelward.devchain.parameters import (
    address,
    array,
    boolean,
    data,
    hash32,
    mapping,
    number,
    quantity,
)

METHODS = MethodTable()

MAX_BLOCKS_AT_ONCE: Final = 10_000
MAX_TIME: Final = 2**40


@METHODS.answers("evm_mine", most=1)
def _mine(node: Node, options: object = None) -> str:
    """Mine one block; the parameter is its timestamp, or `{"timestamp": ..., "blocks": n}`."""
    count, timestamp = 1, None
    if isinstance(options, dict):
        members = mapping(options, "options")
        count = number(members.get("blocks", 1), "blocks", maximum=MAX_BLOCKS_AT_ONCE)
        if "timestamp" in members:
            timestamp = number(members["timestamp"], "timestamp", maximum=MAX_TIME)
    elif options is not None:
        timestamp = number(options, "timestamp", maximum=MAX_TIME)
    for index in range(count):
        node.mine(timestamp if index == 0 else None)
    return "0x0"


@METHODS.answers("anvil_mine", "hardhat_mine", most=2)
def _mine_many(node: Node, count: object = 1, interval: object = None) -> None:
    """Mine `count` blocks, `interval` seconds apart."""
    seconds = None if interval is None else number(interval, "interval", maximum=MAX_TIME)
    for index in range(number(count, "block count", maximum=MAX_BLOCKS_AT_ONCE)):
        apart = seconds is not None and index > 0
        node.mine(node.ledger.head.timestamp + max(seconds or 0, 1) if apart else None)


@METHODS.answers("evm_increaseTime", "anvil_increaseTime", least=1)
def _increase_time(node: Node, seconds: object) -> str:
    """Move the clock forward; the next block shows it. Returns the clock's lead in seconds."""
    node.clock.offset += number(seconds, "seconds", maximum=MAX_TIME)
    return hex(max(node.clock.offset, 0))


@METHODS.answers("evm_setNextBlockTimestamp", "anvil_setNextBlockTimestamp", least=1)
def _set_next_block_timestamp(node: Node, timestamp: object) -> None:
    node.promise_timestamp(number(timestamp, "timestamp", maximum=MAX_TIME))


@METHODS.answers("evm_snapshot", "anvil_snapshot")
def _snapshot(node: Node) -> str:
    return hex(node.snapshot())


@METHODS.answers("evm_revert", "anvil_revert", least=1)
def _revert(node: Node, snapshot_id: object) -> bool:
    return node.revert(number(snapshot_id, "snapshot id"))


@METHODS.answers("evm_setAutomine", "anvil_setAutomine", least=1)
def _set_automine(node: Node, enabled: object) -> bool:
    """Mine transactions at once, or only when told to."""
    node.automine = boolean(enabled, "automine")
    if node.automine:
        node.mine_waiting()
    return True


@METHODS.answers("anvil_getAutomine", "hardhat_getAutomine")
def _get_automine(node: Node) -> bool:
    return node.automine


@METHODS.answers("anvil_dropTransaction", "hardhat_dropTransaction", least=1)
def _drop_transaction(node: Node, transaction_hash: object) -> str | None:
    """Take a waiting transaction out of the pool, as a node that forgets it would."""
    wanted = hash32(transaction_hash, "transaction hash")
    if wanted not in node.pool:
        return None
    node.pool.remove(wanted)
    return encode_hex(wanted)


@METHODS.answers("anvil_setBalance", "hardhat_setBalance", least=2)
def _set_balance(node: Node, account: object, balance: object) -> None:
    node.ledger.set_balance(address(account, "address"), quantity(balance, "balance"))


@METHODS.answers("anvil_setCode", "hardhat_setCode", least=2)
def _set_code(node: Node, account: object, code: object) -> None:
    node.ledger.set_code(address(account, "address"), data(code, "code"))


@METHODS.answers("anvil_reorg", least=1, most=2)
def _reorganise(node: Node, options: object, pairs: object = None) -> None:
    """Replace the last blocks: `depth`, then `[[raw transaction, index of new block], ...]`."""
    depth = number(options, "depth")
    transactions = []
    for pair in array([] if pairs is None else pairs, "transactions"):
        if not isinstance(pair, list) or len(pair) != 2:
            raise invalid_params("each transaction comes with the index of its new block")
        place = number(pair[1], "block index")
        if place >= depth:
            raise invalid_params(f"block index {place} is not below the depth {depth}")
        transactions.append((data(pair[0], "transaction"), place))
    node.reorganise(depth, transactions)
