"""One connection to one chain: JSON-RPC with every failure told apart.

A failure of the endpoint is `RpcUnavailable` or `RpcError`, a contract's refusal is
`ContractRefused`; the first is never taken for the second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import requests
from web3.providers import BaseProvider
from web3.types import RPCEndpoint

from modelward.chain.encoding import BlockId, quantity, read_bytes, to_block_parameter, to_hex
from modelward.chain.provider import BadAnswer, HttpProvider, Throttled
from modelward.chain.reverts import refusal
from modelward.config import Network
from modelward.errors import (
    ConfigurationError,
    ModelwardError,
    RpcError,
    RpcUnavailable,
    WrongChain,
)

_ATTEMPTS = 4
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_REPEATABLE = ("eth_", "net_", "web3_")
_LIMITED = frozenset({-32005, 429})
_CLOCK_SKEW = 15
_TOO_FAST = ("rate", "too many requests", "per second", "request limit", "throughput")


@dataclass(frozen=True, slots=True)
class Block:
    """A block's header, as far as modelward uses it. `base_fee` is in wei, `timestamp` in s."""

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp: int
    base_fee: int
    gas_limit: int


class Chain:
    """A connection to the chain that `network` describes.

    Safe to use from several threads if its provider is; the HTTP one and the in-process one are.
    """

    def __init__(self, network: Network, provider: BaseProvider) -> None:
        self.network = network
        self.provider = provider
        self._turns: dict[str, threading.Lock] = {}

    @classmethod
    def connect(cls, network: Network, provider: BaseProvider | None = None) -> Self:
        """Connect and check that the chain has the id configured.

        `provider` is needed for a network that lives in the process, and takes precedence over
        the network's URL.

        Raises `RpcUnavailable`, `RpcError` or `WrongChain`.
        """
        if provider is None:
            if network.url is None:
                raise ConfigurationError(
                    f"The network {network.name!r} lives inside a process and cannot be reached "
                    "from another one.",
                    hint="Start `modelward node` and use the network 'local'.",
                )
            provider = HttpProvider(network.url, timeout=network.timeout)
        chain = cls(network, provider)
        if chain.chain_id != network.chain_id:
            raise WrongChain(
                f"{network.safe_url} serves chain {chain.chain_id}, "
                f"but the network {network.name!r} is configured as chain {network.chain_id}."
            )
        return chain

    @cached_property
    def chain_id(self) -> int:
        """The chain's id, asked for once."""
        return quantity(self.rpc("eth_chainId"))

    @cached_property
    def genesis_hash(self) -> bytes:
        """The hash of block 0, asked for once: it tells chains of one id apart."""
        return self.block(0).hash

    def now(self) -> int:
        """The time, in Unix seconds, that the next block is expected to show at least.

        A chain that mines on demand stands still while nothing happens on it, and one whose time
        was moved is ahead of the clock.
        """
        return max(self.head().timestamp, int(time.time()) - _CLOCK_SKEW)

    def rpc(self, method: str, params: Sequence[Any] = ()) -> Any:
        """Send one JSON-RPC request and return its result as the endpoint gave it.

        Unreachable endpoints and rate limits are tried again for a few seconds, as long as the
        method may be sent twice.

        Raises `RpcUnavailable`, `RpcError`, or `ContractRefused` when a contract reverted.
        """
        attempts = _ATTEMPTS if method.startswith(_REPEATABLE) else 1
        pause = _FIRST_PAUSE
        while True:
            attempts -= 1
            failure: ModelwardError
            try:
                answer = self.provider.make_request(RPCEndpoint(method), list(params))
            except Throttled as error:
                failure = self._unavailable("it is limiting requests")
                pause = max(pause, error.retry_after or 0.0)
            except requests.Timeout:
                failure = self._unavailable(f"no answer within {self.network.timeout:g} s")
            except requests.ConnectionError:
                failure = self._unavailable("nothing listens there or the connection broke")
            except requests.RequestException as error:
                failure = self._unavailable(type(error).__name__)
            except BadAnswer as error:
                failure = self._unavailable(str(error))
            else:
                if answer.get("error") is None:
                    return answer.get("result")
                failure = self._error(answer["error"], method)
                if not (isinstance(failure, RpcError) and _is_throttled(failure)):
                    raise failure
            if attempts == 0 or pause > _LONGEST_PAUSE:
                raise failure
            time.sleep(pause)
            pause *= 2

    def block(self, block: BlockId) -> Block:
        """The header of a block.

        Raises `RpcError` when the chain has no such block (after a reorg, or not yet).
        """
        if isinstance(block, bytes):
            raw = self.rpc("eth_getBlockByHash", [to_hex(block), False])
        else:
            raw = self.rpc("eth_getBlockByNumber", [to_block_parameter(block), False])
        if raw is None:
            shown = to_hex(block) if isinstance(block, bytes) else block
            raise RpcError(f"{self.network.safe_url} has no block {shown}.")
        return self._block(raw)

    def head(self) -> Block:
        """The newest block."""
        return self.block("latest")

    def confirmed_head(self) -> Block:
        """The newest block that counts as confirmed on this network.

        A transaction in the head has one confirmation, so with `confirmations` 1 this is the
        head. Where nothing is that deep, or safe or finalized yet, it is the genesis block.
        """
        if self.network.finality != "depth":
            return self._tagged(self.network.finality)
        head = self.head()
        if self.network.confirmations == 1:
            return head
        return self.block(max(0, head.number - self.network.confirmations + 1))

    def balance(self, address: str, block: BlockId = "latest") -> int:
        """Balance of `address` in wei."""
        return quantity(self.rpc("eth_getBalance", [address, to_block_parameter(block)]))

    def code(self, address: str, block: BlockId = "latest") -> bytes:
        """Code at `address`, empty where there is none."""
        return read_bytes(self.rpc("eth_getCode", [address, to_block_parameter(block)]))

    def call(
        self,
        to: str,
        data: bytes,
        *,
        sender: str | None = None,
        value: int = 0,
        block: BlockId = "latest",
    ) -> bytes:
        """Run a call without a transaction and return what it returned.

        Raises `ContractRefused` when it reverts.
        """
        call: dict[str, Any] = {"to": to, "data": to_hex(data)}
        if sender is not None:
            call["from"] = sender
        if value:
            call["value"] = hex(value)
        return read_bytes(self.rpc("eth_call", [call, to_block_parameter(block)]))

    def turn_of(self, address: str) -> threading.Lock:
        """The lock that whoever uses the next nonce of `address` holds."""
        return self._turns.setdefault(address, threading.Lock())

    def _tagged(self, tag: str) -> Block:
        try:
            raw = self.rpc("eth_getBlockByNumber", [tag, False])
        except RpcError as error:
            if "not found" in error.reason.lower():
                return self.block(0)
            raise
        return self.block(0) if raw is None else self._block(raw)

    def _block(self, raw: Any) -> Block:
        try:
            return Block(
                number=quantity(raw["number"]),
                hash=bytes.fromhex(raw["hash"][2:]),
                parent_hash=bytes.fromhex(raw["parentHash"][2:]),
                timestamp=quantity(raw["timestamp"]),
                base_fee=quantity(raw.get("baseFeePerGas") or "0x0"),
                gas_limit=quantity(raw["gasLimit"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise self._unavailable("it gave a malformed block") from error

    def _error(self, error: Any, method: str) -> ModelwardError:
        if not isinstance(error, dict):
            error = {"message": str(error)}
        if method in ("eth_call", "eth_estimateGas", "eth_sendTransaction"):
            refused = refusal(error)
            if refused is not None:
                return refused
        reason = str(error.get("message") or "it gave no reason").rstrip(".")
        return RpcError(
            f"{self.network.safe_url} refused {method}: {reason}.",
            code=error.get("code"),
            data=error.get("data"),
            reason=reason,
        )

    def _unavailable(self, why: str) -> RpcUnavailable:
        return RpcUnavailable(
            f"The RPC endpoint {self.network.safe_url} of the network {self.network.name!r} "
            f"cannot be used: {why}.",
            hint="Is it running? `modelward node` starts a local chain."
            if self.network.development_accounts
            else None,
        )


def _is_throttled(error: RpcError) -> bool:
    """Whether it is about too many requests, not about one that asks for too much."""
    reason = error.reason.lower()
    return error.code in _LIMITED and any(phrase in reason for phrase in _TOO_FAST)
