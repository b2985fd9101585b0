from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from modelward import commitments
from modelward.chain.sender import Sender
from modelward.chain.transactions import Receipt
from modelward.models.exact.program import (
    Activation,
    Decision,
    Encoding,
    Layer,
    LayerProgram,
    Scores,
)
from modelward.terms import (
    ETHER,
    ZERO_HASH,
    ExactAnswer,
    ExactTerms,
    Offer,
    Request,
    RequestId,
    Version,
    VersionId,
)
from tests.contracts.specimens import Placed, version_of
from tests.exact.canonical import canonical_input, canonical_output

HOUR, DAY = 3_600, 86_400
WINDOW = 2 * HOUR
BOND = ETHER // 10 + 1
"""Odd, so that one wei cannot be halved."""
STAKED = ETHER
SECRET = b"\x5e" * 32
SEALED = b"\x01" + b"an envelope"
WRONG = b"\x66" * 32

PROGRAM = LayerProgram(
    Encoding.UNITS,
    Decision.VALUE,
    Scores.SCALED,
    decimals=0,
    features=1,
    outputs=1,
    layers=(Layer(((1,),), (0,), 0, Activation.IDENTITY, weight_bytes=1),),
)
"""Its output is its input."""
EXACT = ExactTerms(PROGRAM.hash, WINDOW, BOND)
INPUT = canonical_input(PROGRAM, [7])
OUTPUT = canonical_output(PROGRAM, [7])


class Asked(NamedTuple):
    """A request for the exact version."""

    offer: Offer
    terms: Request
    id: RequestId

    @property
    def right(self) -> bytes:
        """The one right commitment, where the input is `INPUT`."""
        return commitments.result_commitment(self.id, OUTPUT, SECRET)


class Answered(NamedTuple):
    """An answer under examination."""

    asked: Asked
    answer: ExactAnswer
    receipt: Receipt

    @property
    def arguments(self) -> tuple[Offer, Request, ExactAnswer]:
        """What `accept`, `settle` and `challenge` take first."""
        return self.asked.offer, self.asked.terms, self.answer


@pytest.fixture
def exact_version(referee, owner, offer) -> Callable[..., Version]:
    """A version of the model by terms for the referee; `changes` are to its fields."""

    def version(terms: ExactTerms = EXACT, **changes: Any) -> Version:
        settled = {
            "program_hash": terms.program_hash,
            "verifier": referee.address,
            "verifier_settings": terms.settings,
        }
        return version_of(offer.model_id, owner.address, "exact", **(settled | changes))

    return version


@pytest.fixture
def published(registry, owner, exact_version) -> VersionId:
    """The id of a version that is not admitted yet."""
    version = exact_version()
    owner.send(registry.publish_version(version))
    return commitments.version_id(version)


@pytest.fixture
def admitted(programs, referee, owner, outsider, exact_version, published) -> VersionId:
    """The id of a version that is."""
    owner.send(programs.store(PROGRAM.to_bytes()))
    outsider.send(referee.admit(exact_version()))
    return published


@pytest.fixture
def inquire(place, ask, published, devchain) -> Callable[..., Asked]:
    """Ask for a prediction by the exact version: sealed, unless told otherwise."""

    def inquired(input_: bytes = INPUT, **changes: Any) -> Asked:
        deadline = devchain.time + DAY // 2
        terms = {"reply_key": b"\x0b" * 32, "deadline": deadline} | changes
        asked = ask(input_hash=commitments.input_hash(SECRET, input_), **terms)
        placed: Placed = place(asked, version=published)
        return Asked(placed.offer, placed.terms, placed.id)

    return inquired


@pytest.fixture
def asked(inquire, admitted) -> Asked:
    request: Asked = inquire()
    return request


@pytest.fixture
def staked(referee, worker) -> int:
    """The worker's balance at the referee."""
    worker.send(referee.deposit(STAKED))
    return STAKED


@pytest.fixture
def post(referee, chain, worker, staked) -> Callable[..., Answered]:
    """Answer a request, wrongly unless told otherwise."""

    def posted(
        asked: Asked, commitment: bytes = WRONG, output: bytes = SEALED, sender: Sender = worker
    ) -> Answered:
        receipt = sender.send(referee.answer(asked.offer, asked.terms, commitment, output))
        settle_after = chain.block(receipt.block_hash).timestamp + WINDOW
        answer = ExactAnswer(sender.address, settle_after, BOND, commitment, ZERO_HASH, output)
        return Answered(asked, answer, receipt)

    return posted


@pytest.fixture
def wrong(post, asked) -> Answered:
    """A wrong answer under examination."""
    answered: Answered = post(asked)
    return answered


@pytest.fixture
def right(post, asked) -> Answered:
    """A right answer under examination."""
    answered: Answered = post(asked, asked.right)
    return answered
