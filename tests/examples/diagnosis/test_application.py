"""Diagnosis from data to finding: two trained versions, two workers, one contract."""

import pytest
from diagnosis.application import MARGIN, SECOND_WORKER, THRESHOLD, Clinic, Finding, play, telling

from modelward.chain.events import InferenceFulfilled
from modelward.terms import ZERO_HASH

pytestmark = pytest.mark.slow

BENIGN, MALIGNANT, DOUBT = "clearly benign", "clearly malignant", "in doubt"


@pytest.fixture(scope="module")
def clinic(stage):
    return Clinic.found(stage)


@pytest.fixture(scope="module")
def patients(clinic):
    return telling(clinic)


@pytest.fixture(scope="module")
def cases(clinic, patients):
    """Each patient's case, its first request, and what stood there before a worker answered."""
    opened = {words: clinic.open(patient) for words, patient in patients.items()}
    before = {words: clinic.case(case) for words, (case, _) in opened.items()}
    clinic.work()
    return {words: (*opened[words], before[words]) for words in opened}


def test_before_the_workers_answer_nothing_is_found(cases):
    assert {before["finding"] for _, _, before in cases.values()} == {Finding.PENDING}


@pytest.mark.parametrize(
    ("words", "finding"), [(BENIGN, Finding.BENIGN), (MALIGNANT, Finding.MALIGNANT)]
)
def test_a_clear_answer_closes_the_case(clinic, cases, words, finding):
    case, first, _ = cases[words]
    assert (clinic.case(case)["finding"], clinic.case(case)["basis"]) == (finding, first)


def test_where_it_is_in_doubt_the_contract_has_asked_the_other_worker(clinic, cases):
    case, first, _ = cases[DOUBT]
    state = clinic.case(case)
    assert abs(state["first_score"] - THRESHOLD) < MARGIN
    assert state["basis"] not in {first, ZERO_HASH}
    answered = {
        each.request_id: each.worker for each in clinic.stage.connection.events(InferenceFulfilled)
    }
    assert answered[first] == clinic.stage.address("worker")
    assert answered[state["basis"]] == clinic.stage.address(SECOND_WORKER)


@pytest.mark.parametrize("words", [BENIGN, MALIGNANT, DOUBT])
def test_the_scores_on_chain_are_the_models(clinic, patients, cases, words):
    state = clinic.case(cases[words][0])
    first, second = (
        round(model.scores(patients[words])[0, 1] * 10**9)
        for model in (clinic.first, clinic.second)
    )
    assert state["first_score"] == first
    assert state["second_score"] == (second if words == DOUBT else 0)


def test_the_whole_story_is_told(stage, clinic, capsys):
    play(stage)
    told = capsys.readouterr().out
    assert "clearly malignant  1.000  not asked  malignant  the first" in told
    assert "the second\n" in told
    assert "0.004 ether came back" in told
