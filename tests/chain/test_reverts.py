"""What a refused call is turned into: the contract's error, its arguments, one sentence."""

import pytest
from eth_abi.abi import encode
from eth_utils.abi import collapse_if_tuple, function_signature_to_4byte_selector
from hypothesis import given
from hypothesis import strategies as st

from modelward.chain.abi import ContractAbi, contract_abi
from modelward.chain.reverts import SENTENCES, learn_errors, refusal, refusal_of
from modelward.errors import AccessDenied, ContractRefused
from modelward.solidity import artifact_names
from modelward.terms import (
    GWEI,
    Access,
    Metric,
    ModelId,
    ModelTerms,
    Request,
    RequestStatus,
    Right,
    VersionId,
)

NEVER_RAISED = {"InvalidShortString", "StringTooLong"}
"""Errors of a library's constructor, on names that are constants of ours."""

SAMPLES = {
    "address": "0x" + 40 * "a",
    "bytes": b"abc",
    "bytes23": b"accuracy".ljust(23, b"\0"),
    "bytes32": b"\1" * 32,
    "bool": True,
    "string": "text",
}

ERRORS = [
    (contract, selector, entry)
    for contract in artifact_names()
    for selector, entry in contract_abi(contract).errors.items()
]


def sample(component):
    return SAMPLES.get(component["type"], 1)


@pytest.mark.parametrize(
    ("contract", "selector", "entry"),
    ERRORS,
    ids=[f"{contract}.{entry['name']}" for contract, _, entry in ERRORS],
)
def test_every_custom_error_is_decoded_and_said_in_words(contract, selector, entry):
    types = [collapse_if_tuple(part) for part in entry["inputs"]]
    values = [sample(part) for part in entry["inputs"]]

    refused = refusal({"code": 3, "data": "0x" + (selector + encode(types, values)).hex()})

    assert isinstance(refused, ContractRefused)
    assert refused.error == entry["name"]
    assert list(refused.arguments) == [part["name"] for part in entry["inputs"]]
    assert refused.contract in (contract, None)
    assert refused.exit_code == 3
    assert isinstance(refused, AccessDenied) == (entry["name"] == "AccessDenied")
    if entry["name"] not in NEVER_RAISED:
        assert entry["name"] in SENTENCES
    assert refused.message.endswith(".")
    assert "{" not in refused.message


def test_no_sentence_is_for_an_error_that_is_gone():
    assert SENTENCES.keys() <= {entry["name"] for _, _, entry in ERRORS}


# --- refusals of the contracts themselves --------------------------------------------------------


def test_a_denied_access_says_who_what_and_why(data_share, owner, outsider):
    with pytest.raises(AccessDenied) as caught:
        data_share.require_access(owner.address, outsider.address, b"\1" * 32, Right.INFER)

    denied = caught.value
    assert denied.contract == "DataShare"
    assert denied.arguments == {
        "owner": owner.address,
        "grantee": outsider.address,
        "resource": b"\1" * 32,
        "right": Right.INFER,
        "reason": Access.NOT_GRANTED,
    }
    assert denied.message == (
        f"{outsider.address} may not request predictions from the model of {owner.address}: "
        "there is no grant."
    )


def test_statuses_are_said_in_words(escrow, outsider, reverts):
    with reverts("NotOpen", id=b"\1" * 32, status=RequestStatus.NONE) as caught:
        outsider.send(escrow.refund(b"\1" * 32))
    assert caught.error.message.endswith("is not open: it was never placed.")


def test_a_refusal_deep_in_another_contract_comes_through(escrow, requester, reverts):
    terms = Request(requester.address, requester.address, input_hash=b"\1" * 32, deadline=2**40 - 1)

    with reverts("UnknownModel", modelId=b"\2" * 32) as caught:
        requester.send(
            escrow.request(ModelId(b"\2" * 32), VersionId(bytes(32)), terms, b"", value=0)
        )
    assert caught.error.contract == "ModelRegistry"


def test_metric_names_are_read_as_text(registry, owner, reverts):
    terms = ModelTerms(fee=GWEI)
    owner.send(registry.register_model("m", terms, [Metric("accuracy", True, 900_000)]))
    model = registry.model_id_of(owner.address, "m")

    with reverts("ThresholdLowered", name="accuracy", current=900_000, given=1) as caught:
        owner.send(registry.raise_thresholds(model, [Metric("accuracy", True, 1)]))
    assert "accuracy is 900000 ppm and only rises" in caught.error.message


# --- what nodes make of a revert -----------------------------------------------------------------

