"""The words everything else is said in: ids, rights, statuses, terms and units of money.

The enumerations and dataclasses mirror `contracts/interfaces/`, member for member and in the same
order. Money is integer wei. Times are Unix seconds as blocks tell them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import IntEnum, IntFlag
from typing import NewType

from modelward.errors import BadInput, InvalidTerms

ModelId = NewType("ModelId", bytes)
"""32 bytes: `commitments.model_id(owner, name)`."""
VersionId = NewType("VersionId", bytes)
"""32 bytes: `commitments.version_id(version)`."""
RequestId = NewType("RequestId", bytes)
"""32 bytes: `commitments.request_id(offer, request, ...)`."""
Address = NewType("Address", str)
"""20 bytes as checksummed hexadecimal."""

ZERO_ADDRESS = Address("0x" + 40 * "0")
ZERO_HASH = bytes(32)
ETH = ZERO_ADDRESS
"""The token address that stands for the chain's own currency."""
EVERYTHING = ZERO_HASH
"""The resource that stands for all of an owner's; carries READ only."""

GWEI = 10**9
ETHER = 10**18
WHOLE_BPS = 10_000
PPM = 10**6
MAX_FEE = (2**48 - 1) * GWEI
MAX_TOKEN_FEE = 2**96 - 1
NEVER = 2**40 - 1
"""The expiry of a grant that does not end."""
UNLIMITED = 2**24 - 1
"""The quota that is never used up."""
MAX_OUTPUT_BYTES = 1024
"""Longest framed output an answer may carry in its event."""
MAX_INLINE_BYTES = 1024
"""Longest framed input or output that clients put into an event; larger ones go to a store."""
INLINE_ONLY = 1
"""Request flag: the output must be in the event itself."""
MAX_HOLD = 30 * 86_400
"""How long a verifier can hold an answer at most, in seconds."""
SETTLE_TIME = 86_400
"""How long after its window the ExactReferee lets an answer be settled, in seconds."""


class Right(IntFlag):
    """What a grant allows: open data, request predictions, answer requests."""

    READ = 1
    INFER = 2
    SERVE = 4


class Access(IntEnum):
    """Whether a grantee has a right, and if not, why not."""

    GRANTED = 0
    NOT_GRANTED = 1
    REVOKED = 2
    EXPIRED = 3
    RIGHT_MISSING = 4
    QUOTA_EXHAUSTED = 5


class VersionStatus(IntEnum):
    """NONE -> SERVABLE -> RETIRED, or NONE -> REJECTED."""

    NONE = 0
    SERVABLE = 1
    REJECTED = 2
    RETIRED = 3


class RequestStatus(IntEnum):
    """NONE -> OPEN -> FULFILLED | REFUSED | REFUNDED; OPEN -> HELD -> FULFILLED | CORRECTED |
    REFUNDED; NONE -> CANCELLED. OPEN and HELD come in two forms, for ETH and for a token.
    """

    NONE = 0
    OPEN = 1
    OPEN_ERC20 = 2
    HELD = 3
    HELD_ERC20 = 4
    FULFILLED = 5
    CORRECTED = 6
    REFUSED = 7
    REFUNDED = 8
    CANCELLED = 9

    @property
    def pending(self) -> bool:
        """Whether the request was placed and has not ended."""
        return RequestStatus.OPEN <= self <= RequestStatus.HELD_ERC20

    @property
    def held(self) -> bool:
        """Whether a verifier holds an answer to the request."""
        return self in (RequestStatus.HELD, RequestStatus.HELD_ERC20)


class Outcome(IntEnum):
    """What became of one of several answers."""

    FULFILLED = 0
    NOT_OPEN = 1
    DEADLINE_PASSED = 2
    NOT_NAMED_WORKER = 3
    COMMITMENT_IS_ZERO = 4
    OUTPUT_TOO_LONG = 5
    OUTPUT_NOT_INLINE = 6
    CALLBACK_REQUIRED = 7


