"""Events and structs: what is on chain comes back as terms, whatever anyone put there."""

from dataclasses import fields, replace

import pytest
from eth_abi.abi import encode
from eth_utils.abi import function_signature_to_4byte_selector

from modelward import terms
from modelward.chain.abi import Undecodable, contract_abi, snake_case
from modelward.chain.events import (
    EVENTS,
    AccessGranted,
    Event,
    ModelRegistered,
    TermsSet,
    ThresholdRaised,
    VersionPublished,
    decode_event,
)
from modelward.chain.transactions import Call
from modelward.errors import InvalidTerms
from modelward.solidity import artifact_names
from modelward.terms import EVERYTHING, NEVER, UNLIMITED, ZERO_ADDRESS, Metric, ModelId, Right

NOT_OURS = {"EIP712DomainChanged"}
COMMON = {field.name for field in fields(Event)}


def decoded(receipt, deployment) -> list[Event]:
    found = (decode_event(deployment.names[log.address], log) for log in receipt.logs)
    return [event for event in found if event is not None]


@pytest.mark.parametrize("contract", artifact_names())
def test_every_event_of_a_contract_has_its_class_and_every_field_its_name(contract):
    declared = {entry["name"]: entry for entry in contract_abi(contract).events.values()}
    classes = {event.__name__: event for event in EVENTS[contract]}

    assert declared.keys() - NOT_OURS == classes.keys()
    for name, cls in classes.items():
        names = {snake_case(part["name"]) for part in declared[name]["inputs"]}
        assert {field.name for field in fields(cls)} - COMMON == {
            "request_id" if name == "id" else name for name in names
        }


@pytest.mark.parametrize("contract", artifact_names())
def test_every_struct_and_enumeration_is_mirrored_in_terms(contract):
    def walk(components):
        for part in components:
            yield part
            yield from walk(part.get("components", ()))

    abi = contract_abi(contract)
    entries = [*abi.functions.values(), *abi.events.values(), *abi.errors.values()]
    for part in walk([p for e in entries for p in (*e["inputs"], *e.get("outputs", ()))]):
        kind, _, name = part.get("internalType", "").rstrip("[]").partition(" ")
        if kind in ("struct", "enum") and name not in {"Query"}:
            assert hasattr(terms, name), name
        if kind == "struct" and name == "Query":
            flat = {field.name for field in fields(terms.Request)}
            assert {snake_case(member["name"]) for member in part["components"]} <= flat


def test_an_event_says_what_happened_and_where(owner, requester, data_share, deployment):
    receipt = owner.send(data_share.grant_access(requester.address))

    assert decoded(receipt, deployment) == [
        AccessGranted(
            contract=data_share.address,
            block_number=receipt.block_number,
            block_hash=receipt.block_hash,
            transaction_hash=receipt.transaction_hash,
            log_index=0,
            owner=owner.address,
            grantee=requester.address,
            resource=EVERYTHING,
            rights=Right.READ,
            expiry=NEVER,
            uses=UNLIMITED,
            meter=ZERO_ADDRESS,
            generation=0,
            wrapped_key=b"",
        )
    ]


def test_nested_terms_come_back_as_they_were_given(owner, registry, deployment, model_terms):
    given = replace(model_terms, payee_bps=1_234, open=True)
    threshold = Metric("mae", higher_is_better=False, ppm=-5)

    receipt = owner.send(registry.register_model("m", given, [threshold]))

    registered, terms_set, raised = decoded(receipt, deployment)
    assert isinstance(registered, ModelRegistered)
    assert (registered.owner, registered.name) == (owner.address, "m")
    assert isinstance(terms_set, TermsSet)
    assert terms_set.terms == given
    assert isinstance(raised, ThresholdRaised)
    assert (raised.name, raised.higher_is_better, raised.ppm) == ("mae", False, -5)
    assert registry.thresholds_of(registered.model_id) == (threshold,)
    assert registry.model_of(registered.model_id).terms == given


def test_a_name_that_is_no_text_is_read_nevertheless(owner, registry, deployment):
    zero = "0x" + 40 * "0"
    arguments = encode(
        ["bytes", "(uint256,address,address,uint16,uint24,bool)", "(bytes23,bool,int64)[]"],
        [b"\xff\xfe", (0, zero, zero, 0, 60, False), [(b"\xff" * 23, True, 1)]],
    )
    signature = contract_abi("ModelRegistry").signature("registerModel").partition(".")[2]
    selector = function_signature_to_4byte_selector(signature)

    receipt = owner.send(Call(registry.address, selector + arguments))

    registered, _, raised = decoded(receipt, deployment)
    assert isinstance(registered, ModelRegistered)
    assert registered.name == r"\xff\xfe"
    assert isinstance(raised, ThresholdRaised)
    assert raised.name == 23 * r"\xff"
    (threshold,) = registry.thresholds_of(registered.model_id)
    assert threshold.name == 23 * r"\xff"


def test_a_version_comes_back_with_its_id(owner, registry, deployment, model_terms):
    owner.send(registry.register_model("m", model_terms))
    model = registry.model_id_of(owner.address, "m")
    version = terms.Version(
        model_id=model,
        bundle_hash=b"\1" * 32,
        content_hash=b"\2" * 32,
        manifest_hash=b"\3" * 32,
        program_hash=bytes(32),
        evaluation_hash=b"\4" * 32,
        verifier=ZERO_ADDRESS,
        verifier_settings=bytes(32),
        attestor=owner.address,
        metrics=(Metric("accuracy", True, 980_000), Metric("f1", True, 970_000)),
        uri="file:///srv/models",
    )

    (published,) = decoded(owner.send(registry.publish_version(version)), deployment)

    assert isinstance(published, VersionPublished)
    assert published.version == version
    assert published.version_id == registry.version_id_of(version)


def test_a_log_of_an_unknown_event_is_passed_over(owner, requester, data_share):
    (log,) = owner.send(data_share.grant_access(requester.address)).logs

    assert decode_event("DataShare", replace(log, topics=(b"\1" * 32,))) is None
    assert decode_event("DataShare", replace(log, topics=())) is None
    assert decode_event("ModelRegistry", log) is None


def test_a_log_that_only_looks_like_an_event_is_undecodable(owner, requester, data_share):
    (log,) = owner.send(data_share.grant_access(requester.address)).logs

    for forged in (replace(log, data=b""), replace(log, topics=log.topics[:2])):
        with pytest.raises(Undecodable):
            decode_event("DataShare", forged)


@pytest.mark.parametrize(
    "arguments",
    [(b"\1" * 31, "m"), ("0x12", "m"), (ModelId(b"\1" * 32),), ("0x" + 40 * "1", 5)],
)
def test_arguments_that_do_not_fit_are_named_with_their_function(registry, arguments):
    with pytest.raises(InvalidTerms, match="modelIdOf"):
        registry.view("modelIdOf", *arguments)


def test_a_number_too_large_for_its_field_is_refused(data_share, owner, requester):
    with pytest.raises(InvalidTerms, match=r"DataShare\.grant"):
        data_share.call("grant", requester.address, EVERYTHING, (1, 2**40, 1, ZERO_ADDRESS), b"")
