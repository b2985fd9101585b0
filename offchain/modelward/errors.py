"""Every error modelward raises on purpose, in one tree.

Four families, each with the exit code a command ends with:

====  =======================  =============================================================
code  family                   meaning
====  =======================  =============================================================
1     `CheckFailed`            something was checked and is not so (a commitment, a bundle hash)
2     `BadInput`               what the caller gave cannot be used; nothing was sent or written
3     `Refused`                a contract or a gate said no
4     `Unavailable`            the RPC endpoint, the content store or the database failed
====  =======================  =============================================================

The message is one clear sentence about what is wrong, the hint one about what to do next. Catch
the narrowest class you can act on; every class carries what a program needs as attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar


class ModelwardWarning(UserWarning):
    """Something works, but not as well as its user may think."""


class ModelwardError(Exception):
    """Base of every error raised on purpose."""

    exit_code: ClassVar[int] = 4
    default_hint: ClassVar[str | None] = None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint if hint is not None else self.default_hint


class CheckFailed(ModelwardError):
    """A verification or a `--check` found a difference."""

    exit_code = 1


class BadInput(ModelwardError):
    """The caller's input cannot be used."""

    exit_code = 2


class Refused(ModelwardError):
    """A contract or a gate refused."""

    exit_code = 3


class Unavailable(ModelwardError):
    """Infrastructure failed: an RPC endpoint, a content store, a database."""

    exit_code = 4


# --- 1: checks -----------------------------------------------------------------------------------


class ArtifactDrift(CheckFailed):
    """The committed artifacts were not compiled from these Solidity sources."""

    default_hint = "Run `modelward compile` and commit the artifacts."


class SnapshotDrift(CheckFailed):
    """Measured figures are not the committed ones."""

    default_hint = "If that is meant, run `modelward bench gas --write` and commit the figures."


class CodeMismatch(CheckFailed):
    """The code at an address is not the code that was deployed."""


class HashMismatch(CheckFailed):
    """Bytes do not have the hash they were asked for by."""

    def __init__(self, what: str, *, expected: bytes, actual: bytes, hint: str | None = None):
        super().__init__(
            f"{what} has the hash 0x{actual.hex()}, not 0x{expected.hex()} as pinned.", hint=hint
        )
        self.expected = expected
        self.actual = actual


class CommitmentMismatch(CheckFailed):
    """A delivered output does not open the commitment recorded on chain."""


class PredictionMismatch(CheckFailed):
    """A replay from the pinned bundle gives another prediction than the one delivered."""


class LineageBroken(CheckFailed):
    """Something in a version's lineage is not what its hash stands for; `links` names what."""

    def __init__(self, message: str, links: tuple[str, ...]) -> None:
        super().__init__(message)
        self.links = links


class EnvelopeError(CheckFailed):
    """Something sealed does not open."""


class EnvelopeMalformed(EnvelopeError):
    """It is not sealed as this program seals."""


class EnvelopeTruncated(EnvelopeError):
    """Its end is missing."""


class EnvelopeReordered(EnvelopeError):
    """Its chunks are not in their places."""


class EnvelopeCorrupted(EnvelopeError):
    """It was changed, or the content key is another."""


class SealedByFormerOwner(EnvelopeError):
    """A version was sealed before its model changed hands, with keys its owner does not have."""

    default_hint = "Its owner publishes it anew with `modelward model publish`."


class EnvelopeMisplaced(EnvelopeError):
    """It belongs to another chain, contract, resource or key epoch; `what` says which."""

    def __init__(self, what: str, *, expected: object, actual: object) -> None:
        shown = [
            f"0x{each.hex()}" if isinstance(each, bytes) else str(each)
            for each in (actual, expected)
        ]
        super().__init__(f"This is sealed for the {what} {shown[0]}, not for {shown[1]}.")
        self.what = what
        self.expected = expected
        self.actual = actual


class KeyNotForReader(EnvelopeError):
    """A key or message is sealed to somebody else's key, or for another place, or was changed."""


class EpochNotGranted(EnvelopeError):
    """The key at hand is of an earlier epoch than what was sealed."""


# --- 2: bad input --------------------------------------------------------------------------------


