"""The canonical output: written exactly, read strictly, compared with a tolerance."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from modelward.errors import InvalidBundle, InvalidOutput, PredictionFailed
from modelward.models.output import (
    OutputSpec,
    decode_output,
    encode_output,
    outputs_agree,
)

SPECIES = OutputSpec("classification", ("setosa", "versicolor", "virginica"), "probability", 9)
BINARY = OutputSpec("classification", (False, True), "decision", 9)
LABELS = OutputSpec("classification", (1, 2, 3), "none", 9)
PRICE = OutputSpec("regression", (), "value", 6)
SPECS = (SPECIES, BINARY, LABELS, PRICE)


def abi(version: int, label: int, units: list[int]) -> bytes:
    return encode(("uint8", "uint256", "int256[]"), (version, label, units))


def test_a_classification_reads_as_label_and_exact_scores():
    data = encode_output(SPECIES, 1, [0.25, 0.7, 0.05])
    assert data == abi(1, 1, [250_000_000, 700_000_000, 50_000_000])
    prediction = decode_output(SPECIES, data)
    assert prediction.label == "versicolor"
    assert prediction.label_index == 1
    assert prediction.scores == {
        "setosa": Decimal("0.25"),
        "versicolor": Decimal("0.7"),
        "virginica": Decimal("0.05"),
    }
    assert prediction.value is None
    assert str(prediction) == "versicolor"


def test_a_regression_reads_as_its_value():
    prediction = decode_output(PRICE, encode_output(PRICE, 0, [-152.1334884]))
    assert prediction.value == Decimal("-152.133488")
    assert prediction.label is None
    assert prediction.scores == {}
    assert str(prediction) == "-152.133488"


def test_two_classes_have_one_decision_that_belongs_to_the_second():
    prediction = decode_output(BINARY, encode_output(BINARY, 0, [-1.5]))
    assert prediction.label is False
    assert prediction.scores == {True: Decimal("-1.5")}


def test_labels_alone_have_no_scores():
    assert decode_output(LABELS, encode_output(LABELS, 2, [])).label == 3


@given(score=st.floats(-1e30, 1e30), decimals=st.integers(0, 18))
def test_scores_are_rounded_half_to_even_from_the_exact_float(score, decimals):
    spec = OutputSpec("regression", (), "value", decimals)
    (unit,) = decode_output(spec, encode_output(spec, 0, [score])).units
    exact = Fraction(score) * 10**decimals
    assert abs(unit - exact) <= Fraction(1, 2)
    if abs(unit - exact) == Fraction(1, 2):
        assert unit % 2 == 0


def test_ties_go_to_the_even_neighbour():
    spec = OutputSpec("regression", (), "value", 0)
    values = [0.5, 1.5, 2.5, -0.5, -1.5]
    units = [decode_output(spec, encode_output(spec, 0, [value])).units[0] for value in values]
    assert units == [0, 2, 2, 0, -2]


def test_rounding_does_not_go_through_a_float_product():
    spec = OutputSpec("regression", (), "value", 9)
    value = 1.0000000005  # the float lies below the tie, its product with 1e9 exactly on it
    assert decode_output(spec, encode_output(spec, 0, [value])).units == (
        round(Fraction(value) * 10**9),
    )


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_not_finite_is_no_prediction(score):
    with pytest.raises(PredictionFailed, match="not a finite number"):
        encode_output(PRICE, 0, [score])


def test_a_score_beyond_256_bits_is_no_prediction():
    with pytest.raises(PredictionFailed, match="256 bits"):
        encode_output(PRICE, 0, [1e72])


def test_an_output_must_be_what_its_specification_says():
    for spec, label, scores in ((SPECIES, 3, [0, 0, 1]), (SPECIES, 0, [1]), (PRICE, 1, [0])):
        with pytest.raises(PredictionFailed, match="does not allow"):
            encode_output(spec, label, scores)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "The output is 0 bytes long"),
        (abi(1, 0, [1, 2]), "The output is 192 bytes long"),
        (abi(1, 0, [1, 2, 3]) + b"\0", "The output is 225 bytes long"),
        (abi(2, 0, [1, 2, 3]), "The output has the unknown version 2."),
        (abi(1, 3, [1, 2, 3]), "The output names class number 3 of 3."),
        (abi(1, 0, [1, 2, -3]), "The output has a probability outside 0 to 1."),
        (abi(1, 0, [1, 2, 10**9 + 1]), "The output has a probability outside 0 to 1."),
        (abi(1, 0, [1, 2, 3])[:64] + bytes(160), "The output is not"),
    ],
)
def test_bytes_that_are_not_this_models_output_are_refused(data, sentence):
    with pytest.raises(InvalidOutput) as refusal:
        decode_output(SPECIES, data)
    assert refusal.value.message.startswith(sentence)


@st.composite
def outputs(draw: st.DrawFn) -> tuple[OutputSpec, bytes]:
    spec = draw(st.sampled_from(SPECS))
    label = draw(st.integers(0, max(0, len(spec.classes) - 1)))
    score = st.floats(0, 1) if spec.scores == "probability" else st.floats(-1e9, 1e9)
    count = spec.score_count
    return spec, encode_output(spec, label, draw(st.lists(score, min_size=count, max_size=count)))


@given(output=outputs(), data=st.data())
def test_a_mutated_output_is_refused_or_reads_as_itself(output, data):
    spec, encoded = output
    mutated = bytearray(encoded)
    for _ in range(data.draw(st.integers(1, 3))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(mutated), len(mutated) - 1, len(mutated) - 32]))
    try:
        prediction = decode_output(spec, bytes(mutated[:cut]))
    except InvalidOutput:
        return
    assert abi(1, prediction.label_index, list(prediction.units)) == bytes(mutated[:cut])


# --- comparing -----------------------------------------------------------------------------------


@given(output=outputs())
def test_an_output_agrees_with_itself(output):
    spec, encoded = output
    assert outputs_agree(spec, encoded, encoded, tolerance_units=0)


@pytest.mark.parametrize(
    ("spec", "a", "b", "agree"),
    [
        (SPECIES, (1, [10, 500, 490]), (1, [11, 499, 490]), True),
        (SPECIES, (1, [10, 500, 490]), (1, [12, 500, 488]), False),
        (SPECIES, (1, [10, 500, 490]), (2, [10, 500, 490]), False),
        (SPECIES, (1, [10, 495, 495]), (2, [10, 495, 495]), True),
        (SPECIES, (1, [10, 496, 495]), (2, [10, 495, 496]), True),
        (SPECIES, (1, [10, 497, 495]), (2, [10, 496, 496]), False),
        (SPECIES, (0, [495, 495, 10]), (2, [495, 495, 10]), False),
        (SPECIES, (0, [10, 10, 980]), (1, [10, 10, 980]), False),
        (BINARY, (0, [0]), (1, [1]), True),
        (BINARY, (0, [-1]), (1, [0]), True),
        (BINARY, (0, [-2]), (1, [-1]), False),
        (BINARY, (0, [-5]), (0, [-6]), True),
        (LABELS, (0, []), (0, []), True),
        (LABELS, (0, []), (1, []), False),
        (PRICE, (0, [100]), (0, [101]), True),
        (PRICE, (0, [100]), (0, [98]), False),
    ],
)
def test_honest_runs_agree_within_one_unit(spec, a, b, agree):
    first, second = abi(1, *a), abi(1, *b)
    assert outputs_agree(spec, first, second) is agree
    assert outputs_agree(spec, second, first) is agree


def test_what_is_no_output_cannot_be_compared():
    with pytest.raises(InvalidOutput):
        outputs_agree(PRICE, abi(1, 0, [1]), b"")


# --- specifications ------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", SPECS)
def test_a_specification_survives_its_json(spec):
    assert OutputSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    "change",
    [
        {"task": "clustering"},
        {"scores": "votes"},
        {"scores": "value"},
        {"task": "regression"},
        {"decimals": 19},
        {"decimals": -1},
        {"decimals": True},
        {"decimals": 9.0},
        {"classes": []},
        {"classes": ["a", "a"]},
        {"classes": [1, True]},
        {"classes": [None]},
        {"classes": [["a"]]},
        {"classes": "ab"},
        {"classes": ["x" * 300]},
        {"extra": 1},
    ],
)
def test_a_malformed_specification_is_refused(change):
    with pytest.raises(InvalidBundle):
        OutputSpec.from_json(SPECIES.to_json() | change)