class RefusalReason(IntEnum):
    """Why a worker declined a request; the number is in the event, the sentence is for people."""

    UNSPECIFIED = 0
    INPUT_MALFORMED = 1
    INPUT_OUT_OF_SCHEMA = 2
    INPUT_HASH_MISMATCH = 3
    INPUT_UNAVAILABLE = 4
    BUNDLE_UNAVAILABLE = 5
    BUNDLE_INVALID = 6
    MODE_UNSUPPORTED = 7
    PREDICTION_FAILED = 8
    OUTPUT_TOO_LONG = 9
    INPUT_TOO_LONG = 10

    @property
    def sentence(self) -> str:
        """The reason in words."""
        return _REFUSAL_SENTENCES[self]

    @classmethod
    def of(cls, code: int) -> RefusalReason:
        """The reason with this code; UNSPECIFIED for a code of another client."""
        return cls(code) if code in cls._value2member_map_ else cls.UNSPECIFIED


_REFUSAL_SENTENCES = {
    RefusalReason.UNSPECIFIED: "The worker gave no reason that this client knows.",
    RefusalReason.INPUT_MALFORMED: "The input is not in the canonical encoding.",
    RefusalReason.INPUT_OUT_OF_SCHEMA: "The input does not fit the model's input schema.",
    RefusalReason.INPUT_HASH_MISMATCH: "The input is not the one its hash commits to.",
    RefusalReason.INPUT_UNAVAILABLE: "The input could not be fetched from its content store.",
    RefusalReason.BUNDLE_UNAVAILABLE: "The model's bundle could not be fetched.",
    RefusalReason.BUNDLE_INVALID: "The model's bundle is not what its version pins, or is unsafe.",
    RefusalReason.MODE_UNSUPPORTED: "This worker does not serve requests of this kind.",
    RefusalReason.PREDICTION_FAILED: "The model could not predict for this input.",
    RefusalReason.OUTPUT_TOO_LONG: "The output does not fit an answer.",
    RefusalReason.INPUT_TOO_LONG: "The input is longer than this worker takes.",
}


@dataclass(frozen=True, slots=True)
class Metric:
    """A measured figure or, among thresholds, the least it must reach.

    `name` is at most 23 ASCII characters; `ppm` is parts per million, 980000 for 0.98.
    """

    name: str
    higher_is_better: bool
    ppm: int

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9_]{1,23}", self.name):
            raise InvalidTerms(
                f"{self.name!r} cannot name a metric: 1 to 23 of a-z, 0-9 and _ can."
            )
        if not -(2**63) <= self.ppm < 2**63:
            raise InvalidTerms(f"The metric {self.name} is too large to be recorded on chain.")

    def reaches(self, threshold: Metric) -> bool:
        """Whether this figure is at least as good as `threshold`."""
        if (self.name, self.higher_is_better) != (threshold.name, threshold.higher_is_better):
            return False
        if threshold.higher_is_better:
            return self.ppm >= threshold.ppm
        return self.ppm <= threshold.ppm


@dataclass(frozen=True, slots=True)
class ModelTerms:
    """What a model is offered for; mirrors the struct of the same name.

    `fee` in whole gwei, as wei, or in the token's base units; `max_delay` in seconds; `payee`
    ZERO_ADDRESS for the owner.
    """

    fee: int
    payee_bps: int = WHOLE_BPS // 2
    max_delay: int = 86_400
    open: bool = False
    payee: Address = ZERO_ADDRESS
    token: Address = ETH

    def __post_init__(self) -> None:
        if self.token != ETH:
            if not 0 <= self.fee <= MAX_TOKEN_FEE:
                raise InvalidTerms(
                    f"A price of {self.fee} base units cannot be set: "
                    f"it must be from 0 to {MAX_TOKEN_FEE}."
                )
        elif not 0 <= self.fee <= MAX_FEE or self.fee % GWEI:
            raise InvalidTerms(
                f"A price of {format_amount(self.fee)} cannot be set: "
                f"it must be whole gwei, from 0 to {format_amount(MAX_FEE)}."
            )
        if not 0 <= self.payee_bps <= WHOLE_BPS:
            raise InvalidTerms(f"The payee's share must be 0 to {WHOLE_BPS}, not {self.payee_bps}.")
        if not 0 < self.max_delay < 2**24:
            raise InvalidTerms(
                f"The longest delay must be 1 to {2**24 - 1} seconds, not {self.max_delay}."
            )


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a model; mirrors the struct of the same name. Hashes are 32 bytes."""

    model_id: ModelId
    bundle_hash: bytes
    content_hash: bytes
    manifest_hash: bytes
    program_hash: bytes
    evaluation_hash: bytes
    verifier: Address
    verifier_settings: bytes
    attestor: Address
    metrics: tuple[Metric, ...]
    uri: str


@dataclass(frozen=True, slots=True)
class GrantTerms:
    """What an owner grants; mirrors the struct of the same name.

    `expiry` in Unix seconds, NEVER for none; `uses` UNLIMITED for no quota; `meter` is the escrow
    that may consume uses, required with INFER.
    """

    rights: Right
    expiry: int = NEVER
    uses: int = UNLIMITED
    meter: Address = ZERO_ADDRESS

    def __post_init__(self) -> None:
        if not self.rights:
            raise InvalidTerms("A grant must carry at least one right.")
        if not 0 < self.expiry <= NEVER:
            raise InvalidTerms(f"A grant cannot expire at {self.expiry}.")
        if not 0 <= self.uses <= UNLIMITED or (Right.INFER in self.rights and self.uses == 0):
            raise InvalidTerms(f"A quota must be 1 to {UNLIMITED - 1} uses, not {self.uses}.")
        if Right.INFER in self.rights and self.meter == ZERO_ADDRESS:
            raise InvalidTerms(
                "A grant to request predictions must name the escrow that meters it."
            )


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant as stored; see `GrantTerms`. Void unless `generation` is the current one."""

    meter: Address
    expiry: int
    uses: int
    generation: int
    rights: Right


