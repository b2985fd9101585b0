"""A connection to one chain through one or more endpoints, with every failure told apart.

A failure of the endpoint is `RpcUnavailable` or `RpcError`, a contract's refusal is
`ContractRefused`; the first is never taken for the second.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from eth_utils.crypto import keccak
from web3.providers import BaseProvider

from modelward.chain.answers import NULLABLE
from modelward.chain.encoding import BlockId, quantity, read_bytes, to_block_parameter, to_hex
from modelward.chain.endpoints import Endpoint, Endpoints, RpcFault, Unanswered
from modelward.chain.provider import HttpProvider
from modelward.chain.reverts import refusal
from modelward.config import Network, safe_url
from modelward.errors import (
    ConfigurationError,
    ContractRefused,
    ModelwardError,
    RpcError,
    RpcUnavailable,
    WrongChain,
)

_ATTEMPTS = 4
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_REPEATABLE = ("eth_", "net_", "web3_")
_CLOCK_SKEW = 15
_SIGNED_BY_NODE = "eth_sendTransaction"
_SEND = "eth_sendRawTransaction"
_SURVEY_SECONDS = 15.0
"""How often the heads of several endpoints are compared."""
_TOLERATED_LAG = 2
"""Blocks that the endpoint in use may be behind another one."""
_MOSTLY = 0.5
_AT_ONCE = 64
"""Requests in one exchange."""
_SINGLY_SECONDS, _LONGEST_SINGLY_SECONDS = 15.0, 600.0
"""How long an endpoint that did not take several requests at once is asked one by one: the first
time, and, doubled each time that it does not take them again, at most."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block's header, as far as modelward uses it. `base_fee` is in wei, `timestamp` in s."""

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp: int
    base_fee: int
    gas_limit: int
    logs_bloom: bytes | None = field(default=None, repr=False, compare=False)


