"""Where a drill takes place: anvil with the contracts and a served model, behind a faulty proxy."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Final

from modelward import commitments
from modelward.chain.accounts import Account
from modelward.chain.connection import Chain
from modelward.chain.encoding import quantity, to_hex
from modelward.chain.events import Event
from modelward.chain.fees import Fees
from modelward.chain.logs import EventReader
from modelward.chain.sender import Sender
from modelward.config import Config, load_config, starter
from modelward.content.store import ContentStore
from modelward.deployment import deploy
from modelward.devchain.anvil import launch
from modelward.drill.faults import FaultPlan
from modelward.drill.proxy import Proxy
from modelward.models.bundle import open_bundle
from modelward.models.runner import runner_for
from modelward.models.sandbox import Sandbox
from modelward.pipeline.package import PackagedModel, package
from modelward.terms import (
    ETHER,
    GWEI,
    ZERO_ADDRESS,
    GrantTerms,
    ModelTerms,
    Offer,
    Request,
    RequestId,
    Right,
    Version,
    frame_clear_input,
)

FEE: Final = ETHER // 100
TIMEOUT: Final = 1.0
"""Seconds a worker waits for an answer; what hangs costs as much."""

_NETWORK: Final = """\
default_network = "local"

[networks.local]
url = "{url}"
chain_id = 31337
confirmations = {confirmations}
poll_interval = 0.02
timeout = {timeout}
accounts = "development"

