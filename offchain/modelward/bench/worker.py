"""What a worker does in a second on anvil, and what each request costs it.

Everything shares one machine: anvil, the worker and the process it predicts in. So the rate of
answers is given beside the rate at which the same machine, in the same run, signs and sends empty
transactions: one account, one HTTP request for each, no receipt asked for, from the first signature
until the chain has mined them all. A worker's rate is from the first block that it reads requests
from until the chain has mined all answers. Blocks come every quarter of a second for both.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, Final

from web3.providers import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from modelward.chain.accounts import Account
from modelward.chain.connection import Chain
from modelward.chain.events import InferenceFulfilled, InferenceRequested
from modelward.chain.fees import Fees
from modelward.chain.provider import HttpProvider
from modelward.chain.sender import Sender
from modelward.chain.transactions import Call
from modelward.config import Policy
from modelward.drill.audit import audit
from modelward.drill.site import Placed, Site, open_site
from modelward.errors import CheckFailed
from modelward.terms import GWEI
from modelward.worker import Worker, open_journal

LEAST_RATIO: Final = 0.6
"""Of the bare rate of transactions, answers one by one must reach this much."""

BATCH: Final = 64
_WINDOW: Final = 256
_BLOCK_SECONDS: Final = 0.25
_LATENCY_BLOCK_SECONDS: Final = 1.0
_LATENCY_REQUESTS: Final = 40
_WARM_UP: Final = 4
_PREDICTING: Final = b"modelward.models.sandbox_process"


def measure(
    *, requests: int = 1_024, anvil: Path | None = None, tell: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Figures by name; rates per second, CPU in milliseconds a request, latencies in blocks.

    Raises `CheckFailed` if an answer was wrong or missing, `AnvilMissing`, `RpcUnavailable`.
    """
    say = tell or (lambda _: None)
    with open_site(anvil=anvil) as site:
        say("empty transactions")
        bare = _bare_rate(site, requests)
        say("answers one by one")
        single = _sustained(site, requests, batch=1)
        say(f"answers in batches of {BATCH}")
        batched = _sustained(site, requests, batch=BATCH)
        say("latency")
        latency = _latency(site, min(requests, _LATENCY_REQUESTS))
    return {
        "requests": requests,
        "bare_transactions_per_second": bare,
        "one_by_one": single,
        f"in_batches_of_{BATCH}": batched,
        "latency": latency,
        "ratio_one_by_one": round(single["fulfilled_per_second"] / bare, 3),
        f"ratio_in_batches_of_{BATCH}": round(batched["fulfilled_per_second"] / bare, 3),
    }


def _bare_rate(site: Site, count: int) -> float:
    """Empty transactions signed and sent in a second, one after the other."""
    with site.episode(0), _mining(site, _BLOCK_SECONDS) as blocks:
        sender = Sender(site.chain, Account.development("spare"))
        first, fees = sender.nonce(), Fees(max_fee=100 * GWEI, tip=GWEI)
        call = Call(to=sender.address, data=b"")
        started = time.perf_counter()
        for nonce in range(first, first + count):
            sender.broadcast(sender.sign(call, gas=21_000, nonce=nonce, fees=fees))
        blocks.wait_for(lambda: sender.nonce() == first + count)
        return round(count / (time.perf_counter() - started), 1)


def _sustained(site: Site, count: int, *, batch: int) -> dict[str, Any]:
    """Answer a backlog of requests: rate, CPU and gas."""
    with site.episode(batch) as random, _engaged(site, batch) as engaged:
        meter = engaged.meter
        with _mining(site, _BLOCK_SECONDS) as blocks, engaged.at_work():
            warm = _placed(site, random, _WARM_UP)
            engaged.wait_for(site, warm, blocks)
        placed = _placed(site, random, count)
        with _mining(site, _BLOCK_SECONDS) as blocks:
            before = engaged.spent()
            meter.reset()
            started = time.perf_counter()
            with engaged.at_work():
                engaged.wait_for(site, placed, blocks)
                seconds = time.perf_counter() - started
                spent = engaged.spent()
            here, lanes, apart = (
                after - so_far for after, so_far in zip(spent, before, strict=True)
            )
        _require_right(site, [*warm, *placed], engaged)
        return {
            "fulfilled_per_second": round(count / seconds, 1),
            "transactions": len(_answering_transactions(site, placed)),
            "gas_per_result": _gas(site, placed) // count,
            "rpc_calls_per_request": round(sum(meter.calls.values()) / count, 1),
            "cpu_ms_per_request": meter.shares(here, lanes, apart, count),
        }


