"""The contract library is the reference's twin: same programs accepted, same bytes, bounded gas."""

from __future__ import annotations

import os
from random import Random

import pytest

from modelward.chain.events import ProgramStored, decode_event
from modelward.errors import ContractRefused, InvalidProgram
from modelward.models.exact.program import LayerProgram, TreeProgram, load_program
from tests.exact.canonical import canonical_input, canonical_output
from tests.exact.damaged_programs import damaged_programs
from tests.exact.random_programs import random_inputs, random_program
from tests.exact.test_program_format import LINEAR, STUMP

FULL = bool(os.environ.get("FULL"))
PROGRAMS = 1_000 if FULL else 120
DAMAGED = 10_000 if FULL else 400


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
            assert caught.value.error == "InvalidProgram", number
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
        assert caught.value.error == "InvalidInput"
        assert caught.value.arguments == {"length": len(wrong), "expected": len(right)}


def test_a_program_is_stored_as_code_under_its_hash(deployer, programs):
    program = _sizeable(Random(9))
    receipt = deployer.send(programs.store(program.to_bytes()))
    stored = decode_event(programs.name, receipt.logs[0])
    assert isinstance(stored, ProgramStored)
    assert stored.program_hash == program.hash
    assert stored.pointer == programs.pointer_of(program.hash)
    assert programs.program_of(program.hash) == program.to_bytes()
    for numbers in random_inputs(Random(10), program, 3):
        input_ = canonical_input(program, numbers)
        assert programs.run(program.hash, input_) == canonical_output(program, numbers)

    again = deployer.send(programs.store(program.to_bytes()))
    assert again.logs == ()
    assert programs.pointer_of(program.hash) == stored.pointer


def _sizeable(random: Random) -> LayerProgram | TreeProgram:
    while True:
        program = random_program(random)
        if 1_000 < len(program.to_bytes()) < 3_000:
            return program
