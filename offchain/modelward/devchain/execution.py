"""`eth_call` and `eth_estimateGas`: running a message without a transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from eth.exceptions import OutOfGas, Revert, VMError
from eth.vm.forks.prague.transactions import PragueTransactionBuilder
from eth.vm.spoof import SpoofTransaction
from eth_abi import decode as abi_decode
from eth_typing import Address
from eth_utils import encode_hex, to_checksum_address

from modelward.devchain.faults import EXECUTION_REVERTED, RpcFault, refused
from modelward.devchain.intrinsic import MAX_INITCODE, floor_gas
from modelward.devchain.ledger import BLOCK_GAS_LIMIT

if TYPE_CHECKING:
    from eth.abc import ComputationAPI, SignedTransactionAPI, StateAPI

CALL_GAS_CAP: Final = BLOCK_GAS_LIMIT
"""Most gas a call may use, whatever it asks for."""

ESTIMATE_PRECISION: Final = 0.015
"""A found gas limit is at most this fraction above the least that works, as in geth."""

_ERROR_STRING = bytes.fromhex("08c379a0")
_PANIC = bytes.fromhex("4e487b71")
_PANIC_REASONS = {
    0x00: "generic panic",
    0x01: "assert(false)",
    0x11: "arithmetic underflow or overflow",
    0x12: "division or modulo by zero",
    0x21: "enum overflow",
    0x22: "invalid encoded storage byte array accessed",
    0x31: "out-of-bounds array access; popping on an empty array",
    0x32: "out-of-bounds access of an array or bytesN",
    0x41: "out of memory",
    0x51: "uninitialized function",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A message to run. Amounts in wei; `to` empty creates a contract.

    `max_fee` and `max_tip` are None when the caller named no price: the message then costs nothing
    and GASPRICE and BASEFEE read zero, as in geth. `nonce` and `transaction_type` (0, 1 or 2)
    matter only when the message is signed and sent.
    """

    sender: Address
    to: Address
    data: bytes
    value: int = 0
    gas: int | None = None
    max_fee: int | None = None
    max_tip: int | None = None
    nonce: int | None = None
    access_list: tuple[tuple[Address, tuple[int, ...]], ...] = ()
    transaction_type: int = 2

    @property
    def is_free(self) -> bool:
        """Whether the caller named no price, or zero."""
        return not self.max_fee


def run(state: StateAPI, call: Call, gas: int) -> ComputationAPI:
    """Run a call with that much gas on a state that is thrown away afterwards.

    The sender may be anyone, a contract included, and needs no signature; it must afford the value
    and, if the call names a price, the gas.

    Raises:
        RpcFault: it cannot, or the gas does not cover the data.
    """
    unsigned = PragueTransactionBuilder.new_unsigned_dynamic_fee_transaction(
        chain_id=state.execution_context.chain_id,
        nonce=state.get_nonce(call.sender),
        max_priority_fee_per_gas=call.max_tip or 0,
        max_fee_per_gas=call.max_fee or 0,
        gas=gas,
        to=call.to,
        value=call.value,
        data=call.data,
        access_list=call.access_list,
    )
    transaction = cast("SignedTransactionAPI", SpoofTransaction(unsigned, from_=call.sender))
    needed = max(unsigned.intrinsic_gas, floor_gas(call.data))
    if gas < needed:
        raise refused(f"intrinsic gas too low: have {gas}, want {needed}")
    if not call.to and len(call.data) > MAX_INITCODE:
        raise refused(
            f"max initcode size exceeded: code size {len(call.data)}, limit {MAX_INITCODE}"
        )
    if call.max_fee and call.max_fee < state.base_fee:
        raise refused(
            "max fee per gas less than block base fee: "
            f"address {to_checksum_address(call.sender)}, "
            f"maxFeePerGas: {call.max_fee}, baseFee: {state.base_fee}"
        )
    balance = state.get_balance(call.sender)
    cost = gas * (call.max_fee or 0) + call.value
    if balance < cost:
        raise refused(
            "insufficient funds for gas * price + value: "
            f"address {to_checksum_address(call.sender)} have {balance} want {cost}"
        )
    executor = state.get_transaction_executor()
    message = executor.build_evm_message(transaction)
    computation = executor.build_computation(message, transaction)
    return executor.finalize_computation(transaction, computation)


def output_of(computation: ComputationAPI) -> bytes:
    """Return what the call returned.

    Raises:
        RpcFault: it failed; code 3 with the revert data if it reverted, -32000 otherwise.
    """
    if computation.is_success:
        return bytes(computation.output)
    raise fault_of(computation)


def fault_of(computation: ComputationAPI) -> RpcFault:
    """Return the fault a failed computation is answered with."""
    error = computation.error
    if isinstance(error, Revert):
        data = bytes(computation.output)
        reason = revert_reason(data)
        message = "execution reverted" if reason is None else f"execution reverted: {reason}"
        return RpcFault(EXECUTION_REVERTED, message, encode_hex(data))
    if isinstance(error, OutOfGas):
        return refused("out of gas")
    name = type(error).__name__ if isinstance(error, VMError) else "error"
    return refused(f"execution failed: {name}: {error}")


def revert_reason(data: bytes) -> str | None:
    """Decode `Error(string)` and `Panic(uint256)`; None for anything else."""
    try:
        if data[:4] == _ERROR_STRING:
            return str(abi_decode(["string"], data[4:])[0])
        if data[:4] == _PANIC:
            code = int(abi_decode(["uint256"], data[4:])[0])
            return _PANIC_REASONS.get(code, f"unknown panic code: {code:#x}")
    except Exception:  # noqa: BLE001 - a contract may revert with any bytes at all
        return None
    return None


def estimate_gas(fresh_state: Callable[[], StateAPI], call: Call, cap: int) -> int:
    """Return a gas limit with which the call succeeds, close to the least.

    Tries the whole cap first, then exactly what that used; only calls that behave differently with
    less gas (they look at it, or forward 63/64 of it) need the search that follows.

    Raises:
        RpcFault: the call fails even with all of `cap`.
    """
    cap = min(cap, call.gas or cap)
    if call.max_fee:
        spare = fresh_state().get_balance(call.sender) - call.value
        if spare < 0:
            raise refused("insufficient funds for transfer")
        cap = min(cap, spare // call.max_fee)
        if cap < floor_gas(call.data):
            raise refused(f"gas required exceeds allowance ({cap})")
    attempt = run(fresh_state(), call, cap)
    if attempt.is_error and isinstance(attempt.error, OutOfGas):
        raise refused(f"gas required exceeds allowance ({cap})")
    output_of(attempt)
    used = max(cap - attempt.get_gas_remaining(), floor_gas(call.data))
    low, high = used - 1, cap
    for limit in (used, min(used * 64 // 63 + 2_300, cap)):
        if run(fresh_state(), call, limit).is_success:
            high = limit
            break
        low = limit
    while high - low > 1 and (high - low) / high > ESTIMATE_PRECISION:
        middle = (low + high) // 2
        if run(fresh_state(), call, middle).is_success:
            high = middle
        else:
            low = middle
    return high
