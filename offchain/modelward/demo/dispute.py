"""How the chain settles disputes about an exact model: a lie, a wrong challenge, one's own."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_abi.abi import decode, encode

from modelward.chain.accounts import Account
from modelward.chain.connection import Chain
from modelward.chain.events import AnswerCorrected, AnswerPosted
from modelward.chain.fees import choose_fees
from modelward.commitments import result_commitment
from modelward.content.store import ContentStore
from modelward.demo.story import PRICE, Checks, DemoCheck, Tell, configuration, train
from modelward.deployment import deploy
from modelward.devchain import DevChain
from modelward.errors import CheckFailed
from modelward.keepers.watch import Deed, Watchtower
from modelward.models.exact.answers import run_program
from modelward.sdk import (
    Connection,
    DisputeTerms,
    Owner,
    PlacedRequest,
    Requester,
    disputes,
    read_history,
    verify,
)
from modelward.sdk.history import opened_input
from modelward.terms import ETHER, Address, RequestStatus, Right, frame_clear_output

BOND = ETHER // 50
_GAS_LIMIT = 1_000_000
_OUTPUT = ("uint8", "uint256", "int256[]")


@dataclass(frozen=True)
class DisputeReport:
    """What happened, from the chain itself; `outcomes` is what the worker gained, in wei."""

    fee: int
    bond: int
    program_bytes: int
    challenge_gas: int
    outcomes: Mapping[str, int]
    checks: tuple[DemoCheck, ...]

    def require(self) -> None:
        """Raise `CheckFailed` unless every check holds."""
        failed = [check.what for check in self.checks if not check.holds]
        if failed:
            raise CheckFailed(f"{len(failed)} checks failed: {'; '.join(failed)}.")


def run_dispute_demo(tell: Tell | None = None) -> DisputeReport:
    """Run the story on a new embedded chain, in a directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="modelward-demo-") as directory:
        return _Dispute(Path(directory), tell or (lambda _: None)).run()


