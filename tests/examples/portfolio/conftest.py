"""A vault of three assets, and a worker that answers whatever a test wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from itertools import count
from typing import Any, NamedTuple

import pytest
from eth_utils import keccak
from portfolio.strategy import WAD, Limits, Portfolio

from modelward import commitments
from modelward.chain.custom_contract import CustomContract
from modelward.chain.events import InferenceRequested, decode_event
from modelward.chain.sender import Sender
from modelward.chain.transactions import Call, Receipt
from modelward.models.output import encode_units
from modelward.terms import Offer, Request, RequestId
from tests.contracts.specimens import FEE

CONTRACTS = "portfolio/contracts"
SIZE = 3
DECIMALS = 9
UNIT = 10**DECIMALS
CALLBACK_GAS = 150_000
HOUR, MONTH = 3_600, 28 * 86_400
FEE_BPS = 10
PRICES = (100 * WAD, 20 * WAD, 3 * WAD)
LIMITS = Limits(
    max_weight_bps=6_000,
    max_turnover_bps=20_000,
    max_slippage_bps=50,
    min_interval=MONTH,
    max_age=HOUR,
    tilt=20,
)
HOLDING = Portfolio(1_000 * WAD, (10 * WAD, 50 * WAD, 300 * WAD))
STOCK = 10**9 * WAD
"""What the exchange has of every token."""

_numbers = count()


class Asked(NamedTuple):
    """One of the requests of a round, with all that a worker answers it by."""

    id: RequestId
    terms: Request
    salt: bytes


@dataclass(frozen=True)
class Desk:
    """The vault, and everybody who deals with it."""

    contract: CustomContract
    exchange: CustomContract
    tokens: tuple[CustomContract, ...]
    offer: Offer
    escrow: Any
    investor: Sender
    strategist: Sender
    operator: Sender
    worker: Sender

    @property
    def addresses(self) -> list[str]:
        """Of the tokens, cash first."""
        return [token.address for token in self.tokens]

    def holding(self, of: CustomContract | None = None) -> Portfolio:
        """What the vault has, or another contract."""
        cash, *held = (
            token.view("balanceOf", (of or self.contract).address) for token in self.tokens
        )
        return Portfolio(cash, tuple(held))

    def state_prices(self, prices: Sequence[int]) -> None:
        self.operator.send(self.exchange.call("statePrices", self.addresses[1:], prices))

    def set_limits(self, **changes: int) -> None:
        limits = replace(LIMITS, **changes)
        self.investor.send(self.contract.call("setLimits", astuple(limits)))

    def asking(self, inputs: int = SIZE, value: int | None = None) -> tuple[Call, list[bytes]]:
        """A request for predictions, and its secrets."""
        secrets = [keccak(text=f"secret {next(_numbers)}") for _ in range(inputs)]
        fees = inputs * FEE if value is None else value
        return self.contract.call("ask", secrets, [b"an input"] * inputs, value=fees), secrets

    def ask(self) -> list[Asked]:
        """Ask for a prediction for each asset."""
        call, secrets = self.asking()
        receipt = self.strategist.send(call)
        logs = [log for log in receipt.logs if log.address == self.escrow.address]
        requested = [decode_event(self.escrow.name, log) for log in logs]
        return [
            Asked(event.request_id, event.request, commitments.result_salt(secret))
            for event, secret in zip(requested, secrets, strict=True)
            if isinstance(event, InferenceRequested)
        ]

    def answer(self, asked: Asked, *units: int) -> Receipt:
        """Have the worker answer with these scores."""
        output = encode_units(0, units)
        return self.worker.send(
            self.escrow.fulfil_with_callback(self.offer, asked.terms, asked.salt, output)
        )

    def advise(self, *predictions: int) -> list[Asked]:
        """A whole round of predictions."""
        round_ = self.ask()
        for asked, prediction in zip(round_, predictions, strict=True):
            self.answer(asked, prediction)
        return round_

    def rebalance(self, sender: Sender | None = None) -> Receipt:
        return (sender or self.worker).send(self.contract.call("rebalance"))


@pytest.fixture
def open_desk(
    compile_example, let_ask, offer, escrow, requester, sponsor, keeper, worker
) -> Callable[..., Desk]:
    """Deploy the requester's vault with `HOLDING`, at `PRICES`; the keeper is strategist."""
    token = compile_example("contracts/TestToken.sol")["TestToken"]
    named = {
        name: CustomContract.deploy(sponsor, token, name, name) for name in ("CASH", "A", "B", "C")
    }

    def deployed(
        exchange: CustomContract | None = None, chosen: Sequence[str] = ("A", "B", "C")
    ) -> Desk:
        exchange = exchange or CustomContract.deploy(
            sponsor,
            compile_example(f"{CONTRACTS}/TestExchange.sol")["TestExchange"],
            named["CASH"].address,
            FEE_BPS,
        )
        contract = CustomContract.deploy(
            requester,
            compile_example(f"{CONTRACTS}/PortfolioVault.sol")["PortfolioVault"],
            escrow.address,
            requester.address,
            exchange.address,
            named["CASH"].address,
            [named[name].address for name in chosen],
            (offer.model_id, offer.version_id, DECIMALS, CALLBACK_GAS, FEE),
            astuple(LIMITS),
        )
        let_ask(contract.address)
        requester.send(contract.call("setStrategist", keeper.address))
        tokens = tuple(named.values())
        for each, amount in zip(tokens, (HOLDING.cash, *HOLDING.held), strict=True):
            sponsor.send(each.call("mint", exchange.address, STOCK))
            sponsor.send(each.call("mint", contract.address, amount))
        desk = Desk(contract, exchange, tokens, offer, escrow, requester, keeper, sponsor, worker)
        desk.state_prices(PRICES)
        return desk

    return deployed


@pytest.fixture
def desk(open_desk) -> Desk:
    """Such a vault, and an honest exchange."""
    opened: Desk = open_desk()
    return opened
