"""Cases for a diagnosis, and the second opinion that a contract asks for by itself."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path
from typing import Any

from applications import PublishedModel, Stage, table
from sklearn.datasets import load_breast_cancer

from modelward.chain.custom_contract import CustomContract
from modelward.sdk import PreparedAsk, prepare_ask
from modelward.terms import ETH, ZERO_HASH, RequestId, format_amount

SOURCE = "diagnosis/contracts/Diagnosis.sol"
PIPELINE = Path(__file__).with_name("pipeline.toml")
SECOND_WORKER = "evaluator"
THRESHOLD, MARGIN = 500_000_000, 200_000_000
"""Probability of malignancy, and how near to it an opinion is in doubt; times 10^9."""


class Finding(IntEnum):
    """What a case came to; mirrors the enumeration of the same name."""

    PENDING = 0
    BENIGN = 1
    MALIGNANT = 2
    INCONCLUSIVE = 3


class Clinic:
    """The contract, the two versions of the model it asks, and how it is dealt with."""

    def __init__(
        self, stage: Stage, contract: CustomContract, first: PublishedModel, second: PublishedModel
    ) -> None:
        self.stage = stage
        self.contract = contract
        self.first = first
        self.second = second

    @classmethod
    def found(cls, stage: Stage) -> Clinic:
        """Publish both versions and deploy the contract between them."""
        first = stage.publish(PIPELINE)
        second = stage.publish(PIPELINE, estimator="mlp")
        for worker in ("worker", SECOND_WORKER):
            stage.let_serve("diagnosis", worker)
        panel = (
            first.version.model_id,
            first.version.id,
            second.version.id,
            stage.address("worker"),
            stage.address(SECOND_WORKER),
        )
        escrow = stage.connection.escrow.address
        contract = stage.deploy(SOURCE, "Diagnosis", escrow, panel, THRESHOLD, MARGIN)
        stage.let_ask("diagnosis", contract)
        return cls(stage, contract, first, second)

    def prepare(self, patient: Any) -> tuple[PreparedAsk, PreparedAsk]:
        """A patient's measurements, sealed for each of the two requests; each has its secret."""
        clinician = self.stage.acting_as("requester")
        return (
            prepare_ask(clinician, self.first.reference, patient),
            prepare_ask(clinician, self.second.reference, patient),
        )

    def open(self, patient: Any) -> tuple[int, RequestId]:
        """Open a case; returns it and the request for the first opinion."""
        samples = [(each.ask.input_hash, each.input) for each in self.prepare(patient)]
        call = self.contract.call("open", *samples, value=self.contract.view("price"))
        (opened,) = self.contract.said(self.stage.send("requester", call), "CaseOpened")
        return opened["caseId"], RequestId(opened["requestId"])

    def case(self, case: int) -> dict[str, Any]:
        """A case as it stands."""
        state: dict[str, Any] = self.contract.view("caseOf", case)
        return state

    def work(self) -> None:
        """Let both workers answer, the second one after the first."""
        self.stage.work()
        self.stage.work(SECOND_WORKER)


def patients() -> Any:
    """Everybody in the data, one row each."""
    return load_breast_cancer(as_frame=True).data


def telling(clinic: Clinic) -> dict[str, Any]:
    """Patients whose first opinions are clear, clear and in doubt, as the models will say.

    Of those in doubt, the one of whom the second opinion is surest.
    """
    rows = patients()
    first = clinic.first.scores(rows)[:, 1]
    doubtful = rows[abs(first * 10**9 - THRESHOLD) < MARGIN]
    sureness = abs(clinic.second.scores(doubtful)[:, 1] - 0.5)
    return {
        "clearly benign": rows.iloc[[first.argmin()]],
        "clearly malignant": rows.iloc[[first.argmax()]],
        "in doubt": doubtful.iloc[[sureness.argmax()]],
    }


def play(stage: Stage) -> None:
    """Open three cases, let the workers answer, and show what the contract made of the answers."""
    clinic = Clinic.found(stage)
    cases = {words: clinic.open(patient) for words, patient in telling(clinic).items()}
    clinic.work()
    rows = []
    for words, (case, first) in cases.items():
        state = clinic.case(case)
        used = {ZERO_HASH: "none", first: "the first"}.get(state["basis"], "the second")
        rows.append(
            (
                case,
                words,
                f"{state['first_score'] / 10**9:.3f}",
                f"{state['second_score'] / 10**9:.3f}" if state["second_score"] else "not asked",
                Finding(state["finding"]).name.lower(),
                used,
            )
        )
    table(("case", "patient", "first", "second", "finding", "rests on"), rows)
    owed = clinic.contract.view("feesOf", ETH, stage.address("requester"))
    print(f"\n{format_amount(owed)} came back for second opinions that were not needed")
    stage.send("requester", clinic.contract.call("withdrawFees", ETH, stage.address("requester")))
