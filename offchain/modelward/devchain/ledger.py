"""The chain of blocks over py-evm: genesis, state at any block, building and dropping blocks.

Knows transactions as py-evm objects and bytes; JSON is `shapes`' and `face`'s business. Blocks are
kept here, in a list, and not in py-evm's canonical index: dropping the last blocks (a snapshot
reverted, a reorg) is then a slice, while py-evm keeps headers and state tries by hash.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, cast

from eth.chains.base import MiningChain
from eth.constants import ZERO_HASH32
from eth.vm.chain_context import ChainContext
from eth.vm.forks.london.headers import calculate_expected_base_fee_per_gas
from eth_tester import PyEVMBackend
from eth_typing import Address, BlockNumber
from eth_utils import ValidationError, keccak
from rlp import encode as rlp_encode

from modelward.chain.development import DEVELOPMENT_ACCOUNTS, DEVELOPMENT_BALANCE

if TYPE_CHECKING:
    from eth.abc import (
        BlockAPI,
        BlockHeaderAPI,
        ComputationAPI,
        ReceiptAPI,
        SignedTransactionAPI,
        StateAPI,
        VirtualMachineAPI,
    )
    from eth.vm.forks.prague.blocks import PragueBlockHeader

    from modelward.devchain.pool import Candidates

BLOCK_GAS_LIMIT: Final = 30_000_000
FIXED_GENESIS_TIME: Final = 1_700_000_000
"""Genesis timestamp of a chain made with a `genesis_seed` and no time of its own."""


@dataclass(frozen=True, slots=True)
class Mined:
    """A transaction in its block, with what became of it."""

    transaction: SignedTransactionAPI
    hash: bytes
    sender: Address
    index: int
    receipt: ReceiptAPI
    succeeded: bool
    gas_used: int
    effective_gas_price: int
    contract_address: bytes | None
    first_log_index: int


@dataclass(frozen=True)
class Block:
    """A block, with the transactions it carries.

    `state_root` is that of its header, unless a balance was set by decree afterwards.
    """

    body: BlockAPI
    transactions: tuple[Mined, ...]
    state_root: bytes

    @property
    def header(self) -> PragueBlockHeader:
        """The block's header."""
        return cast("PragueBlockHeader", self.body.header)

    @property
    def number(self) -> int:
        """The block's height."""
        return int(self.header.block_number)

    @property
    def timestamp(self) -> int:
        """When it was mined, in seconds."""
        return int(self.header.timestamp)

    @cached_property
    def hash(self) -> bytes:
        """Keccak of its header."""
        return bytes(self.header.hash)

    @property
    def base_fee(self) -> int:
        """What a unit of gas costs at least, in wei."""
        return cast("int", self.header.base_fee_per_gas)

    @cached_property
    def size(self) -> int:
        """Length of the RLP encoding, in bytes."""
        return len(rlp_encode(self.body))


@dataclass(frozen=True, slots=True)
class Draft:
    """A block whose transactions are applied, but which is not part of the chain."""

    vm: VirtualMachineAPI
    header: BlockHeaderAPI
    transactions: tuple[Mined, ...]
    unpayable: tuple[bytes, ...]
    """Hashes of candidates whose sender could not pay any more when their turn came."""


