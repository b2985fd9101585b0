"""Logistics from data to penalty: a trained model, a real worker, and deposits to share out."""

import json

import pytest
from logistics.application import (
    COIN,
    HOUR,
    PIPELINE,
    Freight,
    LegTerms,
    compared,
    held_out,
    known,
    recorded,
    send,
)
from logistics.generate import legs_table

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def published(stage):
    published = stage.publish(PIPELINE)
    stage.let_serve("logistics")
    return published


@pytest.fixture(scope="module")
def freight(stage, published):
    return Freight.opened(stage, published)


@pytest.fixture(scope="module")
def rows():
    return held_out(recorded())


def test_the_data_are_what_the_generator_makes():
    text = PIPELINE.with_name("legs.csv").read_text("utf-8")
    assert legs_table().to_csv(index=False) == text


def test_the_legs_held_out_are_those_of_the_pipeline(stage, published, rows):
    (split,) = (stage.folder / "logistics").glob("split-*/split.json")
    assert json.loads(split.read_text("utf-8"))["held_out"] == sorted(rows.index + 1)


def test_the_workers_prediction_says_what_being_late_costs(published, freight, rows):
    lateness = rows["hours"].to_numpy() - published.scores(rows)[:, 0]
    late, punctual = (rows.iloc[[place]] for place in (lateness.argmax(), lateness.argmin()))
    legs = [part.to_dict("records")[0] for part in (late, punctual)]

    first, second = send(freight, 1, legs)

    terms = LegTerms("")
    for shown, part in ((first, late), (second, punctual)):
        assert shown[4] == f"{published.scores(part)[0, 0]:.1f}"
    hours = lateness.max() - terms.grace / HOUR
    expected = min(hours * terms.per_hour, terms.deposit) / COIN
    assert float(str(first[6])) == pytest.approx(expected, abs=0.2)
    assert (second[6], second[7]) == ("0.00", "500.00")


def test_a_leg_has_no_due_time_before_the_worker_answers(stage, freight, rows):
    shipment = freight.ship(2)
    prepared = freight.prepare(known(rows.to_dict("records")[0]))
    freight.hand_over(shipment, stage.now, prepared)
    freight.forecast(shipment, 0, prepared)
    assert freight.leg(shipment, 0)["due_at"] == 0
    stage.work()
    assert freight.leg(shipment, 0)["due_at"] > freight.leg(shipment, 0)["departed_at"]


def test_carriers_pay_less_for_what_the_model_knew_would_take_long(published):
    figures = {name: (model, plain) for name, model, plain in compared(recorded(), published)}
    errors = [float(each) for each in figures["mean error, hours"]]
    penalties = [float(each) for each in figures["mean penalty"]]
    assert errors[0] < errors[1] / 1.5
    assert penalties[0] < penalties[1] / 1.5
