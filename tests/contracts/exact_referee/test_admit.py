"""`admit`: a version is judged by its own terms, and only once its program is stored."""

import pytest

from modelward.chain.events import VersionAdmitted
from modelward.terms import MAX_HOLD, SETTLE_TIME, ZERO_ADDRESS, ZERO_HASH, ExactTerms
from tests.contracts.exact_referee.conftest import BOND, DAY, EXACT, HOUR, PROGRAM, WINDOW
from tests.contracts.said import event, said

LONGEST = 29 * DAY


@pytest.fixture
def stored(programs, owner):
    owner.send(programs.store(PROGRAM.to_bytes()))


def test_the_referee_knows_its_escrow_and_its_programs(referee, escrow, programs):
    assert referee.escrow() == escrow.address
    assert referee.programs() == programs.address


def test_a_window_is_an_hour_to_29_days_and_a_day_is_left_to_settle(referee, escrow):
    assert referee.view("MIN_WINDOW") == HOUR
    assert referee.view("MAX_WINDOW") == LONGEST
    assert referee.view("SETTLE_TIME") == SETTLE_TIME == DAY
    assert escrow.view("MAX_HOLD") == MAX_HOLD == LONGEST + DAY


def test_anyone_admits_a_version_by_its_fields(referee, outsider, exact_version, published, stored):
    version = exact_version()

    receipt = outsider.send(referee.admit(version))

    assert said(receipt, referee) == [
        event(
            VersionAdmitted,
            model_id=version.model_id,
            version_id=published,
            program_hash=PROGRAM.hash,
            window=WINDOW,
            bond=BOND,
        )
    ]
    assert referee.terms_of(published) == EXACT


def test_a_second_time_changes_nothing(referee, outsider, exact_version, published, stored):
    outsider.send(referee.admit(exact_version()))
    outsider.send(referee.admit(exact_version()))

    assert referee.terms_of(published) == EXACT


def test_other_terms_are_another_versions(referee, outsider, exact_version, published, stored):
    cheap = exact_version(ExactTerms(PROGRAM.hash, WINDOW, 1))
    outsider.send(referee.admit(cheap))

    with pytest.raises(Exception, match="was not admitted"):
        referee.terms_of(published)


def test_what_was_not_admitted_has_no_terms(referee, published, reverts):
    with reverts("VersionNotAdmitted", versionId=published):
        referee.terms_of(published)


def test_its_program_must_be_stored(referee, outsider, exact_version, reverts):
    with reverts("UnknownProgram", programHash=PROGRAM.hash):
        outsider.send(referee.admit(exact_version()))


def test_it_must_name_this_referee(referee, escrow, outsider, exact_version, stored, reverts):
    for verifier in (ZERO_ADDRESS, escrow.address):
        with reverts("WrongVerifier", verifier=verifier, referee=referee.address):
            outsider.send(referee.admit(exact_version(verifier=verifier)))


@pytest.mark.parametrize("window", [0, HOUR - 1, LONGEST + 1, 2**32 + HOUR, 2**128 - 1])
def test_a_window_out_of_bounds_is_refused(
    referee, outsider, exact_version, stored, reverts, window
):
    version = exact_version(ExactTerms(PROGRAM.hash, window, BOND))
    with reverts("WindowOutOfBounds", window=window, least=HOUR, most=LONGEST):
        outsider.send(referee.admit(version))


@pytest.mark.parametrize("window", [HOUR, LONGEST])
@pytest.mark.parametrize("bond", [1, 2**128 - 1])
def test_the_bounds_are_admitted(referee, registry, outsider, exact_version, stored, window, bond):
    version = exact_version(ExactTerms(PROGRAM.hash, window, bond))

    outsider.send(referee.admit(version))

    terms = referee.terms_of(registry.version_id_of(version))
    assert terms == ExactTerms(PROGRAM.hash, window, bond)


def test_a_bond_is_needed(referee, outsider, exact_version, stored, reverts):
    with reverts("BondIsZero"):
        outsider.send(referee.admit(exact_version(ExactTerms(PROGRAM.hash, WINDOW, 0))))
    with reverts("WindowOutOfBounds", window=0, least=HOUR, most=LONGEST):
        outsider.send(referee.admit(exact_version(verifier_settings=ZERO_HASH)))
