"""Diagnosis: what the contract makes of opinions that are clear, in doubt, missing or forged."""

from dataclasses import replace

import pytest
from diagnosis.application import Finding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelward.models.output import encode_units
from modelward.terms import (
    ETH,
    ZERO_ADDRESS,
    ZERO_HASH,
    GrantTerms,
    PredictionStatus,
    RequestStatus,
    Right,
)
from tests.contracts.puppet import Puppet
from tests.contracts.specimens import FEE, TERMS, hash_of, version_of
from tests.examples.conftest import SALT

WHOLE = 10**9
THRESHOLD, MARGIN = 500_000_000, 200_000_000
FIRST_INPUT, SECOND_INPUT = b"\x01first sealed input", b"\x01second sealed input"
FIRST = (hash_of("first"), FIRST_INPUT)
SECOND = (hash_of("second"), SECOND_INPUT)
FIRST_OF_ANOTHER = (hash_of("another patient"), FIRST_INPUT)
NONE, AWAITS_FIRST, AWAITS_SECOND, CLOSED = range(4)
CLEAR = 900_000_000
DOUBTFUL = 550_000_000


@pytest.fixture
def second_worker(evaluator):
    return evaluator


@pytest.fixture
def second_version(registry, data_share, owner, second_worker, offer):
    """The id of a second version, which `second_worker` may serve as well."""
    version = version_of(offer.model_id, owner.address, "second")
    owner.send(registry.publish_version(version))
    serve = GrantTerms(Right.SERVE)
    owner.send(data_share.grant(second_worker.address, offer.model_id, serve))
    return registry.version_id_of(version)


@pytest.fixture
def panel(offer, second_version, worker, second_worker):
    first, second = worker.address, second_worker.address
    return (offer.model_id, offer.version_id, second_version, first, second)


@pytest.fixture
def deploy(compile_example, outsider, escrow):
    def deployed(panel, threshold=THRESHOLD, margin=MARGIN):
        artifact = compile_example("diagnosis/contracts/Diagnosis.sol")["Diagnosis"]
        return Puppet.deploy(outsider, artifact, escrow.address, panel, threshold, margin)

    return deployed


@pytest.fixture
def diagnosis(deploy, panel, let_ask):
    contract = deploy(panel)
    let_ask(contract.address)
    return contract


@pytest.fixture
def clinician(requester):
    return requester


@pytest.fixture
def opened(diagnosis, clinician, requested):
    """The request for the first opinion on case 0."""
    return requested(clinician.send(diagnosis.call("open", FIRST, SECOND, value=2 * FEE)))


@pytest.fixture
def doubted(opened, worker, answering, requested):
    """The request for the second opinion on case 0, which the first answer brought about."""
    return requested(worker.send(opinion(answering, opened, DOUBTFUL)))


@pytest.fixture
def case(diagnosis):
    return lambda: diagnosis.view("caseOf", 0)


@pytest.fixture
def owed(diagnosis, clinician):
    return lambda: diagnosis.view("feesOf", ETH, clinician.address)


def opinion(answering, request, score):
    """An answer that gives malignancy this probability, times 10^9."""
    return answering(request, WHOLE - score, score, label=int(2 * score >= WHOLE))