"""
STATES: Final = 10_000
"""States that anvil keeps in memory. By itself it puts the oldest of more than 500 on disk, and may
go on with an empty one when it reorganises."""

_GAS: Final = 400_000
_FEES: Final = Fees(max_fee=1_000 * GWEI, tip=GWEI)


@dataclass(frozen=True, slots=True)
class Sample:
    """An input in its canonical encoding, and the canonical output it must give."""

    input: bytes
    output: bytes


@dataclass(frozen=True, slots=True)
class Placed:
    """A request as its requester remembers it; `raw` is the signed transaction that placed it."""

    id: RequestId
    offer: Offer
    request: Request
    secret: bytes
    sample: Sample
    nonce: int
    raw: bytes

    @property
    def commitment(self) -> bytes:
        """The one commitment that is right."""
        return commitments.result_commitment(self.id, self.sample.output, self.secret)


class Site:
    """One chain, and what is on it. Whatever happens within `episode` is undone afterwards.

    `chain` is the node itself, for those who are never lied to; workers go through `proxy`.
    """

    def __init__(self, folder: Path, node_url: str, proxy: Proxy) -> None:
        self.folder = folder
        self.proxy = proxy
        self.config = self.configuration()
        self.chain = Chain.connect(
            replace(self.config.network(), url=node_url, confirmations=1, timeout=60.0)
        )
        self.deployment = deploy(self.chain, Account.development("deployer"), self.config)
        self.store = ContentStore(self.config.store_url)
        self.requester = Sender(self.chain, Account.development("requester"))
        self.sandbox = Sandbox()
        self.offer, self.samples = self._publish()
        self._snapshot = ""
        self.first_block = 0

    def configuration(self, confirmations: int = 1) -> Config:
        """Write the deploy.toml that workers of other processes read, and read it."""
        head = _NETWORK.format(url=self.proxy.url, confirmations=confirmations, timeout=TIMEOUT)
        file = self.folder / "deploy.toml"
        file.write_text(head + "[contracts." + starter().split("[contracts.", 1)[1], "utf-8")
        return load_config(file, environ={"MODELWARD_HOME": str(self.folder / "home")})

    @property
    def plan(self) -> FaultPlan:
        """What the proxy does."""
        return self.proxy.plan

    @contextmanager
    def episode(self, seed: int) -> Iterator[Random]:
        """A chain as it was when the model had just been published, and an honest proxy."""
        self.proxy.plan = FaultPlan(seed)
        self._snapshot = self.chain.rpc("evm_snapshot")
        self.automine(False)
        self.first_block = self.head + 1
        try:
            yield Random(seed)  # noqa: S311 - reproducible, not secret
        finally:
            self.plan.clear()
            self.chain.rpc("evm_revert", [self._snapshot])
            self.automine(True)

    def close(self) -> None:
        """End the process that predicts."""
        self.sandbox.close()

    # --- the chain -------------------------------------------------------------------------------

    @property
    def head(self) -> int:
        """The newest block's number."""
        return quantity(self.chain.rpc("eth_blockNumber"))

    def automine(self, on: bool) -> None:
        """Mine every transaction at once, or only when told."""
        self.chain.rpc("evm_setAutomine", [on])

    def mine(self, blocks: int = 1) -> None:
        """Mine what waits, and empty blocks after it."""
        self.chain.rpc("anvil_mine", [hex(blocks)])

    def set_base_fee(self, fee: int) -> None:
        """Set the base fee of the next block, in wei per unit of gas."""
        self.chain.rpc("anvil_setNextBlockBaseFeePerGas", [hex(fee)])

    def reorganise(self, depth: int, blocks: list[list[bytes]]) -> None:
        """Replace the newest `depth` blocks by as many others, with these raw transactions."""
        pairs = [[to_hex(raw), index] for index, block in enumerate(blocks) for raw in block]
        self.chain.rpc("anvil_reorg", [depth, pairs])

    def block_transactions(self, number: int) -> list[dict[str, Any]]:
        """The transactions of a block, each with its bytes as ``raw``."""
        block = self.chain.rpc("eth_getBlockByNumber", [hex(number), True])
        found: list[dict[str, Any]] = block["transactions"]
        for entry in found:
            text = self.chain.rpc("eth_getRawTransactionByHash", [entry["hash"]])
            entry["raw"] = bytes.fromhex(text[2:])
        return found

    def events(
        self, *kinds: type[Event], first: int | None = None, last: int | None = None
    ) -> tuple[Event, ...]:
        """What the escrow said in this episode, or in some blocks of it."""
        escrow = self.deployment.escrow
        reader = EventReader(self.chain, {escrow.address: escrow.name}, kinds)
        return reader.read_all(
            self.first_block if first is None else first, self.head if last is None else last
        )

    @contextmanager
    def bundle_hidden(self) -> Iterator[None]:
        """The store has lost the bundle for a while, and nobody has it open."""
        store = self.folder / ".modelward" / "store"
        hidden = store.with_name("hidden")
        self.sandbox.close()
        store.rename(hidden)
        try:
            yield
        finally:
            hidden.rename(store)

    # --- requests --------------------------------------------------------------------------------

    def request(
        self,
        random: Random,
        *,
        nonce: int | None = None,
        lifetime: int = 3_600,
        sample: Sample | None = None,
    ) -> Placed:
        """A signed request that no node has seen yet."""
        chosen = sample or random.choice(self.samples)
        secret = random.randbytes(32)
        terms = Request(
            requester=self.requester.address,
            payer=self.requester.address,
            input_hash=commitments.input_hash(secret, chosen.input),
            deadline=self.chain.head().timestamp + lifetime,
        )
        escrow = self.deployment.escrow
        call = escrow.request(
            self.offer.model_id,
            self.offer.version_id,
            terms,
            frame_clear_input(secret, chosen.input),
            value=self.offer.fee,
        )
        nonce = self.requester.next_nonce() if nonce is None else nonce
        signed = self.requester.sign(call, gas=_GAS, nonce=nonce, fees=_FEES)
        request_id = commitments.request_id(
            self.offer, terms, chain_id=self.chain.chain_id, escrow=escrow.address
        )
        return Placed(request_id, self.offer, terms, secret, chosen, nonce, signed.raw)

    def place(self, random: Random, **options: Any) -> Placed:
        """Send a request; it is in the next block."""
        placed = self.request(random, **options)
        self.submit(placed.raw)
        return placed

    def place_many(self, random: Random, count: int, **options: Any) -> list[Placed]:
        """Send several; they are in the next block."""
        first = self.requester.next_nonce()
        return [self.place(random, nonce=first + n, **options) for n in range(count)]

    def submit(self, raw: bytes) -> None:
        """Hand a signed transaction to the node itself."""
        self.chain.rpc("eth_sendRawTransaction", [to_hex(raw)])

    def _publish(self) -> tuple[Offer, tuple[Sample, ...]]:
        from sklearn.datasets import load_iris
        from sklearn.linear_model import LogisticRegression

        inputs, labels = load_iris(return_X_y=True, as_frame=True)
        seen, unseen = inputs.iloc[::2], inputs.iloc[1::2]
        estimator = LogisticRegression(max_iter=500).fit(seen, labels.iloc[::2])
        packaged = package(estimator, unseen, labels.iloc[1::2], name="iris")
        rows = packaged.manifest.input.rows(unseen.iloc[::15].itertuples(index=False, name=None))
        samples = _answered(packaged, [packaged.manifest.canonical_input(row) for row in rows])
        self.store.put(packaged.bundle.data)

        program = packaged.manifest.program
        owner = Sender(self.chain, Account.development("owner"))
        registry, share = self.deployment.registry, self.deployment.data_share
        terms = ModelTerms(fee=FEE, payee_bps=3_000, max_delay=86_400, open=True)
        owner.send(registry.register_model("iris", terms))
        model_id = commitments.model_id(owner.address, "iris")
        version = Version(
            model_id=model_id,
            bundle_hash=packaged.bundle.hash,
            content_hash=packaged.bundle.hash,
            manifest_hash=packaged.bundle.manifest_hash,
            program_hash=program.hash if program else bytes(32),
            evaluation_hash=packaged.evaluation_hash,
            verifier=ZERO_ADDRESS,
            verifier_settings=bytes(32),
            attestor=owner.address,
            metrics=(),
            uri=self.store.url,
        )
        owner.send(registry.publish_version(version))
        for role in ("worker", "outsider"):
            grant = GrantTerms(rights=Right.SERVE)
            owner.send(share.grant(Account.development(role).address, model_id, grant))
        offer = registry.quote(model_id, commitments.version_id(version)).offer
        return offer, samples


def _answered(packaged: PackagedModel, inputs: list[bytes]) -> tuple[Sample, ...]:
    """What the model must answer, without any worker."""
    runner = runner_for(open_bundle(packaged.bundle.data, packaged.bundle.hash))
    outputs = runner.predict_each([runner.decode(each) for each in inputs])
    pairs = zip(inputs, outputs, strict=True)
    return tuple(Sample(each, output) for each, output in pairs if isinstance(output, bytes))


@contextmanager
def open_site(
    *, anvil: Path | None = None, arguments: tuple[str, ...] = (), states: int = STATES
) -> Iterator[Site]:
    """A site for the length of a `with` block, in a folder of its own, whose node keeps the newest
    `states` states.

    Raises `AnvilMissing` or `RpcUnavailable`.
    """
    history = "--prune-history", str(states)
    with (
        tempfile.TemporaryDirectory(prefix="modelward-drill-") as folder,
        launch(arguments=(*history, *arguments), executable=anvil) as node,
        Proxy(node.url) as proxy,
    ):
        site = Site(Path(folder), node.url, proxy)
        try:
            yield site
        finally:
            site.close()
