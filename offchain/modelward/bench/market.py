"""The market that gas is measured in: one owner's models, and everybody who deals with them."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple

from eth_account import Account as EthAccount
from eth_typing import Hash32
from eth_utils.crypto import keccak

from modelward import commitments
from modelward.chain.abi import ContractAbi
from modelward.chain.accounts import Account
from modelward.chain.connection import Chain
from modelward.chain.encoding import quantity, read_bytes
from modelward.chain.fees import Fees
from modelward.chain.sender import Sender
from modelward.chain.transactions import Call
from modelward.config import load_config
from modelward.deployment import deploy
from modelward.devchain import DevChain
from modelward.devchain.intrinsic import intrinsic_gas
from modelward.errors import TransactionFailed
from modelward.models.exact.program import (
    Activation,
    Decision,
    Encoding,
    Layer,
    LayerProgram,
    Program,
    Scores,
)
from modelward.solidity import Artifact
from modelward.terms import (
    ETH,
    ETHER,
    GWEI,
    ZERO_ADDRESS,
    ZERO_HASH,
    Address,
    ExactAnswer,
    ExactTerms,
    GrantTerms,
    Metric,
    ModelId,
    ModelTerms,
    Offer,
    Request,
    RequestId,
    Right,
    SignedGrant,
    Version,
    frame_clear_output,
)

SEED: Final = "modelward bench gas"

# Numbers without a zero byte, in Unix seconds and wei.
GENESIS: Final = 0x6B11_1111
HOLD_END: Final = 0x6B1F_1F1F
DEADLINE: Final = 0x6B7F_7F7F
SIGNATURE_DEADLINE: Final = 0x7F7F_7F7F
EXPIRY: Final = 0x7F_7F7F_7F7F
FEE: Final = 0x1111 * GWEI
USES: Final = 0x1111
WINDOW: Final = 0x1111
BOND: Final = 0x1111_1111 * GWEI
CALLBACK_GAS: Final = 0x1_1111

COIN: Final = "coin.json"
"""The compiled token, beside this module."""

URI: Final = "https://store.example/".ljust(60, "b")
_GAS_LIMIT: Final = 10_000_000
_FEES: Final = Fees(max_fee=100 * GWEI, tip=GWEI)

THRESHOLD: Final = Metric("accuracy", True, 900_000)
METRIC: Final = Metric("accuracy", True, 980_000)


def seeded(label: str, length: int = 32) -> bytes:
    """Bytes that depend on `label` alone, none of them zero."""
    found = b""
    while len(found) < length:
        found += keccak(text=f"{SEED}: {label}: {len(found)}").replace(b"\0", b"")
    return found[:length]


def clear_output(length: int) -> bytes:
    """A framed output in clear; `length` includes the frame."""
    return b"\0" + seeded("output", length - 1)


def linear_program(features: int) -> LayerProgram:
    """A binary linear classifier with weights of no zero byte."""
    weights = [int.from_bytes(seeded(f"weight {i}", 4)) >> 1 for i in range(features)]
    layer = Layer((tuple(weights),), (-(2**70),), 30, Activation.IDENTITY)
    return LayerProgram(
        Encoding.UNITS,
        Decision.POSITIVE,
        Scores.EXPONENTIAL,
        decimals=9,
        features=features,
        outputs=1,
        layers=(layer,),
    )


def secret_of(label: str) -> bytes:
    """The secret of a request for an exact version."""
    return seeded(f"secret of {label}")


def sign(signer: Sender, digest: bytes) -> bytes:
    """An account's signature of an EIP-712 digest, 65 bytes."""
    signed = EthAccount.unsafe_sign_hash(Hash32(digest), signer.account.private_key)
    return bytes(signed.signature)


class ExactModel(NamedTuple):
    """A model that the referee decides about, and a canonical input of it."""

    version: Version
    offer: Offer
    program: Program
    input: bytes


class Dispute(NamedTuple):
    """What a challenge costs, in gas.

    `run` is a transaction that only runs the stored program, `challenge` the whole challenge, and
    `bookkeeping` the challenge without the program's instructions.
    """

    run: int
    challenge: int
    bookkeeping: int