class TestFirstOpinion:
    @pytest.mark.parametrize(
        ("score", "finding"),
        [
            (0, Finding.BENIGN),
            (THRESHOLD - MARGIN, Finding.BENIGN),
            (THRESHOLD + MARGIN, Finding.MALIGNANT),
            (WHOLE, Finding.MALIGNANT),
        ],
    )
    def test_a_clear_one_closes_the_case(
        self, diagnosis, worker, opened, answering, case, owed, score, finding
    ):
        receipt = worker.send(opinion(answering, opened, score))

        assert case() | {"clinician": None} == {
            "clinician": None,
            "stage": CLOSED,
            "finding": finding,
            "first_score": score,
            "second_score": 0,
            "prepaid": 0,
            "basis": opened.request_id,
        }
        assert owed() == FEE
        (said,) = diagnosis.said(receipt, "CaseClosed")
        assert said == {
            "caseId": 0,
            "finding": finding,
            "opinion": AWAITS_FIRST,
            "basis": opened.request_id,
        }

    @pytest.mark.parametrize("score", [THRESHOLD - MARGIN + 1, THRESHOLD, THRESHOLD + MARGIN - 1])
    def test_one_near_the_threshold_makes_the_contract_ask_again(
        self, diagnosis, worker, opened, answering, requested, case, owed, score
    ):
        receipt = worker.send(opinion(answering, opened, score))

        assert (case()["stage"], case()["finding"]) == (AWAITS_SECOND, Finding.PENDING)
        (said,) = diagnosis.said(receipt, "SecondOpinionAsked")
        again = requested(receipt)
        assert said == {"caseId": 0, "firstScore": score, "requestId": again.request_id}
        assert owed() == 0

    def test_both_opinions_are_paid_for_beforehand(
        self, diagnosis, clinician, requested, case, reverts
    ):
        for value in (FEE, 2 * FEE - 1, 2 * FEE + 1):
            with reverts("WrongValue", sent=value, fee=2 * FEE):
                clinician.send(diagnosis.call("open", FIRST, SECOND, value=value))

        clinician.send(diagnosis.call("open", FIRST, SECOND, value=diagnosis.view("price")))

        assert case()["prepaid"] == FEE

    def test_a_case_without_one_is_inconclusive_and_costs_nothing(
        self, diagnosis, outsider, opened, wait_until, case, owed
    ):
        wait_until(opened.request.deadline + 1)
        outsider.send(diagnosis.call("clear", opened.request_id))

        assert (case()["finding"], case()["basis"]) == (Finding.INCONCLUSIVE, ZERO_HASH)
        assert owed() == 2 * FEE

    def test_what_comes_back_is_the_clinicians(
        self, chain, diagnosis, clinician, worker, opened, answering
    ):
        worker.send(opinion(answering, opened, CLEAR))
        receiver = "0x" + "Ab" * 20

        clinician.send(diagnosis.call("withdrawFees", ETH, receiver))

        assert (chain.balance(receiver), chain.balance(diagnosis.address)) == (FEE, 0)