@dataclass(frozen=True, slots=True)
class Offer:
    """The part of a request's terms that comes from the registry; mirrors the struct."""

    model_id: ModelId
    version_id: VersionId
    owner: Address
    payee: Address
    payee_bps: int
    token: Address
    fee: int
    verifier: Address

    @property
    def payee_share(self) -> int:
        """Credited to the payee, rounded down."""
        return self.fee * self.payee_bps // WHOLE_BPS

    @property
    def worker_share(self) -> int:
        """Credited to the worker: the rest."""
        return self.fee - self.payee_share


@dataclass(frozen=True, slots=True)
class Quote:
    """What a request placed now would be bound to; `max_delay` in seconds."""

    offer: Offer
    max_delay: int
    open: bool


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model as it stands; versions are numbered from 1."""

    owner: Address
    terms: ModelTerms
    retired: bool
    versions: int


@dataclass(frozen=True, slots=True)
class VersionState:
    """A version as it stands; `published_at` in Unix seconds."""

    status: VersionStatus
    number: int
    published_at: int
    verifier: Address


@dataclass(frozen=True, slots=True)
class Request:
    """A request's own terms; mirrors `Request` with its `Query`. Hashes and keys are 32 bytes.

    `deadline` is the last second at which an answer counts; `worker` ZERO_ADDRESS for any.
    """

    requester: Address
    payer: Address
    input_hash: bytes
    deadline: int
    worker: Address = ZERO_ADDRESS
    reply_key: bytes = ZERO_HASH
    callback_gas: int = 0
    flags: int = 0


@dataclass(frozen=True, slots=True)
class RequestState:
    """A request as stored; `commitment` is the first 31 bytes, zero unless there is a result.

    `fee` is in `token`; both, like `deadline`, are zero once the request has ended.
    """

    status: RequestStatus
    payer: Address
    token: Address
    fee: int
    deadline: int
    commitment: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """One of several answers under the same offer; `commitment` is 32 bytes, `output` framed."""

    request: Request
    commitment: bytes
    output: bytes


@dataclass(frozen=True, slots=True)
class ExactTerms:
    """What a version says to the ExactReferee; mirrors the struct of the same name.

    `window` in seconds, `bond` in wei.
    """

    program_hash: bytes
    window: int
    bond: int

    @property
    def settings(self) -> bytes:
        """The version's `verifier_settings`: window and bond, 128 bits each."""
        return self.window.to_bytes(16, "big") + self.bond.to_bytes(16, "big")


@dataclass(frozen=True, slots=True)
class ExactAnswer:
    """An answer under the ExactReferee's examination; mirrors the struct of the same name.

    `settle_after` in Unix seconds, `bond` in wei; `result_salt` is ZERO_HASH unless the request
    asks for a callback; `output` is framed.
    """

    worker: Address
    settle_after: int
    bond: int
    commitment: bytes
    result_salt: bytes
    output: bytes


class PredictionStatus(IntEnum):
    """What a consumer contract knows of a request: NONE -> AWAITED -> USED | CLEARED."""

    NONE = 0
    AWAITED = 1
    USED = 2
    CLEARED = 3


