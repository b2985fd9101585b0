"""The contracts' events as frozen objects, told apart by contract and topic."""

from __future__ import annotations

from dataclasses import dataclass

from modelward.chain.abi import contract_abi, snake_case
from modelward.chain.log import Log
from modelward.terms import (
    Address,
    ExactAnswer,
    ModelId,
    ModelTerms,
    Offer,
    Outcome,
    Request,
    RequestId,
    Right,
    Version,
    VersionId,
    VersionStatus,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something a contract said, and where: `contract` is its address."""

    contract: Address
    block_number: int
    block_hash: bytes
    transaction_hash: bytes
    log_index: int

    @property
    def position(self) -> tuple[int, int]:
        """Its place in the order of all events of the chain."""
        return self.block_number, self.log_index


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPublished(Event):
    """An owner published, or replaced, the content behind a data key."""

    owner: Address
    data_key: bytes
    content_hash: bytes
    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessGranted(Event):
    """An owner granted access; a grant on the same resource replaces the one before."""

    owner: Address
    grantee: Address
    resource: bytes
    rights: Right
    expiry: int
    uses: int
    meter: Address
    generation: int
    wrapped_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRevoked(Event):
    """An owner ended the grant on one resource."""

    owner: Address
    grantee: Address
    resource: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AllAccessRevoked(Event):
    """An owner ended every grant to a grantee; only later ones carry `generation`."""

    owner: Address
    grantee: Address
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysRewrapped(Event):
    """An owner handed a new epoch's key to grantees: 80 bytes for each, in their order."""

    owner: Address
    resource: bytes
    grantees: tuple[Address, ...]
    wrapped_keys: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedGrantsAllowed(Event):
    """An owner began, or ceased, to allow grants by signature."""

    owner: Address
    allowed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRegistered(Event):
    """An account registered the X25519 key envelopes for it are sealed to."""

    account: Address
    index: int
    public_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRegistered(Event):
    """An owner registered a model. The name is whatever the owner wrote."""

    model_id: ModelId
    owner: Address
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsSet(Event):
    """A model's terms were set or changed."""

    model_id: ModelId
    terms: ModelTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdRaised(Event):
    """A threshold was set or raised."""

    model_id: ModelId
    name: str
    higher_is_better: bool
    ppm: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionPublished(Event):
    """A version was published: servable if it met every threshold, otherwise rejected."""

    model_id: ModelId
    version_id: VersionId
    number: int
    status: VersionStatus
    version: Version


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRetired(Event):
    """An owner withdrew a version."""

    model_id: ModelId
    version_id: VersionId


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRetired(Event):
    """An owner withdrew a model with all its versions."""

    model_id: ModelId


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnershipOffered(Event):
    """An owner offered a model to somebody, or took the offer back."""

    model_id: ModelId
    owner: Address
    new_owner: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnershipTransferred(Event):
    """Somebody accepted a model."""

    model_id: ModelId
    old_owner: Address
    new_owner: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceKeySet(Event):
    """From now on inputs are to be sealed to this key."""

    model_id: ModelId
    epoch: int
    public_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceRequested(Event):
    """A request was placed and its fee is held. `input` is framed as `terms` says."""

    request_id: RequestId
    model_id: ModelId
    requester: Address
    offer: Offer
    request: Request
    input: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceFulfilled(Event):
    """A request was answered; worker and payee were credited. `output` is framed."""

    request_id: RequestId
    model_id: ModelId
    worker: Address
    commitment: bytes
    output: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceRefused(Event):
    """An eligible worker declined; the payer was credited the whole fee."""

    request_id: RequestId
    worker: Address
    payer: Address
    reason: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceRefunded(Event):
    """Nobody answered in time; the payer was credited the whole fee."""

    request_id: RequestId
    payer: Address
    token: Address
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceHeld(Event):
    """The verifier examines a worker's answer until `until`."""

    request_id: RequestId
    worker: Address
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceCorrected(Event):
    """The verifier put a wrong answer right; the payer was credited the whole fee."""

    request_id: RequestId
    model_id: ModelId
    payer: Address
    commitment: bytes
    output: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCancelled(Event):
    """A requester withdrew its signature before it was used."""

    request_id: RequestId
    requester: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSkipped(Event):
    """One of several answers was passed over."""

    request_id: RequestId
    worker: Address
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackRun(Event):
    """The requester was called with the answer."""

    request_id: RequestId
    succeeded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn(Event):
    """An account took out what it was owed."""

    account: Address
    token: Address
    to: Address
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramStored(Event):
    """An exact program was stored, as the code of the contract `pointer`."""

    program_hash: bytes
    pointer: Address
    most_gas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionAdmitted(Event):
    """From now on requests for a version can be answered before the referee; `bond` in wei."""

    model_id: ModelId
    version_id: VersionId
    program_hash: bytes
    window: int
    bond: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BondDeposited(Event):
    """An account put in money to stake."""

    account: Address
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BondWithdrawn(Event):
    """An account took money out of the referee."""

    account: Address
    to: Address
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPosted(Event):
    """A worker answered, and staked its bond on it."""

    request_id: RequestId
    model_id: ModelId
    worker: Address
    answer: ExactAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class BondReleased(Event):
    """An answer was settled, accepted or let lapse."""

    request_id: RequestId
    worker: Address
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCorrected(Event):
    """An answer was shown to be wrong; its bond was credited to payer and challenger."""

    request_id: RequestId
    worker: Address
    challenger: Address
    commitment: bytes
    payer_share: int
    challenger_share: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRefused(Event):
    """A worker declined before the referee; the escrow credited the payer the whole fee."""

    request_id: RequestId
    worker: Address
    reason: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSet(Event):
    """An owner set what a grantee may spend in all, in millionths of an epsilon."""

    owner: Address
    grantee: Address
    data_key: bytes
    budget: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EpsilonSpent(Event):
    """A grantee recorded a private run; `spent` is the sum since the beginning."""

    owner: Address
    grantee: Address
    data_key: bytes
    epsilon: int
    spent: int
    run: bytes


EVENTS: dict[str, tuple[type[Event], ...]] = {
    "DataShare": (
        DataPublished,
        AccessGranted,
        AccessRevoked,
        AllAccessRevoked,
        KeysRewrapped,
        SignedGrantsAllowed,
        KeyRegistered,
    ),
    "ModelRegistry": (
        ModelRegistered,
        TermsSet,
        ThresholdRaised,
        VersionPublished,
        VersionRetired,
        ModelRetired,
        OwnershipOffered,
        OwnershipTransferred,
        ServiceKeySet,
    ),
    "InferenceEscrow": (
        InferenceRequested,
        InferenceFulfilled,
        InferenceRefused,
        InferenceRefunded,
        InferenceHeld,
        InferenceCorrected,
        RequestCancelled,
        AnswerSkipped,
        CallbackRun,
        Withdrawn,
    ),
    "ExactPrograms": (ProgramStored,),
    "ExactReferee": (
        VersionAdmitted,
        BondDeposited,
        BondWithdrawn,
        AnswerPosted,
        BondReleased,
        AnswerCorrected,
        RequestRefused,
    ),
    "PrivacyLedger": (BudgetSet, EpsilonSpent),
}
"""The events of each contract, by the contract's name."""

_CLASSES = {
    (contract, event.__name__): event for contract, events in EVENTS.items() for event in events
}
_CONTRACT_OF = {event: contract for contract, events in EVENTS.items() for event in events}
_RENAMED = {"id": "request_id"}


def topic_of(event: type[Event]) -> bytes:
    """The first topic of an event's logs, 32 bytes."""
    abi = contract_abi(_CONTRACT_OF[event])
    return next(topic for topic, entry in abi.events.items() if entry["name"] == event.__name__)


def decode_event(contract: str, log: Log) -> Event | None:
    """The event a log of a contract holds; None for one this version does not know.

    `contract` is the name of the contract at the log's address. Who emits through our code only
    emits well-formed logs, so anything else is `Undecodable`: the address is not that contract's.
    """
    layout = contract_abi(contract).event(log.topics[0]) if log.topics else None
    cls = _CLASSES.get((contract, layout.name)) if layout else None
    if layout is None or cls is None:
        return None
    return cls(
        contract=log.address,
        block_number=log.block_number,
        block_hash=log.block_hash,
        transaction_hash=log.transaction_hash,
        log_index=log.log_index,
        **{
            _RENAMED.get(name, snake_case(name)): value
            for name, value in layout.values(log.topics, log.data).items()
        },
    )