class TestSecondOpinion:
    def test_it_is_another_versions_by_another_worker(
        self, diagnosis, second_version, second_worker, clinician, doubted
    ):
        assert doubted.offer.version_id == second_version
        assert doubted.request.worker == second_worker.address
        assert doubted.request.requester == diagnosis.address
        assert (doubted.request.input_hash, doubted.input) == SECOND
        remembered = diagnosis.view("predictionOf", doubted.request_id)
        assert remembered.funder == clinician.address

    def test_the_first_worker_cannot_give_it(self, worker, doubted, answering, reverts):
        with reverts("NotNamedWorker", worker=doubted.request.worker, caller=worker.address):
            worker.send(opinion(answering, doubted, CLEAR))

    def test_a_clear_one_is_what_the_finding_rests_on(
        self, second_worker, doubted, answering, case
    ):
        second_worker.send(opinion(answering, doubted, 100_000_000))

        state = case()
        assert (state["finding"], state["basis"]) == (Finding.BENIGN, doubted.request_id)
        assert (state["first_score"], state["second_score"]) == (DOUBTFUL, 100_000_000)

    def test_after_two_in_doubt_no_model_decides(self, second_worker, doubted, answering, case):
        second_worker.send(opinion(answering, doubted, DOUBTFUL))

        assert (case()["finding"], case()["basis"]) == (Finding.INCONCLUSIVE, ZERO_HASH)

    def test_one_that_never_comes_leaves_the_case_inconclusive(
        self, diagnosis, outsider, doubted, wait_until, case, owed
    ):
        wait_until(doubted.request.deadline + 1)
        outsider.send(diagnosis.call("clear", doubted.request_id))

        assert (case()["stage"], case()["finding"]) == (CLOSED, Finding.INCONCLUSIVE)
        assert owed() == FEE

    def test_one_that_has_become_dearer_waits_until_the_case_is_given_up(
        self,
        diagnosis,
        registry,
        owner,
        worker,
        outsider,
        opened,
        answering,
        wait_until,
        case,
        owed,
    ):
        """The callback fails, the worker is paid, and what was prepaid comes back in the end."""
        dearer = registry.call("setTerms", opened.offer.model_id, replace(TERMS, fee=2 * FEE))
        owner.send(dearer)

        worker.send(opinion(answering, opened, DOUBTFUL))

        assert case()["stage"] == AWAITS_FIRST
        remembered = diagnosis.view("predictionOf", opened.request_id)
        assert remembered.status is PredictionStatus.AWAITED
        wait_until(remembered.usable_until + 1)
        outsider.send(diagnosis.call("clear", opened.request_id))
        assert case()["finding"] == Finding.INCONCLUSIVE
        assert owed() == FEE

    def test_or_is_delivered_once_the_price_is_what_it_was(
        self, diagnosis, registry, owner, worker, outsider, opened, answering, requested, case
    ):
        for terms in (replace(TERMS, fee=2 * FEE), TERMS):
            owner.send(registry.set_terms(opened.offer.model_id, terms))
            if terms is not TERMS:
                worker.send(opinion(answering, opened, DOUBTFUL))
        output = encode_units(1, (WHOLE - DOUBTFUL, DOUBTFUL))

        receipt = outsider.send(diagnosis.call("deliver", opened.request_id, output, SALT))

        assert requested(receipt).request.requester == diagnosis.address
        assert case()["stage"] == AWAITS_SECOND

    def test_one_that_has_become_cheaper_leaves_change(
        self, registry, owner, worker, opened, answering, owed
    ):
        owner.send(registry.set_terms(opened.offer.model_id, replace(TERMS, fee=FEE // 2)))
        worker.send(opinion(answering, opened, DOUBTFUL))
        assert owed() == FEE - FEE // 2


class TestForgery:
    def test_nobody_but_the_escrow_brings_opinions(
        self, diagnosis, escrow, worker, clinician, opened, case, reverts
    ):
        output = encode_units(0, (WHOLE, 0))
        for forger in (worker, clinician):
            with reverts("NotEscrow", escrow=escrow.address, caller=forger.address):
                forger.send(diagnosis.call("onInference", opened.request_id, output))
        assert case()["stage"] == AWAITS_FIRST

    def test_the_answer_to_another_request_decides_nothing(
        self, diagnosis, escrow, worker, clinician, opened, requested, answering, case, reverts
    ):
        receipt = clinician.send(diagnosis.call("open", FIRST_OF_ANOTHER, SECOND, value=2 * FEE))
        worker.send(opinion(answering, requested(receipt), CLEAR))

        assert case()["stage"] == AWAITS_FIRST
        output = encode_units(1, (WHOLE - CLEAR, CLEAR))
        with reverts("NoResult", id=opened.request_id, status=RequestStatus.OPEN):
            worker.send(diagnosis.call("deliver", opened.request_id, output, SALT))

    def test_a_stale_one_decides_nothing(
        self, diagnosis, registry, owner, worker, opened, answering, mine_at, case, reverts
    ):
        """Recorded in time, but not delivered within the day."""
        owner.send(registry.set_terms(opened.offer.model_id, replace(TERMS, fee=2 * FEE)))
        worker.send(opinion(answering, opened, DOUBTFUL))
        usable_until = diagnosis.view("predictionOf", opened.request_id).usable_until

        output = encode_units(1, (WHOLE - DOUBTFUL, DOUBTFUL))
        late = diagnosis.call("deliver", opened.request_id, output, SALT)
        with reverts("PredictionStale", usableUntil=usable_until, timestamp=usable_until + 1):
            mine_at(usable_until + 1, worker, late)
        assert case()["stage"] == AWAITS_FIRST

    @pytest.mark.parametrize("scores", [(), (WHOLE,), (0, 0, WHOLE)])
    def test_nor_does_one_of_another_model(self, chain, diagnosis, escrow, opened, reverts, scores):
        data = diagnosis.call("onInference", opened.request_id, encode_units(0, scores)).data
        with reverts("WrongScoreCount", count=len(scores), expected=2):
            chain.call(diagnosis.address, data, sender=escrow.address)

    @pytest.mark.parametrize("score", [-1, WHOLE + 1])
    def test_nor_one_that_is_no_probability(self, chain, diagnosis, escrow, opened, reverts, score):
        data = diagnosis.call("onInference", opened.request_id, encode_units(0, (0, score))).data
        with reverts("ScoreOutOfRange", score=score, most=WHOLE):
            chain.call(diagnosis.address, data, sender=escrow.address)


class TestPanel:
    @pytest.mark.parametrize(
        ("threshold", "margin"), [(MARGIN, MARGIN), (WHOLE - MARGIN, MARGIN), (WHOLE, 0)]
    )
    def test_a_clear_opinion_must_be_possible_on_both_sides(
        self, deploy, panel, reverts, threshold, margin
    ):
        with reverts("MarginTooWide", threshold=threshold, margin=margin, whole=WHOLE):
            deploy(panel, threshold, margin)

    @pytest.mark.parametrize("workers", ["the same", "any"])
    def test_two_opinions_are_of_two_versions_or_two_workers(
        self, deploy, panel, worker, reverts, workers
    ):
        model, first, _, _, _ = panel
        named = worker.address if workers == "the same" else ZERO_ADDRESS
        with reverts("SameOpinionTwice", versionId=first, firstWorker=named, secondWorker=named):
            deploy((model, first, first, named, named))

    def test_one_version_by_two_workers_will_do(self, deploy, panel):
        model, first, _, one, another = panel
        assert deploy((model, first, first, one, another)).view("panel")["second_version"] == first

    def test_threshold_and_margin_can_be_read(self, diagnosis):
        assert (diagnosis.view("threshold"), diagnosis.view("margin")) == (THRESHOLD, MARGIN)


def expected(first, second):
    """Finding and basis, by the rule in one sentence: the first opinion that is not in doubt."""
    for which, score in enumerate((first, second)):
        if abs(score - THRESHOLD) >= MARGIN:
            return (Finding.MALIGNANT if score >= THRESHOLD else Finding.BENIGN), which
    return Finding.INCONCLUSIVE, None


SCORES = st.one_of(
    st.integers(0, WHOLE),
    st.sampled_from([THRESHOLD, THRESHOLD - MARGIN, THRESHOLD + MARGIN]).flatmap(
        lambda edge: st.integers(edge - 1, edge + 1)
    ),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=SCORES, second=SCORES)
def test_whatever_the_opinions_the_first_clear_one_decides(
    first,
    second,
    devchain,
    diagnosis,
    opened,
    worker,
    second_worker,
    answering,
    requested,
    case,
    owed,
):
    snapshot = devchain.snapshot()
    receipt = worker.send(opinion(answering, opened, first))
    asked = [opened.request_id]
    if case()["stage"] == AWAITS_SECOND:
        again = requested(receipt)
        asked.append(again.request_id)
        second_worker.send(opinion(answering, again, second))

    finding, which = expected(first, second)

    state = case()
    assert state["finding"] == finding
    assert state["basis"] == (ZERO_HASH if which is None else asked[which])
    assert owed() == (2 - len(asked)) * FEE
    assert diagnosis.chain.balance(diagnosis.address) == owed()
    devchain.revert(snapshot)
