"""What the loader accepts, and that it refuses everything else in one sentence."""

from __future__ import annotations

import time
from dataclasses import replace
from random import Random

import pytest

from modelward.errors import InvalidProgram
from modelward.models.exact.program import (
    MAX_DEPTH,
    MAX_PROGRAM_BYTES,
    Activation,
    Decision,
    Encoding,
    Layer,
    LayerProgram,
    Scores,
    Tree,
    TreeProgram,
    load_program,
)
from tests.exact.damaged_programs import damaged_programs
from tests.exact.random_programs import random_program

LINEAR = LayerProgram(
    Encoding.UNITS,
    Decision.POSITIVE,
    Scores.EXPONENTIAL,
    9,
    features=2,
    outputs=1,
    layers=(Layer(((3, -4),), (5,), 10, Activation.IDENTITY),),
)
STUMP = TreeProgram(
    Encoding.KEYS32,
    Decision.LARGEST,
    Scores.SHARES,
    9,
    features=2,
    outputs=3,
    trees=(Tree((1, -1, -1), (-7, 0, 1), (2, 0, 0)),),
    leaves=((10, 0, 0), (1, 2, 7)),
    starts=(0, 0, 0),
    divisor=10,
    vectors=True,
    wide=False,
)
OTHER = {"units": LINEAR, "keys": STUMP}


def test_the_bytes_of_a_linear_program():
    assert LINEAR.to_bytes().hex() == (
        "01" "01" "02" "01" "02" "09" "0002" "0001"  # header
        "01" "0001" "04" "0a" "00"  # one layer: one neuron, weights of 4 bytes, shift, activation
        "00000000000000000005" "00000003" "fffffffc"
    )  # fmt: skip


def test_the_bytes_of_a_tree():
    assert STUMP.to_bytes().hex() == (
        "01" "02" "03" "03" "03" "09" "0002" "0003"  # header
        "00" "01" "0001" "000000000000000a" "00000002"  # compact, vectors, trees, divisor, leaves
        "0000000000000000" "0000000000000000" "0000000000000000"
        "00000000000a" "000000000000" "000000000000"
        "000000000001" "000000000002" "000000000007"
        "000b" "0009" "01" "fffffff9" "8000" "8001"  # eleven bytes: a split, two leaves
    )  # fmt: skip


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("encoding", [Encoding.KEYS32, Encoding.KEYS64])
def test_trees_of_every_layout_are_read_back(wide, encoding):
    program = replace(STUMP, wide=wide, encoding=encoding)
    assert load_program(program.to_bytes()) == program


def test_ten_thousand_damaged_programs_are_read_strictly_or_refused():
    started, refused = time.monotonic(), 0
    for data in damaged_programs(seed=11, count=10_000):
        try:
            program = load_program(data)
        except InvalidProgram:
            refused += 1
        else:
            assert program.to_bytes() == data
    assert refused > 8_000
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("name", ["units", "keys"])
def test_every_truncation_and_every_byte_appended_is_refused(name):
    data = OTHER[name].to_bytes()
    for length in range(len(data)):
        with pytest.raises(InvalidProgram):
            load_program(data[:length])
    with pytest.raises(InvalidProgram, match="after its end"):
        load_program(data + b"\0")


def test_a_program_larger_than_any_is_not_even_read():
    with pytest.raises(InvalidProgram, match="bytes long, more than"):
        load_program(bytes(MAX_PROGRAM_BYTES + 1))


def test_announcing_billions_of_leaves_allocates_nothing():
    data = bytearray(STUMP.to_bytes())
    data[22:26] = b"\xff" * 4
    with pytest.raises(InvalidProgram, match="ends too early"):
        load_program(bytes(data))


