"""Whatever a request is made of: nothing crashes, no other waits for it, and a reason is kept."""

from __future__ import annotations

import os
import random
import secrets
from dataclasses import replace

import pytest

from modelward import commitments
from modelward.config import Policy
from modelward.journal import State
from modelward.terms import (
    ETHER,
    GWEI,
    Request,
    RequestStatus,
    frame_clear_input,
)

from .malformed import PAYLOADS, ROWS, TERMS, Expected
from .test_refusals import publish_without_text
from .trading import Placed, job

POLICY = Policy(max_input_bytes=4_096, refusal_budget=ETHER, margin=100)
FUZZED = 10_000 if os.environ.get("FULL") else 150
AT_ONCE = 50


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr("modelward.worker.service._FIRST_PAUSE", 3_600)  # looked at once each


@pytest.fixture
def odd_models(market, trained, worker, devchain, in_token):
    """Models whose requests are left alone, with words of the reason."""
    bundle = trained.packaged.bundle

    def served(name, **changes):
        published = market.publish(bundle, name=name, **changes)
        market.let_serve(published, worker.address)
        return published

    ending = market.publish(bundle, name="ending")
    market.let_serve(ending, worker.address, expiry=devchain.time + 1_000)
    return {
        "a token without a price": (in_token, "has no price here"),
        "a fee below the gas": (served("cheap", fee=GWEI), "answering costs about"),
        "no fee": (served("free", fee=0), "answering costs about"),
        "a verifier": (served("judged", verifier=market.escrow.address), "through the verifier"),
        "a model this worker may not serve": (market.publish(bundle, name="own"), "no grant"),
        "a grant that ends before the deadline": (ending, "before the deadline"),
        "a bundle that is nowhere": (
            served("lost", bundle_hash=b"\1" * 32, content_hash=b"\1" * 32, uri="memory://nowhere"),
            "does not hold",
        ),
        "a version whose texts are no text": (
            serving(market, worker, publish_without_text(market, bundle)),
            "no version with the id",
        ),
    }


def serving(market, worker, published):
    market.let_serve(published, worker.address)
    return published


def outcome(worker, placed):
    """The reason of the refusal, or in words why the request is left alone."""
    found = job(worker.journal, placed)
    return found.reason or ("answered" if found.state is State.FINAL else str(found.state))


def test_each_class_of_malformed_requests_has_its_reason_and_holds_up_nobody(
    market, model, trained, make_worker, odd_models
):
    row = trained.row
    honest = [market.place(model, row)]
    placed: dict[str, Placed] = {}
    expected: dict[str, Expected] = {}
    for name, (spoil, expected[name]) in ROWS.items():
        placed[name] = market.place(model, spoil(row))
    for name, (payload, expected[name]) in PAYLOADS.items():
        placed[name] = market.place(model, row, payload=payload)
    honest.append(market.place(model, row))
    for name, (changes, expected[name]) in TERMS.items():
        placed[name] = market.place(model, row, **changes)
    for name, (odd, expected[name]) in odd_models.items():
        placed[name] = market.place(odd, row)
    name = "a deadline too near"
    placed[name], expected[name] = market.place(model, row, lifetime=60), "too near"
    honest.append(market.place(model, row))
    assert len(placed) >= 40

    working = make_worker(policy=POLICY)
    working.drain()

    assert {market.status(each) for each in honest} == {RequestStatus.FULFILLED}
    found = {name: outcome(working, each) for name, each in placed.items()}
    wrong = {
        name: (found[name], reason)
        for name, reason in expected.items()
        if (reason not in found[name] if isinstance(reason, str) else reason.name != found[name])
    }
    assert wrong == {}


def mangled(source, row):
    """A payload that is a little, or altogether, not what it should be."""
    framed = bytearray(frame_clear_input(source.randbytes(32), row))
    match source.randrange(6):
        case 0:
            return source.randbytes(source.randrange(200))
        case 1:
            return bytes([source.randrange(5)]) + source.randbytes(source.randrange(400))
        case 2:
            return bytes(framed[: source.randrange(len(framed))])
        case 3:
            return bytes(framed) + source.randbytes(source.randrange(1, 40))
        case 4:
            for _ in range(source.randrange(1, 9)):
                framed[source.randrange(len(framed))] ^= 1 << source.randrange(8)
            return bytes(framed)
        case _:
            return b"\2" + source.randbytes(32) + source.choice(PLACES) + source.randbytes(3)


PLACES = (b"memory://", b"file:///", b"http://127.0.0.1:1/", b"nosuch://", b"../", b"")


def place_many(market, model, payloads, canonical):
    """Requests with these payloads, all committed to the same input."""
    offer = market.registry.quote(model.model_id, model.version_id).offer
    deadline = market.deployment.chain.head().timestamp + 3_600
    requests = [
        Request(
            requester=market.requester.address,
            payer=market.requester.address,
            input_hash=commitments.input_hash(secrets.token_bytes(32), canonical),
            deadline=deadline,
        )
        for _ in payloads
    ]
    market.requester.send(
        market.escrow.request_many(
            model.model_id,
            model.version_id,
            requests,
            payloads,
            value=offer.fee * len(payloads),
        ),
        gas=200_000 * len(payloads),
    )
    return [Placed(market.escrow.id_of(offer, each), offer, each, b"", b"") for each in requests]


def test_whatever_bytes_come_nothing_crashes_and_honest_requests_are_answered(
    market, model, trained, make_worker, devchain, rich_requester
):
    source = random.Random(5)
    working = make_worker(policy=replace(POLICY, refusal_budget=2 * 10**14))
    for _ in range(0, FUZZED, AT_ONCE):
        payloads = [mangled(source, trained.row) for _ in range(AT_ONCE)]
        fuzzed = place_many(market, model, payloads, trained.row)
        honest = market.place(model, trained.row)

        working.drain()

        assert market.status(honest) is RequestStatus.FULFILLED
        for each in fuzzed:
            found = job(working.journal, each)
            assert found.reason or found.state is State.FINAL
        devchain.increase_time(3_700)
    working.drain()
    ends = (State.REFUSED, State.EXPIRED, State.FINAL)
    counts = working.journal.counts()
    assert sum(counts.get(end, 0) for end in ends) == sum(counts.values())


@pytest.fixture
def rich_requester(chain, requester):
    """A requester that can pay for ten thousand requests."""
    chain.rpc("anvil_setBalance", [requester.address, hex(10**6 * ETHER)])
