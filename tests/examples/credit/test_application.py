"""Credit from data to default: a trained model, a real worker, sealed figures, reasons in clear."""

import pandas as pd
import pytest
from credit import generate
from credit.application import (
    CUTOFF,
    MAX_LIMIT,
    Bank,
    LineStatus,
    play,
    telling,
)
from credit.reasons import WHOLE, reasons

from modelward.chain.events import InferenceRequested
from modelward.errors import CheckFailed
from modelward.terms import Payload

pytestmark = pytest.mark.slow

GOOD, POOR, FAIR = "requester", "outsider", "keeper"


@pytest.fixture(scope="module")
def bank(stage):
    return Bank.found(stage)


@pytest.fixture(scope="module")
def borrowers(bank):
    return telling(bank)


@pytest.fixture(scope="module")
def lines(bank, borrowers):
    """Every borrower's line once the worker has answered."""
    for borrower, figures in borrowers.items():
        bank.apply(borrower, figures)
        assert bank.line(borrower)["status"] == LineStatus.APPLIED
    bank.work()
    return {borrower: bank.line(borrower) for borrower in borrowers}


def test_the_applicants_are_those_the_generator_makes():
    kept = pd.read_csv(generate.FILE)
    pd.testing.assert_frame_equal(kept, generate.applicants(), check_dtype=False)


@pytest.mark.parametrize("borrower", [GOOD, POOR, FAIR])
def test_the_limit_follows_the_models_score(bank, borrowers, lines, borrower):
    figures = pd.DataFrame([borrowers[borrower]])
    score = round(bank.model.scores(figures)[0, 1] * WHOLE)
    line = lines[borrower]
    assert line["score"] == score
    assert line["limit"] == MAX_LIMIT * max(0, score - CUTOFF) // (WHOLE - CUTOFF)
    status = LineStatus.DECLINED if borrower == POOR else LineStatus.OPEN
    assert line["status"] == status


def test_the_figures_were_sealed_and_the_scores_in_clear(bank, lines):
    requests = bank.stage.connection.events(InferenceRequested)
    asked = [each for each in requests if each.request.requester == bank.contract.address]
    assert len(asked) >= len(lines)
    assert all(Payload.decoded(each.input).sealed for each in asked)
    assert {each.request.reply_key for each in asked} == {bytes(32)}


def test_reasons_add_up_to_the_score_on_chain(bank, borrowers, lines):
    found = reasons(
        bank.stage.connection, bank.model.reference, borrowers[POOR], lines[POOR]["score"]
    )
    assert {each.figure for each in found} == set(borrowers[POOR])
    assert found[0].log_odds < 0, "what lowers the score most comes first"
    assert list(found) == sorted(found, key=lambda each: each.log_odds)


def test_of_other_figures_or_another_score_they_are_refused(bank, borrowers, lines):
    score = lines[POOR]["score"]
    other = {**borrowers[POOR], "late_payments": borrowers[POOR]["late_payments"] + 1}
    for figures, claimed in ((other, score), (borrowers[POOR], score + 10_000)):
        with pytest.raises(CheckFailed, match="add up to a score of"):
            reasons(bank.stage.connection, bank.model.reference, figures, claimed)


def test_the_whole_story_is_told(stage, bank, lines, capsys):
    play(stage)
    told = capsys.readouterr().out
    assert "outsider   0.449  declined  0.00" in told
    assert "late_payments" in told
    assert "keeper     0.800  defaulted  0.00     2030.00" in told