class Market:
    """The contracts on a chain of its own, and what all figures start from.

    Everybody is owed something already, has a key and a generation; the owner has a model by grant,
    one that anyone may use, and a version that a verifier decides.
    """

    def __init__(self, folder: Path) -> None:
        self.devchain = DevChain(genesis_time=GENESIS, genesis_seed=SEED.encode())
        config = replace(load_config(environ={}, start=folder), root=folder)
        self.chain = Chain.connect(config.network("embedded"), self.devchain.provider())
        deployment = deploy(self.chain, Account.development("deployer"), config)
        self.deployed = {
            name: self._gas_of(contract.transaction)
            for name, contract in deployment.record.contracts.items()
        }
        self.data_share = deployment.data_share
        self.registry = deployment.registry
        self.escrow = deployment.escrow
        self.programs = deployment.programs
        self.ledger = deployment.privacy_ledger
        self.referee = deployment.referee

        self.owner = self._sender("owner")
        self.requester = self._sender("requester")
        self.worker = self._sender("worker")
        self.outsider = self._sender("outsider")
        self.sponsor = self._sender("sponsor")
        self.evaluator = self._sender("evaluator")
        self.verifier = self._sender("challenger")
        self.reader = self._sender("keeper")
        self.newcomer = self._sender("spare")

        self.offer = self.publish("model", "first")
        self.verified_offer = self.publish("verified", "first", verifier=self.verifier.address)
        self.open_offer = self.publish("open", "first", anyone=True)
        self.token_offer = self.publish("in a token", "first", token=self._make_token())
        self._make_grants()
        self._let_everyone_earn()
        program = linear_program(30)
        self.exact = self.list_exactly(
            "exact", program, bytes([program.encoding]) + seeded("input", program.input_bytes - 1)
        )
        for account in (self.worker, self.requester, self.outsider):
            self.gas(account, self.referee.deposit(10 * BOND))

    def gas(self, sender: Sender, call: Call) -> int:
        """Mine a call and return what it used. Raises `ContractRefused` if it fails."""
        signed = sender.sign(call, gas=_GAS_LIMIT, nonce=sender.nonce(), fees=_FEES)
        receipt = sender.receipt(sender.broadcast(signed))
        if receipt is None:
            raise TransactionFailed("The embedded chain did not mine a transaction at once.")
        if not receipt.succeeded:
            raise sender.failure(signed, receipt)
        return receipt.gas_used

    def fill(self, crowd: int) -> None:
        """Open that many requests, and make that many grants; the quota is renewed in time."""
        for number in range(crowd):
            if number % (USES // 2) == USES // 2 - 1:
                model = self.offer.model_id
                grant = self.data_share.grant(self.requester.address, model, self.infer)
                self.gas(self.owner, grant)
            self.place(self.offer, self.ask(f"crowd {number}"))
            resource = seeded(f"crowd {number}")
            grant = self.data_share.grant(self.requester.address, resource, self.infer)
            self.gas(self.owner, grant)

    def pass_the_deadline(self) -> None:
        """Let the second after every request's deadline come."""
        self.wait_until(DEADLINE + 1)

    # --- models and grants -----------------------------------------------------------------------

    def version(self, model_id: ModelId, label: str, **changes: Any) -> Version:
        """Terms of a version, attested by the owner; its hashes depend on `label`."""
        version = Version(
            model_id=model_id,
            bundle_hash=seeded(f"{label} bundle"),
            content_hash=seeded(f"{label} content"),
            manifest_hash=seeded(f"{label} manifest"),
            program_hash=seeded(f"{label} program"),
            evaluation_hash=seeded(f"{label} evaluation"),
            verifier=ZERO_ADDRESS,
            verifier_settings=ZERO_HASH,
            attestor=self.owner.address,
            metrics=(METRIC,),
            uri=URI,
        )
        return replace(version, **changes)

    def publish(
        self,
        name: str,
        label: str,
        *,
        anyone: bool = False,
        verifier: Address = ZERO_ADDRESS,
        token: Address = ETH,
    ) -> Offer:
        """Register a model with one version, and return what it is offered for."""
        model_id = commitments.model_id(self.owner.address, name)
        version = self.version(model_id, label, verifier=verifier)
        return self.list(name, version, anyone=anyone, token=token)

    def list(
        self, name: str, version: Version, *, anyone: bool = False, token: Address = ETH
    ) -> Offer:
        """Register the model of a version, publish it, and return what it is offered for."""
        terms = ModelTerms(FEE, max_delay=2**24 - 1, open=anyone, token=token)
        self.gas(self.owner, self.registry.register_model(name, terms, [THRESHOLD]))
        self.gas(self.owner, self.registry.publish_version(version))
        return self.registry.quote(version.model_id, commitments.version_id(version)).offer

    @property
    def infer(self) -> GrantTerms:
        """Terms of a grant to request, metered by the escrow."""
        return GrantTerms(Right.INFER, EXPIRY, USES, self.escrow.address)

    def signed_grant(self, resource: bytes, wrapped_key: bytes) -> Call:
        """Redeem a grant to the reader that the owner has signed."""
        owner, grantee = self.owner.address, self.reader.address
        signed = SignedGrant(
            owner=owner,
            grantee=grantee,
            resource=resource,
            terms=replace(self.infer, rights=Right.READ | Right.INFER),
            generation=self.data_share.generation_of(owner, grantee),
            nonce=self.data_share.nonce_of(owner, grantee),
            deadline=SIGNATURE_DEADLINE,
        )
        digest = commitments.signed_grant_digest(
            signed,
            wrapped_key,
            chain_id=self.chain.chain_id,
            data_share=self.data_share.address,
        )
        return self.data_share.redeem_grant(signed, wrapped_key, sign(self.owner, digest))

    # --- requests and answers --------------------------------------------------------------------

    def ask(self, label: str, *, payer: Sender | None = None, callback: bool = False) -> Request:
        """Terms of a request of the requester's; its input hash depends on `label`."""
        return Request(
            requester=self.requester.address,
            payer=(payer or self.requester).address,
            input_hash=seeded(f"input of {label}"),
            deadline=DEADLINE,
            reply_key=ZERO_HASH if callback else seeded("reply key"),
            callback_gas=CALLBACK_GAS if callback else 0,
        )

    def id_of(self, offer: Offer, terms: Request) -> RequestId:
        """The id of a request."""
        return commitments.request_id(
            offer, terms, chain_id=self.chain.chain_id, escrow=self.escrow.address
        )

    def place(self, offer: Offer, terms: Request, input_length: int = 32) -> int:
        """Place a request of the requester's, and return the gas used."""
        payload = seeded("input", input_length)
        value = FEE if offer.token == ETH else 0
        call = self.escrow.request(offer.model_id, offer.version_id, terms, payload, value=value)
        return self.gas(self.requester, call)

    def place_signed(self, offer: Offer, terms: Request, input_length: int = 32) -> int:
        """Place a request that the requester signed and the sponsor pays for."""
        call = self.escrow.request_for(
            offer.model_id,
            offer.version_id,
            terms,
            seeded("input", input_length),
            sign(self.requester, self.id_of(offer, terms)),
            value=FEE,
        )
        return self.gas(self.sponsor, call)

    def answer(self, offer: Offer, terms: Request, output_length: int = 150) -> int:
        """Fulfil a request, and return the gas used."""
        output = clear_output(output_length)
        call = self.escrow.fulfil(offer, terms, seeded("commitment"), output)
        return self.gas(self.worker, call)

    # --- answers under examination ---------------------------------------------------------------

    def list_exactly(self, name: str, program: Program, canonical_input: bytes) -> ExactModel:
        """Publish a model by its program, which need not be stored yet."""
        version = self.version(
            commitments.model_id(self.owner.address, name),
            "first",
            program_hash=program.hash,
            verifier=self.referee.address,
            verifier_settings=ExactTerms(program.hash, WINDOW, BOND).settings,
        )
        offer = self.list(name, version)
        self._grant(offer)
        return ExactModel(version, offer, program, canonical_input)

    def ask_exactly(self, model: ExactModel, label: str, *, callback: bool = False) -> Request:
        """Place a request with the input of an exact model."""
        terms = self.ask(label, callback=callback)
        input_hash = commitments.input_hash(secret_of(label), model.input)
        terms = replace(terms, input_hash=input_hash)
        self.place(model.offer, terms)
        return terms

    def pending(self, model: ExactModel, terms: Request) -> tuple[ExactAnswer, int]:
        """Post a wrong answer of 288 bytes; returns it and the gas used."""
        commitment, output = seeded("wrong"), clear_output(288)
        call = self.referee.answer(model.offer, terms, commitment, output)
        gas = self.gas(self.worker, call)
        return self._answer(commitment, ZERO_HASH, output), gas

    def pending_with_callback(
        self, model: ExactModel, terms: Request, secret: bytes
    ) -> tuple[ExactAnswer, int]:
        """The same to a request with a callback, of 150 bytes."""
        salt, output = commitments.result_salt(secret), seeded("output", 149)
        call = self.referee.answer_with_callback(model.offer, terms, salt, output)
        gas = self.gas(self.worker, call)
        request = self.id_of(model.offer, terms)
        commitment = commitments.result_commitment(request, output, secret)
        return self._answer(commitment, salt, frame_clear_output(output)), gas

    def _answer(self, commitment: bytes, salt: bytes, output: bytes) -> ExactAnswer:
        settle_after = self.devchain.time + WINDOW
        return ExactAnswer(self.worker.address, settle_after, BOND, commitment, salt, output)

    def dispute(self, model: ExactModel) -> Dispute:
        """Challenge a wrong answer of a model that was admitted."""
        label = f"challenged {model.program.hash.hex()}"
        terms = self.ask_exactly(model, label)
        answer, _ = self.pending(model, terms)
        call = self.referee.challenge(model.offer, terms, answer, secret_of(label), model.input)
        challenge = self.gas(self.outsider, call)
        call = self.programs.call("run", model.program.hash, model.input)
        run = self.gas(self.outsider, call)
        return Dispute(run, challenge, challenge - (run - intrinsic_gas(call.data)))

    def wait_until(self, timestamp: int) -> None:
        """Let that second come."""
        self.devchain.set_next_timestamp(timestamp)
        self.devchain.mine()

    # --- the state all figures start from --------------------------------------------------------

    def _sender(self, role: str) -> Sender:
        return Sender(self.chain, Account.development(role))

    def _gas_of(self, transaction_hash: str) -> int:
        receipt = self.chain.rpc("eth_getTransactionReceipt", [transaction_hash])
        return quantity(receipt["gasUsed"])

    def _make_grants(self) -> None:
        for account in (self.requester, self.worker, self.reader):
            self.gas(account, self.data_share.register_key(read_bytes(account.address) + bytes(12)))
            self.gas(self.owner, self.data_share.revoke_access(account.address))
        for offer in (self.offer, self.verified_offer, self.open_offer, self.token_offer):
            self._grant(offer)

    def _grant(self, offer: Offer) -> None:
        """Let the worker serve a model, and the requester ask for its predictions."""
        serve = GrantTerms(Right.SERVE, EXPIRY)
        for account, terms in ((self.worker, serve), (self.requester, self.infer)):
            self.gas(self.owner, self.data_share.grant(account.address, offer.model_id, terms))

    def _make_token(self) -> Address:
        """A token of which the requester has plenty and lets the escrow take some."""
        artifact = Artifact.from_json(files("modelward.bench").joinpath(COIN).read_text("utf-8"))
        abi = ContractAbi(artifact.name, artifact.abi)
        signed = self.owner.sign(
            Call(None, artifact.bytecode), gas=_GAS_LIMIT, nonce=self.owner.nonce(), fees=_FEES
        )
        receipt = self.owner.receipt(self.owner.broadcast(signed))
        if receipt is None or receipt.contract_address is None:
            raise TransactionFailed("The embedded chain did not deploy the token.")
        coin = receipt.contract_address
        for function, account in (("mint", self.requester), ("approve", self.escrow)):
            data = abi.encode_call(function, account.address, ETHER)
            self.gas(self.requester, Call(coin, data))
        return coin

    def _let_everyone_earn(self) -> None:
        answered, refused = self.ask("answered"), self.ask("refused")
        sponsored = self.ask("sponsored and refused", payer=self.sponsor)
        self.place(self.offer, answered)
        self.place(self.offer, refused)
        self.place_signed(self.offer, sponsored)
        self.answer(self.offer, answered)
        self.place(self.token_offer, self.ask("answered in a token"))
        for terms in (refused, sponsored):
            self.gas(self.worker, self.escrow.refuse(self.offer, terms, 1))
