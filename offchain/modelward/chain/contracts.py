"""The contracts, typed: views return terms, everything else a `Call` for a `Sender`.

What a function means, costs and refuses is said in `contracts/interfaces/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from modelward.chain.abi import Undecodable, contract_abi
from modelward.chain.connection import Chain
from modelward.chain.encoding import BlockId, to_address
from modelward.chain.transactions import Call
from modelward.errors import CodeMismatch, NotDeployed, RpcUnavailable
from modelward.terms import (
    ETH,
    Access,
    Address,
    Answer,
    ExactAnswer,
    ExactTerms,
    Grant,
    GrantItem,
    GrantTerms,
    Metric,
    ModelId,
    ModelState,
    ModelTerms,
    Offer,
    Outcome,
    Quote,
    Request,
    RequestId,
    RequestState,
    RequestStatus,
    RevokeItem,
    Right,
    ServiceKey,
    SignedGrant,
    Version,
    VersionId,
    VersionState,
)


class Contract:
    """A contract of ours at an address. Views take the block to look at."""

    name: ClassVar[str]

    def __init__(self, chain: Chain, address: str) -> None:
        self.chain = chain
        self.address: Address = to_address(address)
        self.abi = contract_abi(self.name)

    def view(
        self,
        function: str,
        *arguments: Any,
        sender: str | None = None,
        block: BlockId = "latest",
    ) -> Any:
        """Call a function without a transaction and decode what it returns.

        Raises `ContractRefused`, or `NotDeployed` when nothing is at the address.
        """
        data = self.abi.encode_call(function, *arguments)
        returned = self.chain.call(self.address, data, sender=sender, block=block)
        if not returned and self.abi.functions[function]["outputs"]:
            raise NotDeployed(f"There is no contract at {self.address} ({self.abi.name}).")
        try:
            return self.abi.decode_result(function, returned)
        except Undecodable as error:
            raise CodeMismatch(f"The contract at {self.address} is no {self.abi.name}.") from error

    def call(self, function: str, *arguments: Any, value: int = 0) -> Call:
        """A transaction that calls a function; `value` in wei."""
        return Call(self.address, self.abi.encode_call(function, *arguments), value)


class DataShare(Contract):
    """Who may do what with whose data or model."""

    name = "DataShare"

    def grant_access(self, user: Address) -> Call:
        """Give `user` READ on everything of the sender."""
        return self.call("grantAccess", user)

    def revoke_access(self, user: Address) -> Call:
        """End every grant of the sender to `user`."""
        return self.call("revokeAccess", user)

    def grant(
        self, grantee: Address, resource: bytes, terms: GrantTerms, wrapped_key: bytes = b""
    ) -> Call:
        """Grant rights on one resource of the sender."""
        return self.call("grant", grantee, resource, terms, wrapped_key)

    def revoke(self, grantee: Address, resource: bytes) -> Call:
        """End the sender's grant on one resource."""
        return self.call("revoke", grantee, resource)

    def grant_many(self, items: Sequence[GrantItem]) -> Call:
        """Make several grants; all of them or none."""
        return self.call("grantMany", items)

    def revoke_many(self, items: Sequence[RevokeItem]) -> Call:
        """End several grants of the sender."""
        return self.call("revokeMany", items)

    def rewrap_keys(
        self, resource: bytes, grantees: Sequence[Address], wrapped_keys: bytes
    ) -> Call:
        """Hand a new epoch's key to grantees of the sender: 80 bytes for each, in their order."""
        return self.call("rewrapKeys", resource, grantees, wrapped_keys)

    def allow_signed_grants(self, allowed: bool) -> Call:
        """Allow or forbid grants by the sender's signature."""
        return self.call("allowSignedGrants", allowed)

    def redeem_grant(self, signed: SignedGrant, wrapped_key: bytes, signature: bytes) -> Call:
        """Make a grant that its owner signed."""
        return self.call("redeemGrant", signed, wrapped_key, signature)

    def register_key(self, public_key: bytes) -> Call:
        """Register the X25519 key envelopes for the sender are sealed to from now on."""
        return self.call("registerKey", public_key)

    def publish_data(self, data_key: bytes, content_hash: bytes, uri: str) -> Call:
        """Publish, or replace, the content behind a data key of the sender."""
        return self.call("publishData", data_key, content_hash, uri)

    def consume(self, owner: Address, grantee: Address, resource: bytes, count: int = 1) -> Call:
        """Consume uses of a grant; for its meter alone."""
        return self.call("consume", owner, grantee, resource, count)

    def fetch_data(
        self, owner: Address, data_key: bytes, *, sender: Address, block: BlockId = "latest"
    ) -> bytes:
        """The content hash behind `owner`'s data key, as `sender` may see it."""
        found: bytes = self.view("fetchData", owner, data_key, sender=sender, block=block)
        return found

    def access_of(
        self,
        owner: Address,
        grantee: Address,
        resource: bytes,
        right: Right,
        *,
        block: BlockId = "latest",
    ) -> Access:
        """Whether, and if not why not, `grantee` has `right` on `owner`'s resource."""
        access: Access = self.view("accessOf", owner, grantee, resource, right, block=block)
        return access

    def require_access(
        self,
        owner: Address,
        grantee: Address,
        resource: bytes,
        right: Right,
        *,
        block: BlockId = "latest",
    ) -> None:
        """Raise `AccessDenied` unless `access_of` is GRANTED."""
        self.view("requireAccess", owner, grantee, resource, right, block=block)

    def grant_of(
        self, owner: Address, grantee: Address, resource: bytes, *, block: BlockId = "latest"
    ) -> Grant:
        """The grant as stored."""
        grant: Grant = self.view("grantOf", owner, grantee, resource, block=block)
        return grant

    def generation_of(self, owner: Address, grantee: Address, *, block: BlockId = "latest") -> int:
        """How often `owner` has ended all it had granted to `grantee`."""
        generation: int = self.view("generationOf", owner, grantee, block=block)
        return generation

    def nonce_of(self, owner: Address, grantee: Address, *, block: BlockId = "latest") -> int:
        """The nonce the next signed grant from `owner` to `grantee` must carry."""
        nonce: int = self.view("nonceOf", owner, grantee, block=block)
        return nonce

    def signed_grants_allowed(self, owner: Address, *, block: BlockId = "latest") -> bool:
        """Whether `owner` allows grants by its signature."""
        allowed: bool = self.view("signedGrantsAllowed", owner, block=block)
        return allowed

    def key_of(self, account: Address, *, block: BlockId = "latest") -> tuple[int, bytes]:
        """The index and the current X25519 key of an account; zero where there is none."""
        found: tuple[int, bytes] = self.view("keyOf", account, block=block)
        return found

    def key_at(self, account: Address, index: int, *, block: BlockId = "latest") -> bytes:
        """An account's X25519 key by index, from 1; zero where there is none."""
        key: bytes = self.view("keyAt", account, index, block=block)
        return key


