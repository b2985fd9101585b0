"""The vault trades on its own round's predictions, inside its owner's limits, and loses nothing."""

from dataclasses import asdict

import pytest
from eth_utils import keccak
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from portfolio.strategy import WAD, WHOLE_BPS, Limits, rebalanced, target_weights

from modelward.chain.custom_contract import CustomContract
from modelward.errors import ContractRefused
from modelward.models.output import encode_units
from modelward.terms import ETH, RequestStatus
from tests.contracts.specimens import FEE
from tests.examples.portfolio.conftest import (
    CONTRACTS,
    DECIMALS,
    FEE_BPS,
    HOLDING,
    HOUR,
    LIMITS,
    MONTH,
    PRICES,
    SIZE,
    STOCK,
    UNIT,
)

UP, FLAT, DOWN = UNIT // 100, 0, -UNIT // 100


def worked_out(predictions, prices=PRICES, limits=LIMITS, holding=HOLDING):
    weights = target_weights(predictions, DECIMALS, limits)
    return rebalanced(holding, prices, weights, FEE_BPS, limits.max_turnover_bps)


class TestRebalancing:
    def test_the_vault_moves_to_what_is_predicted_to_do_better(self, desk):
        desk.advise(UP, FLAT, DOWN)

        receipt = desk.rebalance()

        expected = worked_out((UP, FLAT, DOWN))
        assert desk.holding() == expected.after
        assert expected.after.held[0] > HOLDING.held[0]
        assert expected.after.held[2] < HOLDING.held[2]
        (said,) = desk.contract.said(receipt, "Rebalanced")
        assert said == {
            "round": 1,
            "value": HOLDING.value(PRICES),
            "turnover": expected.turnover,
        }

    def test_no_purchase_brings_an_asset_above_its_greatest_weight(self, desk):
        desk.advise(UNIT, -UNIT, -UNIT)

        desk.rebalance()

        shares = [
            held * price // WAD * WHOLE_BPS // HOLDING.value(PRICES)
            for held, price in zip(desk.holding().held, PRICES, strict=True)
        ]
        assert LIMITS.max_weight_bps - FEE_BPS < shares[0] <= LIMITS.max_weight_bps
        assert shares[1:] == [0, 0]

    def test_it_trades_no_more_than_the_turnover_allows(self, desk):
        desk.set_limits(max_turnover_bps=1_000)
        desk.advise(UNIT, -UNIT, -UNIT)

        (said,) = desk.contract.said(desk.rebalance(), "Rebalanced")

        most = HOLDING.value(PRICES) // 10
        assert most - 2 * SIZE <= said["turnover"] <= most

    def test_a_dearer_exchange_stops_it_and_nothing_moves(self, desk, reverts):
        desk.set_limits(max_slippage_bps=FEE_BPS - 1)
        desk.advise(UP, FLAT, DOWN)

        with pytest.raises(ContractRefused, match="TooLittle"):
            desk.rebalance()

        assert desk.holding() == HOLDING

    def test_so_does_a_price_that_fell_since_predictions_were_asked_for(self, desk):
        desk.advise(UP, FLAT, DOWN)
        desk.state_prices((*PRICES[:2], PRICES[2] * 994 // 1000))

        with pytest.raises(ContractRefused, match="TooLittle"):
            desk.rebalance()

        assert desk.holding() == HOLDING

    def test_what_the_exchange_says_it_gave_is_not_believed(
        self, open_desk, compile_solidity, sponsor
    ):
        source = "tests/examples/portfolio/CheatingExchange.sol"
        cheat = CustomContract.deploy(sponsor, compile_solidity(source)["CheatingExchange"])
        desk = open_desk(cheat)
        desk.advise(UP, FLAT, DOWN)

        with pytest.raises(ContractRefused, match="SlippageTooHigh") as refused:
            desk.rebalance()

        assert refused.value.arguments["received"] == refused.value.arguments["least"] - 1
        assert desk.holding() == HOLDING
        allowed = [
            token.view("allowance", desk.contract.address, cheat.address) for token in desk.tokens
        ]
        assert allowed == [0] * (SIZE + 1)

    def test_it_happens_once_a_round(self, desk, reverts):
        desk.advise(UP, FLAT, DOWN)
        desk.rebalance()

        with reverts("NothingToTradeOn", round=1):
            desk.rebalance()

    def test_not_before_every_prediction_has_come(self, desk, reverts):
        asked = desk.ask()
        desk.answer(asked[0], UP)

        with reverts("PredictionsAwaited", awaited=SIZE - 1):
            desk.rebalance()

    def test_not_on_old_predictions(self, desk, reverts, wait_until):
        desk.advise(UP, FLAT, DOWN)
        latest = desk.contract.view("round")["asked_at"] + HOUR
        wait_until(latest + 1)

        with reverts("PredictionsTooOld", latest=latest, timestamp=latest + 1):
            desk.rebalance()

    def test_not_again_within_the_interval(self, desk, reverts, wait_until):
        desk.advise(UP, FLAT, DOWN)
        desk.rebalance()
        earliest = desk.contract.view("rebalancedAt") + MONTH
        call, _ = desk.asking()
        wait_until(earliest - 1)

        with reverts("TooSoon", earliest=earliest, timestamp=earliest - 1):
            desk.strategist.send(call)
        wait_until(earliest)
        desk.advise(DOWN, FLAT, UP)
        desk.set_limits(min_interval=2 * MONTH)
        with pytest.raises(ContractRefused, match="TooSoon"):
            desk.rebalance()
        desk.set_limits()
        desk.rebalance()
        assert desk.holding().held[2] > HOLDING.held[2]


class TestAsking:
    def test_is_the_strategists(self, desk, outsider, reverts):
        call, _ = desk.asking()
        with reverts("NotStrategist", strategist=desk.strategist.address, caller=outsider.address):
            outsider.send(call)

    def test_takes_one_input_an_asset(self, desk, reverts):
        call, _ = desk.asking(inputs=SIZE - 1)
        with reverts("WrongInputs", inputs=SIZE - 1, assets=SIZE):
            desk.strategist.send(call)

    def test_takes_the_fees_exactly(self, desk, reverts):
        call, _ = desk.asking(value=SIZE * FEE - 1)
        with reverts("WrongValue", sent=SIZE * FEE - 1, fee=SIZE * FEE):
            desk.strategist.send(call)

    def test_needs_a_price_for_every_asset(self, desk, reverts):
        desk.state_prices((*PRICES[:2], 0))
        call, _ = desk.asking()
        with reverts("NoPrice", asset=desk.tokens[3].address):
            desk.strategist.send(call)

    def test_waits_until_the_last_round_is_over(self, desk, reverts, wait_until):
        desk.ask()
        until = desk.contract.view("round")["asked_at"] + HOUR
        call, _ = desk.asking()
        wait_until(until)
        with reverts("RoundOpen", until=until, timestamp=until):
            desk.strategist.send(call)

        wait_until(until + 1)
        assert len(desk.ask()) == SIZE

    def test_says_the_prices_it_will_trade_at(self, desk):
        call, _ = desk.asking()
        (said,) = desk.contract.said(desk.strategist.send(call), "Asked")
        assert said == {"round": 1, "prices": PRICES}


class TestPredictions:
    def test_nobody_but_the_escrow_brings_one(self, desk, escrow, outsider, reverts):
        asked = desk.ask()
        call = desk.contract.call("onInference", asked[0].id, encode_units(0, [UNIT]))
        with reverts("NotEscrow", escrow=escrow.address, caller=outsider.address):
            outsider.send(call)
        assert desk.contract.view("forecasts")[1] == (0, 0, 0)

    def test_an_answer_to_somebody_elses_request_changes_nothing(self, desk, chain, escrow):
        desk.ask()
        foreign = keccak(text="a request that the vault did not place")
        data = desk.contract.call("onInference", foreign, encode_units(0, [UNIT])).data
        with pytest.raises(ContractRefused, match="NotAwaited"):
            chain.call(desk.contract.address, data, sender=escrow.address)

    def test_one_of_an_earlier_round_changes_nothing(self, desk, wait_until):
        earlier = desk.ask()
        desk.set_limits(max_age=60)
        wait_until(desk.contract.view("round")["asked_at"] + 61)
        desk.ask()

        desk.answer(earlier[0], UNIT)

        assert desk.contract.view("forecasts")[1] == (0, 0, 0)
        assert desk.contract.view("round")["awaited"] == SIZE

    def test_one_that_is_no_single_number_changes_nothing(self, desk):
        asked = desk.ask()
        desk.answer(asked[0], UP, UP)
        assert desk.contract.view("round")["awaited"] == SIZE

    @pytest.mark.parametrize("value", [2**255 - 1, UNIT + 1])
    def test_one_beyond_a_hundred_percent_counts_as_that(self, desk, value):
        desk.advise(value, -value, 0)
        assert desk.contract.view("forecasts")[1] == (UNIT, -UNIT, 0)
        desk.rebalance()
        assert desk.holding() == worked_out((UNIT, -UNIT, 0)).after

    def test_a_refused_one_ends_the_round_and_its_fee_comes_back(self, desk, escrow, outsider):
        asked = desk.ask()
        desk.worker.send(escrow.refuse(desk.offer, asked[1].terms, 1))
        outsider.send(desk.contract.call("clear", asked[1].id))

        assert desk.contract.view("feesOf", ETH, desk.strategist.address) == FEE
        assert len(desk.ask()) == SIZE
        assert escrow.request_of(asked[1].id).status == RequestStatus.REFUSED


class TestDeployment:
    def test_takes_up_to_eight_assets_each_once_and_none_of_them_cash(self, open_desk, reverts):
        for chosen in ([], ["A"] * 9, ["A", "A"], ["CASH"]):
            with reverts("WrongAssets", assets=len(chosen), most=8):
                open_desk(chosen=chosen)


class TestExchange:
    def test_its_operator_alone_states_prices(self, desk, outsider, reverts):
        call = desk.exchange.call("statePrices", [], [])
        with reverts("NotOperator", operator=desk.operator.address, caller=outsider.address):
            outsider.send(call)

    def test_one_price_a_token(self, desk, reverts):
        with reverts("WrongPrices", prices=0, tokens=1):
            desk.operator.send(desk.exchange.call("statePrices", desk.addresses[:1], []))

    def test_it_trades_what_is_listed(self, desk, outsider, reverts):
        cash, stranger = desk.tokens[0].address, outsider.address
        for pair in ((stranger, cash), (cash, stranger)):
            with reverts("NotListed", token=stranger):
                outsider.send(desk.exchange.call("swap", *pair, 1, 0))

    def test_its_fee_is_less_than_everything(self, desk, compile_example, outsider, reverts):
        artifact = compile_example(f"{CONTRACTS}/TestExchange.sol")["TestExchange"]
        with reverts("FeeBpsTooHigh", feeBps=10_000, most=9_999):
            CustomContract.deploy(outsider, artifact, outsider.address, 10_000)


class TestOwner:
    def test_takes_out_what_is_theirs_at_any_time(self, desk):
        desk.ask()
        cash = desk.tokens[0]
        call = desk.contract.call("takeOut", cash.address, desk.investor.address, HOLDING.cash)
        receipt = desk.investor.send(call)

        assert cash.view("balanceOf", desk.investor.address) == HOLDING.cash
        (said,) = desk.contract.said(receipt, "TakenOut")
        assert said["amount"] == HOLDING.cash

    def test_nobody_else_takes_out_or_sets_anything(self, desk, outsider, reverts):
        address = outsider.address
        limits = tuple(desk.contract.view("limits").values())
        for name, *arguments in (
            ("takeOut", desk.tokens[0].address, address, 1),
            ("setLimits", limits),
            ("setStrategist", address),
        ):
            with reverts("NotOwner", owner=desk.investor.address, caller=address):
                outsider.send(desk.contract.call(name, *arguments))

    def test_does_not_lose_tokens_to_the_zero_address(self, desk, reverts):
        with reverts("ReceiverIsZero"):
            desk.investor.send(desk.contract.call("takeOut", desk.tokens[0].address, ETH, 1))

    @pytest.mark.parametrize(
        ("limit", "value", "least", "most"),
        [
            ("max_weight_bps", 0, 1, 10_000),
            ("max_weight_bps", 10_001, 1, 10_000),
            ("max_turnover_bps", 20_001, 1, 20_000),
            ("max_slippage_bps", 10_000, 0, 9_999),
            ("max_age", 0, 1, 30 * 86_400),
            ("tilt", 1_001, 0, 1_000),
        ],
    )
    def test_sets_limits_within_their_bounds(self, desk, reverts, limit, value, least, most):
        with reverts("LimitOutOfBounds", limit=value, least=least, most=most):
            desk.set_limits(**{limit: value})


prices = st.integers(1, 10**6).map(lambda millionths: millionths * 10**15)
amounts = st.integers(0, 10**24)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    predictions=st.tuples(*[st.integers(-(2**70), 2**70)] * SIZE),
    listed=st.tuples(*[prices] * SIZE),
    added=st.tuples(*[amounts] * (SIZE + 1)),
    changed=st.builds(
        Limits,
        max_weight_bps=st.integers(1, 10_000),
        max_turnover_bps=st.integers(1, 20_000),
        max_slippage_bps=st.integers(0, 100),
        min_interval=st.just(0),
        max_age=st.just(HOUR),
        tilt=st.integers(0, 1_000),
    ),
)
def test_whatever_is_predicted_nothing_is_lost_but_fees_within_the_limits(
    desk, devchain, predictions, listed, added, changed
):
    snapshot = devchain.snapshot()
    for token, amount in zip(desk.tokens, added, strict=True):
        desk.operator.send(token.call("mint", desk.contract.address, amount))
    desk.state_prices(listed)
    desk.set_limits(**asdict(changed))
    before = desk.holding()
    desk.advise(*predictions)

    bounded = tuple(max(-UNIT, min(UNIT, prediction)) for prediction in predictions)
    expected = worked_out(bounded, listed, changed, before)
    if changed.max_slippage_bps >= FEE_BPS:
        desk.rebalance()
        assert desk.holding() == expected.after
    elif expected.turnover > 10**6:
        with pytest.raises(ContractRefused, match="TooLittle"):
            desk.rebalance()
        assert desk.holding() == before
    after, value = desk.holding(), before.value(listed)

    exchanged = desk.holding(of=desk.exchange)
    for held, kept, had in zip(
        (after.cash, *after.held),
        (exchanged.cash, *exchanged.held),
        (before.cash, *before.held),
        strict=True,
    ):
        assert held + kept == STOCK + had
    dust = sum(price // WAD + 1 for price in listed) * 2 + 2 * SIZE
    assert expected.turnover <= value * changed.max_turnover_bps // WHOLE_BPS
    assert (
        value - after.value(listed)
        <= expected.turnover * changed.max_slippage_bps // WHOLE_BPS + dust
    )
    for was, now, price in zip(before.held, after.held, listed, strict=True):
        assert (
            now <= was or now * price // WAD <= value * changed.max_weight_bps // WHOLE_BPS + dust
        )
    devchain.revert(snapshot)
