"""What happens in the demo, and what must be true of it."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelward.chain.accounts import Account
from modelward.chain.connection import Chain
from modelward.chain.encoding import read_bytes
from modelward.chain.events import EVENTS
from modelward.chain.fees import choose_fees
from modelward.chain.transactions import Receipt
from modelward.commitments import commits_to, input_hash, result_commitment
from modelward.config import FILE_NAME, Config, load_config, starter
from modelward.content.store import ContentStore
from modelward.demo.statements import Statement, statements
from modelward.deployment import deploy
from modelward.devchain import DevChain
from modelward.errors import AccessDenied, CheckFailed, ContractRefused, KeyNotGranted
from modelward.models.sandbox import Sandbox
from modelward.sdk import (
    Catalogue,
    Connection,
    Owner,
    Participant,
    PlacedRequest,
    PublishedVersion,
    Requester,
    Result,
    Step,
    Verification,
    read_history,
    steps,
    verify,
)
from modelward.sdk.encryption_keys import EncryptionKeys
from modelward.sdk.history import opened_input
from modelward.terms import (
    ETHER,
    Access,
    Address,
    Request,
    RequestStatus,
    Right,
    frame_clear_input,
)
from modelward.worker import Worker, open_journal

MODEL = "breast-cancer"
REFERENCE = f"owner/{MODEL}"
PRICE = ETHER // 1000
QUOTA = 100
WAIT = 60
"""Seconds the request that nobody answers may wait."""

_GAS_LIMIT = 500_000

Tell = Callable[[str], None]
"""Told what is being done."""


@dataclass(frozen=True, slots=True)
class DemoCheck:
    """Something that must be so: what was expected, and what was found."""

    what: str
    expected: object
    found: object

    @property
    def holds(self) -> bool:
        """Whether it is so."""
        return self.expected == self.found


@dataclass(frozen=True, slots=True)
class EscrowStatement:
    """What went through the escrow, in wei: what requests paid in, and whom it was owed to."""

    fees_in: int
    payee_share: int
    worker_share: int
    refunded: int
    left: int


@dataclass(frozen=True)
class DemoReport:
    """What happened, from the chain itself."""

    chain_id: int
    genesis_hash: bytes
    steps: tuple[Step, ...]
    names: Mapping[Address, str]
    published: PublishedVersion
    result: Result
    verification: Verification
    statements: tuple[Statement, ...]
    escrow: EscrowStatement
    checks: tuple[DemoCheck, ...]

    @property
    def failed(self) -> tuple[DemoCheck, ...]:
        """The checks that do not hold."""
        return tuple(check for check in self.checks if not check.holds)

    def require(self) -> None:
        """Raise `CheckFailed` unless every check holds."""
        if self.failed:
            raise CheckFailed(
                f"{len(self.failed)} of {len(self.checks)} checks failed: "
                + "; ".join(check.what for check in self.failed)
                + "."
            )


@dataclass
class Checks:
    """Collects checks."""

    made: list[DemoCheck] = field(default_factory=list)

    def equal(self, what: str, *, expected: object, found: object) -> None:
        """Note what was expected and what was found."""
        self.made.append(DemoCheck(what, expected, found))


def run_demo(tell: Tell | None = None) -> DemoReport:
    """Run the whole story on a new embedded chain, in a directory that is gone afterwards.

    A check that fails is in the report; what could not be done at all is raised.
    """
    with tempfile.TemporaryDirectory(prefix="modelward-demo-") as directory, Sandbox() as sandbox:
        sandbox.start()
        return _Story(Path(directory), sandbox, tell or (lambda _: None)).run()


class _Story:
    def __init__(self, directory: Path, sandbox: Sandbox, tell: Tell) -> None:
        self.sandbox = sandbox
        self.tell = tell
        self.checks = Checks()
        self.config = configuration(directory)
        self.store = ContentStore(self.config.store_url)
        tell("starting an embedded chain and deploying the contracts")
        self.devchain = DevChain()
        self.chain = Chain.connect(self.config.network("embedded"), self.devchain.provider())
        self.deployment = deploy(self.chain, Account.development("deployer"), self.config)
        self.start = self.chain.head().number
        self.owner = Owner(self.acting_as("owner"))
        self.requester = Requester(self.acting_as("requester"))
        self.worker = Participant(self.acting_as("worker"))
        self.outsider = Requester(self.acting_as("outsider"))

    def run(self) -> DemoReport:
        self.tell("registering the worker's encryption key")
        EncryptionKeys(self.worker.connection).register()
        published, estimator, row = self.publish()
        self.owner.grant("requester", MODEL, Right.INFER, quota=QUOTA)
        self.owner.grant("worker", MODEL, Right.SERVE)
        result, verification = self.predict(estimator, row)
        refused = self.turn_away(row)
        self.go_unanswered(row)
        owed = self.withdraw(result.fee)
        statements = self.statements()
        return DemoReport(
            chain_id=self.chain.chain_id,
            genesis_hash=self.chain.genesis_hash,
            steps=self.steps(refused),
            names={each.address: each.connection.account_name for each in self.actors},
            published=published,
            result=result,
            verification=verification,
            statements=statements,
            escrow=owed,
            checks=tuple(self.checks.made),
        )

    # --- the story -------------------------------------------------------------------------------

    def publish(self) -> tuple[PublishedVersion, Any, Any]:
        self.tell("training a scaler and a logistic regression on the breast cancer data")
        estimator, inputs, labels = train()
        self.tell("publishing it, once it has met its threshold on rows it has not seen")
        published = self.owner.publish(
            estimator,
            inputs,
            labels,
            name=MODEL,
            price=PRICE,
            thresholds={"accuracy": 0.95},
        )
        return published, estimator, inputs.iloc[[0]]

    def predict(self, estimator: Any, row: Any) -> tuple[Result, Verification]:
        self.tell("requesting a prediction, sealed to the model's key; the fee is held in escrow")
        placed = self.requester.send(REFERENCE, row, fee=PRICE)
        escrow = self.deployment.escrow
        self.checks.equal(
            "the escrow holds the fee while the request is open",
            expected=PRICE,
            found=self.chain.balance(escrow.address),
        )
        self.tell("answering it: the worker loads the pinned bundle in a process of its own")
        self.work()
        result = self.requester.wait(placed.id, timeout=30)
        self.tell("verifying the answer by a replay, as the owner, who can open the bundle")
        verification = verify(self.owner.connection, placed.id, sandbox=self.sandbox)
        self.check_secrecy(placed, result, row)
        self.check_prediction(placed, result, verification, estimator.predict(row)[0])
        return result, verification

    def turn_away(self, row: Any) -> Receipt:
        """Have an outsider send a request although a dry run would tell that it is refused."""
        self.tell("turning an outsider away, who has no grant")
        connection = self.outsider.connection
        offered = self.outsider.quote(REFERENCE)
        version, schema = offered.version, offered.manifest.input
        secret, canonical = (
            secrets.token_bytes(32),
            offered.manifest.canonical_input(schema.row(row)),
        )
        call = connection.escrow.request(
            version.model_id,
            version.id,
            Request(
                requester=self.outsider.address,
                payer=self.outsider.address,
                input_hash=input_hash(secret, canonical),
                deadline=connection.now() + WAIT,
            ),
            frame_clear_input(secret, canonical),
            value=PRICE,
        )
        sender = connection.sender
        before = self.chain.balance(sender.address)
        signed = sender.sign(
            call, gas=_GAS_LIMIT, nonce=sender.next_nonce(), fees=choose_fees(self.chain)
        )
        sender.broadcast(signed)
        receipt = sender.wait(signed.hash)
        refusal = sender.failure(signed, receipt)
        self.checks.equal(
            "an outsider is refused with AccessDenied, for want of a grant",
            expected=(False, AccessDenied, Access.NOT_GRANTED),
            found=(
                receipt.succeeded,
                type(refusal),
                getattr(refusal, "arguments", {}).get("reason"),
            ),
        )
        self.checks.equal(
            "the outsider paid for gas and nothing else",
            expected=receipt.fee,
            found=before - self.chain.balance(sender.address),
        )
        return receipt

    def go_unanswered(self, row: Any) -> None:
        self.tell("requesting another prediction while the worker is away")
        placed = self.requester.send(REFERENCE, row, delay=WAIT)
        self.devchain.increase_time(WAIT + 1)
        self.tell("the deadline has passed: an outsider has the fee refunded, to its payer")
        refunded = self.outsider.refund(placed.id)
        self.checks.equal(
            "the refund credits the whole fee to the payer, whoever asks for it",
            expected=(self.requester.address, PRICE, PRICE),
            found=(refunded.payer, refunded.amount, self.requester.credit()),
        )
        try:
            self.outsider.refund(placed.id)
        except ContractRefused as refused:
            again = refused.error
        else:
            again = "a second refund"
        self.checks.equal("a fee is refunded once", expected="NotOpen", found=again)
        left = {grant.grantee: grant.state.uses for grant in self.owner.grants(MODEL)}
        self.checks.equal(
            "the quota counts both requests",
            expected=QUOTA - 2,
            found=left.get(self.requester.address),
        )

    def withdraw(self, fee: int) -> EscrowStatement:
        self.tell("withdrawing what everybody is owed")
        escrow = self.deployment.escrow.address
        fees_in = self.chain.balance(escrow)
        shares = (self.owner.credit(), self.worker.credit())
        refunded = self.requester.credit()
        self.checks.equal(
            "fee in == payee's share + worker's share", expected=fee, found=sum(shares)
        )
        self.checks.equal(
            "the escrow has what it owes, to the wei",
            expected=sum(shares) + refunded,
            found=fees_in,
        )
        for participant in (self.owner, self.worker, self.requester):
            participant.withdraw()
        left = self.chain.balance(escrow)
        self.checks.equal("nothing is left in the escrow", expected=0, found=left)
        return EscrowStatement(fees_in, *shares, refunded, left)

    # --- what is checked and told ----------------------------------------------------------------

    def check_prediction(
        self, placed: PlacedRequest, result: Result, verification: Verification, label: Any
    ) -> None:
        connection = self.requester.connection
        state = self.deployment.escrow.request_of(placed.id)
        secret = opened_input(connection, read_history(connection, placed.id)).secret
        recomputed = result_commitment(placed.id, result.canonical_output, secret)
        self.checks.equal(
            "the request was fulfilled", expected=RequestStatus.FULFILLED, found=state.status
        )
        self.checks.equal(
            "the commitment recomputed from output and secret is the one on chain",
            expected=(recomputed, True),
            found=(result.commitment, commits_to(state.commitment, recomputed)),
        )
        self.checks.equal(
            "the prediction is what the trained estimator says",
            expected=label,
            found=result.prediction.label,
        )
        self.checks.equal(
            "the pinned bundle, run again, gives the same output",
            expected=(True, result.prediction),
            found=(verification.identical, verification.replayed),
        )

    def check_secrecy(self, placed: PlacedRequest, result: Result, row: Any) -> None:
        connection = self.outsider.connection
        history = read_history(connection, placed.id)
        schema, ending = result.manifest.input, history.ending
        said = history.requested.input + (getattr(ending, "output", b"") if ending else b"")
        clear = (result.manifest.canonical_input(schema.row(row)), result.canonical_output)
        self.checks.equal(
            "neither input nor output is on chain in clear",
            expected=(False, False),
            found=tuple(content in said for content in clear),
        )
        pinned, offer = result.version.version, history.requested.offer
        stored = Catalogue(connection).bundle(result.version)
        try:
            connection.keyring.open_bundle(offer.owner, pinned, stored)
        except KeyNotGranted as refused:
            opened = type(refused).__name__
        else:
            opened = "opened"
        self.checks.equal(
            "an outsider cannot open the stored model", expected="KeyNotGranted", found=opened
        )

    def steps(self, refused: Receipt) -> tuple[Step, ...]:
        connection = self.owner.connection
        kinds = tuple(kind for contract in EVENTS.values() for kind in contract)
        told = [
            *self.deployments(),
            *steps(connection, connection.events(*kinds, first=0)),
            self.step(refused, "was refused a request: AccessDenied", "no fee taken"),
        ]
        return tuple(sorted(told, key=lambda step: step.block))

    def deployments(self) -> list[Step]:
        told = []
        for contract in self.deployment.record.contracts.values():
            receipt = self.owner.connection.receipt(read_bytes(contract.transaction))
            if receipt is not None:
                told.append(self.step(receipt, f"deployed {contract.name}", ""))
        return told

    def step(self, receipt: Receipt, words: str, money: str) -> Step:
        return Step(
            block=receipt.block_number,
            timestamp=self.chain.block(receipt.block_number).timestamp,
            words=words,
            actor=receipt.sender,
            gas=receipt.gas_used,
            transaction_hash=receipt.transaction_hash,
            money=money,
        )

    def statements(self) -> tuple[Statement, ...]:
        names = {each.connection.account_name: each.address for each in self.actors}
        made = statements(self.owner.connection, names, since=self.start)
        for each in made:
            self.checks.equal(
                f"the {each.name}'s balance is what it was, less fees and gas, plus withdrawals",
                expected=each.before - each.deposited - each.gas + each.withdrawn,
                found=each.after,
            )
        return made

    # --- actors ----------------------------------------------------------------------------------

    @property
    def actors(self) -> tuple[Participant, ...]:
        return self.owner, self.requester, self.worker, self.outsider

    def acting_as(self, role: str) -> Connection:
        return Connection(
            self.config, self.chain, self.deployment, self.store, Account.development(role)
        )

    def work(self) -> None:
        """Let the worker answer what there is to answer."""
        connection, signer = self.worker.connection, Account.development("worker")
        directory = self.config.journal_directory
        with (
            open_journal(self.chain, self.deployment, signer, directory=directory) as journal,
            Worker(
                self.chain, self.deployment, signer, connection.store, journal, sandbox=self.sandbox
            ) as worker,
        ):
            worker.drain()


def configuration(directory: Path) -> Config:
    """The starter configuration, with every file in `directory`."""
    file = directory / FILE_NAME
    file.write_text(starter(), encoding="utf-8")
    return load_config(file, environ={"MODELWARD_HOME": str(directory / "home")})


def train() -> tuple[Any, Any, Any]:
    """A fitted pipeline, and 100 rows it has not seen with their labels."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = load_breast_cancer(as_frame=True)
    diagnoses = data.target.map(dict(enumerate(map(str, data.target_names))))
    seen, unseen, known, truth = train_test_split(
        data.data, diagnoses, test_size=100, random_state=0
    )
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(seen, known)
    return estimator, unseen, truth