class ModelRegistry(Contract):
    """Models, their versions, the gate on their metrics, their price."""

    name = "ModelRegistry"

    def register_model(
        self, name: str, terms: ModelTerms, thresholds: Sequence[Metric] = ()
    ) -> Call:
        """Register a model of the sender."""
        return self.call("registerModel", name, terms, thresholds)

    def set_terms(self, model_id: ModelId, terms: ModelTerms) -> Call:
        """Change what a model is offered for."""
        return self.call("setTerms", model_id, terms)

    def raise_thresholds(self, model_id: ModelId, thresholds: Sequence[Metric]) -> Call:
        """Add thresholds, or make those of the same names stricter."""
        return self.call("raiseThresholds", model_id, thresholds)

    def retire_model(self, model_id: ModelId) -> Call:
        """Withdraw a model for good."""
        return self.call("retireModel", model_id)

    def publish_version(self, version: Version, attestation: bytes = b"") -> Call:
        """Publish a version of a model of the sender, which vouches for the metrics itself or
        hands in the attestor's signature.
        """
        return self.call("publishVersion", version, attestation)

    def offer_ownership(self, model_id: ModelId, new_owner: Address) -> Call:
        """Offer a model to somebody; ZERO_ADDRESS takes the offer back."""
        return self.call("offerOwnership", model_id, new_owner)

    def accept_ownership(self, model_id: ModelId) -> Call:
        """Accept a model offered to the sender."""
        return self.call("acceptOwnership", model_id)

    def set_service_key(self, model_id: ModelId, public_key: bytes) -> Call:
        """Set the X25519 key inputs are sealed to, and begin its next epoch."""
        return self.call("setServiceKey", model_id, public_key)

    def retire_version(self, model_id: ModelId, version_id: VersionId) -> Call:
        """Withdraw a servable version."""
        return self.call("retireVersion", model_id, version_id)

    def quote(
        self, model_id: ModelId, version_id: VersionId, *, block: BlockId = "latest"
    ) -> Quote:
        """What a request placed now would be bound to."""
        return Quote(*self.view("quote", model_id, version_id, block=block))

    def model_id_of(self, owner: Address, name: str) -> ModelId:
        """The id of `owner`'s model called `name`, as the contract computes it."""
        return ModelId(self.view("modelIdOf", owner, name))

    def version_id_of(self, version: Version) -> VersionId:
        """The id of a version, as the contract computes it."""
        return VersionId(self.view("versionIdOf", version))

    def model_of(self, model_id: ModelId, *, block: BlockId = "latest") -> ModelState:
        """A model as it stands."""
        state: ModelState = self.view("modelOf", model_id, block=block)
        return state

    def version_of(
        self, model_id: ModelId, version_id: VersionId, *, block: BlockId = "latest"
    ) -> VersionState:
        """A version as it stands; its status is NONE where there is none."""
        state: VersionState = self.view("versionOf", model_id, version_id, block=block)
        return state

    def attestation_digest(self, model_id: ModelId, version_id: VersionId) -> bytes:
        """What an attestor signs, as the contract computes it."""
        digest: bytes = self.view("attestationDigest", model_id, version_id)
        return digest

    def pending_owner_of(self, model_id: ModelId, *, block: BlockId = "latest") -> Address:
        """To whom a model is offered; ZERO_ADDRESS if to no one."""
        return Address(self.view("pendingOwnerOf", model_id, block=block))

    def service_key_of(self, model_id: ModelId, *, block: BlockId = "latest") -> ServiceKey:
        """The key inputs for a model are sealed to; epoch 0 if there is none."""
        key: ServiceKey = self.view("serviceKeyOf", model_id, block=block)
        return key

    def thresholds_of(self, model_id: ModelId, *, block: BlockId = "latest") -> tuple[Metric, ...]:
        """The least that the model's next version must reach."""
        thresholds: tuple[Metric, ...] = self.view("thresholdsOf", model_id, block=block)
        return thresholds


