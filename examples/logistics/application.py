"""Shipments whose carriers pay for being late, against when a model predicted that they arrive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from applications import PublishedModel, Stage, table
from eth_account import Account as EthAccount

from modelward.chain.custom_contract import CustomContract
from modelward.chain.transactions import Receipt
from modelward.sdk import PreparedAsk, Requester, prepare_ask
from modelward.sdk.requester import Quotation
from modelward.terms import ZERO_HASH

if TYPE_CHECKING:
    import pandas as pd

PIPELINE = Path(__file__).with_name("pipeline.toml")
SOURCE = "logistics/contracts/LateDelivery.sol"
HOUR = 3_600
COIN = 10**18

SHIPPER = "requester"
CARRIERS = ("evaluator", "sponsor")
CONSIGNEE = "keeper"


class Stages(IntEnum):
    """Mirrors `Stage`."""

    NONE = 0
    OPEN = 1
    UNDERWAY = 2
    CLAIMED = 3
    CONTESTED = 4
    OVER = 5


class LegStatus(IntEnum):
    """Mirrors the enumeration of the same name."""

    NONE = 0
    AGREED = 1
    DEPOSITED = 2
    UNDERWAY = 3
    ARRIVED = 4
    SETTLED = 5


@dataclass(frozen=True)
class LegTerms:
    """Mirrors the struct of the same name: seconds, and base units."""

    carrier: str
    deposit: int = 500 * COIN
    per_hour: int = 25 * COIN
    grace: int = 4 * HOUR
    fallback_duration: int = 60 * HOUR
    longest: int = 30 * 24 * HOUR


@dataclass(frozen=True)
class Freight:
    """The contract, the token of its deposits, and the model it asks."""

    stage: Stage
    model: Quotation
    contract: CustomContract
    token: CustomContract

    @classmethod
    def opened(cls, stage: Stage, published: PublishedModel) -> Freight:
        """Deploy token and contract, and give the carriers what they deposit."""
        model = Requester(stage.acting_as(SHIPPER)).quote(published.reference)
        offer = model.quote.offer
        decimals = model.manifest.output.decimals
        escrow = stage.connection.escrow.address
        timing = (offer.model_id, offer.version_id, decimals, offer.fee)
        contract = stage.deploy(SOURCE, "LateDelivery", escrow, timing)
        token = stage.deploy("contracts/TestToken.sol", "TestToken", "coin", "COIN")
        stage.let_ask(model.version.reference, contract)
        for carrier in CARRIERS:
            stage.send(carrier, token.call("mint", stage.address(carrier), 100_000 * COIN))
            stage.send(carrier, token.call("approve", contract.address, 2**256 - 1))
        return cls(stage, model, contract, token)

    def ship(self, salt: int = 0) -> bytes:
        """Open a shipment of a leg for each carrier, and have them deposit."""
        legs = [LegTerms(self.stage.address(carrier)) for carrier in CARRIERS]
        terms = (
            self.stage.address(CONSIGNEE),
            self.token.address,
            self.stage.now + 24 * HOUR,
            [astuple(leg) for leg in legs],
        )
        receipt = self.stage.send(
            SHIPPER, self.contract.call("open", terms, salt.to_bytes(32, "big"))
        )
        (opened,) = self.contract.said(receipt, "ShipmentOpened")
        shipment: bytes = opened["shipment"]
        for number, carrier in enumerate(CARRIERS):
            self.stage.send(carrier, self.contract.call("deposit", shipment, number))
        return shipment

    def prepare(self, leg: Mapping[str, Any]) -> PreparedAsk:
        """What the model is to be told of a leg; both sides of a hand-over sign its hash."""
        return prepare_ask(self.stage.acting_as(SHIPPER), self.model, leg, clear=True)

    def hand_over(self, shipment: bytes, at: int, prepared: PreparedAsk | None = None) -> Receipt:
        """Have both sides sign the hand-over that comes next, and record it."""
        position = self.contract.view("shipmentOf", shipment)["position"]
        statement = (shipment, position, at, prepared.ask.input_hash if prepared else ZERO_HASH)
        digest = self.contract.view("digestOf", *statement)
        sides = (SHIPPER, *CARRIERS, CONSIGNEE)[position : position + 2]
        signatures = [self.signed(side, digest) for side in sides]
        return self.stage.send(SHIPPER, self.contract.call("handOver", *statement, *signatures))

    def signed(self, role: str, digest: bytes) -> bytes:
        """The signature of one of the accounts."""
        account = self.stage.acting_as(role).sender.account
        return bytes(EthAccount.unsafe_sign_hash(digest, account.private_key).signature)

    def forecast(self, shipment: bytes, leg: int, prepared: PreparedAsk) -> bytes:
        """Pay for the prediction of a leg's arrival; the id of the request."""
        call = self.contract.call(
            "forecast",
            shipment,
            leg,
            prepared.secret,
            prepared.canonical_input,
            value=prepared.value,
        )
        (asked,) = self.contract.said(self.stage.send(SHIPPER, call), "PredictionRequested")
        request: bytes = asked["id"]
        return request

    def settle(self, shipment: bytes, leg: int) -> tuple[int, int]:
        """Share out a leg's deposit: the penalty, and what the carrier gets back."""
        receipt = self.stage.send("outsider", self.contract.call("settle", shipment, leg))
        (settled,) = self.contract.said(receipt, "LegSettled")
        return settled["penalty"], settled["released"]

    def withdraw(self) -> None:
        """Have everybody take out what they are owed."""
        for role in (SHIPPER, *CARRIERS):
            address = self.stage.address(role)
            if self.contract.view("feesOf", self.token.address, address):
                self.stage.send(
                    role, self.contract.call("withdrawFees", self.token.address, address)
                )

    def leg(self, shipment: bytes, number: int) -> dict[str, Any]:
        """A leg as it stands."""
        state: dict[str, Any] = self.contract.view("legOf", shipment, number)
        return state