class Ledger:
    """The canonical chain, from genesis to head."""

    def __init__(
        self,
        chain_id: int,
        accounts: int,
        genesis_time: int | None = None,
        genesis_seed: bytes | None = None,
    ) -> None:
        if genesis_time is None:
            genesis_time = int(time.time()) if genesis_seed is None else FIXED_GENESIS_TIME
        self.chain_id = chain_id
        self.accounts = tuple(
            Address(bytes.fromhex(account.address[2:]))
            for account in DEVELOPMENT_ACCOUNTS[:accounts]
        )
        """Addresses funded at genesis, whose keys are public."""
        backend = PyEVMBackend(
            genesis_parameters=PyEVMBackend.generate_genesis_params(
                {
                    "timestamp": genesis_time,
                    "gas_limit": BLOCK_GAS_LIMIT,
                    # makes two chains with the same id and accounts tell apart by genesis hash
                    "extra_data": os.urandom(32) if genesis_seed is None else keccak(genesis_seed),
                }
            )
            | {"parent_beacon_block_root": ZERO_HASH32},
            genesis_state={
                address: {"balance": DEVELOPMENT_BALANCE, "nonce": 0, "code": b"", "storage": {}}
                for address in self.accounts
            },
        )
        chain: MiningChain = backend.chain
        chain.chain_id = chain_id
        self._chain = chain
        self._vm_class = chain.get_vm_class_for_block_number(BlockNumber(0))
        self._context = ChainContext(chain_id)
        genesis = chain.get_block_by_header(chain.get_canonical_head())
        self._blocks = [Block(genesis, (), bytes(genesis.header.state_root))]
        self._number_by_hash = {self._blocks[0].hash: 0}
        self._place_by_transaction: dict[bytes, tuple[int, int]] = {}
        self._branch = 0

    # --- reading -------------------------------------------------------------------------------

    @property
    def head(self) -> Block:
        """The last block."""
        return self._blocks[-1]

    @property
    def genesis(self) -> Block:
        """The first block."""
        return self._blocks[0]

    def block(self, number: int) -> Block | None:
        """Return the block of that height, if there is one."""
        return self._blocks[number] if 0 <= number < len(self._blocks) else None

    def block_by_hash(self, block_hash: bytes) -> Block | None:
        """Return the canonical block of that hash; blocks dropped by a reorg are unknown."""
        number = self._number_by_hash.get(block_hash)
        return None if number is None else self._blocks[number]

    def transaction(self, transaction_hash: bytes) -> tuple[Block, Mined] | None:
        """Return a mined transaction and its block."""
        place = self._place_by_transaction.get(transaction_hash)
        if place is None:
            return None
        block = self._blocks[place[0]]
        return block, block.transactions[place[1]]

    def blocks(self, first: int, last: int) -> Iterator[Block]:
        """Yield the blocks from `first` to `last`, both included."""
        yield from self._blocks[max(first, 0) : last + 1]

    def state(self, block: Block, *, free: bool = False) -> StateAPI:
        """Return a private copy of the state after `block`; changes to it are never kept.

        With `free` the base fee reads zero, for calls that name no gas price.
        """
        header = block.header.copy(state_root=block.state_root)
        if free:
            header = header.copy(base_fee_per_gas=0)
        vm_class, chaindb = self._vm_class, self._chain.chaindb
        ancestors = vm_class.get_prev_hashes(header.parent_hash, chaindb)
        return vm_class.build_state(chaindb.db, header, self._context, ancestors or ())

    @property
    def next_base_fee(self) -> int:
        """Base fee of the block after the head, in wei (EIP-1559)."""
        return calculate_expected_base_fee_per_gas(self.head.header)

    # --- growing -------------------------------------------------------------------------------

    def decode(self, encoded: bytes) -> SignedTransactionAPI:
        """Decode a signed transaction; raises whatever py-evm and rlp raise on malformed bytes."""
        return self._vm_class.get_transaction_builder().decode(encoded)

    def draft(self, timestamp: int, candidates: Candidates | None = None) -> Draft:
        """Apply as many of the candidates as fit in a block on top of the head."""
        parent = self.head
        header = self._chain.create_header_from_parent(
            parent.header,
            timestamp=timestamp,
            parent_beacon_block_root=ZERO_HASH32,
            extra_data=self._branch.to_bytes(8, "big").lstrip(b"\0"),
        ).copy(state_root=parent.state_root)
        vm = self._chain.get_vm(header)
        mined: list[Mined] = []
        unpayable: list[bytes] = []
        logs = 0
        while candidates is not None:
            waiting = candidates.next(gas_left=header.gas_limit - header.gas_used)
            if waiting is None:
                break
            try:
                receipt, computation = vm.apply_transaction(header, waiting.transaction)
            except ValidationError:
                unpayable.append(waiting.hash)
                candidates.pass_over(waiting.sender)
                continue
            mined.append(
                Mined(
                    transaction=waiting.transaction,
                    hash=waiting.hash,
                    sender=waiting.sender,
                    index=len(mined),
                    receipt=receipt,
                    succeeded=not computation.is_error,
                    gas_used=receipt.gas_used - header.gas_used,
                    effective_gas_price=vm.state.get_gas_price(waiting.transaction),
                    contract_address=_created(computation),
                    first_log_index=logs,
                )
            )
            logs += len(receipt.logs)
            header = vm.add_receipt_to_header(header, receipt)
        return Draft(vm, header, tuple(mined), tuple(unpayable))

    def seal(self, draft: Draft) -> Block:
        """Compute the roots of a draft, whose state can then be read, but do not append it."""
        filled = draft.vm.set_block_transactions_and_withdrawals(
            draft.vm.get_block(),
            draft.header,
            [mined.transaction for mined in draft.transactions],
            [mined.receipt for mined in draft.transactions],
        )
        body = draft.vm.mine_block(filled).block
        return Block(body, draft.transactions, bytes(body.header.state_root))

    def append(self, draft: Draft) -> Block:
        """Seal a draft made on the present head and make it the new head."""
        block = self.seal(draft)
        self._chain.chaindb.db[block.hash] = rlp_encode(block.header)
        self.restore([block])
        return block

    def restore(self, blocks: Iterable[Block]) -> None:
        """Put blocks that were made on top of the present head back there."""
        for block in blocks:
            self._blocks.append(block)
            self._number_by_hash[block.hash] = block.number
            for mined in block.transactions:
                self._place_by_transaction[mined.hash] = (block.number, mined.index)

    def truncate(self, head: Block) -> None:
        """Drop every block after `head`, an earlier or the present head of this chain.

        Blocks mined from here on differ from the dropped ones even if they carry the same
        transactions at the same time.
        """
        for dropped in self._blocks[head.number + 1 :]:
            del self._number_by_hash[dropped.hash]
            for mined in dropped.transactions:
                del self._place_by_transaction[mined.hash]
        del self._blocks[head.number :]
        self._blocks.append(head)
        self._branch += 1

    def set_balance(self, address: Address, balance: int) -> None:
        """Change a balance in the state after the head, in wei, as no transaction could."""
        with self._decree() as state:
            state.set_balance(address, balance)

    def set_code(self, address: Address, code: bytes) -> None:
        """Change an account's code in the state after the head, as no transaction could."""
        with self._decree() as state:
            state.set_code(address, code)

    @contextmanager
    def _decree(self) -> Iterator[StateAPI]:
        state = self.state(self.head)
        yield state
        state.persist()
        self._blocks[-1] = replace(self.head, state_root=bytes(state.state_root))


def _created(computation: ComputationAPI) -> bytes | None:
    return bytes(computation.msg.storage_address) if computation.msg.is_create else None
