"""Deposits follow the clock, signatures and a prediction, and every one of them gets out again."""

from dataclasses import replace

import pytest
from eth_utils import keccak
from logistics.application import HOUR, LegStatus, Stages

from modelward.commitments import input_hash
from modelward.errors import ContractRefused
from modelward.models.output import encode_units
from modelward.terms import ETH, ZERO_ADDRESS, ZERO_HASH
from tests.contracts.puppet import SOURCE as WALLETS
from tests.contracts.signing import sign
from tests.contracts.specimens import FEE
from tests.examples.logistics.conftest import DEPOSIT, INPUT, RATE, TERMS, UNIT

DAY = 24 * HOUR


class TestPenalty:
    @pytest.mark.parametrize(
        ("took", "penalty"),
        [
            (20 * HOUR, 0),
            (34 * HOUR, 0),
            (34 * HOUR + 1, RATE // HOUR),
            (36 * HOUR + HOUR // 2, 5 * RATE // 2),
            (54 * HOUR, DEPOSIT),
            (200 * HOUR, DEPOSIT),
        ],
        ids=["early", "in grace", "a second late", "hours late", "at the cap", "beyond it"],
    )
    def test_it_follows_actual_against_predicted_arrival(self, yard, secret, took, penalty):
        shipment = yard.underway(secret)
        departed = yard.leg(shipment, 0)["departed_at"]
        yard.predict(shipment, 0, secret, hours=30)
        assert yard.leg(shipment, 0)["due_at"] == departed + 30 * HOUR
        yard.pass_time(took + HOUR)
        yard.hand_over(shipment, at=departed + took)

        receipt = yard.do("settle", shipment, 0)

        (said,) = yard.contract.said(receipt, "LegSettled")
        assert (said["penalty"], said["released"]) == (penalty, DEPOSIT - penalty)
        assert yard.owed() == (penalty, DEPOSIT - penalty, 0, 0)
        assert yard.contract.view("penaltyOf", shipment, 0, 30 * HOUR, took) == penalty

    def test_everybody_takes_out_what_they_are_owed(self, yard, secret):
        shipment = yard.underway(secret)
        yard.predict(shipment, 0, secret, hours=30)
        yard.pass_time(35 * HOUR)
        yard.hand_over(shipment, at=yard.leg(shipment, 0)["departed_at"] + 35 * HOUR)
        yard.do("settle", shipment, 0)
        call = yard.contract.call("withdrawFees", yard.token.address, yard.shipper.address)

        yard.shipper.send(call)

        assert yard.token.view("balanceOf", yard.shipper.address) == RATE

    def test_a_leg_is_settled_once(self, yard, secret, reverts):
        shipment = yard.underway(secret)
        yard.predict(shipment, 0, secret, hours=30)
        yard.hand_over(shipment)
        yard.do("settle", shipment, 0)
        with reverts("WrongLegStatus", shipment=shipment, leg=0, status=LegStatus.SETTLED):
            yard.do("settle", shipment, 0)


class TestPredictions:
    def test_without_one_the_agreed_duration_holds(self, yard, secret, reverts):
        shipment = yard.underway(secret)
        departed = yard.leg(shipment, 0)["departed_at"]
        earliest = yard.leg(shipment, 0)["forecast_by"] + 1
        yard.hand_over(shipment)
        with reverts("TooEarly", earliest=earliest, timestamp=yard.devchain.time):
            yard.do("settle", shipment, 0)
        assert yard.leg(shipment, 0)["arrived_at"] >= departed

        yard.pass_time(HOUR + 60)
        yard.do("settle", shipment, 0)
        assert yard.owed() == (0, DEPOSIT, 0, 0)

    def test_late_by_the_agreed_duration_costs_as_well(self, yard):
        shipment = yard.underway()
        yard.pass_time(66 * HOUR)
        yard.hand_over(shipment, at=yard.leg(shipment, 0)["departed_at"] + 65 * HOUR)
        yard.do("settle", shipment, 0)
        assert yard.owed() == (RATE, DEPOSIT - RATE, 0, 0)

    def test_a_refused_request_leaves_the_agreed_duration_at_once(self, yard, secret, escrow):
        shipment = yard.underway(secret)
        request = yard.forecast(shipment, 0, secret)
        yard.worker.send(escrow.refuse(request.offer, request.request, 1))
        yard.do("clear", request.request_id)
        yard.hand_over(shipment)

        yard.do("settle", shipment, 0)

        assert yard.owed()[1] == DEPOSIT
        assert yard.contract.view("feesOf", ETH, yard.anyone.address) == FEE

    def test_nobody_but_the_escrow_brings_one(self, yard, secret, escrow, reverts):
        request = yard.forecast(yard.underway(secret), 0, secret)
        forged = yard.contract.call("onInference", request.request_id, encode_units(0, [UNIT]))
        with reverts("NotEscrow", escrow=escrow.address, caller=yard.anyone.address):
            yard.anyone.send(forged)

    def test_one_for_another_leg_changes_that_one_only(self, yard, secret):
        other, shipment = yard.underway(secret), yard.underway(keccak(secret))
        yard.predict(other, 0, secret, hours=700)
        assert yard.leg(other, 0)["due_at"] != 0
        assert yard.leg(shipment, 0)["due_at"] == 0

    def test_one_that_is_late_changes_nothing(self, yard, secret):
        shipment = yard.underway(secret)
        request = yard.forecast(shipment, 0, secret)
        yard.pass_time(HOUR + 60)
        with pytest.raises(ContractRefused, match="deadline was"):
            yard.answer(request, secret, 700 * UNIT)
        yard.do("clear", request.request_id)

        yard.hand_over(shipment)
        yard.do("settle", shipment, 0)

        assert yard.leg(shipment, 0)["due_at"] == 0
        assert yard.contract.view("feesOf", ETH, yard.anyone.address) == FEE

    def test_an_answer_that_is_no_single_number_changes_nothing(self, yard, secret):
        shipment = yard.underway(secret)
        yard.answer(yard.forecast(shipment, 0, secret), secret, 1, 2)
        assert yard.leg(shipment, 0)["due_at"] == 0

    @pytest.mark.parametrize(("hours", "due"), [(-5, 0), (10**30, TERMS.longest)])
    def test_one_beyond_all_measure_counts_as_the_limit(self, yard, secret, hours, due):
        shipment = yard.underway(secret)
        yard.answer(yard.forecast(shipment, 0, secret), secret, hours * UNIT)
        leg = yard.leg(shipment, 0)
        assert leg["due_at"] - leg["departed_at"] == due

    def test_the_model_is_told_what_both_sides_signed(self, yard, secret, reverts):
        shipment = yard.underway(secret)
        call = yard.contract.call("forecast", shipment, 0, secret, b"a longer way", value=FEE)
        signed = input_hash(secret, INPUT)
        with reverts("WrongInput", given=input_hash(secret, b"a longer way"), signed=signed):
            yard.anyone.send(call)

    def test_it_is_asked_once_and_in_time(self, yard, secret, reverts):
        shipment = yard.underway(secret)
        call = yard.contract.call("forecast", shipment, 0, secret, INPUT, value=FEE)
        yard.anyone.send(call)
        with reverts("AlreadyAsked", shipment=shipment, leg=0):
            yard.anyone.send(call)

        late = yard.underway(secret)
        latest = yard.leg(late, 0)["forecast_by"]
        yard.pass_time(2 * HOUR)
        with reverts("TooLate", latest=latest, timestamp=yard.devchain.time):
            yard.forecast(late, 0, secret)

    def test_and_not_before_the_leg_begins(self, yard, secret, reverts):
        shipment = yard.underway(secret)
        with reverts("WrongLegStatus", shipment=shipment, leg=1, status=LegStatus.DEPOSITED):
            yard.forecast(shipment, 1, secret)


class TestHandOver:
    def test_both_sides_have_signed_this_very_statement(self, yard, reverts):
        shipment = yard.ready()
        at = yard.devchain.time
        digest = yard.contract.view("digestOf", shipment, 0, at, ZERO_HASH)
        shipper, carrier = (sign(each, digest) for each in yard.parties[:2])
        own = yard.shipper.address
        for signatures, expected, recovered in (
            ((carrier, carrier), own, yard.carriers[0].address),
            ((shipper, shipper), yard.carriers[0].address, own),
        ):
            with reverts("WrongSigner", expected=expected, recovered=recovered):
                yard.do("handOver", shipment, 0, at, ZERO_HASH, *signatures)

    def test_a_contract_signs_by_erc1271(self, yard, compile_solidity, sponsor, devchain):
        wallets = compile_solidity(WALLETS.replace("Receivers", "Wallets"))
        wallet = type(yard.contract).deploy(sponsor, wallets["Wallet"])
        leg = replace(TERMS, carrier=wallet.address, deposit=0)
        shipment = yard.open([leg])
        deposit = yard.contract.call("deposit", shipment, 0)
        sponsor.send(wallet.call("act", deposit.to, deposit.data))
        at = devchain.time
        digest = yard.contract.view("digestOf", shipment, 0, at, ZERO_HASH)
        sponsor.send(wallet.call("approve", digest))

        yard.do("handOver", shipment, 0, at, ZERO_HASH, sign(yard.shipper, digest), b"")

        assert yard.stage(shipment) is Stages.UNDERWAY

    def test_one_cannot_be_repeated_or_skipped(self, yard, reverts):
        shipment = yard.ready()
        call = yard.handing_over(shipment)
        yard.anyone.send(call)
        with reverts("WrongPosition", position=0, expected=1):
            yard.anyone.send(call)

    def test_all_have_deposited_before_the_first(self, yard, reverts):
        shipment = yard.open()
        yard.deposit(shipment, 1)
        with reverts("DepositsMissing", missing=1):
            yard.hand_over(shipment)

    def test_it_was_after_the_last_one_and_not_in_the_future(self, yard, reverts):
        shipment = yard.underway()
        departed = yard.leg(shipment, 0)["departed_at"]
        for at in (departed - 1, departed + DAY):
            now = yard.devchain.time
            with reverts("TimeOutOfBounds", at=at, earliest=departed, latest=now):
                yard.hand_over(shipment, at=at)

    def test_the_last_one_ends_the_shipment(self, yard):
        shipment = yard.underway()
        yard.hand_over(shipment)
        yard.hand_over(shipment)
        assert yard.stage(shipment) is Stages.OVER
        assert yard.status(shipment, 1) is LegStatus.ARRIVED

    def test_none_after_the_end(self, yard, reverts):
        shipment = yard.underway()
        yard.hand_over(shipment)
        yard.hand_over(shipment)
        with reverts("WrongStage", shipment=shipment, stage=Stages.OVER):
            yard.do("handOver", shipment, 2, 1, ZERO_HASH, b"", b"")


class TestASideThatDoesNotSign:
    def test_an_unanswered_claim_stands(self, yard, reverts):
        shipment = yard.underway()
        departed = yard.leg(shipment, 0)["departed_at"]
        yard.pass_time(61 * HOUR)
        claimed = departed + 60 * HOUR
        yard.do("claim", shipment, claimed, by=yard.carriers[0])
        answer_by = yard.contract.view("shipmentOf", shipment)["answer_by"]
        with reverts("TooEarly", earliest=answer_by + 1, timestamp=yard.devchain.time):
            yard.do("conclude", shipment)
        yard.pass_time(2 * DAY + 1)

        yard.do("conclude", shipment)
        yard.do("settle", shipment, 0)

        assert yard.leg(shipment, 0)["arrived_at"] == claimed
        assert yard.owed() == (DEPOSIT, DEPOSIT, 0, 0), "the next carrier did not turn up"

    def test_a_silent_consignee_costs_no_carrier_anything(self, yard):
        shipment = yard.underway()
        yard.hand_over(shipment)
        yard.do("claim", shipment, yard.devchain.time, by=yard.carriers[1])
        yard.pass_time(2 * DAY + 1)
        yard.do("conclude", shipment)
        for leg in range(2):
            yard.do("settle", shipment, leg)
        assert yard.owed() == (0, DEPOSIT, DEPOSIT, 0)

    def test_a_contested_claim_costs_both_carriers_half(self, yard, reverts):
        shipment = yard.underway()
        yard.do("claim", shipment, yard.devchain.time, by=yard.carriers[0])
        with reverts("NotParty", party=yard.carriers[1].address, caller=yard.anyone.address):
            yard.do("contest", shipment)
        yard.do("contest", shipment, by=yard.carriers[1])
        assert yard.stage(shipment) is Stages.CONTESTED
        yard.pass_time(7 * DAY + 1)

        yard.do("conclude", shipment)

        half = DEPOSIT // 2
        assert yard.owed() == (2 * half, half, half, 0)

    def test_they_can_still_agree(self, yard):
        shipment = yard.underway()
        yard.do("claim", shipment, yard.devchain.time, by=yard.carriers[0])
        yard.do("contest", shipment, by=yard.carriers[1])

        yard.hand_over(shipment)

        assert yard.stage(shipment) is Stages.UNDERWAY
        assert yard.contract.view("shipmentOf", shipment)["claimed_at"] == 0
        assert yard.status(shipment, 1) is LegStatus.UNDERWAY

    def test_after_the_time_to_answer_it_is_too_late_to_contest(self, yard, reverts):
        shipment = yard.underway()
        yard.do("claim", shipment, yard.devchain.time, by=yard.carriers[0])
        answer_by = yard.contract.view("shipmentOf", shipment)["answer_by"]
        yard.pass_time(3 * DAY)
        with reverts("TooLate", latest=answer_by, timestamp=yard.devchain.time):
            yard.do("contest", shipment, by=yard.carriers[1])

    def test_who_has_the_goods_alone_claims(self, yard, reverts):
        shipment = yard.underway()
        first, second = (each.address for each in yard.carriers)
        with reverts("NotParty", party=first, caller=second):
            yard.do("claim", shipment, yard.devchain.time, by=yard.carriers[1])

    def test_goods_that_never_arrive_cost_the_whole_deposit(self, yard, reverts):
        shipment = yard.underway()
        latest = yard.leg(shipment, 0)["departed_at"] + TERMS.longest
        with reverts("TooEarly", earliest=latest + 1, timestamp=yard.devchain.time):
            yard.do("lapse", shipment)
        yard.pass_time(TERMS.longest + 60)
        with reverts("TooLate", latest=latest, timestamp=yard.devchain.time):
            yard.do("claim", shipment, latest, by=yard.carriers[0])

        yard.do("lapse", shipment)

        assert yard.owed() == (DEPOSIT, 0, DEPOSIT, 0)
        assert yard.stage(shipment) is Stages.OVER


class TestBeforeTheJourney:
    def test_a_shipment_that_does_not_begin_gives_deposits_back(self, yard, reverts):
        shipment = yard.open()
        yard.deposit(shipment, 0)
        start_by = yard.contract.view("shipmentOf", shipment)["start_by"]
        with reverts("TooEarly", earliest=start_by + 1, timestamp=yard.devchain.time):
            yard.do("abandon", shipment)
        yard.pass_time(DAY + 60)
        with reverts("TooLate", latest=start_by, timestamp=yard.devchain.time):
            yard.deposit(shipment, 1)

        yard.do("abandon", shipment)

        assert yard.owed() == (0, DEPOSIT, 0, 0)

    def test_nor_does_it_begin_late(self, yard, reverts):
        shipment = yard.ready()
        start_by = yard.contract.view("shipmentOf", shipment)["start_by"]
        yard.pass_time(DAY + 60)
        with reverts("TooLate", latest=start_by, timestamp=yard.devchain.time):
            yard.hand_over(shipment)

    def test_a_leg_is_its_carriers_to_deposit_for(self, yard, reverts):
        shipment = yard.open()
        first, second = (each.address for each in yard.carriers)
        with reverts("NotParty", party=first, caller=second):
            yard.do("deposit", shipment, 0, by=yard.carriers[1])

    def test_the_same_shipment_is_opened_once(self, yard, reverts):
        call = yard.opening()
        (said,) = yard.contract.said(yard.shipper.send(call), "ShipmentOpened")
        assert said["shipment"][-1] == 0
        with reverts("ShipmentExists", shipment=said["shipment"]):
            yard.shipper.send(call)

    @pytest.mark.parametrize("legs", [0, 9])
    def test_it_has_one_to_eight_legs(self, yard, reverts, legs):
        agreed = [replace(TERMS, carrier=yard.carriers[0].address)] * legs
        with reverts("WrongLegs", legs=legs, most=8):
            yard.open(agreed)

    def test_nobody_takes_part_by_the_zero_address(self, yard, reverts):
        with reverts("PartyIsZero"):
            yard.open([replace(TERMS, carrier=ZERO_ADDRESS)])
        with reverts("PartyIsZero"):
            yard.shipper.send(yard.opening(consignee=ZERO_ADDRESS))

    def test_no_leg_is_expected_to_take_longer_than_it_may(self, yard, reverts):
        leg = replace(TERMS, carrier=yard.carriers[0].address, fallback_duration=2, longest=1)
        with reverts("FallbackTooLong", fallbackDuration=2, longest=1):
            yard.open([leg])

    def test_a_model_has_eighteen_decimals_at_most(
        self, yard, compile_example, escrow, offer, reverts
    ):
        artifact = compile_example("logistics/contracts/LateDelivery.sol")["LateDelivery"]
        timing = (offer.model_id, offer.version_id, 19, FEE)
        with reverts("TooManyDecimals", decimals=19, most=18):
            type(yard.contract).deploy(yard.anyone, artifact, escrow.address, timing)
