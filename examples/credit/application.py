"""Credit in a token, with a limit that follows a prediction, and reasons for who gets none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import IntEnum
from pathlib import Path
from typing import Any

import pandas as pd
from applications import PublishedModel, Stage, table
from credit.reasons import WHOLE, reasons

from modelward.chain.custom_contract import CustomContract
from modelward.config import Policy, TokenPrice
from modelward.sdk import Owner, prepare_ask
from modelward.sdk.rotation import carry_out
from modelward.terms import ETHER, Address, RequestId

SOURCE = "credit/contracts/CreditLine.sol"
PIPELINE = Path(__file__).with_name("pipeline.toml")
APPLICANTS = Path(__file__).with_name("applicants.csv")

LENDER, BUREAU = "sponsor", "evaluator"
COIN = 10**18
"""Base units in a whole token."""
FEE = 2 * COIN
"""Price of a prediction, in the token that is lent."""
MAX_LIMIT, CUTOFF, FEE_BPS = 10_000 * COIN, 650_000_000, 150
TERM, GRACE = 30 * 86_400, 5 * 86_400
WORTH = TokenPrice(ETHER // 500, 18)
"""What a whole token is worth to the worker."""


class LineStatus(IntEnum):
    """Where a line stands; mirrors the enumeration of the same name."""

    NONE = 0
    APPLIED = 1
    DECLINED = 2
    OPEN = 3
    DEFAULTED = 4


def report_message(
    contract: Address, chain_id: int, borrower: Address, input_hash: bytes, valid_until: int
) -> dict[str, Any]:
    """What the bureau signs: EIP-712 typed data."""
    domain = {"name": "modelward CreditLine", "version": "1"}
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Report": [
                {"name": "borrower", "type": "address"},
                {"name": "inputHash", "type": "bytes32"},
                {"name": "validUntil", "type": "uint40"},
            ],
        },
        "primaryType": "Report",
        "domain": {**domain, "chainId": chain_id, "verifyingContract": contract},
        "message": {
            "borrower": borrower,
            "inputHash": "0x" + input_hash.hex(),
            "validUntil": valid_until,
        },
    }


class Bank:
    """The contract, the token it lends, the model it asks, and how it is dealt with."""

    def __init__(
        self, stage: Stage, contract: CustomContract, token: CustomContract, model: PublishedModel
    ) -> None:
        self.stage = stage
        self.contract = contract
        self.token = token
        self.model = model

    @classmethod
    def found(cls, stage: Stage) -> Bank:
        """Publish the model, price it in the token, deploy the contract and fund it."""
        model = stage.publish(PIPELINE)
        owner = Owner(stage.acting_as("owner"))
        # The bundle is in clear; a service key has the applicants' figures sealed all the same.
        carry_out(owner.connection, owner.plan_rotation("credit"))
        stage.let_serve("credit")
        token = stage.deploy("contracts/TestToken.sol", "TestToken", "Credit", "CRD")
        registry = owner.connection.registry
        terms = registry.model_of(model.version.model_id).terms
        priced = replace(terms, fee=FEE, token=token.address)
        stage.send("owner", registry.set_terms(model.version.model_id, priced))
        lending = (
            model.version.model_id,
            model.version.id,
            stage.address("worker"),
            token.address,
            token.address,
            stage.address(BUREAU),
            MAX_LIMIT,
            CUTOFF,
            FEE_BPS,
            TERM,
            GRACE,
        )
        escrow = stage.connection.escrow.address
        contract = stage.deploy(SOURCE, "CreditLine", escrow, lending, role=LENDER)
        stage.let_ask("credit", contract)
        bank = cls(stage, contract, token, model)
        bank.give(LENDER, 50_000 * COIN)
        stage.send(LENDER, contract.call("fund", 50_000 * COIN))
        return bank

    def give(self, role: str, amount: int) -> None:
        """Make tokens for somebody, who lets the bank take as much."""
        stage = self.stage
        stage.send(role, self.token.call("mint", stage.address(role), amount))
        stage.send(role, self.token.call("approve", self.contract.address, amount))

    def apply(self, borrower: str, figures: Mapping[str, float]) -> RequestId:
        """Have the bureau sign for the borrower's sealed figures, and apply with them."""
        stage = self.stage
        connection = stage.acting_as(borrower)
        prepared = prepare_ask(connection, self.model.reference, figures)
        report = (connection.address, prepared.ask.input_hash, prepared.ask.deadline)
        bureau = stage.acting_as(BUREAU).sender.account.signer
        chain_id = stage.connection.chain.chain_id
        signature = bureau.sign_typed_data(report_message(self.contract.address, chain_id, *report))
        self.give(borrower, FEE)
        call = self.contract.call("applyForCredit", report, prepared.input, signature)
        (applied,) = self.contract.said(stage.send(borrower, call), "Applied")
        return RequestId(applied["requestId"])

    def work(self) -> None:
        """Let the worker answer, which takes the token for what it is worth."""
        self.stage.work(policy=Policy(tokens={self.token.address: WORTH}))

    def line(self, borrower: str) -> dict[str, Any]:
        """A borrower's line as it stands."""
        state: dict[str, Any] = self.contract.view("lineOf", self.stage.address(borrower))
        return state

    def draw(self, borrower: str, amount: int) -> None:
        """Draw on a line, to the borrower's own account."""
        address = self.stage.address(borrower)
        self.stage.send(borrower, self.contract.call("draw", amount, address))

    def repay(self, borrower: str) -> None:
        """Repay all that is owed."""
        owed = self.line(borrower)["owed"]
        self.give(borrower, owed)
        address = self.stage.address(borrower)
        self.stage.send(borrower, self.contract.call("repay", address, owed))


