"""What every call of the contracts costs, on the embedded chain and to the unit of gas.

Figures are of a steady state: accounts are owed something already, keys and nonces were used
before, models have versions. Calldata depends on a seed, so that two runs agree exactly and a
difference is the contracts' own.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from modelward import commitments
from modelward.bench.market import (
    BOND,
    EXPIRY,
    FEE,
    HOLD_END,
    THRESHOLD,
    URI,
    USES,
    Market,
    clear_output,
    secret_of,
    seeded,
    sign,
)
from modelward.chain.abi import snake_case
from modelward.errors import SnapshotDrift
from modelward.terms import (
    SETTLE_TIME,
    Answer,
    GrantItem,
    GrantTerms,
    ModelTerms,
    RevokeItem,
    Right,
)

_BATCH: Final = 16
_LARGE_BATCH: Final = 64

Figures = Iterator[tuple[str, int]]


class Work(NamedTuple):
    """A thing to measure: a contract's `function`, called once to do the work `times` times."""

    key: str
    function: str
    summary: str
    times: int = 1


WORKS: Final = (
    Work("request", "InferenceEscrow.request", "by grant with quota, 32-byte input, reply key"),
    Work("request_320", "InferenceEscrow.request", "the same, 320-byte input"),
    Work("request_erc20", "InferenceEscrow.request", "the same as `request`, in a token"),
    Work("request_open", "InferenceEscrow.request", "of a model open to anyone"),
    Work("request_many_16", "InferenceEscrow.requestMany", "32-byte inputs", _BATCH),
    Work(
        "request_for",
        "InferenceEscrow.requestFor",
        "signed by its requester, paid by another, 200-byte input",
    ),
    Work("cancel", "InferenceEscrow.cancel", "an unused signature of a request"),
    Work("fulfil", "InferenceEscrow.fulfil", "150-byte output, fee split with the owner"),
    Work("fulfil_288", "InferenceEscrow.fulfil", "the same, 288-byte output"),
    Work("fulfil_many_16", "InferenceEscrow.fulfilMany", "150-byte outputs", _BATCH),
    Work("fulfil_many_64", "InferenceEscrow.fulfilMany", "per result of 64, no output"),
    Work("fulfil_many_64_288", "InferenceEscrow.fulfilMany", "per result of 64, 288-byte outputs"),
    Work(
        "fulfil_with_callback",
        "InferenceEscrow.fulfilWithCallback",
        "150-byte output, without what the requester spends",
    ),
    Work("refuse", "InferenceEscrow.refuse", "by an eligible worker"),
    Work("refund", "InferenceEscrow.refund", "after the deadline, by anyone"),
    Work("refund_many_16", "InferenceEscrow.refundMany", "by anyone", _BATCH),
    Work("refund_and_withdraw", "InferenceEscrow.refundAndWithdraw", "by the payer"),
    Work("withdraw", "InferenceEscrow.withdraw", "to oneself"),
    Work("hold", "InferenceEscrow.hold", "by the offer's verifier"),
    Work("settle", "InferenceEscrow.settle", "of a held request, 150-byte output"),
    Work(
        "settle_with_callback",
        "InferenceEscrow.settleWithCallback",
        "of a held request, without what the requester spends",
    ),
    Work("correct", "InferenceEscrow.correct", "of a held request, 150-byte output"),
    Work("grant", "DataShare.grant", "INFER, expiry, quota, 80-byte wrapped key"),
    Work(
        "grant_read", "DataShare.grant", "READ as well, so that the grantee's own key is looked up"
    ),
    Work("grant_access", "DataShare.grantAccess", "READ on everything"),
    Work("grant_many_16", "DataShare.grantMany", "rights, expiry, quota", _BATCH),
    Work("redeem_grant", "DataShare.redeemGrant", "signed by its owner, 80-byte wrapped key"),
    Work("rewrap_keys_16", "DataShare.rewrapKeys", "80-byte wrapped keys", _BATCH),
    Work("allow_signed_grants", "DataShare.allowSignedGrants", "for the first time"),
    Work("revoke", "DataShare.revoke", "one grant"),
    Work("revoke_many_16", "DataShare.revokeMany", "", _BATCH),
    Work("revoke_all", "DataShare.revokeAccess", "everything ever granted to one grantee"),
    Work("consume", "DataShare.consume", "one use, called by itself"),
    Work("register_key", "DataShare.registerKey", "an account's first"),
    Work("publish_data", "DataShare.publishData", "new data key, 60-character URI"),
    Work("register_model", "ModelRegistry.registerModel", "one threshold"),
    Work("set_terms", "ModelRegistry.setTerms", "another price"),
    Work("raise_thresholds", "ModelRegistry.raiseThresholds", "one"),
    Work(
        "publish_version",
        "ModelRegistry.publishVersion",
        "one metric, one threshold, 60-character URI",
    ),
    Work("publish_attested", "ModelRegistry.publishVersion", "the same, signed by an evaluator"),
    Work("retire_version", "ModelRegistry.retireVersion", ""),
    Work("retire_model", "ModelRegistry.retireModel", ""),
    Work("set_service_key", "ModelRegistry.setServiceKey", "the next epoch's"),
    Work("offer_ownership", "ModelRegistry.offerOwnership", ""),
    Work("accept_ownership", "ModelRegistry.acceptOwnership", ""),
    Work("store_program", "ExactPrograms.store", "a linear model of 30 features, 146 bytes"),
    Work("admit_version", "ExactReferee.admit", "one metric, 60-character URI"),
    Work("deposit_bond", "ExactReferee.deposit", "by an account that has a balance"),
    Work("withdraw_bond", "ExactReferee.withdraw", "of a part, to oneself"),
    Work("answer_exact_288", "ExactReferee.answer", "with its bond, 288-byte output"),
    Work("accept_exact", "ExactReferee.accept", "by the requester, 288-byte output"),
    Work("settle_exact", "ExactReferee.settle", "by anyone, 288-byte output"),
    Work(
        "answer_exact_with_callback",
        "ExactReferee.answerWithCallback",
        "with its bond, 150-byte output",
    ),
    Work(
        "settle_exact_with_callback",
        "ExactReferee.settle",
        "150-byte output, without what the requester spends",
    ),
    Work("refuse_exact", "ExactReferee.refuse", "by an eligible worker"),
    Work("challenge", "ExactReferee.challenge", "of a linear model of 30 features"),
    Work("release_bond", "ExactReferee.release", "of an answer that nobody settled"),
    Work("set_budget", "PrivacyLedger.setBudget", "for the first time"),
    Work("spend_epsilon", "PrivacyLedger.spend", "of a budget spent from before"),
)
"""What is measured, in the order it is shown; `measure` adds the deployments and one sum."""