NOTHING_TO_WITHDRAW = (
    function_signature_to_4byte_selector("NothingToWithdraw(address,address)")
    + encode(["address", "address"], ["0x" + 40 * "a", "0x" + 40 * "0"])
).hex()


@pytest.mark.parametrize(
    "error",
    [
        {"code": 3, "message": "execution reverted", "data": "0x" + NOTHING_TO_WITHDRAW},
        {"code": -32000, "message": "reverted", "data": {"data": "0x" + NOTHING_TO_WITHDRAW}},
        {"code": -32015, "message": "VM error", "data": "Reverted 0x" + NOTHING_TO_WITHDRAW},
        {"code": -32603, "data": {"message": "x", "data": {"data": "0x" + NOTHING_TO_WITHDRAW}}},
        {"code": -32000, "message": "x", "data": {"result": "0x" + NOTHING_TO_WITHDRAW}},
    ],
)
def test_every_nodes_way_of_wrapping_the_data_is_understood(error):
    refused = refusal(error)

    assert refused is not None
    assert refused.error == "NothingToWithdraw"


@pytest.mark.parametrize(
    "error",
    [
        {"code": -32000, "message": "header not found"},
        {"code": -32000, "message": "out of gas", "data": "0x"},
        {"code": -32602, "message": "invalid argument", "data": "0xnonsense"},
        {"code": -32602, "message": "invalid argument", "data": ["0x"]},
        {},
    ],
)
def test_what_is_no_revert_is_not_taken_for_one(error):
    assert refusal(error) is None


@pytest.mark.parametrize("error", [{"code": 3, "data": "0x"}, {"message": "execution reverted"}])
def test_a_revert_without_data_is_still_a_refusal(error):
    refused = refusal(error)

    assert refused is not None
    assert (refused.error, refused.message) == ("", "The contract refused, and gave no reason.")


def test_a_reason_in_words_is_passed_on():
    data = function_signature_to_4byte_selector("Error(string)") + encode(["string"], ["not yet"])

    refused = refusal_of(data)

    assert (refused.error, refused.arguments) == ("Error", {"message": "not yet"})
    assert refused.message == "The contract refused: not yet."


@pytest.mark.parametrize(
    ("code", "meaning"), [(0x11, "a number overflowed"), (0x32, "out of bounds"), (0xFF, "defect")]
)
def test_a_panic_is_said_to_be_a_defect(code, meaning):
    selector = function_signature_to_4byte_selector("Panic(uint256)")

    refused = refusal_of(selector + encode(["uint256"], [code]))

    assert (refused.error, refused.arguments) == ("Panic", {"code": code})
    assert meaning in refused.message


def test_amounts_and_times_are_said_as_people_write_them():
    wrong_fee = function_signature_to_4byte_selector("WrongFee(uint256,uint256)")
    late = function_signature_to_4byte_selector("DeadlinePassed(uint256,uint256)")

    assert refusal_of(wrong_fee + encode(2 * ["uint256"], [10**15, 2 * 10**15])).message == (
        "The fee sent is 0.001 ether, but the price is 0.002 ether."
    )
    assert refusal_of(late + encode(2 * ["uint256"], [1_800_000_000, 1_800_000_001])).message == (
        "The deadline was 2027-01-15 08:00:00 UTC; it is 2027-01-15 08:00:01 UTC now."
    )


def test_an_error_of_another_contract_is_shown_by_its_selector():
    refused = refusal_of(bytes.fromhex("deadbeef") + bytes(32))

    assert refused.error == "0xdeadbeef"
    assert refused.arguments == {"data": bytes.fromhex("deadbeef") + bytes(32)}


def test_an_error_of_a_learned_contract_is_not_said_in_the_words_for_ours_of_that_name():
    entry = {
        "type": "error",
        "name": "AccessDenied",
        "inputs": [{"name": "door", "type": "uint8"}],
    }
    abi = ContractAbi("Castle", [entry])
    learn_errors(abi)
    (selector,) = abi.errors

    refused = refusal_of(selector + encode(["uint8"], [7]))

    assert (type(refused), refused.contract) == (ContractRefused, "Castle")
    assert refused.message == "The contract refused with AccessDenied(door = 7)."


@given(st.sampled_from([b"", *(selector for _, selector, _ in ERRORS)]), st.binary(max_size=200))
def test_no_data_whatever_breaks_the_decoder(selector, body):
    refused = refusal_of(selector + body)

    assert isinstance(refused, ContractRefused)
    assert refused.message