@dataclass(frozen=True, slots=True)
class Ask:
    """What a consumer contract is to ask for; mirrors the struct of the same name.

    Hashes are 32 bytes. `max_fee` is in wei or the token's base units, `usable_until` in Unix
    seconds; `callback_gas` 0 asks for no callback.
    """

    model_id: ModelId
    version_id: VersionId
    input_hash: bytes
    max_fee: int
    deadline: int
    usable_until: int
    callback_gas: int
    worker: Address = ZERO_ADDRESS
    token: Address = ETH
    context: bytes = ZERO_HASH


@dataclass(frozen=True, slots=True)
class AwaitedPrediction:
    """What a consumer contract remembers of a request; mirrors the struct of the same name."""

    status: PredictionStatus
    usable_until: int
    funder: Address
    context: bytes
    token: Address
    fee: int


@dataclass(frozen=True, slots=True)
class GrantItem:
    """One of several grants made in one call."""

    grantee: Address
    resource: bytes
    terms: GrantTerms
    wrapped_key: bytes = b""


@dataclass(frozen=True, slots=True)
class RevokeItem:
    """One of several grants ended in one call."""

    grantee: Address
    resource: bytes


@dataclass(frozen=True, slots=True)
class SignedGrant:
    """A grant its owner signed for anyone to redeem until `deadline`; mirrors the struct."""

    owner: Address
    grantee: Address
    resource: bytes
    terms: GrantTerms
    generation: int
    nonce: int
    deadline: int


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """The X25519 key inputs for a model are sealed to; `epoch` counts from 1, 0 for none."""

    epoch: int
    public_key: bytes


# --- payload frames ------------------------------------------------------------------------------


class Frame(IntFlag):
    """The first byte of an input or output in an event; mirrors `Payload`."""

    CLEAR = 0
    SEALED = 1
    REFERENCE = 2


@dataclass(frozen=True, slots=True)
class Payload:
    """An input or output as an event has it: in clear or `sealed`, inline or by reference.

    Inline, `body` is the content. By reference, `content_hash` (32 bytes) is that of the content,
    and `uri` says which content store has it.
    """

    sealed: bool
    body: bytes = field(default=b"", repr=False)
    content_hash: bytes | None = None
    uri: str = ""

    def encoded(self) -> bytes:
        """Frame it for an event."""
        frame = Frame.SEALED if self.sealed else Frame.CLEAR
        if self.content_hash is None:
            return bytes([frame]) + self.body
        return bytes([frame | Frame.REFERENCE]) + self.content_hash + self.uri.encode()

    @classmethod
    def decoded(cls, framed: bytes) -> Payload:
        """Inverse of `encoded`. Raises `BadInput`."""
        if not framed:
            raise BadInput("There is nothing in this event.")
        if framed[0] > Frame.SEALED | Frame.REFERENCE:
            raise BadInput(f"What is in this event has an unknown frame ({framed[0]}).")
        frame, body = Frame(framed[0]), framed[1:]
        sealed = Frame.SEALED in frame
        if Frame.REFERENCE not in frame:
            return cls(sealed, body)
        try:
            uri = body[32:].decode()
        except UnicodeDecodeError as error:
            raise BadInput("The reference in this event is not text.") from error
        if not uri.isprintable() or len(body) <= 32:
            raise BadInput("The reference in this event is cut short or not text.")
        return cls(sealed, b"", body[:32], uri)


@dataclass(frozen=True, slots=True)
class ClearInput:
    """An input in clear: the requester's secret and the canonical input."""

    secret: bytes
    canonical_input: bytes = field(repr=False)


def frame_clear_input(secret: bytes, canonical_input: bytes) -> bytes:
    """Frame an input in clear: one byte, 32 bytes of secret, the canonical input."""
    return Payload(sealed=False, body=secret + canonical_input).encoded()


def frame_clear_output(canonical_output: bytes) -> bytes:
    """Frame an output in clear: one byte and the canonical output."""
    return Payload(sealed=False, body=canonical_output).encoded()


def parse_clear_input(payload: bytes) -> ClearInput:
    """Inverse of `frame_clear_input`.

    Raises:
        BadInput: it is empty, sealed, a reference, or too short.
    """
    decoded = Payload.decoded(payload)
    if decoded.sealed or decoded.content_hash is not None:
        raise BadInput(f"The input in this event is not in clear (frame {payload[0]}).")
    return split_input(decoded.body)