def measure(*, crowd: int = 0) -> dict[str, int]:
    """Gas by key, taken when `crowd` requests are open and as many grants were made."""
    with tempfile.TemporaryDirectory(prefix="modelward-bench-") as folder:
        market = Market(Path(folder))
        market.fill(crowd)
        figures = {
            key: gas
            for take in (
                _requests,
                _answers,
                _verifications,
                _grants,
                _models,
                _programs,
                _disputes,
                _budgets,
                _endings,
            )
            for key, gas in take(market)
        }
    ordered = {work.key: figures[work.key] for work in WORKS}
    ordered["request_plus_fulfil"] = figures["request"] + figures["fulfil"]
    ordered["challenge_bookkeeping"] = figures["challenge_bookkeeping"]
    return ordered | {f"deploy_{snake_case(name)}": gas for name, gas in market.deployed.items()}


def differences(measured: Mapping[str, int], recorded: Mapping[str, int]) -> list[str]:
    """Which figures moved, and by how much, in words; none if all agree."""
    moved = [
        f"{key} {recorded[key]:,} -> {gas:,} ({gas - recorded[key]:+,})"
        for key, gas in measured.items()
        if key in recorded and gas != recorded[key]
    ]
    moved += [f"{key} is new ({gas:,})" for key, gas in measured.items() if key not in recorded]
    return moved + [f"{key} is gone" for key in recorded if key not in measured]


