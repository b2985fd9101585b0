"""`fulfilWithCallback`: the answer is recorded and paid for, and only then handed over."""

import pytest
from eth_abi.abi import decode
from eth_utils import keccak

from modelward import commitments
from modelward.chain.events import CallbackRun, InferenceFulfilled
from modelward.chain.fees import choose_fees
from modelward.chain.reverts import refusal_of
from modelward.errors import ContractRefused
from modelward.terms import Access, RequestStatus, Right
from tests.contracts.inference_escrow.answers import COMMITMENT, OUTPUT
from tests.contracts.puppet import Puppet
from tests.contracts.said import event, said
from tests.contracts.specimens import FEE

CONSUMERS = "tests/solidity/actors/HostileAccount.sol"
SECRET = b"\x5e" * 32
SALT = commitments.result_salt(SECRET)
CANONICAL = b"a canonical output"
GAS = 300_000
REVERT, REVERT_WITH_BOMB, BURN_GAS, RETURN_BOMB = range(1, 5)


@pytest.fixture
def consumer(chain, compile_solidity, requester, outsider):
    """`requester`, as an account that runs a contract's code (EIP-7702)."""
    code = Puppet.deploy(outsider, compile_solidity(CONSUMERS)["HostileAccount"])
    chain.rpc("anvil_setCode", [requester.address, "0xef0100" + code.address[2:]])
    return Puppet(chain, requester.address, code.abi)


@pytest.fixture
def called_back(place, ask):
    """An open request that asks for a callback."""
    return place(ask(callback_gas=GAS))


@pytest.fixture
def answer(escrow, called_back):
    return escrow.fulfil_with_callback(called_back.offer, called_back.terms, SALT, CANONICAL)


def test_the_requester_is_called_with_id_and_output(escrow, worker, consumer, called_back, answer):
    worker.send(answer)

    assert consumer.view("calls") == 1
    assert consumer.view("lastCaller") == escrow.address
    data = consumer.view("lastData")
    signature = "onInference(bytes32,bytes)"
    assert data[:4] == keccak(text=signature)[:4]
    assert decode(["bytes32", "bytes"], data[4:]) == (called_back.id, CANONICAL)


def test_the_commitment_is_computed_and_the_output_framed(
    escrow, worker, consumer, called_back, answer
):
    receipt = worker.send(answer)

    commitment = commitments.result_commitment(called_back.id, CANONICAL, SECRET)
    assert said(receipt, escrow) == [
        event(
            InferenceFulfilled,
            request_id=called_back.id,
            model_id=called_back.offer.model_id,
            worker=worker.address,
            commitment=commitment,
            output=b"\x00" + CANONICAL,
        ),
        event(CallbackRun, request_id=called_back.id, succeeded=True),
    ]
    result = RequestStatus.FULFILLED, commitment[:31]
    assert escrow.result_of(called_back.id) == result


@pytest.mark.parametrize(
    "behaviour",
    [REVERT, REVERT_WITH_BOMB, BURN_GAS],
    ids=["reverts", "reverts with a bomb", "burns its gas"],
)
def test_whatever_the_requester_does_the_worker_is_paid(
    escrow, owner, worker, outsider, consumer, called_back, answer, behaviour
):
    outsider.send(consumer.call("behave", behaviour))

    receipt = worker.send(answer)

    last = said(receipt, escrow)[-1]
    assert last == event(CallbackRun, request_id=called_back.id, succeeded=False)
    assert escrow.request_of(called_back.id).status == RequestStatus.FULFILLED
    assert escrow.credit_of(worker.address) == called_back.offer.worker_share
    assert escrow.credit_of(owner.address) == called_back.offer.payee_share


def test_what_the_requester_returns_is_ignored(escrow, worker, outsider, consumer, place, ask):
    """To return half a MiB takes 574k gas; to copy it would take as much again."""
    called_back = place(ask(callback_gas=700_000))
    outsider.send(consumer.call("behave", RETURN_BOMB))

    receipt = worker.send(
        escrow.fulfil_with_callback(called_back.offer, called_back.terms, SALT, CANONICAL)
    )

    last = said(receipt, escrow)[-1]
    assert last == event(CallbackRun, request_id=called_back.id, succeeded=True)
    assert receipt.gas_used < 800_000


def test_in_the_callback_the_request_has_ended_already(
    escrow, worker, outsider, consumer, called_back, answer
):
    """So that a requester that calls back can answer nothing, and be refunded nothing."""
    refund = escrow.refund(called_back.id)
    outsider.send(consumer.call("reenter", refund.to, refund.data))

    worker.send(answer)

    assert not consumer.view("succeeded")
    refused = refusal_of(consumer.view("answer"))
    assert (refused.error, refused.arguments) == (
        "NotOpen",
        {"id": called_back.id, "status": RequestStatus.FULFILLED},
    )