def split_input(content: bytes) -> ClearInput:
    """Secret and canonical input, from what was framed or sealed. Raises `BadInput`."""
    if len(content) < 32:
        raise BadInput("The input in this request is cut short.")
    return ClearInput(secret=content[:32], canonical_input=content[32:])


# --- units and references ------------------------------------------------------------------------

_UNITS = {"wei": 1, "gwei": GWEI, "ether": ETHER, "eth": ETHER}
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def parse_amount(text: str | int) -> int:
    """Wei from "0.001 ether", "5 gwei", "250 wei", or a plain integer of wei.

    Raises:
        InvalidTerms: it is not an amount, is negative, or is finer than a wei.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        amount = Decimal(text)
    else:
        match = re.fullmatch(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*([a-zA-Z]*)\s*", str(text))
        unit = match and _UNITS.get(match[2].lower() or "wei")
        if not match or not unit:
            raise InvalidTerms(
                f"{text!r} is not an amount of money.",
                hint='Write it as "0.001 ether", "5 gwei" or a whole number of wei.',
            )
        try:
            amount = Decimal(match[1]) * unit
        except InvalidOperation as error:  # pragma: no cover - the pattern admits numbers only
            raise InvalidTerms(f"{text!r} is not an amount of money.") from error
    if amount != amount.to_integral_value():
        raise InvalidTerms(f"{text!r} is finer than a wei.")
    if amount < 0:
        raise InvalidTerms(f"{text!r} is negative.")
    return int(amount)


def format_amount(wei: int) -> str:
    """An exact amount in the unit that reads best, such as "0.001 ether"."""
    sign, wei = ("-", -wei) if wei < 0 else ("", wei)
    if wei >= 10**14:
        return f"{sign}{_plain(wei, 18)} ether"
    if wei >= 10**5:
        return f"{sign}{_plain(wei, 9)} gwei"
    return f"{sign}{wei} wei"


def format_fee(fee: int, token: Address) -> str:
    """An exact fee: in the unit that reads best, or in base units of its token."""
    return format_amount(fee) if token == ETH else f"{fee} base units of {token}"


def _plain(wei: int, decimals: int) -> str:
    whole, rest = divmod(wei, 10**decimals)
    return f"{whole}.{rest:0{decimals}d}".rstrip("0").rstrip(".")


def parse_duration(text: str | int) -> int:
    """Seconds from "90", "15m", "2h", "7d", "1w" or a plain integer.

    Raises:
        InvalidTerms: it is not a positive duration.
    """
    match = re.fullmatch(r"\s*([0-9]+)\s*([smhdw]?)\s*", str(text))
    seconds = int(match[1]) * _SECONDS[match[2] or "s"] if match else 0
    if seconds <= 0:
        raise InvalidTerms(
            f"{text!r} is not a duration.", hint="Write it as seconds or as 15m, 2h, 7d, 1w."
        )
    return seconds


def format_duration(seconds: int) -> str:
    """About how long that is, in the unit that reads best, such as "15 min"."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


@dataclass(frozen=True, slots=True)
class ModelReference:
    """`owner/name@version`, as people write it.

    `owner` is an address or an account's name; `version` is a number, a 0x-prefixed version id or
    the beginning of one, or None for the newest servable version.
    """

    owner: str
    name: str
    version: str | None = None

    @classmethod
    def parse(cls, text: str) -> ModelReference:
        """Read a reference.

        Raises:
            InvalidTerms: it is not of the form owner/name or owner/name@version.
        """
        match = re.fullmatch(
            r"([^/@\s]+)/([^/@\s]+)(?:@([0-9]+|0x[0-9a-fA-F]{1,64}|latest))?", text
        )
        if not match:
            raise InvalidTerms(
                f"{text!r} is not a model reference.",
                hint="Write owner/name or owner/name@version, such as owner/breast-cancer@1.",
            )
        return cls(match[1], match[2], None if match[3] == "latest" else match[3])

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}" + (f"@{self.version}" if self.version else "")


def check_model_name(name: str) -> str:
    """Return `name` if it can name a model: 1 to 64 of a-z, A-Z, 0-9, dot, dash and underscore.

    Raises:
        InvalidTerms: it cannot.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise InvalidTerms(
            f"{name!r} cannot name a model.",
            hint="Use 1 to 64 letters, digits, dots, dashes and underscores, "
            "a letter or digit first.",
        )
    return name
