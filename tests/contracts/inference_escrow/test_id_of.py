"""The id of a request: its EIP-712 digest, and its twin in Python."""

from dataclasses import replace

import pytest
from eth_account.messages import encode_typed_data
from eth_utils import keccak
from hypothesis import given

from modelward import commitments
from modelward.chain.connection import Chain
from modelward.chain.contracts import InferenceEscrow
from modelward.chain.encoding import to_address
from modelward.config import Network
from modelward.devchain import DevChain
from modelward.solidity import load_artifact
from modelward.terms import ZERO_ADDRESS
from tests.contracts.inference_escrow.answers import CHANGED_OFFER, CHANGED_REQUEST
from tests.contracts.strategies import examples, offers, requests


@given(offer=offers, terms=requests)
@examples(60)
def test_it_is_the_clients_own(escrow, chain, offer, terms):
    expected = commitments.request_id(offer, terms, chain_id=chain.chain_id, escrow=escrow.address)

    assert escrow.id_of(offer, terms) == expected


def test_it_is_what_a_wallet_would_sign(escrow, chain, offer, ask):
    """An implementation of EIP-712 that is neither ours in Solidity nor ours in Python."""
    terms = ask()
    offer_type = [
        {"name": name, "type": kind}
        for kind, name in (
            ("bytes32", "modelId"),
            ("bytes32", "versionId"),
            ("address", "owner"),
            ("address", "payee"),
            ("uint16", "payeeBps"),
            ("address", "token"),
            ("uint256", "fee"),
            ("address", "verifier"),
        )
    ]
    request_type = [{"name": "offer", "type": "Offer"}] + [
        {"name": name, "type": kind}
        for kind, name in (
            ("address", "requester"),
            ("address", "payer"),
            ("address", "worker"),
            ("bytes32", "inputHash"),
            ("bytes32", "replyKey"),
            ("uint40", "deadline"),
            ("uint32", "callbackGas"),
            ("uint8", "flags"),
        )
    ]
    signable = encode_typed_data(
        domain_data={
            "name": "modelward InferenceEscrow",
            "version": "1",
            "chainId": chain.chain_id,
            "verifyingContract": escrow.address,
        },
        message_types={"Request": request_type, "Offer": offer_type},
        message_data={
            "offer": {
                "modelId": offer.model_id,
                "versionId": offer.version_id,
                "owner": offer.owner,
                "payee": offer.payee,
                "payeeBps": offer.payee_bps,
                "token": offer.token,
                "fee": offer.fee,
                "verifier": offer.verifier,
            },
            "requester": terms.requester,
            "payer": terms.payer,
            "worker": terms.worker,
            "inputHash": terms.input_hash,
            "replyKey": terms.reply_key,
            "deadline": terms.deadline,
            "callbackGas": terms.callback_gas,
            "flags": terms.flags,
        },
    )
    digest = keccak(b"\x19" + signable.version + signable.header + signable.body)

    assert escrow.id_of(offer, terms) == digest


def test_the_domain_can_be_read_as_erc_5267_says(escrow, chain):
    assert escrow.view("eip712Domain") == (
        b"\x0f",
        "modelward InferenceEscrow",
        "1",
        chain.chain_id,
        escrow.address,
        bytes(32),
        (),
    )


@pytest.mark.parametrize("field", CHANGED_OFFER)
def test_it_depends_on_every_field_of_the_offer(escrow, offer, ask, field):
    terms = ask()

    other = replace(offer, **{field: CHANGED_OFFER[field]})

    assert escrow.id_of(other, terms) != escrow.id_of(offer, terms)


@pytest.mark.parametrize("field", CHANGED_REQUEST)
def test_it_depends_on_every_field_of_the_request(escrow, offer, ask, field):
    terms = ask()

    other = replace(terms, **{field: CHANGED_REQUEST[field]})

    assert escrow.id_of(offer, other) != escrow.id_of(offer, terms)


def deploy_unlocked(chain, sender, *arguments):
    """Deploy an escrow from an account that the node itself holds the key of."""
    artifact = load_artifact("InferenceEscrow")
    code = artifact.bytecode + b"".join(bytes(12) + bytes.fromhex(a[2:]) for a in arguments)
    sent = chain.rpc("eth_sendTransaction", [{"from": sender, "data": "0x" + code.hex()}])
    receipt = chain.rpc("eth_getTransactionReceipt", [sent])
    assert receipt["status"] == "0x1"
    return InferenceEscrow(chain, to_address(receipt["contractAddress"]))


def test_another_escrow_on_the_same_chain_gives_another_id(
    escrow, data_share, registry, chain, deployer, offer, ask
):
    other = deploy_unlocked(chain, deployer.address, data_share.address, registry.address)

    assert other.id_of(offer, ask()) != escrow.id_of(offer, ask())


def test_the_same_escrow_on_another_chain_gives_another_id(escrow, deployer, offer, ask):
    elsewhere = DevChain(chain_id=31_338)
    chain = Chain.connect(Network("elsewhere", None, 31_338), elsewhere.provider())
    other = deploy_unlocked(chain, deployer.address, ZERO_ADDRESS, ZERO_ADDRESS)
    while other.address != escrow.address:
        assert elsewhere.block_number < 10
        other = deploy_unlocked(chain, deployer.address, ZERO_ADDRESS, ZERO_ADDRESS)

    terms = ask()
    assert other.id_of(offer, terms) != escrow.id_of(offer, terms)
    assert other.id_of(offer, terms) == commitments.request_id(
        offer, terms, chain_id=31_338, escrow=escrow.address
    )
