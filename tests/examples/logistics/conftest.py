"""A shipment of two legs, its parties, and a worker that answers whatever a test wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from itertools import count
from typing import Any

import pytest
from eth_utils import keccak
from logistics.application import COIN, HOUR, LegStatus, LegTerms, Stages

from modelward import commitments
from modelward.chain.custom_contract import CustomContract
from modelward.chain.events import InferenceRequested
from modelward.chain.sender import Sender
from modelward.chain.transactions import Call, Receipt
from modelward.devchain import DevChain
from modelward.models.output import encode_units
from modelward.terms import ZERO_HASH
from tests.contracts.signing import sign
from tests.contracts.specimens import FEE

SOURCE = "logistics/contracts/LateDelivery.sol"
DECIMALS = 6
UNIT = 10**DECIMALS
DEPOSIT, RATE = 500 * COIN, 25 * COIN
TERMS = LegTerms("", DEPOSIT, RATE, grace=4 * HOUR, fallback_duration=60 * HOUR, longest=720 * HOUR)
RICH = 10**6 * COIN
INPUT = b"what is known of the leg"

_numbers = count()


@dataclass(frozen=True)
class Yard:
    """The contract, and everybody who deals with it; the parties in the order of hand-overs."""

    contract: CustomContract
    token: CustomContract
    devchain: DevChain
    parties: tuple[Sender, ...]
    anyone: Sender
    worker: Sender
    requested: Callable[[Receipt], InferenceRequested]
    escrow: Any

    @property
    def shipper(self) -> Sender:
        return self.parties[0]

    @property
    def carriers(self) -> tuple[Sender, ...]:
        return self.parties[1:-1]

    @property
    def consignee(self) -> Sender:
        return self.parties[-1]

    def pass_time(self, seconds: int) -> None:
        self.devchain.set_next_timestamp(self.devchain.time + seconds)
        self.devchain.mine()

    def opening(self, legs: Sequence[LegTerms] | None = None, **changes: Any) -> Call:
        """A shipment of a leg for each carrier, to begin within a day."""
        agreed = [replace(TERMS, carrier=each.address) for each in self.carriers]
        terms = {
            "consignee": self.consignee.address,
            "token": self.token.address,
            "start_by": self.devchain.time + 24 * HOUR,
            "legs": [astuple(leg) for leg in (agreed if legs is None else legs)],
        } | changes
        salt = keccak(text=f"shipment {next(_numbers)}")
        return self.contract.call("open", tuple(terms.values()), salt)

    def open(self, legs: Sequence[LegTerms] | None = None) -> bytes:
        receipt = self.shipper.send(self.opening(legs))
        (said,) = self.contract.said(receipt, "ShipmentOpened")
        shipment: bytes = said["shipment"]
        return shipment

    def deposit(self, shipment: bytes, leg: int) -> Receipt:
        return self.carriers[leg].send(self.contract.call("deposit", shipment, leg))

    def ready(self) -> bytes:
        """A shipment whose carriers have deposited."""
        shipment = self.open()
        for leg in range(len(self.carriers)):
            self.deposit(shipment, leg)
        return shipment

    def underway(self, secret: bytes | None = None) -> bytes:
        """A shipment whose first carrier has the goods."""
        shipment = self.ready()
        self.hand_over(shipment, secret=secret)
        return shipment

    def handing_over(
        self, shipment: bytes, at: int | None = None, secret: bytes | None = None
    ) -> Call:
        """The hand-over that comes next, signed by both sides."""
        position = self.contract.view("shipmentOf", shipment)["position"]
        statement = (
            shipment,
            position,
            self.devchain.time if at is None else at,
            commitments.input_hash(secret, INPUT) if secret else ZERO_HASH,
        )
        digest = self.contract.view("digestOf", *statement)
        signatures = [sign(each, digest) for each in self.parties[position : position + 2]]
        return self.contract.call("handOver", *statement, *signatures)

    def hand_over(
        self, shipment: bytes, at: int | None = None, secret: bytes | None = None
    ) -> Receipt:
        return self.anyone.send(self.handing_over(shipment, at, secret))

    def forecast(self, shipment: bytes, leg: int, secret: bytes) -> InferenceRequested:
        call = self.contract.call("forecast", shipment, leg, secret, INPUT, value=FEE)
        return self.requested(self.anyone.send(call))

    def answer(self, request: InferenceRequested, secret: bytes, *units: int) -> Receipt:
        """Have the worker answer with these scores, in 10^-6 hours."""
        return self.worker.send(
            self.escrow.fulfil_with_callback(
                request.offer,
                request.request,
                commitments.result_salt(secret),
                encode_units(0, units),
            )
        )

    def predict(self, shipment: bytes, leg: int, secret: bytes, hours: float) -> None:
        self.answer(self.forecast(shipment, leg, secret), secret, round(hours * UNIT))

    def do(self, name: str, shipment: bytes, *arguments: Any, by: Sender | None = None) -> Receipt:
        return (by or self.anyone).send(self.contract.call(name, shipment, *arguments))

    def stage(self, shipment: bytes) -> Stages:
        return Stages(self.contract.view("shipmentOf", shipment)["stage"])

    def leg(self, shipment: bytes, number: int) -> dict[str, Any]:
        state: dict[str, Any] = self.contract.view("legOf", shipment, number)
        return state

    def status(self, shipment: bytes, number: int) -> LegStatus:
        return LegStatus(self.leg(shipment, number)["status"])

    def owed(self) -> tuple[int, ...]:
        """What each party can take out, in their order."""
        return tuple(
            self.contract.view("feesOf", self.token.address, each.address) for each in self.parties
        )


@pytest.fixture
def secret() -> bytes:
    """One that no request was made with."""
    return keccak(text=f"secret {next(_numbers)}")


@pytest.fixture
def yard(
    compile_example,
    let_ask,
    requested,
    offer,
    escrow,
    devchain,
    requester,
    evaluator,
    sponsor,
    keeper,
    outsider,
    worker,
) -> Yard:
    """The requester is shipper, evaluator and sponsor carry, the keeper is consignee."""
    contract = CustomContract.deploy(
        outsider,
        compile_example(SOURCE)["LateDelivery"],
        escrow.address,
        (offer.model_id, offer.version_id, DECIMALS, FEE),
    )
    token = CustomContract.deploy(
        outsider, compile_example("contracts/TestToken.sol")["TestToken"], "coin", "COIN"
    )
    let_ask(contract.address)
    for carrier in (evaluator, sponsor):
        carrier.send(token.call("mint", carrier.address, RICH))
        carrier.send(token.call("approve", contract.address, 2**256 - 1))
    parties = (requester, evaluator, sponsor, keeper)
    return Yard(contract, token, devchain, parties, outsider, worker, requested, escrow)