def test_a_requester_without_code_was_not_called(escrow, worker, called_back, answer):
    receipt = worker.send(answer)

    last = said(receipt, escrow)[-1]
    assert last == event(CallbackRun, request_id=called_back.id, succeeded=False)


def test_too_little_gas_for_what_was_paid_for_is_refused(
    escrow, chain, worker, called_back, answer
):
    signed = worker.sign(
        answer, gas=GAS + 50_000, nonce=worker.next_nonce(), fees=choose_fees(chain)
    )
    worker.broadcast(signed)

    receipt = worker.wait(signed.hash)

    assert not receipt.succeeded
    assert escrow.request_of(called_back.id).status == RequestStatus.OPEN
    with pytest.raises(ContractRefused) as refused:
        chain.rpc(
            "eth_call",
            [
                {
                    "from": worker.address,
                    "to": answer.to,
                    "data": "0x" + answer.data.hex(),
                    "gas": hex(GAS + 50_000),
                },
                "latest",
            ],
        )
    assert refused.value.error == "CallbackGasMissing"
    assert refused.value.arguments["needed"] == GAS * 64 // 63 + 5_000
    assert refused.value.arguments["left"] < refused.value.arguments["needed"]


class TestTerms:
    @pytest.mark.parametrize("gas", [1_000_001, 2**32 - 1])
    def test_a_callback_has_a_million_gas_at_most(
        self, escrow, requester, offer, ask, reverts, gas
    ):
        call = escrow.request(
            offer.model_id, offer.version_id, ask(callback_gas=gas), b"", value=FEE
        )
        with reverts("CallbackGasTooHigh", callbackGas=gas, most=1_000_000):
            requester.send(call)

    def test_and_its_output_in_clear(self, escrow, requester, offer, ask, reverts):
        terms = ask(callback_gas=1_000_000, reply_key=b"\x0a" * 32)
        call = escrow.request(offer.model_id, offer.version_id, terms, b"", value=FEE)
        with reverts("CallbackNeedsClearOutput", replyKey=b"\x0a" * 32):
            requester.send(call)

    def test_whoever_asks_for_a_callback_is_not_answered_without(
        self, escrow, worker, called_back, reverts
    ):
        with reverts("CallbackMismatch", callbackGas=GAS):
            worker.send(escrow.fulfil(called_back.offer, called_back.terms, COMMITMENT, OUTPUT))

    def test_who_asks_for_none_is_not_called(self, escrow, worker, placed, reverts):
        with reverts("CallbackMismatch", callbackGas=0):
            worker.send(escrow.fulfil_with_callback(placed.offer, placed.terms, SALT, CANONICAL))

    def test_with_its_frame_the_output_has_1024_bytes_at_most(
        self, escrow, worker, called_back, reverts
    ):
        def answer(length):
            return escrow.fulfil_with_callback(
                called_back.offer, called_back.terms, SALT, bytes(length)
            )

        with reverts("OutputTooLong", length=1025, most=1024):
            worker.send(answer(1024))
        worker.send(answer(1023))

    def test_the_caller_must_be_a_worker(self, owner, outsider, called_back, answer, reverts):
        with reverts(
            "AccessDenied",
            owner=owner.address,
            grantee=outsider.address,
            resource=called_back.offer.model_id,
            right=Right.SERVE,
            reason=Access.NOT_GRANTED,
        ):
            outsider.send(answer)

    def test_in_time(self, worker, called_back, answer, mine_at, reverts):
        deadline = called_back.terms.deadline
        with reverts("DeadlinePassed", deadline=deadline, timestamp=deadline + 1):
            mine_at(deadline + 1, worker, answer)

    def test_once(self, worker, called_back, answer, reverts):
        worker.send(answer)

        with reverts("NotOpen", id=called_back.id, status=RequestStatus.FULFILLED):
            worker.send(answer)

    def test_a_request_with_a_callback_can_be_refused_and_refunded(
        self, escrow, requester, worker, outsider, place, ask, wait_until
    ):
        refused, unanswered = (place(ask(label, callback_gas=GAS)) for label in ("a", "b"))
        worker.send(escrow.refuse(refused.offer, refused.terms, 1))
        wait_until(unanswered.terms.deadline + 1)
        outsider.send(escrow.refund(unanswered.id))

        assert escrow.credit_of(requester.address) == 2 * FEE