def recorded() -> pd.DataFrame:
    """All legs, by day of departure."""
    import pandas as pd

    return pd.read_csv(PIPELINE.with_name("legs.csv")).sort_values("day", kind="stable")


def held_out(rows: pd.DataFrame) -> pd.DataFrame:
    """The last fifth of the legs, which pipeline.toml holds out."""
    return rows.tail(round(0.2 * len(rows)))


def play(stage: Stage) -> None:
    """Send three shipments of two legs that the model was not trained on, and settle them."""
    published = stage.publish(PIPELINE)
    stage.let_serve("logistics")
    freight = Freight.opened(stage, published)
    rows = held_out(recorded())
    lateness = rows["hours"].to_numpy() - published.scores(rows)[:, 0]
    by_lateness = rows.iloc[lateness.argsort()].to_dict("records")
    chosen = [by_lateness[int(part * (len(rows) - 1))] for part in (0.5, 0.1, 0.75, 1, 0.97, 0.3)]
    shown: list[tuple[object, ...]] = []
    for number in range(3):
        shown += send(freight, number, chosen[2 * number : 2 * number + 2])
    columns = ("shipment", "leg", "mode", "km", "predicted", "took", "penalty", "released")
    table(columns, shown)
    print("\nHours, with 4 of grace; penalty and release in coins, of a deposit of 500.\n")
    table(("all legs held out", "by the model", "by speed alone"), compared(recorded(), published))
    freight.withdraw()


def send(freight: Freight, number: int, legs: Sequence[dict[str, Any]]) -> list[tuple[object, ...]]:
    """Send a shipment over legs that take as long as recorded; what was made of each."""
    stage = freight.stage
    shipment = freight.ship(number)
    prepared = [freight.prepare(known(leg)) for leg in legs]
    freight.hand_over(shipment, stage.now, prepared[0])
    for leg, each in enumerate(prepared):
        freight.forecast(shipment, leg, each)
        stage.work()
        stage.pass_time(round(legs[leg]["hours"] * HOUR))
        following = prepared[leg + 1] if leg + 1 < len(prepared) else None
        freight.hand_over(shipment, stage.now, following)
    shown = []
    for leg, row in enumerate(legs):
        penalty, released = freight.settle(shipment, leg)
        state = freight.leg(shipment, leg)
        predicted, took = (
            f"{(state[end] - state['departed_at']) / HOUR:.1f}" for end in ("due_at", "arrived_at")
        )
        coins = (f"{amount / COIN:.2f}" for amount in (penalty, released))
        shown.append((number, leg, row["mode"], f"{row['distance']:.0f}", predicted, took, *coins))
    return shown


def known(leg: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a leg when it begins."""
    return {name: value for name, value in leg.items() if name not in ("day", "hours")}


def compared(rows: pd.DataFrame, published: PublishedModel) -> list[tuple[str, ...]]:
    """What carriers would pay on the legs held out, with arrivals predicted in two ways.

    The plain one goes by the mean speed of the mode, from the legs trained on.
    """
    late = held_out(rows)
    seen = rows.drop(late.index)
    sums = seen.groupby("mode")[["distance", "hours"]].sum()
    speed = late["mode"].map(sums["distance"] / sums["hours"])
    both = [
        (late["hours"] - predicted).to_numpy()
        for predicted in (published.scores(late)[:, 0], late["distance"] / speed)
    ]
    terms = LegTerms("")
    grace, rate = terms.grace / HOUR, terms.per_hour / COIN
    most = terms.deposit / COIN
    penalties = [((by - grace).clip(0) * rate).clip(0, most) for by in both]
    return [
        ("mean error, hours", *(f"{abs(by).mean():.2f}" for by in both)),
        ("late beyond grace", *(f"{(by > grace).mean():.1%}" for by in both)),
        ("mean penalty", *(f"{paid.mean():.2f}" for paid in penalties)),
        (
            "deposit lost whole",
            *(f"{(paid == most).mean():.1%}" for paid in penalties),
        ),
    ]