@pytest.mark.parametrize(
    ("program", "at", "value", "fault"),
    [
        (LINEAR, 0, 2, "has the format 2, not 1"),
        (LINEAR, 1, 3, "unknown kind 3"),
        (LINEAR, 2, 5, "unknown input 5"),
        (LINEAR, 2, 3, "keys where layers take units"),
        (STUMP, 2, 2, "units where trees take keys"),
        (LINEAR, 3, 4, "decides in no known way"),
        (LINEAR, 4, 5, "scores in no known way"),
        (LINEAR, 4, 3, "outputs of layers for shares"),
        (LINEAR, 4, 4, "one output against no other"),
        (STUMP, 4, 4, "trees against each other"),
        (LINEAR, 3, 0, "without its scale"),
        (LINEAR, 5, 10, "scores of 10 decimals"),
        (LINEAR, 7, 0, "no features"),
        (LINEAR, 9, 0, "no outputs"),
        (LINEAR, 9, 2, "decides on 2 outputs as if on one"),
        (LINEAR, 10, 0, "0 layers"),
        (LINEAR, 10, 9, "9 layers"),
        (LINEAR, 12, 0, "0 neurons"),
        (LINEAR, 13, 5, "weights of 5 bytes"),
        (LINEAR, 14, 65, "shifts by 65 bits"),
        (LINEAR, 15, 4, "unknown activation 4"),
        (LINEAR, 15, 1, "ends in an activation"),
        (STUMP, 10, 2, "unknown layout 2"),
        (STUMP, 11, 2, "leaves of the unknown kind 2"),
        (STUMP, 13, 0, "0 trees"),
        (STUMP, 21, 0, "divides by 0"),
        (STUMP, 21, 9, "shares beyond the whole"),
        (STUMP, 25, 0, "no leaf entries"),
        (STUMP, 26, 0x80, "starts out of bounds"),
        (STUMP, 50, 0xFF, "negative share"),
        (STUMP, 87, 12, "ends too early"),
        (STUMP, 87, 10, "ends|another length"),
        (STUMP, 89, 10, "elsewhere than its parent says"),
        (STUMP, 90, 2, "asks for feature 2 of 2"),
        (STUMP, 96, 2, "names leaf 2 of 2"),
    ],
)
def test_what_breaks_a_rule_is_named(program, at, value, fault):
    data = bytearray(program.to_bytes())
    data[at] = value
    with pytest.raises(InvalidProgram, match=fault):
        load_program(bytes(data))


def test_a_tree_can_be_as_deep_as_allowed_and_no_deeper():
    def chain(depth):
        feature = (0,) * depth + (-1,) * (depth + 1)
        right = tuple(2 * depth - i for i in range(depth)) + (0,) * (depth + 1)
        return replace(STUMP, trees=(Tree(feature, (0,) * len(feature), right),))

    deepest = chain(MAX_DEPTH)
    assert load_program(deepest.to_bytes()) == deepest
    with pytest.raises(InvalidProgram, match="deeper than 255"):
        load_program(chain(MAX_DEPTH + 1).to_bytes())


def test_a_layer_that_could_overflow_is_refused_and_one_that_just_cannot_is_not():
    def largest(weight, shift):
        layer = Layer(((weight, weight),), (0,), shift, Activation.IDENTITY)
        return replace(LINEAR, layers=(layer,))

    # 2 * 2^28 * (2^32 - 1) is just below 2^61.
    assert largest(2**28, 0).bounds == (2**61 - 2**29,)
    with pytest.raises(InvalidProgram, match="could overflow in layer 1"):
        largest(2**28 + 1, 0)
    assert largest(2**31 - 1, 3).bounds[0] < 2**61
    with pytest.raises(InvalidProgram, match="could overflow in layer 1"):
        largest(2**31 - 1, 2)


def test_hidden_values_stay_within_32_bits_unless_their_activation_bounds_them():
    hidden = Layer(((1, 1),), (0,), 0, Activation.RELU)
    last = Layer(((1,),), (0,), 0, Activation.IDENTITY)
    with pytest.raises(InvalidProgram, match="could overflow in layer 1"):
        replace(LINEAR, layers=(hidden, last))
    assert replace(LINEAR, layers=(replace(hidden, shift=1), last))
    squashed = replace(LINEAR, layers=(replace(hidden, activation=Activation.TANH), last))
    assert squashed.bounds == (2**33 - 2, 2**30)


def test_a_tree_too_large_for_the_compact_layout_cannot_be_written_in_it():
    random = Random(3)
    program = random_program(random)
    while not isinstance(program, TreeProgram) or program.features < 257:
        program = random_program(random)
    compact = replace(program, trees=(Tree((256, -1, -1), (0, 0, 0), (2, 0, 0)),), wide=False)
    with pytest.raises(InvalidProgram, match="too large for its layout"):
        compact.to_bytes()
