"""The contract library is the reference's twin: same programs accepted, same bytes, bounded gas."""

from __future__ import annotations

import os
import struct
from random import Random

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from modelward.errors import ContractRefused, InvalidProgram
from modelward.models.exact import reference
from modelward.models.exact.inputs import NUMBER_LETTERS
from modelward.models.exact.program import load_program
from tests.exact.damaged_programs import damaged_programs
from tests.exact.random_programs import random_inputs, random_program
from tests.exact.test_program_format import LINEAR, STUMP

FULL = bool(os.environ.get("FULL"))
PROGRAMS = 1_000 if FULL else 120
DAMAGED = 10_000 if FULL else 400


def selector(error):
    """What an error no artifact knows is called."""
    return "0x" + keccak(text=error)[:4].hex()


def canonical_input(program, numbers):
    letters = NUMBER_LETTERS[program.encoding]
    return struct.pack(f">B{program.features}{letters}", program.encoding, *numbers)


def canonical_output(program, numbers):
    label, scores = reference.run(program, numbers)
    return encode(["uint8", "uint256", "int256[]"], [1, label, scores])


def test_random_programs_give_the_same_bytes_within_the_gas_announced(ask):
    random, kinds = Random(77), set()
    for number in range(PROGRAMS):
        program = random_program(random)
        data = program.to_bytes()
        most = ask("check", data)
        for numbers in random_inputs(random, program, 2):
            input_ = canonical_input(program, numbers)
            assert ask("run", data, input_) == canonical_output(program, numbers), number
            assert ask("measured", data, input_) <= most, number
        kinds.add((type(program), program.scores))
    assert len(kinds) == 8


def test_what_python_refuses_the_contract_refuses_and_nothing_else(ask):
    refused = 0
    for number, data in enumerate(damaged_programs(seed=5, count=DAMAGED)):
        try:
            load_program(data)
        except InvalidProgram:
            refused += 1
            with pytest.raises(ContractRefused) as caught:
                ask("check", data)
            assert caught.value.error == selector("InvalidProgram(uint256)"), number
        else:
            assert ask("check", data) > 0, number
    assert DAMAGED * 0.8 < refused < DAMAGED


@pytest.mark.parametrize("program", [LINEAR, STUMP], ids=["layers", "trees"])
def test_an_input_of_another_length_or_tag_is_refused(ask, program):
    data = program.to_bytes()
    right = canonical_input(program, [0] * program.features)
    for wrong in (b"", right[:-1], right + b"\0", b"\x01" + right[1:]):
        with pytest.raises(ContractRefused) as caught:
            ask("run", data, wrong)
        assert caught.value.error == selector("InvalidInput(uint256,uint256)")
        assert caught.value.arguments["data"][4:] == encode(
            ["uint256", "uint256"], [len(wrong), len(right)]
        )
