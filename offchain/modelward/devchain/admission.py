"""Which signed transactions are let in, and what the others are told, in geth's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from eth.constants import SECPK1_N
from eth_utils import ValidationError, to_checksum_address

from modelward.devchain.faults import invalid_params, refused
from modelward.devchain.intrinsic import MAX_INITCODE, floor_gas
from modelward.devchain.ledger import BLOCK_GAS_LIMIT, Ledger
from modelward.devchain.parameters import MAX_UINT64, MAX_UINT256
from modelward.devchain.pool import Pool, Waiting

if TYPE_CHECKING:
    from eth.abc import SignedTransactionAPI
    from eth_typing import Address

MAX_TRANSACTION_BYTES: Final = 128 * 1024

_TYPED = 0x80  # below it the first byte names a type (EIP-2718)
_KNOWN_TYPES = frozenset({1, 2})


def read_transaction(ledger: Ledger, encoded: bytes, arrival: int) -> Waiting:
    """Decode a signed transaction and check what can be checked of it alone.

    Raises:
        RpcFault: it is malformed, of an unsupported type, signed for another chain or not at all,
            or could not be mined in any state.
    """
    transaction = _decoded(ledger, encoded)
    chain_id = transaction.chain_id
    if chain_id is not None and chain_id != ledger.chain_id:
        raise refused(f"invalid chain id for signer: have {chain_id} want {ledger.chain_id}")
    if transaction.gas > BLOCK_GAS_LIMIT:
        raise refused(f"exceeds block gas limit: gas {transaction.gas}, limit {BLOCK_GAS_LIMIT}")
    if transaction.max_priority_fee_per_gas > transaction.max_fee_per_gas:
        raise refused(
            "max priority fee per gas higher than max fee per gas: "
            f"maxPriorityFeePerGas: {transaction.max_priority_fee_per_gas}, "
            f"maxFeePerGas: {transaction.max_fee_per_gas}"
        )
    _check_gas_covers_data(transaction)
    return Waiting(transaction, bytes(transaction.hash), _sender_of(transaction), arrival)


def check_admissible(waiting: Waiting, ledger: Ledger, pool: Pool, *, at_once: bool) -> None:
    """Check a transaction against the head's state and against what waits already.

    With `at_once` it must be possible to mine it in the next block.

    Raises:
        RpcFault: nonce, money or price do not fit.
    """
    if waiting.hash in pool:
        raise refused("already known")
    state = ledger.state(ledger.head)
    address = to_checksum_address(waiting.sender)
    account_nonce = state.get_nonce(waiting.sender)
    if waiting.nonce < account_nonce:
        raise refused(
            f"nonce too low: address {address}, tx: {waiting.nonce} state: {account_nonce}"
        )
    expected = pool.next_nonce(waiting.sender, account_nonce)
    if at_once and waiting.nonce > expected:
        raise refused(f"nonce too high: address {address}, tx: {waiting.nonce} state: {expected}")
    if not pool.replaces(waiting):
        raise refused("replacement transaction underpriced")
    balance = state.get_balance(waiting.sender)
    cost = waiting.transaction.gas * waiting.max_fee + waiting.transaction.value
    if balance < cost:
        raise refused(
            "insufficient funds for gas * price + value: "
            f"address {address} have {balance} want {cost}"
        )
    base_fee = ledger.next_base_fee
    if at_once and waiting.max_fee < base_fee:
        raise refused(
            f"max fee per gas less than block base fee: address {address}, "
            f"maxFeePerGas: {waiting.max_fee}, baseFee: {base_fee}"
        )


def _decoded(ledger: Ledger, encoded: bytes) -> SignedTransactionAPI:
    if not encoded:
        raise invalid_params("the transaction is empty")
    if len(encoded) > MAX_TRANSACTION_BYTES:
        raise refused(
            f"oversized data: transaction size {len(encoded)}, limit {MAX_TRANSACTION_BYTES}"
        )
    if encoded[0] < _TYPED and encoded[0] not in _KNOWN_TYPES:
        raise refused(f"transaction type not supported: {encoded[0]:#x}")
    try:
        transaction = ledger.decode(encoded)
    except Exception as error:
        raise invalid_params(f"failed to decode the signed transaction: {error}") from error
    amounts = (transaction.value, transaction.max_fee_per_gas, transaction.gas)
    if max(amounts) > MAX_UINT256 or transaction.nonce >= MAX_UINT64:
        raise invalid_params("failed to decode the signed transaction: a number is too large")
    return transaction


def _sender_of(transaction: SignedTransactionAPI) -> Address:
    try:
        transaction.check_signature_validity()
    except ValidationError as error:
        raise refused(f"invalid sender: {error}") from error
    if transaction.s > SECPK1_N // 2:
        raise refused("invalid sender: s is in the upper half of the curve's order")
    return transaction.sender


def _check_gas_covers_data(transaction: SignedTransactionAPI) -> None:
    intrinsic = transaction.intrinsic_gas
    if transaction.gas < intrinsic:
        raise refused(f"intrinsic gas too low: gas {transaction.gas}, minimum needed {intrinsic}")
    floor = floor_gas(transaction.data)
    if transaction.gas < floor:
        raise refused(
            "intrinsic gas too low: insufficient gas for floor data gas cost: "
            f"gas {transaction.gas}, minimum needed {floor}"
        )
    if not transaction.to and len(transaction.data) > MAX_INITCODE:
        raise refused(
            f"max initcode size exceeded: code size {len(transaction.data)}, limit {MAX_INITCODE}"
        )