def _latency(site: Site, count: int) -> dict[str, Any]:
    """Blocks from a request's to its answer's, under light load."""
    with site.episode(7) as random, _engaged(site, 1) as engaged:
        with _mining(site, _LATENCY_BLOCK_SECONDS) as blocks, engaged.at_work():
            placed = _placed_now_and_then(site, random, count)
            engaged.wait_for(site, placed, blocks)
        asked = {
            event.request_id: event.block_number for event in _events(site, InferenceRequested)
        }
        waited = sorted(
            event.block_number - asked[event.request_id]
            for event in _events(site, InferenceFulfilled)
        )
    return {
        "requests": len(waited),
        "block_seconds": _LATENCY_BLOCK_SECONDS,
        "p50_blocks": waited[len(waited) // 2],
        "p99_blocks": waited[min(len(waited) - 1, len(waited) * 99 // 100)],
    }


# --- the worker, with meters ---------------------------------------------------------------------


@dataclass(slots=True)
class Meter:
    """CPU seconds by what they were spent on, in whichever thread; a part within another counts
    for itself alone."""

    seconds: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    _nested: threading.local = field(default_factory=threading.local)

    def reset(self) -> None:
        """Begin again."""
        self.seconds.clear()
        self.calls.clear()

    @contextmanager
    def on(self, part: str) -> Iterator[None]:
        """Count what a block takes."""
        outer = getattr(self._nested, "spent", 0.0)
        self._nested.spent = 0.0
        started = time.thread_time()
        try:
            yield
        finally:
            taken = time.thread_time() - started
            self.seconds[part] += taken - self._nested.spent
            self._nested.spent = outer + taken

    def shares(self, here: float, lanes: float, apart: float, count: int) -> dict[str, float]:
        """Milliseconds a request by part: of all CPU seconds `here`, with those of the `lanes`
        among them, and in the processes `apart` that predict. What is here beside the parts is
        the worker's own Python: terms encoded and decoded, inputs opened, stages."""
        parts = {
            "chain": self.seconds["chain"],
            "signing": self.seconds["signing"],
            "inference": lanes + apart,
            "database": self.seconds["database"],
        }
        parts["other"] = here + apart - sum(parts.values())
        return {part: round(1_000 * seconds / count, 3) for part, seconds in parts.items()}


class _MeteredProvider(JSONBaseProvider):
    def __init__(self, honest: HttpProvider, meter: Meter) -> None:
        super().__init__()
        self._honest = honest
        self._meter = meter

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        self._meter.calls[method] += 1
        with self._meter.on("chain"):
            return self._honest.make_request(method, params)

    def make_batch_request(
        self, requests: list[tuple[RPCEndpoint, Any]]
    ) -> list[RPCResponse] | RPCResponse:
        self._meter.calls.update(method for method, _ in requests)
        with self._meter.on("chain"):
            return self._honest.make_batch_request(requests)


class _Metered:
    """Stands for an object, and counts what its methods take."""

    def __init__(self, target: Any, part: str, meter: Meter) -> None:
        self._target = target
        self._part = part
        self._meter = meter

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not callable(value):
            return value

        def counted(*arguments: Any, **options: Any) -> Any:
            with self._meter.on(self._part):
                return value(*arguments, **options)

        return counted


@dataclass(slots=True)
class _Engaged:
    worker: Worker
    journal: Any
    meter: Meter
    due: int = 0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """The worker runs as it does in service."""
        stop = threading.Event()
        thread = threading.Thread(target=self.worker.run, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def wait_for(self, site: Site, placed: Sequence[Placed], blocks: _Blocks) -> None:
        """Wait until blocks hold an answer to all of these, by what the worker has earned."""
        self.due += sum(each.offer.worker_share for each in placed)
        escrow, account = site.deployment.escrow, self.journal.identity.account
        blocks.wait_for(lambda: escrow.credit_of(account) >= self.due, 60.0 + len(placed))

    def spent(self) -> tuple[float, float, float]:
        """CPU seconds so far: of this process, of the lanes in it, and of those that predict."""
        lanes = self.worker.vitals.batch_cpu_seconds
        return time.process_time(), lanes, _predicting_cpu()


@contextmanager
def _engaged(site: Site, batch: int) -> Iterator[_Engaged]:
    meter = Meter()
    network = replace(site.chain.network, poll_interval=0.02)
    provider = HttpProvider(network.url or "", timeout=network.timeout)
    chain = Chain.connect(network, _MeteredProvider(provider, meter))
    deployment = replace(site.deployment, chain=chain)
    plain = Account.development("worker")
    signer: Any = _Metered(plain.signer, "signing", meter)
    account = replace(plain, signer=signer)
    file = site.folder / f"bench-{batch}-{time.monotonic_ns()}.sqlite"
    with open_journal(chain, deployment, account, directory=file.parent, place=file) as journal:
        metered: Any = _Metered(journal, "database", meter)
        policy = Policy(batch=batch, window=_WINDOW)
        with Worker(chain, deployment, account, site.store, metered, policy=policy) as worker:
            yield _Engaged(worker, journal, meter)


# --- the chain -----------------------------------------------------------------------------------


def _placed(site: Site, random: Random, count: int) -> list[Placed]:
    placed = site.place_many(random, count)
    due = site.requester.next_nonce()
    while site.requester.nonce() < due:
        site.mine()
    return placed


def _placed_now_and_then(site: Site, random: Random, count: int) -> list[Placed]:
    placed = []
    for _ in range(count):
        placed.append(site.place(random))
        time.sleep(random.uniform(0.1, 0.9) * _LATENCY_BLOCK_SECONDS)
    return placed


class _Blocks:
    """The blocks that are being mined, to wait for what they bring."""

    def __init__(self) -> None:
        self._mined = threading.Condition()

    def came(self) -> None:
        """A block was mined."""
        with self._mined:
            self._mined.notify_all()

    def wait_for(self, reached: Callable[[], bool], seconds: float = 120.0) -> None:
        """Look after each block whether the chain came to where it is expected.

        Raises `CheckFailed`.
        """
        give_up = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > give_up:
                raise CheckFailed(
                    f"The chain did not come to where it was expected in {seconds:g} s."
                )
            with self._mined:
                self._mined.wait(1.0)


@contextmanager
def _mining(site: Site, seconds: float) -> Iterator[_Blocks]:
    """A block every so many seconds."""
    stop, blocks = threading.Event(), _Blocks()

    def mine() -> None:
        while not stop.wait(seconds):
            site.mine()
            blocks.came()

    thread = threading.Thread(target=mine)
    thread.start()
    try:
        yield blocks
    finally:
        stop.set()
        thread.join()


def _events(site: Site, kind: type[Any]) -> tuple[Any, ...]:
    return site.events(kind)


def _answering_transactions(site: Site, placed: Sequence[Placed]) -> set[bytes]:
    wanted = {each.id for each in placed}
    events = _events(site, InferenceFulfilled)
    return {event.transaction_hash for event in events if event.request_id in wanted}


def _gas(site: Site, placed: Sequence[Placed]) -> int:
    receipts = map(site.requester.receipt, _answering_transactions(site, placed))
    return sum(receipt.gas_used for receipt in receipts if receipt is not None)


def _require_right(site: Site, placed: Sequence[Placed], engaged: _Engaged) -> None:
    engaged.worker.drain()
    found = audit(site, placed, [engaged.journal])
    if found.violations:
        raise CheckFailed(f"What was measured is wrong: {found.violations[0]}.")


def _predicting_cpu() -> float:
    """CPU seconds of the processes that predict for this one."""
    total = 0.0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if _PREDICTING not in (folder / "cmdline").read_bytes():
                continue
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if _is_ours(int(parent)):
                total += time.clock_gettime(_cpu_clock(int(folder.name)))
        except OSError:
            continue
    return total


def _cpu_clock(process: int) -> int:
    """The clock of the CPU time of a process, as clock_getcpuclockid(3) makes it on Linux."""
    return (~process << 3) | 2


def _is_ours(parent: int) -> bool:
    """Whether a process is a child of this one, or of one of its children."""
    while parent > 1:
        if parent == os.getpid():
            return True
        try:
            stat = Path(f"/proc/{parent}/stat").read_text()
        except OSError:
            return False
        parent = int(stat.rpartition(")")[2].split()[1])
    return False