def check(measured: Mapping[str, int], snapshot: Path) -> None:
    """Compare figures with the committed ones.

    Raises `SnapshotDrift`, which says what moved.
    """
    try:
        recorded = json.loads(snapshot.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SnapshotDrift(f"There is no snapshot of gas at {snapshot}.") from error
    moved = differences(measured, recorded)
    if moved:
        raise SnapshotDrift("Gas has moved: " + "; ".join(moved) + ".")


def write(measured: Mapping[str, int], snapshot: Path) -> None:
    """Write the figures to commit."""
    snapshot.parent.mkdir(parents=True, exist_ok=True)
    snapshot.write_text(json.dumps(measured, indent=2) + "\n", "utf-8")


# --- the figures, each part leaving a steady state to the next -----------------------------------


def _requests(market: Market) -> Figures:
    offer, escrow = market.offer, market.escrow
    yield "request", market.place(offer, market.ask("request"))
    yield "request_320", market.place(offer, market.ask("request of 320"), 320)
    terms = market.ask("request in a token")
    yield "request_erc20", market.place(market.token_offer, terms)
    yield "request_open", market.place(market.open_offer, market.ask("open request"))
    several = [market.ask(f"one of several {number}") for number in range(_BATCH)]
    inputs = [seeded("input")] * _BATCH
    call = escrow.request_many(
        offer.model_id, offer.version_id, several, inputs, value=_BATCH * FEE
    )
    yield "request_many_16", market.gas(market.requester, call)
    sponsored = market.ask("sponsored", payer=market.sponsor)
    yield "request_for", market.place_signed(offer, sponsored, 200)
    unused = market.ask("cancelled", payer=market.sponsor)
    yield "cancel", market.gas(market.requester, escrow.cancel(offer, unused))


def _answers(market: Market) -> Figures:
    offer, escrow, worker = market.offer, market.escrow, market.worker
    for key, length in (("fulfil", 150), ("fulfil_288", 288)):
        terms = market.ask(key)
        market.place(offer, terms)
        yield key, market.answer(offer, terms, length)
    yield "fulfil_many_16", _answer_many(market, _BATCH, clear_output(150))
    for key, output in (("fulfil_many_64", b""), ("fulfil_many_64_288", clear_output(288))):
        yield key, math.ceil(_answer_many(market, _LARGE_BATCH, output) / _LARGE_BATCH)
    terms = market.ask("with callback", callback=True)
    market.place(offer, terms)
    call = escrow.fulfil_with_callback(offer, terms, seeded("salt"), seeded("output", 149))
    yield "fulfil_with_callback", market.gas(worker, call)
    terms = market.ask("to refuse")
    market.place(offer, terms)
    yield "refuse", market.gas(worker, escrow.refuse(offer, terms, 1))


def _answer_many(market: Market, count: int, output: bytes) -> int:
    offer, commitment = market.offer, seeded("commitment")
    several = [market.ask(f"{number} of {count}, {len(output)} bytes") for number in range(count)]
    for terms in several:
        market.place(offer, terms)
    answers = [Answer(terms, commitment, output) for terms in several]
    return market.gas(market.worker, market.escrow.fulfil_many(offer, answers))


def _verifications(market: Market) -> Figures:
    offer, escrow, verifier = market.verified_offer, market.escrow, market.verifier
    worker, output = market.worker.address, clear_output(150)
    settled, corrected = market.ask("settled"), market.ask("corrected")
    called = market.ask("settled with callback", callback=True)
    for terms in (settled, corrected, called):
        market.place(offer, terms)
        held = market.gas(verifier, escrow.call("hold", offer, terms, worker, HOLD_END))
    yield "hold", held
    call = escrow.call("settle", offer, settled, worker, seeded("commitment"), output)
    yield "settle", market.gas(verifier, call)
    call = escrow.call(
        "settleWithCallback", offer, called, worker, seeded("salt"), seeded("output", 149)
    )
    yield "settle_with_callback", market.gas(verifier, call)
    call = escrow.call("correct", offer, corrected, seeded("commitment"), output)
    yield "correct", market.gas(verifier, call)


def _grants(market: Market) -> Figures:
    share, owner, grantee = market.data_share, market.owner, market.reader.address
    terms = replace(market.infer, rights=Right.READ | Right.INFER)
    resource, wrapped_key = seeded("resource"), seeded("wrapped key", 80)
    call = share.grant(grantee, seeded("metered"), market.infer, wrapped_key)
    yield "grant", market.gas(owner, call)
    yield "grant_read", market.gas(owner, share.grant(grantee, resource, terms, wrapped_key))
    yield "revoke", market.gas(owner, share.revoke(grantee, resource))
    yield "grant_access", market.gas(owner, share.grant_access(grantee))
    resources = [seeded(f"resource {number}") for number in range(_BATCH)]
    items = [GrantItem(grantee, each, terms) for each in resources]
    yield "grant_many_16", market.gas(owner, share.grant_many(items))
    ended = [RevokeItem(grantee, each) for each in resources]
    keys = seeded("keys", 80 * _BATCH)
    call = share.rewrap_keys(resource, [grantee] * _BATCH, keys)
    yield "rewrap_keys_16", market.gas(owner, call)
    yield "revoke_many_16", market.gas(owner, share.revoke_many(ended))
    yield "revoke_all", market.gas(owner, share.revoke_access(grantee))
    metered = GrantTerms(Right.INFER, EXPIRY, USES, market.newcomer.address)
    market.gas(owner, share.grant(grantee, resource, metered))
    call = share.consume(owner.address, grantee, resource)
    yield "consume", market.gas(market.newcomer, call)
    yield "register_key", market.gas(market.newcomer, share.register_key(seeded("key")))
    call = share.publish_data(resource, seeded("content"), URI)
    yield "publish_data", market.gas(owner, call)
    yield "allow_signed_grants", market.gas(owner, share.allow_signed_grants(True))
    market.gas(market.outsider, market.signed_grant(resources[0], wrapped_key))
    call = market.signed_grant(resources[1], wrapped_key)
    yield "redeem_grant", market.gas(market.outsider, call)


def _models(market: Market) -> Figures:
    registry, owner, heir = market.registry, market.owner, market.newcomer
    call = registry.register_model("another", ModelTerms(FEE), [THRESHOLD])
    yield "register_model", market.gas(owner, call)
    model_id = commitments.model_id(owner.address, "another")
    yield "set_terms", market.gas(owner, registry.set_terms(model_id, ModelTerms(2 * FEE)))
    stricter = replace(THRESHOLD, ppm=THRESHOLD.ppm + 1)
    yield "raise_thresholds", market.gas(owner, registry.raise_thresholds(model_id, [stricter]))
    market.gas(owner, registry.publish_version(market.version(model_id, "first")))
    second = market.version(model_id, "second")
    yield "publish_version", market.gas(owner, registry.publish_version(second))
    attested = market.version(model_id, "attested", attestor=market.evaluator.address)
    digest = commitments.attestation_digest(
        model_id,
        commitments.version_id(attested),
        chain_id=market.chain.chain_id,
        registry=registry.address,
    )
    call = registry.publish_version(attested, sign(market.evaluator, digest))
    yield "publish_attested", market.gas(owner, call)
    call = registry.retire_version(model_id, commitments.version_id(second))
    yield "retire_version", market.gas(owner, call)
    market.gas(owner, registry.set_service_key(model_id, seeded("first epoch")))
    call = registry.set_service_key(model_id, seeded("second epoch"))
    yield "set_service_key", market.gas(owner, call)
    yield "offer_ownership", market.gas(owner, registry.offer_ownership(model_id, heir.address))
    yield "accept_ownership", market.gas(heir, registry.accept_ownership(model_id))
    yield "retire_model", market.gas(heir, registry.retire_model(model_id))


def _programs(market: Market) -> Figures:
    call = market.programs.store(market.exact.program.to_bytes())
    yield "store_program", market.gas(market.owner, call)


def _budgets(market: Market) -> Figures:
    ledger, owner, requester = market.ledger, market.owner, market.requester
    key = seeded("data key", 32)
    call = ledger.set_budget(requester.address, key, 10_000_000)
    yield "set_budget", market.gas(owner, call)
    market.gas(requester, ledger.spend(owner.address, key, 1_000_000, seeded("first run", 32)))
    call = ledger.spend(owner.address, key, 1_000_000, seeded("second run", 32))
    yield "spend_epsilon", market.gas(requester, call)


def _disputes(market: Market) -> Figures:
    """Without settling, these leave the worker and the requester what they have."""
    referee, model, worker = market.referee, market.exact, market.worker
    offer = model.offer
    yield "admit_version", market.gas(market.owner, referee.admit(model.version))
    yield "deposit_bond", market.gas(worker, referee.deposit(BOND))
    yield "withdraw_bond", market.gas(worker, referee.withdraw(BOND, worker.address))
    accepted, refused = (market.ask_exactly(model, name) for name in ("accepted", "refused"))
    settled, lapsed = (market.ask_exactly(model, name) for name in ("settled", "lapsed"))
    called = market.ask_exactly(model, "called", callback=True)
    answer, gas = market.pending(model, accepted)
    yield "answer_exact_288", gas
    yield "accept_exact", market.gas(market.requester, referee.accept(offer, accepted, answer))
    yield "refuse_exact", market.gas(worker, referee.refuse(offer, refused, 1))
    dispute = market.dispute(model)
    yield "challenge", dispute.challenge
    yield "challenge_bookkeeping", dispute.bookkeeping

    answer, _ = market.pending(model, settled)
    market.wait_until(answer.settle_after + 1)
    yield "settle_exact", market.gas(market.outsider, referee.settle(offer, settled, answer))
    answer, gas = market.pending_with_callback(model, called, secret_of("called"))
    yield "answer_exact_with_callback", gas
    market.wait_until(answer.settle_after + 1)
    call = referee.settle(offer, called, answer)
    yield "settle_exact_with_callback", market.gas(market.outsider, call)
    answer, _ = market.pending(model, lapsed)
    market.wait_until(answer.settle_after + SETTLE_TIME + 1)
    call = referee.release(market.id_of(offer, lapsed), answer)
    yield "release_bond", market.gas(market.outsider, call)


def _endings(market: Market) -> Figures:
    """After these the accounts are owed nothing, so they come last."""
    offer, escrow, requester = market.offer, market.escrow, market.requester
    overdue = [market.ask(f"overdue {number}") for number in range(_BATCH + 2)]
    for terms in overdue:
        market.place(offer, terms)
    one, another, *several = (market.id_of(offer, terms) for terms in overdue)
    market.pass_the_deadline()
    yield "refund", market.gas(market.outsider, escrow.refund(one))
    yield "refund_many_16", market.gas(market.outsider, escrow.refund_many(several))
    call = escrow.refund_and_withdraw(another, requester.address)
    yield "refund_and_withdraw", market.gas(requester, call)
    call = escrow.withdraw(market.worker.address)
    yield "withdraw", market.gas(market.worker, call)
