"""A consumer contract, what it asks for, and the worker's answers to it."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest
from eth_utils import keccak

from modelward import commitments
from modelward.models.output import encode_units
from modelward.terms import Ask, GrantTerms, Offer, Request, RequestId, Right
from tests.contracts.puppet import Puppet
from tests.contracts.specimens import FEE, INPUT, QUOTA

CONSUMERS = "tests/contracts/solidity/Consumers.sol"
SECRET = b"\x5e" * 32
SALT = commitments.result_salt(SECRET)
CONTEXT = keccak(text="what the application has in mind")
LABEL, SCORES = 1, (250_000_000, 750_000_000)
OUTPUT = encode_units(LABEL, SCORES)
GAS = 300_000
HOUR = 3_600


class Asked(NamedTuple):
    """A consumer's request, with all the terms a worker answers it by."""

    id: RequestId
    offer: Offer
    terms: Request


@pytest.fixture
def consumer(compile_solidity, outsider, owner, escrow, data_share, offer):
    """A contract that notes what it is told; it may request predictions of the model."""
    deployed = Puppet.deploy(
        outsider, compile_solidity(CONSUMERS)["RecordingConsumer"], escrow.address
    )
    infer = GrantTerms(Right.INFER, uses=QUOTA, meter=escrow.address)
    owner.send(data_share.grant(deployed.address, offer.model_id, infer))
    return deployed


@pytest.fixture
def terms(devchain, offer):
    """What is asked for: an answer within an hour, used within two."""
    return Ask(
        model_id=offer.model_id,
        version_id=offer.version_id,
        input_hash=keccak(text="an input"),
        max_fee=FEE,
        deadline=devchain.time + HOUR,
        usable_until=devchain.time + 2 * HOUR,
        callback_gas=GAS,
        context=CONTEXT,
    )


@pytest.fixture
def request_of(chain, registry, escrow, consumer):
    """The escrow's terms of what a consumer asked for."""

    def found(asked: Ask) -> Asked:
        offer = registry.quote(asked.model_id, asked.version_id).offer
        request = Request(
            requester=consumer.address,
            payer=consumer.address,
            input_hash=asked.input_hash,
            deadline=asked.deadline,
            worker=asked.worker,
            callback_gas=asked.callback_gas,
            flags=1,
        )
        request_id = commitments.request_id(
            offer, request, chain_id=chain.chain_id, escrow=escrow.address
        )
        return Asked(request_id, offer, request)

    return found


@pytest.fixture
def ask(consumer, requester, request_of):
    """Have the consumer ask, paid for by `requester`; fields of the terms can be changed."""

    def asked(terms: Ask, *, value: int = FEE, **changes) -> Asked:
        changed = replace(terms, **changes)
        requester.send(consumer.call("ask", changed, INPUT, value=value))
        return request_of(changed)

    return asked


@pytest.fixture
def asked(ask, terms) -> Asked:
    """An open request of the consumer's, with a callback."""
    return ask(terms)


@pytest.fixture
def answer(escrow):
    """The worker's call that answers with a callback."""

    def answering(asked: Asked, output: bytes = OUTPUT):
        return escrow.fulfil_with_callback(asked.offer, asked.terms, SALT, output)

    return answering


@pytest.fixture
def prediction_of(consumer):
    return lambda asked: consumer.view("predictionOf", asked.id)
