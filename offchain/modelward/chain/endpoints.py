"""The endpoints of one chain: which to ask, how each has fared, and which not to believe.

One endpoint is asked as long as it answers, so that what is read fits together. Another one takes
its place when it fails, and only after it was found on the same chain and not behind what was
already taken as confirmed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import requests
from web3.providers import BaseProvider, JSONBaseProvider
from web3.types import RPCEndpoint

from modelward.chain.answers import fault_in
from modelward.chain.provider import BadAnswer, Throttled

_LONGEST_REST = 30.0
_DOUBLINGS = 16
_LONGEST_WISH = 600.0
_WEIGHT = 0.2
"""How much the newest request counts in an endpoint's score."""
_OUTAGE = 3
"""Failures in a row after which an endpoint may come back as another node."""
_LIMITED = frozenset({-32005, -32029, 429})
_TOO_FAST = (
    "rate limit",
    "rate exceed",
    "request rate",
    "too many requests",
    "per second",
    "request limit",
    "throughput",
    "capacity",
)

_log = logging.getLogger(__name__)

_T = TypeVar("_T")


class Unanswered(Exception):
    """An endpoint gave no usable answer: `why`, and in how many seconds it wants to be asked again,
    where it said so. `at_once`: nothing speaks against asking it once more right away."""

    def __init__(
        self, why: str, *, retry_after: float | None = None, at_once: bool = False
    ) -> None:
        super().__init__(why)
        self.why = why
        self.retry_after = retry_after
        self.at_once = at_once


@dataclass(slots=True)
class Endpoint:
    """One endpoint. `score` is between 0 and 1, how well it answered lately; `resting` is until
    when, by this process's clock, others are preferred, and `silenced` until when it asked not to
    be asked at all. `identified` is whether it was found on this chain, and `checked` whether it
    was also found not to be behind; an outage ends both. `alone` says that there is no other."""

    name: str
    provider: BaseProvider
    timeout: float
    first_pause: float
    alone: bool = False
    score: float = 1.0
    resting: float = 0.0
    silenced: float = 0.0
    failures: int = 0
    identified: bool = False
    checked: bool = False

    def wait_if_asked_to(self, longest: float) -> None:
        """Wait as long as it wished to be left alone. Raises `Unanswered` when that is too long."""
        wait = self.silenced - time.monotonic()
        if wait > longest:
            raise Unanswered("it is limiting requests")
        if wait > 0:
            time.sleep(wait)

    def ask(self, method: str, params: Sequence[Any]) -> Any:
        """The result, or the JSON-RPC error object as `RpcFault`.

        Raises `Unanswered`, and the score and the rest say so too.
        """
        return self._scored(lambda: self._ask(method, params))

    def ask_each(self, method: str, each_params: Sequence[Sequence[Any]]) -> list[Any] | RpcFault:
        """What `ask` gives for each of some parameters, all asked for at once; or the error that
        the endpoint has for them all.

        Raises `Unanswered`, and the score and the rest say so too.
        """
        return self._scored(lambda: self._ask_each(method, each_params))

    def _scored(self, exchange: Callable[[], _T]) -> _T:
        try:
            answer = exchange()
        except Unanswered as failure:
            self.failed(failure.retry_after, at_once=failure.at_once)
            raise
        self.score += (1.0 - self.score) * _WEIGHT
        self.failures = 0
        return answer

    def failed(self, rest: float | None = None, *, at_once: bool = False) -> None:
        """Leave it for so long, or ever longer; the first time not at all if it may be asked
        `at_once` and there is no other."""
        self.score -= self.score * _WEIGHT
        now = time.monotonic()
        wish = min(rest or 0.0, _LONGEST_WISH)
        pause = min(self.first_pause * 2 ** min(self.failures, _DOUBLINGS), _LONGEST_REST)
        if at_once and self.alone and not self.failures:
            pause = 0.0
        self.failures += 1
        if self.failures >= _OUTAGE:
            self.identified = self.checked = False
        self.resting = now + max(wish, pause)
        self.silenced = now + wish

    def is_on_another_chain(self, why: str) -> Unanswered:
        """Do not ask it again soon, for it will not come to be on the right one."""
        _log.error("The RPC endpoint %s is not used: %s.", self.name, why)
        self.identified = self.checked = False
        self.failed(_LONGEST_WISH)
        return Unanswered(why)

    def is_elsewhere(self, why: str) -> Unanswered:
        """Prefer others until it has come to where the chain is."""
        self.checked = False
        self.failed()
        return Unanswered(why)

    def _ask(self, method: str, params: Sequence[Any]) -> Any:
        answer = self._exchange(
            lambda: self.provider.make_request(RPCEndpoint(method), list(params))
        )
        return _result(method, params, answer)

    def _ask_each(self, method: str, each_params: Sequence[Sequence[Any]]) -> list[Any] | RpcFault:
        if not isinstance(self.provider, JSONBaseProvider):
            return RpcFault("several requests at once are not for this provider")
        together = self.provider.make_batch_request
        batch = [(RPCEndpoint(method), list(params)) for params in each_params]
        answers = self._exchange(lambda: together(batch))
        if not isinstance(answers, list):
            return RpcFault(_fault_of(answers))
        return [
            _result(method, params, answer)
            for params, answer in zip(each_params, answers, strict=True)
        ]

    def _exchange(self, exchange: Callable[[], _T]) -> _T:
        try:
            return exchange()
        except Throttled as error:
            why = "it is limiting requests"
            raise Unanswered(why, retry_after=error.retry_after) from error
        except requests.Timeout as error:
            raise Unanswered(f"no answer within {self.timeout:g} s") from error
        except requests.ConnectionError as error:
            why = "nothing listens there or the connection broke"
            raise Unanswered(why, at_once=True) from error
        except requests.RequestException as error:
            raise Unanswered(type(error).__name__) from error
        except BadAnswer as error:
            raise Unanswered(str(error), at_once=True) from error