def telling(bank: Bank) -> dict[str, dict[str, float]]:
    """Figures of three applicants, by the name of the account that has them: good, poor, fair."""
    rows = pd.read_csv(APPLICANTS).drop(columns="outcome")
    scores = bank.model.scores(rows)[:, 1]
    wanted = {"requester": 0.98, "outsider": 0.45, "keeper": 0.8}
    return {
        borrower: rows.iloc[abs(scores - score).argmin()].to_dict()
        for borrower, score in wanted.items()
    }


def play(stage: Stage) -> None:
    """Three apply: one repays, one is declined and told why, one defaults."""
    bank = Bank.found(stage)
    borrowers = telling(bank)
    for borrower, figures in borrowers.items():
        bank.apply(borrower, figures)
    bank.work()
    show(bank, "after the answers", list(borrowers))

    score = bank.line("outsider")["score"]
    print(
        f"\nwhy outsider's score is {score / WHOLE:.3f}, in log-odds against the average applicant"
    )
    terms = reasons(stage.connection, bank.model.reference, borrowers["outsider"], score)
    rows = [(t.figure, f"{t.value:g}", f"{t.average:.4g}", f"{t.log_odds:+.2f}") for t in terms]
    table(("figure", "outsider's", "average", "counts"), rows)

    for borrower in ("requester", "keeper"):
        bank.draw(borrower, 2_000 * COIN)
    show(bank, "after drawing 2000", ["requester", "keeper"])
    stage.pass_time(TERM)
    bank.repay("requester")
    stage.pass_time(GRACE + 1)
    stage.send(LENDER, bank.contract.call("declareDefault", stage.address("keeper")))
    show(bank, "a month and five days later", ["requester", "keeper"])


def show(bank: Bank, when: str, borrowers: list[str]) -> None:
    """Print where some lines stand."""
    print(f"\n{when}")
    rows = []
    for borrower in borrowers:
        line = bank.line(borrower)
        status = LineStatus(line["status"]).name.lower()
        limit, owed = (f"{line[name] / COIN:.2f}" for name in ("limit", "owed"))
        rows.append((borrower, f"{line['score'] / WHOLE:.3f}", status, limit, owed))
    table(("borrower", "score", "line", "limit", "owed"), rows)