class InferenceEscrow(Contract):
    """Requests, their fees, their answers."""

    name = "InferenceEscrow"

    def request(
        self,
        model_id: ModelId,
        version_id: VersionId,
        terms: Request,
        input_: bytes,
        *,
        value: int,
    ) -> Call:
        """Place a request in the sender's name; `value`, in wei, must be the fee."""
        return self.call("request", model_id, version_id, terms, input_, value=value)

    def request_many(
        self,
        model_id: ModelId,
        version_id: VersionId,
        terms: Sequence[Request],
        inputs: Sequence[bytes],
        *,
        value: int,
    ) -> Call:
        """Place several requests in the sender's name; `value`, in wei, must be all the fees."""
        return self.call("requestMany", model_id, version_id, terms, inputs, value=value)

    def request_for(
        self,
        model_id: ModelId,
        version_id: VersionId,
        terms: Request,
        input_: bytes,
        signature: bytes,
        *,
        value: int,
    ) -> Call:
        """Place a request its requester signed, paid by the sender."""
        return self.call("requestFor", model_id, version_id, terms, input_, signature, value=value)

    def cancel(self, offer: Offer, terms: Request) -> Call:
        """Withdraw the sender's signature of a request that has not been placed."""
        return self.call("cancel", offer, terms)

    def fulfil_many(self, offer: Offer, answers: Sequence[Answer]) -> Call:
        """Answer several requests under one offer; bad ones are passed over."""
        return self.call("fulfilMany", offer, answers)

    def outcomes(self, call: Call, returned: bytes) -> tuple[Outcome, ...]:
        """What a dry run of `fulfil_many` says of each answer; nothing for any other call.

        Raises `RpcUnavailable` when it says nothing that can be understood.
        """
        if call.to != self.address or call.data[:4] != self.abi.selector("fulfilMany"):
            return ()
        try:
            outcomes: tuple[Outcome, ...] = self.abi.decode_result("fulfilMany", returned)
        except Undecodable as error:
            raise RpcUnavailable("The RPC endpoint gave outcomes that nobody can read.") from error
        return tuple(outcomes)

    def fulfil_with_callback(
        self, offer: Offer, terms: Request, result_salt: bytes, output: bytes
    ) -> Call:
        """Answer a request that asks for a callback; `output` is canonical, not framed."""
        return self.call("fulfilWithCallback", offer, terms, result_salt, output)

    def refund_many(self, request_ids: Sequence[RequestId]) -> Call:
        """Refund several requests; those that cannot be are passed over."""
        return self.call("refundMany", request_ids)

    def refund_and_withdraw(self, request_id: RequestId, to: Address) -> Call:
        """Refund a request, and take out all the sender is owed in its currency."""
        return self.call("refundAndWithdraw", request_id, to)

    def fulfil(self, offer: Offer, terms: Request, commitment: bytes, output: bytes) -> Call:
        """Answer a request."""
        return self.call("fulfil", offer, terms, commitment, output)

    def refuse(self, offer: Offer, terms: Request, reason: int) -> Call:
        """Decline a request, which credits its payer."""
        return self.call("refuse", offer, terms, reason)

    def refund(self, request_id: RequestId) -> Call:
        """Credit the fee to the payer, once the deadline has passed."""
        return self.call("refund", request_id)

    def withdraw(self, to: Address, token: Address = ETH) -> Call:
        """Take out all that the sender is owed."""
        return self.call("withdraw", token, to)

    def credit_of(
        self, account: Address, token: Address = ETH, *, block: BlockId = "latest"
    ) -> int:
        """What `account` can withdraw."""
        credit: int = self.view("creditOf", token, account, block=block)
        return credit

    def id_of(self, offer: Offer, terms: Request) -> RequestId:
        """The id of a request, as the contract computes it."""
        return RequestId(self.view("idOf", offer, terms))

    def request_of(self, request_id: RequestId, *, block: BlockId = "latest") -> RequestState:
        """A request as it stands."""
        state: RequestState = self.view("requestOf", request_id, block=block)
        return state

    def result_of(
        self, request_id: RequestId, *, block: BlockId = "latest"
    ) -> tuple[RequestStatus, bytes]:
        """The status, and the first 31 bytes of the result's commitment."""
        result: tuple[RequestStatus, bytes] = self.view("resultOf", request_id, block=block)
        return result

    def data_share(self) -> Address:
        """The grants this escrow goes by."""
        return Address(self.view("dataShare"))

    def registry(self) -> Address:
        """The registry this escrow goes by."""
        return Address(self.view("registry"))


