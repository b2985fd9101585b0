"""A vault of test tokens follows forecasts of returns for a year that the model was not trained on.

Whatever the vault does is worked out beside it by `portfolio.strategy`, to the last unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from applications import ROOT, Stage, table
from portfolio.backtest import (
    LIMITS,
    PIPELINE,
    START,
    TRADING_FEE_BPS,
    Comparison,
    compare,
    forecasts,
    starting_portfolio,
    unseen,
)
from portfolio.generate import ASSETS, closing_prices, history, returns_table
from portfolio.strategy import WAD, Limits, Portfolio, equal_weights, rebalanced, target_weights

from modelward.chain.custom_contract import CustomContract
from modelward.chain.transactions import Call, Receipt
from modelward.errors import CheckFailed
from modelward.sdk import Requester, prepare_ask
from modelward.sdk.requester import Quotation

if TYPE_CHECKING:
    import pandas as pd

MONTHS_PLAYED = 12
MONTH = 30 * 86_400
CALLBACK_GAS = 150_000
PICTURE = ROOT / "build" / "portfolio.png"

INVESTOR = "requester"
STRATEGIST = "keeper"
OPERATOR = "sponsor"


@dataclass(frozen=True)
class Vault:
    """The vault, the model it follows, where it trades, and what it may hold."""

    stage: Stage
    model: Quotation
    contract: CustomContract
    exchange: CustomContract
    cash: CustomContract
    assets: tuple[CustomContract, ...]

    @classmethod
    def opened(
        cls, stage: Stage, model: Quotation, holding: Portfolio, limits: Limits = LIMITS
    ) -> Vault:
        """Deploy tokens, an exchange that has plenty of each, and a vault that holds `holding`."""
        cash, *assets = (
            stage.deploy("contracts/TestToken.sol", "TestToken", name, name[:4].upper())
            for name in ("cash", *ASSETS)
        )
        source = "portfolio/contracts/TestExchange.sol"
        exchange = stage.deploy(
            source, "TestExchange", cash.address, TRADING_FEE_BPS, role=OPERATOR
        )
        offer = model.quote.offer
        contract = stage.deploy(
            "portfolio/contracts/PortfolioVault.sol",
            "PortfolioVault",
            stage.connection.escrow.address,
            stage.address(INVESTOR),
            exchange.address,
            cash.address,
            [asset.address for asset in assets],
            (
                offer.model_id,
                offer.version_id,
                model.manifest.output.decimals,
                CALLBACK_GAS,
                offer.fee,
            ),
            astuple(limits),
        )
        stage.let_ask(model.version.reference, contract)
        stage.send(INVESTOR, contract.call("setStrategist", stage.address(STRATEGIST)))
        for token, amount in zip((cash, *assets), (holding.cash, *holding.held), strict=True):
            stage.send(OPERATOR, token.call("mint", exchange.address, 1_000 * START))
            stage.send(INVESTOR, token.call("mint", contract.address, amount))
        return cls(stage, model, contract, exchange, cash, tuple(assets))

    def state_prices(self, prices: Sequence[int]) -> None:
        """Have the exchange trade at these prices of one whole token, in 10^-18 of cash."""
        tokens = [asset.address for asset in self.assets]
        self.stage.send(OPERATOR, self.exchange.call("statePrices", tokens, prices))

    def asking(self, rows: Sequence[Any]) -> Call:
        """A request for a prediction for each asset, of what is known of it."""
        connection = self.stage.acting_as(STRATEGIST)
        asks = [prepare_ask(connection, self.model, row, clear=True) for row in rows]
        return self.contract.call(
            "ask",
            [ask.secret for ask in asks],
            [ask.canonical_input for ask in asks],
            value=sum(ask.value for ask in asks),
        )

    def ask(self, rows: Sequence[Any]) -> tuple[bytes, ...]:
        """Ask for a prediction for each asset; the ids of the requests."""
        receipt = self.stage.send(STRATEGIST, self.asking(rows))
        return tuple(asked["id"] for asked in self.contract.said(receipt, "PredictionRequested"))

    def rebalance(self, role: str = "outsider") -> Receipt:
        """Trade on the predictions, as anyone may."""
        return self.stage.send(role, self.contract.call("rebalance"))

    def predictions(self) -> tuple[int, ...]:
        """Those of the round, in 10^-decimals."""
        _, predictions = self.contract.view("forecasts")
        return tuple(predictions)

    def holding(self) -> Portfolio:
        """What the vault holds now."""
        cash, *held = (
            token.view("balanceOf", self.contract.address) for token in (self.cash, *self.assets)
        )
        return Portfolio(cash, tuple(held))


def play(stage: Stage) -> None:
    """Publish the model and have a vault follow it for a year; then all the time held out."""
    published = stage.publish(PIPELINE)
    stage.let_serve("portfolio")
    model = Requester(stage.acting_as(STRATEGIST)).quote(published.reference)
    rows = unseen(returns_table())
    follow(stage, model, rows, MONTHS_PLAYED)
    predicted = forecasts(published.packaged, rows)
    decimals, fee = model.manifest.output.decimals, model.quote.offer.fee
    comparison = compare(history(), predicted, decimals, fee)
    print(f"\nall {len(predicted)} months that were held out, by portfolio/strategy.py alone:\n")
    table(("", "model", "equal weight"), comparison.rows())
    draw(comparison, PICTURE)
    print(f"\n{PICTURE} shows it.")


def known_of(rows: pd.DataFrame, model: Quotation, month: int) -> list[dict[str, float]]:
    """What is known of each asset at the end of a month, as the model takes it."""
    features = [column.name for column in model.manifest.input.columns]
    found = rows.loc[rows["month"] == month, features].to_dict("records")
    return [{str(name): float(value) for name, value in row.items()} for row in found]


def follow(stage: Stage, model: Quotation, rows: pd.DataFrame, months: int) -> None:
    """Have a vault trade on predictions at the end of so many months, and show what it holds.

    Raises `CheckFailed` when it does not hold exactly what `portfolio.strategy` says.
    """
    known, first = history(), int(rows["month"].min())
    vault = Vault.opened(stage, model, starting_portfolio(closing_prices(known, first)))
    beside = equal = vault.holding()
    shown = []
    for month in range(first, first + months):
        prices = closing_prices(known, month)
        vault.state_prices(prices)
        vault.ask(known_of(rows, model, month))
        stage.work()
        weights = target_weights(vault.predictions(), model.manifest.output.decimals, LIMITS)
        trades = rebalanced(beside, prices, weights, TRADING_FEE_BPS, LIMITS.max_turnover_bps)
        beside = trades.after
        equal = rebalanced(equal, prices, equal_weights(len(ASSETS)), TRADING_FEE_BPS).after
        vault.rebalance()
        if vault.holding() != beside:
            raise CheckFailed(f"The vault holds {vault.holding()} instead of {beside}.")
        value = beside.value(prices)
        shares = [
            f"{100 * amount * price / WAD / value:.1f}"
            for amount, price in zip(beside.held, prices, strict=True)
        ]
        values = (f"{worth / WAD:,.0f}" for worth in (value, equal.value(prices)))
        shown.append((month, *shares, *values))
        stage.pass_time(MONTH)
    table(("month", *ASSETS, "vault", "equal weight"), shown)
    print("\nAssets are in percent of the vault. It holds exactly what portfolio/strategy.py says.")


def draw(comparison: Comparison, path: Path) -> None:
    """A picture of both values, month by month."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, course in (("model", comparison.model), ("equal weight", comparison.equal)):
        axes.plot([value / WAD for value in course.values], label=name)
    axes.set(xlabel="months held out", ylabel="value after trading fees")
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
