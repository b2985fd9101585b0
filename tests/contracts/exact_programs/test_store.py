"""`store` keeps a program as code under its hash, unless a run of it could cost too much."""

import pytest

from modelward.chain.events import ProgramStored
from modelward.terms import ZERO_ADDRESS
from tests.contracts.said import event, said
from tests.exact.test_program_format import LINEAR, STUMP

LARGEST_CODE = 24_575


def summing(outputs: int, trees: int) -> bytes:
    """A forest whose trees have one leaf each, with a value for each output."""
    header = bytes([1, 2, 3, 3, 1, 0, 0, 1]) + outputs.to_bytes(2, "big")
    head = (
        bytes([0, 1]) + trees.to_bytes(2, "big") + (1).to_bytes(8, "big") + (1).to_bytes(4, "big")
    )
    return header + head + bytes(14 * outputs) + trees * bytes.fromhex("00028000")


def test_the_limits_are_ten_million_gas_and_what_code_holds(programs):
    assert programs.max_gas() == 10_000_000
    assert programs.max_length() == LARGEST_CODE


@pytest.mark.parametrize("program", [LINEAR, STUMP], ids=["layers", "trees"])
def test_a_program_is_kept_as_the_code_of_a_contract(programs, chain, outsider, program):
    data = program.to_bytes()
    assert programs.pointer_of(program.hash) == ZERO_ADDRESS

    receipt = outsider.send(programs.store(data))

    pointer = programs.pointer_of(program.hash)
    ((kind, values),) = said(receipt, programs)
    assert (kind, values) == event(
        ProgramStored, program_hash=program.hash, pointer=pointer, most_gas=values["most_gas"]
    )
    assert 10_000 < values["most_gas"] < programs.max_gas()
    assert programs.program_of(program.hash) == data
    assert chain.code(pointer) == b"\0" + data


def test_what_is_stored_already_is_left_alone(programs, owner, outsider):
    owner.send(programs.store(LINEAR.to_bytes()))
    pointer = programs.pointer_of(LINEAR.hash)

    receipt = outsider.send(programs.store(LINEAR.to_bytes()))

    assert receipt.logs == ()
    assert programs.pointer_of(LINEAR.hash) == pointer


def test_a_malformed_program_is_refused(programs, owner, reverts):
    data = LINEAR.to_bytes()
    with reverts("InvalidProgram", position=len(data) - 1):
        owner.send(programs.store(data[:-1]))
    with reverts("InvalidProgram", position=0):
        owner.send(programs.store(b"\x02" + data[1:]))


def test_the_longest_is_what_fits_into_code(programs, owner, reverts):
    with reverts("ProgramTooLong", length=LARGEST_CODE + 1, most=LARGEST_CODE):
        owner.send(programs.store(bytes(LARGEST_CODE + 1)))
    with reverts("InvalidProgram", position=0):
        owner.send(programs.store(bytes(LARGEST_CODE)))


def test_a_program_whose_run_could_take_too_much_gas_is_refused(programs, owner, reverts):
    most = 10_000 + 120 + 1_500 * 1_000 + 80 * (400 + 120 * 1_000)
    with reverts("ProgramTooCostly", mostGas=most, allowed=10_000_000):
        owner.send(programs.store(summing(outputs=1_000, trees=80)))
