"""`run` gives the bytes that the reference in Python gives."""

import pytest

from modelward.errors import ContractRefused
from tests.exact.canonical import canonical_input, canonical_output
from tests.exact.test_program_format import LINEAR, STUMP


@pytest.mark.parametrize("program", [LINEAR, STUMP], ids=["layers", "trees"])
def test_it_gives_the_canonical_output(programs, owner, program):
    owner.send(programs.store(program.to_bytes()))
    numbers = list(range(program.features))

    output = programs.run(program.hash, canonical_input(program, numbers))

    assert output == canonical_output(program, numbers)


def test_an_input_of_another_length_or_tag_is_refused(programs, owner, reverts):
    owner.send(programs.store(LINEAR.to_bytes()))
    right = canonical_input(LINEAR, [0] * LINEAR.features)
    for wrong in (b"", right[:-1], right + b"\0", b"\x03" + right[1:]):
        with reverts("InvalidInput", length=len(wrong), expected=len(right)):
            programs.run(LINEAR.hash, wrong)


def test_a_program_that_is_not_stored_is_unknown(programs, reverts):
    with reverts("UnknownProgram", programHash=STUMP.hash):
        programs.run(STUMP.hash, canonical_input(STUMP, [0, 0]))
    with reverts("UnknownProgram", programHash=STUMP.hash):
        programs.program_of(STUMP.hash)
    with pytest.raises(ContractRefused, match="is stored on this chain"):
        programs.program_of(STUMP.hash)