class Chain:
    """A connection to the chain that `network` describes.

    Safe to use from several threads if its provider is; the HTTP one and the in-process one are.
    """

    def __init__(self, network: Network, *providers: BaseProvider) -> None:
        self.network = network
        self.provider = providers[0]
        names = [safe_url(url) for url in network.urls] or [network.safe_url]
        self._endpoints = Endpoints(
            [
                Endpoint(
                    names[n % len(names)],
                    provider,
                    network.timeout,
                    _FIRST_PAUSE,
                    alone=len(providers) == 1,
                )
                for n, provider in enumerate(providers)
            ]
        )
        self._floor: Block | None = None
        self._newest = 0
        self._singly_until = 0.0
        self._singly_seconds = _SINGLY_SECONDS
        self._turns: dict[str, threading.Lock] = {}

    @classmethod
    def connect(cls, network: Network, provider: BaseProvider | None = None) -> Self:
        """Connect and check that the chain has the id configured.

        `provider` is needed for a network that lives in the process, and takes precedence over
        the network's URLs. Of several URLs, one that answers and is on the right chain is enough.

        Raises `RpcUnavailable`, `RpcError` or `WrongChain`.
        """
        if provider is None and network.url is None:
            raise ConfigurationError(
                f"The network {network.name!r} lives inside a process and cannot be reached "
                "from another one.",
                hint="Start `modelward node` and use the network 'local'.",
            )
        providers = (
            [HttpProvider(url, timeout=network.timeout) for url in network.urls]
            if provider is None
            else [provider]
        )
        chain = cls(network, *providers)
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
        """Send one JSON-RPC request and return its result, which has the form it must have.

        Endpoints that fail, limit requests or answer nonsense are asked again, or another one is,
        for a bounded time and as long as the method may be sent twice. A signed transaction whose
        answer was lost is looked for by its hash before its bytes are sent again.

        Raises `RpcUnavailable`, `RpcError`, or `ContractRefused` when a contract reverted.
        """
        repeatable = method.startswith(_REPEATABLE) and method != _SIGNED_BY_NODE
        answer = self._answer(
            lambda endpoint: endpoint.ask(method, params),
            repeatable=repeatable,
            known=(lambda: self._already_sent(params)) if method == _SEND else None,
        )
        if isinstance(answer, RpcFault):
            raise self._error(answer.error, method)
        if answer is None and method in NULLABLE:
            return self._second_opinion(method, params)
        return answer

    def rpc_many(self, method: str, each_params: Sequence[Sequence[Any]]) -> list[Any]:
        """Send requests of one method, many in one exchange where the endpoint takes that; for
        each, what `rpc` returns for it, or the `RpcError` or `ContractRefused` it raises.

        Raises `RpcUnavailable`.
        """
        answers: list[Any] = []
        for first in range(0, len(each_params), _AT_ONCE):
            answers += self._together(method, each_params[first : first + _AT_ONCE])
        return answers

    def _answer(
        self,
        ask: Callable[[Endpoint], Any],
        *,
        repeatable: bool = True,
        known: Callable[[], Any] | None = None,
    ) -> Any:
        """What some endpoint answers. `known` may give the answer where one was lost."""
        attempts = _ATTEMPTS * len(self._endpoints.order) if repeatable else 1
        give_up = time.monotonic() + _ATTEMPTS * self.network.timeout
        while True:
            endpoint = self._endpoints.next()
            try:
                endpoint.wait_if_asked_to(_LONGEST_PAUSE)
                self._check(endpoint)
                return ask(endpoint)
            except Unanswered as failure:
                attempts -= 1
                pause = self._endpoints.next().resting - time.monotonic()
                out_of_time = time.monotonic() + pause > give_up
                if attempts == 0 or pause > _LONGEST_PAUSE or out_of_time:
                    raise self._unavailable(failure.why, endpoint) from failure
                time.sleep(max(0.0, pause))
                if known is not None and (found := known()) is not None:
                    return found

    def block(self, block: BlockId) -> Block:
        """The header of a block.

        Raises `RpcError` when the chain has no such block (after a reorg, or not yet).
        """
        if isinstance(block, bytes):
            raw = self.rpc("eth_getBlockByHash", [to_hex(block), False])
        else:
            raw = self.rpc("eth_getBlockByNumber", [to_block_parameter(block), False])
            if raw is None and isinstance(block, int) and block <= self._newest:
                raw = self._block_once_more(block)
        if raw is None:
            shown = to_hex(block) if isinstance(block, bytes) else block
            raise RpcError(f"{self.network.safe_url} has no block {shown}.")
        return self._block(raw)

    def blocks(self, numbers: Sequence[int]) -> list[Block]:
        """The headers of several blocks, asked for at once where the endpoint takes that.

        Raises what `block` raises.
        """
        asked = [[hex(number), False] for number in numbers]
        answers = self.rpc_many("eth_getBlockByNumber", asked)
        return [
            self.block(number) if raw is None or isinstance(raw, RpcError) else self._block(raw)
            for number, raw in zip(numbers, answers, strict=True)
        ]

    def head(self) -> Block:
        """The newest block."""
        head = self.block("latest")
        if self._endpoints.several and self._is_behind(head):
            head = self.block("latest")
        self._newest = head.number
        return head

    @property
    def answers_mostly(self) -> bool:
        """Whether the endpoint in use has answered most of what it was asked lately."""
        return self._endpoints.current.score > _MOSTLY

    def confirmed_head(self) -> Block:
        """The newest block that counts as confirmed on this network.

        A transaction in the head has one confirmation, so with `confirmations` 1 this is the
        head. Where nothing is that deep, or safe or finalized yet, it is the genesis block.
        """
        if not self._endpoints.several:
            return self._confirmed()
        for _ in self._endpoints.order:
            confirmed = self._confirmed()
            if self._floor is None or confirmed.number >= self._floor.number:
                self._floor = confirmed
                return confirmed
            self._endpoints.current.failed()  # it fell behind what it said, or another one did
        raise self._unavailable("it is behind what was confirmed before")

    def _confirmed(self) -> Block:
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

    def _together(self, method: str, each_params: Sequence[Sequence[Any]]) -> list[Any]:
        """As `rpc_many`, for as many requests as fit into one exchange."""
        answers: Any = None
        together = len(each_params) > 1 and time.monotonic() >= self._singly_until
        if together:
            with contextlib.suppress(RpcUnavailable):
                answers = self._answer(
                    lambda endpoint: endpoint.ask_each(method, each_params),
                    repeatable=method != _SEND,
                )
        if not isinstance(answers, list) or (
            method != _SEND and all(isinstance(answer, RpcFault) for answer in answers)
        ):
            results = [self._singly(method, params) for params in each_params]
            if together and (answers is not None or method != _SEND):
                self._singly_until = time.monotonic() + self._singly_seconds
                self._singly_seconds = min(2 * self._singly_seconds, _LONGEST_SINGLY_SECONDS)
            return results
        self._singly_seconds = _SINGLY_SECONDS
        return [
            self._error(answer.error, method) if isinstance(answer, RpcFault) else answer
            for answer in answers
        ]

    def _singly(self, method: str, params: Sequence[Any]) -> Any:
        try:
            return self.rpc(method, params)
        except (RpcError, ContractRefused) as error:
            return error

    def _block_once_more(self, number: int) -> Any:
        """A block below one that was there: one node of several behind a URL may lack it."""
        for _ in range(_ATTEMPTS - 1):
            raw = self.rpc("eth_getBlockByNumber", [hex(number), False])
            if raw is not None:
                return raw
        return None

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
                logs_bloom=read_bytes(raw["logsBloom"]) if raw.get("logsBloom") else None,
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

    def _unavailable(self, why: str, endpoint: Endpoint | None = None) -> RpcUnavailable:
        name = (endpoint or self._endpoints.current).name
        return RpcUnavailable(
            f"The RPC endpoint {name} of the network {self.network.name!r} cannot be used: {why}.",
            hint="Is it running? `modelward node` starts a local chain."
            if self.network.development_accounts
            else None,
        )

    # --- several endpoints -----------------------------------------------------------------------

    def _check(self, endpoint: Endpoint) -> None:
        """Make sure that one of several endpoints is on this chain and not behind.

        Raises `Unanswered`.
        """
        if endpoint.checked or not self._endpoints.several:
            return
        if not endpoint.identified:
            self._identify(endpoint)
        if self._floor is not None:
            number = hex(self._floor.number)
            there = self._plainly(endpoint, "eth_getBlockByNumber", number, False)
            if there is None or there["hash"] != to_hex(self._floor.hash):
                where = "behind" if there is None else "on another branch than"
                raise endpoint.is_elsewhere(f"it is {where} what was confirmed before")
        endpoint.checked = True

    def _identify(self, endpoint: Endpoint) -> None:
        """Make sure that an endpoint is on this chain. Raises `Unanswered`."""
        chain_id = quantity(self._plainly(endpoint, "eth_chainId"))
        if chain_id != self.network.chain_id:
            raise endpoint.is_on_another_chain(
                f"it serves chain {chain_id}, not {self.network.chain_id}"
            )
        genesis = self._plainly(endpoint, "eth_getBlockByNumber", "0x0", False)
        found = bytes.fromhex(genesis["hash"][2:]) if genesis else b""
        if self.__dict__.setdefault("genesis_hash", found) != found or not genesis:
            raise endpoint.is_on_another_chain("its chain has another genesis")
        endpoint.identified = True

    def _plainly(self, endpoint: Endpoint, method: str, *params: Any) -> Any:
        answer = endpoint.ask(method, params)
        if isinstance(answer, RpcFault):
            endpoint.failed()
            raise Unanswered(f"it refused {method}")
        return answer

    def _second_opinion(self, method: str, params: Sequence[Any]) -> Any:
        """What another endpoint has where the current one has nothing: one of them may lag."""
        for other in self._endpoints.others():
            try:
                self._check(other)
                answer = other.ask(method, params)
            except Unanswered:
                continue
            return None if isinstance(answer, RpcFault) else answer
        return None

    def _is_behind(self, head: Block) -> bool:
        """Now and then, compare the heads, and leave an endpoint that stands still."""
        if time.monotonic() < self._endpoints.surveyed + _SURVEY_SECONDS:
            return False
        self._endpoints.surveyed = time.monotonic()
        for other in self._endpoints.others():
            try:
                self._check(other)
                number = quantity(self._plainly(other, "eth_blockNumber"))
            except Unanswered:
                continue
            if number > head.number + _TOLERATED_LAG:
                self._endpoints.current.failed(_SURVEY_SECONDS)
                self._endpoints.use(other)
                return True
        return False

    def _already_sent(self, params: Sequence[Any]) -> str | None:
        transaction_hash = to_hex(keccak(bytes.fromhex(params[0][2:])))
        found = self.rpc("eth_getTransactionByHash", [transaction_hash])
        return None if found is None else transaction_hash