class _Dispute:
    def __init__(self, directory: Path, tell: Tell) -> None:
        self.tell = tell
        self.checks = Checks()
        self.config = configuration(directory)
        tell("starting an embedded chain and deploying the contracts")
        self.chain = Chain.connect(self.config.network("embedded"), DevChain().provider())
        self.deployment = deploy(self.chain, Account.development("deployer"), self.config)
        self.store = ContentStore(self.config.store_url)
        self.referee, self.escrow = self.deployment.referee, self.deployment.escrow
        self.requester = Requester(self.acting_as("requester"))
        self.worker, self.keeper = self.acting_as("worker"), self.acting_as("outsider")

    def acting_as(self, role: str) -> Connection:
        return Connection(
            self.config, self.chain, self.deployment, self.store, Account.development(role)
        )

    def run(self) -> DisputeReport:
        owner = Owner(self.acting_as("owner"))
        estimator, inputs, labels = train()
        self.tell("publishing a logistic regression, its program on chain, for disputes")
        self.published = owner.publish(
            estimator,
            inputs,
            labels,
            name="breast-cancer",
            price=PRICE,
            open=True,
            private=False,
            disputes=DisputeTerms(bond=BOND),
        )
        owner.grant("worker", "breast-cancer", Right.SERVE)
        self.rows = inputs
        honest = self.answer_honestly()
        lying = self.lie()
        itself = self.lie_and_challenge_itself()
        self.checks.equal(
            "honesty gains, lying costs, and challenging one's own lie costs too",
            expected=(True, True, True),
            found=(honest > 0, lying < 0, lying < itself < 0),
        )
        self.checks.equal(
            "all that the referee holds is what it owes",
            expected=sum(map(self.referee.balance_of, self.everybody)),
            found=self.chain.balance(self.referee.address),
        )
        return DisputeReport(
            fee=PRICE,
            bond=BOND,
            program_bytes=len(self.deployment.programs.program_of(self.program_hash)),
            challenge_gas=self.challenge_gas,
            outcomes={
                "answers honestly": honest,
                "lies, and is challenged": lying,
                "lies, and challenges itself": itself,
            },
            checks=tuple(self.checks.made),
        )

    # --- the three answers -----------------------------------------------------------------------

    def answer_honestly(self) -> int:
        before = self.wealth(self.worker)
        placed = self.ask(0)
        self.tell("answering it rightly, and challenging the answer all the same")
        posted = self.post(placed, self.right_output(placed))
        self.challenge_wrongly(placed, posted)
        self.tell("accepting it, as its requester, who checked it against the program on chain")
        disputes.accept(self.requester.connection, placed.id)
        self.checks.equal(
            "the right answer is fulfilled, and verified bit for bit",
            expected=(RequestStatus.FULFILLED, True),
            found=(
                self.escrow.request_of(placed.id).status,
                verify(self.requester.connection, placed.id).identical,
            ),
        )
        return self.wealth(self.worker) - before

    def lie(self) -> int:
        before, credit = self.wealth(self.worker), self.requester.credit()
        placed = self.ask(1)
        right = self.right_output(placed)
        self.tell("lying about it; a watchtower re-runs the program, and challenges the answer")
        self.post(placed, _other_label(right))
        bond = self.referee.balance_of(self.worker.address)
        found = list(Watchtower(self.keeper).look())
        self.checks.equal(
            "the watchtower found the lie and had it put right",
            expected=[Deed.CHALLENGED],
            found=[finding.deed for finding in found],
        )
        [corrected] = self.keeper.events(AnswerCorrected, about=[placed.id])
        receipt = self.keeper.sender.receipt(corrected.transaction_hash)
        self.challenge_gas = receipt.gas_used if receipt else 0
        self.checks.equal(
            "the liar's bond is gone: half to the payer, half to the challenger",
            expected=(bond, BOND - BOND // 2, BOND // 2),
            found=tuple(
                self.referee.balance_of(each.address)
                for each in (self.worker, self.requester.connection, self.keeper)
            ),
        )
        self.checks.equal(
            "the payer has the fee back",
            expected=PRICE,
            found=self.requester.credit() - credit,
        )
        self.checks.equal(
            "the right answer stands on chain",
            expected=(RequestStatus.CORRECTED, right),
            found=(
                self.escrow.request_of(placed.id).status,
                self.requester.result(placed.id).canonical_output,
            ),
        )
        return self.wealth(self.worker) - before

    def lie_and_challenge_itself(self) -> int:
        before = self.wealth(self.worker)
        placed = self.ask(2)
        self.tell("lying again, and challenging it oneself before anybody else does")
        self.post(placed, _other_label(self.right_output(placed)))
        disputes.challenge(self.worker, disputes.judge(self.worker, placed.id))
        return self.wealth(self.worker) - before

    def challenge_wrongly(self, placed: PlacedRequest, posted: AnswerPosted) -> None:
        """Send a challenge although a dry run would tell that it is refused."""
        history = read_history(self.keeper, placed.id)
        opened = opened_input(self.keeper, history)
        requested, sender = history.requested, self.keeper.sender
        call = self.referee.challenge(
            requested.offer,
            requested.request,
            posted.answer,
            opened.secret,
            opened.canonical_input,
        )
        before = self.standing(placed)
        signed = sender.sign(
            call, gas=_GAS_LIMIT, nonce=sender.next_nonce(), fees=choose_fees(self.chain)
        )
        sender.broadcast(signed)
        receipt = sender.wait(signed.hash)
        self.checks.equal(
            "a wrong challenge reverts and changes nothing",
            expected=(False, before),
            found=(receipt.succeeded, self.standing(placed)),
        )

    # --- what everybody does ---------------------------------------------------------------------

    @property
    def program_hash(self) -> bytes:
        return self.published.version.version.program_hash

    @property
    def everybody(self) -> tuple[Address, ...]:
        return self.worker.address, self.requester.address, self.keeper.address

    def ask(self, row: int) -> PlacedRequest:
        return self.requester.send(self.published.reference, self.rows.iloc[[row]])

    def right_output(self, placed: PlacedRequest) -> bytes:
        opened = opened_input(self.worker, read_history(self.worker, placed.id))
        program = disputes.program_on_chain(self.worker, self.program_hash)
        return run_program(program, opened.canonical_input)

    def post(self, placed: PlacedRequest, output: bytes) -> AnswerPosted:
        """Answer with a bond, put in now unless it is there."""
        if self.referee.balance_of(self.worker.address) < BOND:
            self.worker.send(self.referee.deposit(BOND))
        history = read_history(self.worker, placed.id)
        commitment = result_commitment(placed.id, output, opened_input(self.worker, history).secret)
        requested = history.requested
        call = self.referee.answer(
            requested.offer, requested.request, commitment, frame_clear_output(output)
        )
        return self.worker.event_in(self.worker.send(call), AnswerPosted)

    def wealth(self, connection: Connection) -> int:
        """All an account has or is owed, in wei."""
        address = connection.address
        return (
            self.chain.balance(address)
            + self.escrow.credit_of(address)
            + self.referee.balance_of(address)
        )

    def standing(self, placed: PlacedRequest) -> tuple[Any, ...]:
        """What a challenge could change."""
        return (
            self.referee.pending_of(placed.id),
            self.escrow.request_of(placed.id),
            *map(self.referee.balance_of, self.everybody),
            *map(self.escrow.credit_of, self.everybody),
        )


def _other_label(output: bytes) -> bytes:
    version, label, units = decode(_OUTPUT, output)
    return encode(_OUTPUT, (version, 1 - label, units))
