"""The portfolio adviser from data to trades: a trained model, a real worker, a vault."""

import json

import pytest
from portfolio.application import INVESTOR, STRATEGIST, Vault, follow, known_of
from portfolio.backtest import (
    LIMITS,
    PIPELINE,
    TRADING_FEE_BPS,
    forecasts,
    starting_portfolio,
    unseen,
    whole_story,
)
from portfolio.generate import ASSETS, closing_prices, history, returns_table
from portfolio.strategy import rebalanced, target_weights

from modelward.errors import ContractRefused
from modelward.sdk import Requester

pytestmark = pytest.mark.slow

EXAMPLE = PIPELINE.parent


@pytest.fixture(scope="module")
def rows():
    return unseen(returns_table())


@pytest.fixture(scope="module")
def published(stage):
    published = stage.publish(PIPELINE)
    stage.let_serve("portfolio")
    return published


@pytest.fixture(scope="module")
def model(stage, published):
    return Requester(stage.acting_as(STRATEGIST)).quote(published.reference)


@pytest.fixture(scope="module")
def first(rows):
    return int(rows["month"].min())


@pytest.fixture
def vault(stage, model, first):
    prices = closing_prices(history(), first)
    vault = Vault.opened(stage, model, starting_portfolio(prices))
    vault.state_prices(prices)
    return vault


def test_the_data_are_what_the_generator_makes():
    assert returns_table().to_csv(index=False) == (EXAMPLE / "returns.csv").read_text("utf-8")


def test_the_months_traded_on_are_those_the_pipeline_holds_out(stage, published, rows):
    (split,) = (stage.folder / "portfolio").glob("split-*/split.json")
    held_out = [row - 1 for row in json.loads(split.read_text("utf-8"))["held_out"]]
    assert held_out == rows.index.tolist()


def test_the_vault_trades_on_what_the_worker_predicts(stage, published, vault, rows, model, first):
    prices, before = closing_prices(history(), first), vault.holding()
    ids = vault.ask(known_of(rows, model, first))
    assert vault.predictions() == (0,) * len(ASSETS)

    stage.work()

    predicted = forecasts(published.packaged, rows[rows["month"] == first])[first]
    assert vault.predictions() == predicted
    assert len(set(predicted)) == len(ASSETS)
    vault.rebalance()
    weights = target_weights(predicted, model.manifest.output.decimals, LIMITS)
    trades = rebalanced(before, prices, weights, TRADING_FEE_BPS, LIMITS.max_turnover_bps)
    assert vault.holding() == trades.after != before
    again = vault.contract.call("onInference", ids[0], b"")
    with pytest.raises(ContractRefused, match="NotEscrow"):
        stage.send(INVESTOR, again)


def test_several_months_follow_each_other(stage, model, rows, first, capsys):
    follow(stage, model, rows, 2)
    told = capsys.readouterr().out
    assert f"\n{first + 1}  " in told
    assert "exactly what portfolio/strategy.py says" in told


def test_an_honest_comparison_pays_all_fees(tmp_path):
    both = whole_story(tmp_path, seed=2, signal=1.0)
    assert len(both.model.values) == 97
    assert both.model.prediction_fees == 96 * len(ASSETS) * 3 * 10**18
    assert both.model.trading_fees > both.equal.trading_fees > 0
    assert both.model.final == both.model.values[-1] - both.model.prediction_fees