@dataclass(frozen=True, slots=True)
class RpcFault:
    """An error object of an endpoint, which is an answer too."""

    error: Any


@dataclass(slots=True)
class Endpoints:
    """The endpoints of a chain, the one in use first."""

    order: list[Endpoint]
    surveyed: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def current(self) -> Endpoint:
        """The endpoint in use."""
        return self.order[0]

    @property
    def several(self) -> bool:
        """Whether there is a choice."""
        return len(self.order) > 1

    def next(self) -> Endpoint:
        """The endpoint to ask now: the current one unless it rests and another does not.

        Of several that do not rest, the one with the best score; of all resting, the first to end.
        """
        now = time.monotonic()
        if self.current.resting > now:
            awake = [each for each in self.order if each.resting <= now]
            if awake:
                self.use(max(awake, key=lambda each: each.score))
            else:
                self.use(min(self.order, key=lambda each: each.resting))
        return self.current

    def use(self, chosen: Endpoint) -> None:
        """Ask this one from now on; where it stands by now has to be checked first."""
        with self._lock:
            if chosen is not self.current:
                chosen.checked = False
                _log.info("reading from %s instead of %s", chosen.name, self.current.name)
                self.order = [chosen, *(each for each in self.order if each is not chosen)]

    def others(self) -> list[Endpoint]:
        """Those not in use that do not rest, the best first."""
        now = time.monotonic()
        awake = [each for each in self.order[1:] if each.resting <= now]
        return sorted(awake, key=lambda each: -each.score)


def _result(method: str, params: Sequence[Any], answer: Any) -> Any:
    """What an answer holds. Raises `Unanswered` where it is none to this."""
    fault = _fault_of(answer)
    if fault is not None:
        return RpcFault(fault)
    result = answer.get("result")
    wrong = fault_in(method, params, result)
    if wrong is not None:
        raise Unanswered(wrong, at_once=True)
    return result


def _fault_of(answer: Any) -> Any:
    """The error object of an answer, None where it has none. Raises `Unanswered` if it is about
    too many requests."""
    fault = answer.get("error")
    if fault is not None and _is_throttled(fault):
        raise Unanswered("it is limiting requests")
    return fault


def _is_throttled(fault: Any) -> bool:
    """Whether it is about too many requests, not about one that asks for too much."""
    if not isinstance(fault, dict) or fault.get("code") not in _LIMITED:
        return False
    return says_too_fast(str(fault.get("message")))


def says_too_fast(reason: str) -> bool:
    """Whether a refusal is about how often something was asked, rather than for how much."""
    words = reason.lower()
    return any(phrase in words for phrase in _TOO_FAST)