class ConfigurationError(BadInput):
    """deploy.toml or an environment variable cannot be used.

    `file` is the file at fault, `key` the dotted key in it, where known.
    """

    def __init__(
        self,
        message: str,
        *,
        file: Path | None = None,
        key: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.file = file
        self.key = key


class InvalidPipeline(BadInput):
    """A pipeline's file cannot be used; `line` is the line at fault, where known."""

    def __init__(self, message: str, *, file: Path, line: int | None = None) -> None:
        super().__init__(message)
        self.file = file
        self.line = line


class WrongJournal(BadInput):
    """The journal was written for another account."""


class UnknownNetwork(BadInput):
    """No network of that name is configured."""


class WrongChain(BadInput):
    """The chain reached is not the one configured or recorded (chain id or genesis hash)."""


class NotDeployed(BadInput):
    """No deployment is recorded for this chain."""

    default_hint = "Run `modelward deploy --network NAME` first."


class UnknownAccount(BadInput):
    """No account of that name or address is known."""

    default_hint = "Run `modelward account list` to see the known ones."


class WrongPassword(BadInput):
    """The keystore does not open with this password."""


class NoEncryptionKey(BadInput):
    """An account has registered no encryption key that something could be sealed to."""

    def __init__(self, account: str) -> None:
        super().__init__(
            f"{account} has registered no encryption key, so no key can be wrapped for it.",
            hint="Its holder runs `modelward key register` once; then grant again.",
        )
        self.account = account


class NoPrivateKey(BadInput):
    """Something follows from an account's private key, which a node or wallet keeps to itself."""

    def __init__(self, account: str) -> None:
        super().__init__(f"The private key of {account} is not at hand: a node or wallet signs.")
        self.account = account


class AccountExists(BadInput):
    """A keystore of that name or address exists, and is never written over."""


class InvalidKeystore(BadInput):
    """A keystore, or what was to become one, cannot be used."""


class UnsafeAccount(BadInput):
    """A publicly known development key was about to be used on a real chain."""


class UnknownModel(BadInput):
    """No model of that reference is registered."""


class UnknownVersion(BadInput):
    """The model has no such version."""


class UnknownRequest(BadInput):
    """The escrow holds no such request."""


class InvalidInput(BadInput):
    """An input row does not fit the model's input schema."""


class InvalidOutput(BadInput):
    """Bytes are not a canonical output of the model."""


class PredictionFailed(BadInput):
    """The model gives no usable prediction for a valid input row."""


class PredictionAborted(PredictionFailed):
    """The process a model ran in crashed, or was stopped at a limit of time or memory."""

    def __init__(self, message: str, *, timed_out: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out


class InvalidTerms(BadInput):
    """A price, deadline, quota or other term cannot be used."""


class UnfittedEstimator(BadInput):
    """The estimator has not been fitted."""


class UnsupportedEstimator(BadInput):
    """The estimator is of a kind modelward cannot publish or serve."""


class InvalidBundle(BadInput):
    """A bundle is malformed, or holds something that is not allowed in one."""


class InvalidProgram(BadInput):
    """Bytes are not an exact program, or one that could overflow."""


class NoExactProgram(UnsupportedEstimator):
    """The estimator has no exact program; it can be published without one."""


class UnknownContract(BadInput):
    """No compiled contract of that name comes with this package."""


class ContentTooLarge(BadInput):
    """Stored content is larger than its reader accepts."""


class CompilerMissing(BadInput):
    """No usable Solidity compiler was found."""


class AnvilMissing(BadInput):
    """anvil was asked for and is not installed."""

    default_hint = "Run `npm ci` in the checkout, or put anvil on the PATH."


class CompilationFailed(BadInput):
    """The Solidity compiler rejected the sources."""


# --- 3: refused ----------------------------------------------------------------------------------


class ContractRefused(Refused):
    """A contract reverted with one of its custom errors.

    `error` is the custom error's name, `arguments` its arguments by name.
    """

    def __init__(
        self,
        message: str,
        *,
        error: str,
        arguments: Mapping[str, Any] | None = None,
        contract: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.error = error
        self.arguments = dict(arguments or {})
        self.contract = contract


class AccessDenied(ContractRefused):
    """DataShare holds no live grant that covers what was asked."""


class ThresholdNotMet(Refused):
    """The model's metrics are below its thresholds, so it may not be served."""


class DataNotClean(Refused):
    """Data do not hold to their rules, and no rule says how to mend them.

    `failures` maps each failing check to the numbers of the rows that fail it, from 1 as collected;
    none are given where a check is about the whole table.
    """

    default_hint = "Nothing was published. Mend the data, or state in the rules what to do."

    def __init__(self, message: str, failures: Mapping[str, tuple[int, ...]]) -> None:
        super().__init__(message)
        self.failures = failures


class KeyNotGranted(Refused):
    """Something is sealed, and nobody has given this account the key that opens it."""


class RequestRefused(Refused):
    """A worker declined a request; the payer was credited the whole fee."""

    def __init__(self, message: str, *, reason: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class InsufficientFunds(Refused):
    """The account cannot pay for the transaction; amounts in wei.

    `have` and `need` are None where the node did not say.
    """

    def __init__(
        self, account: str, *, have: int | None = None, need: int | None = None, chain: str = ""
    ) -> None:
        where = f" on {chain}" if chain else ""
        amounts = "" if have is None or need is None else f": it has {have} wei and needs {need}"
        super().__init__(f"The account {account} cannot pay for this transaction{where}{amounts}.")
        self.account = account
        self.have = have
        self.need = need


class TransactionFailed(Refused):
    """A transaction was mined with status 0 and no decodable reason."""


class WrongNonce(Refused):
    """Another transaction of the account has this nonce, or those before it are missing."""

    def __init__(self, message: str, *, nonce: int) -> None:
        super().__init__(message)
        self.nonce = nonce


class Underpriced(Refused):
    """The bid is too low to be mined; or, if it `replaces` one, too low to take the place of the
    transaction of the same nonce."""

    def __init__(self, message: str, *, replaces: bool = False) -> None:
        super().__init__(message)
        self.replaces = replaces


class FeeTooHigh(Refused):
    """The chain asks for more per unit of gas than the network's cap allows; amounts in wei."""

    default_hint = "Wait for it to fall, or raise `max_fee_per_gas` of the network."

    def __init__(self, *, needed: int, cap: int) -> None:
        super().__init__(f"Gas costs at least {needed} wei a unit now, above the cap of {cap} wei.")
        self.needed = needed
        self.cap = cap


# --- 4: infrastructure ---------------------------------------------------------------------------


class RpcUnavailable(Unavailable):
    """The RPC endpoint cannot be reached, or its answer is not JSON-RPC."""


class RpcError(Unavailable):
    """The RPC endpoint answered with an error.

    `code` and `data` are those of the JSON-RPC error object, `reason` is its message.
    """

    def __init__(
        self, message: str, *, code: int | None = None, data: Any = None, reason: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.data = data
        self.reason = reason


class TimedOut(Unavailable):
    """Something that was waited for did not happen in time; nothing is lost by waiting again."""


class NotAnswered(Unavailable):
    """A request has no answer: not yet, or not by its deadline. The fee is not lost."""


class StoreUnavailable(Unavailable):
    """The content store cannot be read or written."""


class StoreTimedOut(StoreUnavailable):
    """The content store does not answer in time."""


class ContentMissing(StoreUnavailable):
    """The content store does not hold these bytes."""


class ReorganisedTooDeep(Unavailable):
    """A reorganisation reaches deeper below the confirmed head than a worker follows."""

    default_hint = "Make sure of the RPC endpoint, then let it go on: `modelward worker resume`."


class SandboxUnavailable(Unavailable):
    """No process can be started to predict in."""


class JournalUnavailable(Unavailable):
    """The worker's journal cannot be read or written."""


class Superseded(Unavailable):
    """Somebody else went on with it meanwhile: the chain, or another worker on the journal."""


class JournalInUse(JournalUnavailable):
    """Another worker uses the journal; `holder` is its process id as far as known."""

    default_hint = "Stop the other worker first, or give this one its own --journal."

    def __init__(self, journal: Path, holder: str) -> None:
        super().__init__(f"The journal {journal} is in use by the process {holder}.")
        self.journal = journal
        self.holder = holder


class RecordUnavailable(Unavailable):
    """A record kept for its user (of a request, of a publication) cannot be read or written."""