class ExactPrograms(Contract):
    """Exact programs as code, by their hash."""

    name = "ExactPrograms"

    def store(self, program: bytes) -> Call:
        """Store a program; nothing happens if it is stored."""
        return self.call("store", program)

    def run(self, program_hash: bytes, canonical_input: bytes) -> bytes:
        """The canonical output of a stored program."""
        output: bytes = self.view("run", program_hash, canonical_input)
        return output

    def program_of(self, program_hash: bytes) -> bytes:
        """A stored program."""
        program: bytes = self.view("programOf", program_hash)
        return program

    def pointer_of(self, program_hash: bytes, *, block: BlockId = "latest") -> Address:
        """The contract whose code holds a program; ZERO_ADDRESS if it is not stored."""
        return Address(self.view("pointerOf", program_hash, block=block))

    def max_gas(self) -> int:
        """What a run may take at most, in gas."""
        most: int = self.view("MAX_GAS")
        return most

    def max_length(self) -> int:
        """The longest program, in bytes."""
        most: int = self.view("MAX_LENGTH")
        return most


class ExactReferee(Contract):
    """Settles disputes about exact models: bonds, answers under examination, challenges."""

    name = "ExactReferee"

    def admit(self, version: Version) -> Call:
        """Let requests for a version be answered here; its program must be stored."""
        return self.call("admit", version)

    def deposit(self, amount: int) -> Call:
        """Add `amount` wei to what the sender can stake."""
        return self.call("deposit", value=amount)

    def withdraw(self, amount: int, to: Address) -> Call:
        """Send `amount` wei of what the sender has to `to`."""
        return self.call("withdraw", amount, to)

    def answer(self, offer: Offer, terms: Request, commitment: bytes, output: bytes) -> Call:
        """Post an answer and stake the version's bond on it; `output` is framed."""
        return self.call("answer", offer, terms, commitment, output)

    def answer_with_callback(
        self, offer: Offer, terms: Request, result_salt: bytes, output: bytes
    ) -> Call:
        """Post an answer to a request with a callback; `output` is canonical, in clear."""
        return self.call("answerWithCallback", offer, terms, result_salt, output)

    def refuse(self, offer: Offer, terms: Request, reason: int) -> Call:
        """Decline a request; `reason` is a number of the client's list."""
        return self.call("refuse", offer, terms, reason)

    def accept(self, offer: Offer, terms: Request, answer: ExactAnswer) -> Call:
        """Take an answer at once, as its requester."""
        return self.call("accept", offer, terms, answer)

    def settle(self, offer: Offer, terms: Request, answer: ExactAnswer) -> Call:
        """Have an answer paid that nobody can challenge any more."""
        return self.call("settle", offer, terms, answer)

    def challenge(
        self,
        offer: Offer,
        terms: Request,
        answer: ExactAnswer,
        secret: bytes,
        canonical_input: bytes,
    ) -> Call:
        """Have a wrong answer put right. It publishes secret and input."""
        return self.call("challenge", offer, terms, answer, secret, canonical_input)

    def release(self, request_id: RequestId, answer: ExactAnswer) -> Call:
        """Release the bond of an answer that nobody settled in time."""
        return self.call("release", request_id, answer)

    def terms_of(self, version_id: VersionId, *, block: BlockId = "latest") -> ExactTerms:
        """The terms of an admitted version."""
        terms: ExactTerms = self.view("termsOf", version_id, block=block)
        return terms

    def balance_of(self, account: Address, *, block: BlockId = "latest") -> int:
        """What an account can stake or withdraw, in wei."""
        balance: int = self.view("balanceOf", account, block=block)
        return balance

    def pending_of(self, request_id: RequestId, *, block: BlockId = "latest") -> bytes:
        """The hash of the answer under examination; ZERO_HASH if there is none."""
        pending: bytes = self.view("pendingOf", request_id, block=block)
        return pending

    def escrow(self) -> Address:
        """The escrow whose requests are judged."""
        return Address(self.view("escrow"))

    def programs(self) -> Address:
        """The contract that keeps the programs."""
        return Address(self.view("programs"))

    def refusal(self) -> bytes:
        """What stands for the commitment where there is no output."""
        refusal: bytes = self.view("REFUSAL")
        return refusal


class PrivacyLedger(Contract):
    """Budgets of differential privacy, in millionths of an epsilon, and what was spent of them."""

    name = "PrivacyLedger"

    def set_budget(self, grantee: Address, data_key: bytes, budget: int) -> Call:
        """Set what a grantee may spend in all on the sender's data key."""
        return self.call("setBudget", grantee, data_key, budget)

    def spend(self, owner: Address, data_key: bytes, epsilon: int, run: bytes) -> Call:
        """Record a run of the sender's on an owner's data."""
        return self.call("spend", owner, data_key, epsilon, run)

    def budget_of(self, owner: Address, grantee: Address, data_key: bytes) -> tuple[int, int]:
        """What a grantee may spend in all, and what it has spent."""
        budget, spent = self.view("budgetOf", owner, grantee, data_key)
        return budget, spent
