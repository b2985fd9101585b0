"""What owners, requesters and faulty endpoints do to a worker, in a few words."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import requests
from web3.providers import BaseProvider
from web3.types import RPCEndpoint, RPCError, RPCResponse

from modelward import commitments
from modelward.chain.contracts import DataShare, InferenceEscrow, ModelRegistry
from modelward.chain.events import Event
from modelward.chain.logs import EventReader
from modelward.chain.sender import Sender
from modelward.content.store import ContentStore
from modelward.deployment import Deployment
from modelward.journal import Job, Journal
from modelward.models.bundle import Bundle
from modelward.pipeline.package import PackagedModel
from modelward.terms import (
    ETH,
    GWEI,
    ZERO_ADDRESS,
    Address,
    GrantTerms,
    ModelId,
    ModelTerms,
    Offer,
    Request,
    RequestId,
    RequestStatus,
    Right,
    Version,
    VersionId,
    frame_clear_input,
)

FEE = 1_000_000 * GWEI
PAYEE_BPS = 3_000


@dataclass(frozen=True)
class TrainedModel:
    """A packaged model, a row for it, and the output it must give."""

    packaged: PackagedModel
    row: bytes
    output: bytes


@dataclass(frozen=True)
class Published:
    """A version on chain."""

    model_id: ModelId
    version_id: VersionId


@dataclass(frozen=True)
class Placed:
    """A request on chain, as its requester remembers it. `raw` is the transaction's hash."""

    id: RequestId
    offer: Offer
    request: Request
    secret: bytes
    transaction_hash: bytes


class Counterparts:
    """The owner and the requester that a worker deals with, and the store between them."""

    def __init__(
        self, deployment: Deployment, owner: Sender, requester: Sender, store: ContentStore
    ) -> None:
        self.deployment = deployment
        self.share: DataShare = deployment.data_share
        self.registry: ModelRegistry = deployment.registry
        self.escrow: InferenceEscrow = deployment.escrow
        self.owner = owner
        self.requester = requester
        self.store = store

    def publish(
        self,
        bundle: Bundle,
        *,
        fee: int = FEE,
        token: Address = ETH,
        name: str = "breast-cancer",
        **changes: Any,
    ) -> Published:
        """Register a model open to all, publish a version of it, and store its bundle."""
        self.store.put(bundle.data)
        terms = ModelTerms(fee=fee, token=token, payee_bps=PAYEE_BPS, max_delay=86_400, open=True)
        self.owner.send(self.registry.register_model(name, terms))
        model_id = commitments.model_id(self.owner.address, name)
        version = replace(
            Version(
                model_id=model_id,
                bundle_hash=bundle.hash,
                content_hash=bundle.hash,
                manifest_hash=bundle.manifest_hash,
                program_hash=bytes(32),
                evaluation_hash=bytes(32),
                verifier=ZERO_ADDRESS,
                verifier_settings=bytes(32),
                attestor=self.owner.address,
                metrics=(),
                uri=self.store.url,
            ),
            **changes,
        )
        self.owner.send(self.registry.publish_version(version))
        return Published(model_id, commitments.version_id(version))

    def let_serve(self, model: Published, worker: Address, **terms: Any) -> None:
        grant = GrantTerms(rights=Right.SERVE, **terms)
        self.owner.send(self.share.grant(worker, model.model_id, grant))

    def place(
        self,
        model: Published,
        canonical_input: bytes,
        *,
        payload: bytes | None = None,
        lifetime: int = 3_600,
        **changes: Any,
    ) -> Placed:
        """Place a request; `payload` and `changes` make it one that nobody should make."""
        offer = self.registry.quote(model.model_id, model.version_id).offer
        secret = secrets.token_bytes(32)
        request = replace(
            Request(
                requester=self.requester.address,
                payer=self.requester.address,
                input_hash=commitments.input_hash(secret, canonical_input),
                deadline=self.deployment.chain.head().timestamp + lifetime,
            ),
            **changes,
        )
        framed = frame_clear_input(secret, canonical_input) if payload is None else payload
        value = offer.fee if offer.token == ETH else 0
        receipt = self.requester.send(
            self.escrow.request(model.model_id, model.version_id, request, framed, value=value)
        )
        request_id = commitments.request_id(
            offer, request, chain_id=self.deployment.chain.chain_id, escrow=self.escrow.address
        )
        return Placed(request_id, offer, request, secret, receipt.transaction_hash)

    def status(self, placed: Placed) -> RequestStatus:
        return self.escrow.request_of(placed.id).status

    def events(self, kind: type[Event], placed: Placed) -> tuple[Any, ...]:
        """What the escrow said of one kind about a request."""
        chain = self.deployment.chain
        reader = EventReader(chain, {self.escrow.address: self.escrow.name}, (kind,), (placed.id,))
        return reader.read_all(0, chain.head().number)


def job(journal: Journal, placed: Placed) -> Job:
    """The job of a request, which must be known."""
    found = journal.job(placed.id)
    assert found is not None, "the journal does not know the request"
    return found


def why(journal: Journal, placed: Placed) -> str:
    """The reason the journal gives for where a request is."""
    return job(journal, placed).reason or ""


Answer = Callable[[], RPCResponse]
Fault = Callable[[Answer], RPCResponse]
"""Is given the way to the honest answer, which it need not take, or not once."""


@dataclass
class FaultyEndpoint(BaseProvider):
    """An endpoint that does what `faults` say, by method; for all methods under `"*"`."""

    honest: BaseProvider
    faults: dict[str, Fault] = field(default_factory=dict)
    calls: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def asked(self) -> list[str]:
        """The methods asked for so far."""
        return [method for method, _ in self.calls]

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        self.calls.append((method, params))
        fault = self.faults.get(method) or self.faults.get("*")

        def answer() -> RPCResponse:
            return self.honest.make_request(method, params)

        return fault(answer) if fault else answer()


def unreachable(answer: Answer) -> RPCResponse:
    """Nothing listens."""
    raise requests.ConnectionError


def reply_lost(answer: Answer) -> RPCResponse:
    """It does what it was asked, and nobody hears of it."""
    answer()
    raise requests.ConnectionError


def failing(message: str, code: int = -32000, data: str | None = None) -> Fault:
    """It answers with an error."""
    error: RPCError = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return lambda _: {"jsonrpc": "2.0", "id": 1, "error": error}
