"""Turns what a reverted call leaves behind into an error that says what was refused, in words.

The data is taken from the JSON-RPC error object itself: client libraries lose some of it.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any

from modelward.chain.abi import ContractAbi, Layout, Undecodable, contract_abi
from modelward.errors import AccessDenied, ContractRefused
from modelward.solidity import artifact_names
from modelward.terms import NEVER, Access, Right, format_amount

SENTENCES: Mapping[str, str] = {
    # DataShare
    "AccessDenied": "{grantee} may not {right:right} of {owner}: {reason:access}.",
    "NotPublished": "{owner} has published nothing under the data key {dataKey:hash}.",
    "GranteeIsZero": "The zero address cannot hold a grant.",
    "InvalidRights": "A grant must carry READ, INFER or SERVE and nothing else, not {rights:d}.",
    "ResourceIsEverything": "A grant on everything an owner has can carry READ only.",
    "ExpiryPassed": "The grant would have expired at {expiry:time}, before now ({timestamp:time}).",
    "QuotaIsZero": "A grant to request predictions needs at least one use.",
    "MeterIsZero": "A grant to request predictions must name the escrow that meters it.",
    "NotMeter": "The grant is metered by {meter}, not by {caller}.",
    "GranteeHasNoKey": "{grantee} has registered no encryption key that a key could be wrapped to.",
    "SignedGrantsNotAllowed": "{owner} does not allow grants by signature.",
    "WrongGeneration": "The owner revoked all it had granted since ({signed}, now {current}).",
    "WrongNonce": "The signed grant was redeemed or revoked (nonce {signed}, now {current}).",
    "SignatureExpired": "The signature could be used until {deadline:time}.",
    "ContentHashIsZero": "The hash of published content cannot be zero.",
    "WrappedKeysLength": "{length} bytes of wrapped keys were given, not {expected}.",
    "KeyIsZero": "A public key cannot be zero.",
    # ModelRegistry
    "InvalidName": "A model's name has 1 to {most} bytes, not {length}.",
    "ModelExists": "The account has a model of that name already ({modelId:hash}).",
    "UnknownModel": "There is no model {modelId:hash}.",
    "NotOwner": "The model {modelId:hash} belongs to {owner}, not to {caller}.",
    "ModelIsRetired": "The model {modelId:hash} was retired.",
    "InvalidFee": "A price of {fee} cannot be set: it must be a multiple of {unit}, up to {most}.",
    "TokenHasNoCode": "There is no token at {token}.",
    "NotOfferedTo": "The model {modelId:hash} is offered to {offeredTo}, not to {caller}.",
    "InvalidShare": "The payee's share must be 0 to {whole}, not {payeeBps}.",
    "MaxDelayIsZero": "The longest delay must be at least one second.",
    "TooManyMetrics": "A model or version has at most {most} metrics, not {count}.",
    "MetricsNotAscending": "Metrics must come in ascending order of name; number {index} does not.",
    "ThresholdLowered": "The threshold on {name} is {current} ppm and only rises, not to {given}.",
    "HashIsZero": "The hashes of bundle, content and manifest cannot be zero.",
    "AttestationNotEmpty": "An owner that vouches for its own metrics signs nothing.",
    "VersionExists": "This version was published before ({versionId:hash}, {status:word}).",
    "UnknownVersion": "The model {modelId:hash} has no version {versionId:hash}.",
    "VersionNotServable": "The version {versionId:hash} cannot be served: it was {status:word}.",
    # InferenceEscrow
    "WrongFee": "The fee sent is {sent:wei}, but the price is {fee:wei}.",
    "DeadlineOutOfBounds": (
        "The deadline {deadline:time} is not after now ({timestamp:time}) "
        "and by {latest:time} at the latest."
    ),
    "CallbackGasTooHigh": "A callback can have {most} gas at most, not {callbackGas}.",
    "NotPayer": "The request is to be paid by {payer}, not by {caller}.",
    "NotRequester": "Only the requester {requester} may do this, not {caller}.",
    "LengthMismatch": "There are {queries} queries, but {inputs} inputs.",
    "InexactDeposit": "The token moved {received} base units instead of {expected}.",
    "CallbackNeedsClearOutput": "A request with a callback needs its output in clear.",
    "CallbackMismatch": "The request asks for {callbackGas} gas of callback.",
    "CallbackGasMissing": "The callback needs {needed} gas; {left} are left.",
    "NotHeld": "The request {id:hash} is not held: {status:state}.",
    "HoldOutOfBounds": "The hold until {until:time} is not between now and {latest:time}.",
    "UnknownFlags": "The request's flags {flags} hold one that means nothing.",
    "RequestExists": "This very request was placed before ({id:hash}, {status:word}).",
    "NotOpen": "The request {id:hash} is not open: {status:state}.",
    "DeadlinePassed": "The deadline was {deadline:time}; it is {timestamp:time} now.",
    "DeadlineNotPassed": (
        "The request may still be answered until {deadline:time}; it is {timestamp:time} now."
    ),
    "NotNamedWorker": "Only the worker {worker} may answer this request, not {caller}.",
    "NotVerifier": "Only the verifier {verifier} may end this request, not {caller}.",
    "CommitmentIsZero": "An answer's commitment cannot be zero.",
    "OutputTooLong": "The output has {length} bytes; an answer carries {most} at most.",
    "OutputNotInline": "The request asks for the output itself, not for a reference to it.",
    "ReceiverIsZero": "Money sent to the zero address would be lost; it is still owed.",
    "NothingToWithdraw": "{account} is owed nothing.",
    "TransferFailed": "{to} did not take {amount:wei}; it is still owed.",
    # ExactPrograms
    "ProgramTooLong": "The program has {length} bytes; a contract's code holds {most} of them.",
    "ProgramTooCostly": "A run of the program could take {mostGas} gas; {allowed} are allowed.",
    "UnknownProgram": "No program {programHash:hash} is stored on this chain.",
    "InvalidProgram": "The program breaks a rule of its format, near byte {position}.",
    "InvalidInput": "The input does not fit the program: {length} bytes, where {expected} do.",
    # ExactReferee
    "WrongVerifier": "The version is verified by {verifier}, not by {referee}.",
    "WindowOutOfBounds": "The window must be {least} to {most} seconds, not {window}.",
    "BondIsZero": "The version asks for no bond; answers need one.",
    "VersionNotAdmitted": "The version {versionId:hash} was not admitted by the referee.",
    "BalanceTooLow": "{account} has {balance:wei} at the referee, but {needed:wei} are needed.",
    "UnknownAnswer": "This is not the answer under examination for the request {id:hash}.",
    "WindowOpen": "The answer can be challenged until {settleAfter:time}.",
    "WindowClosed": "The answer could be challenged until {settleAfter:time}.",
    "NotLapsed": "The answer can be settled until {until:time}.",
    "InputMismatch": "Secret and input hash to {given:hash}, the request's to {inputHash:hash}.",
    "AnswerIsRight": "The answer to the request {id:hash} is right; there is nothing to correct.",
    # PrivacyLedger
    "EpsilonIsZero": "A private run spends something; no epsilon was stated.",
    "OverBudget": "The run would spend {epsilon} millionths of an epsilon, and {left} are left.",
    "BudgetTooLarge": "A budget is at most {most} millionths of an epsilon, not {budget}.",
    # Signatures
    "SignerIsZero": "The zero address signs nothing.",
    "SignatureLength": "A signature has {expected} bytes, not {length}.",
    "SignatureMalleable": "The signature is in its malleable form.",
    "SignatureUnrecoverable": "No key has made this signature.",
    "WrongSigner": "{expected} did not sign this.",
    "SignatureRefused": "The contract {signer} does not accept the signature.",
    # OpenZeppelin
    "ReentrancyGuardReentrantCall": "The contract was called back in the middle of a call.",
    "SafeERC20FailedOperation": "The token {token} refused the transfer.",
}
"""What each custom error means; format specifications are those of `_Words`."""

PANICS: Mapping[int, str] = {
    0x01: "an assertion failed",
    0x11: "a number overflowed",
    0x12: "a division by zero",
    0x21: "an invalid enumeration value",
    0x22: "a corrupt byte array in storage",
    0x31: "a pop from an empty array",
    0x32: "an index out of bounds",
    0x41: "too much memory was asked for",
    0x51: "a call of an uninitialised function",
}

ACCESS_REASONS: Mapping[Access, str] = {
    Access.NOT_GRANTED: "there is no grant",
    Access.REVOKED: "the owner revoked it",
    Access.EXPIRED: "the grant has expired",
    Access.RIGHT_MISSING: "the grant does not carry that right",
    Access.QUOTA_EXHAUSTED: "the grant's quota is used up",
}
_RIGHTS = {
    Right.READ: "read the data",
    Right.INFER: "request predictions from the model",
    Right.SERVE: "answer requests for the model",
}
_ERROR = bytes.fromhex("08c379a0")
_PANIC = bytes.fromhex("4e487b71")
_REASON = Layout([{"name": "", "type": "string"}])
_CODE = Layout([{"name": "", "type": "uint256"}])
_REVERT_CODES = frozenset({3, -32015})


def refusal(error: Mapping[str, Any]) -> ContractRefused | None:
    """What a JSON-RPC error object of a simulated call says a contract refused; else None."""
    found = _revert_data(error.get("data"))
    message = str(error.get("message") or "").lower()
    if not found and error.get("code") not in _REVERT_CODES and "revert" not in message:
        return None
    return refusal_of(found or b"")


def refusal_of(data: bytes) -> ContractRefused:
    """The error that a reverted call's return data stands for."""
    selector, body = data[:4], data[4:]
    try:
        if selector == _ERROR:
            (reason,) = _REASON.decode(body)
            return ContractRefused(
                f"The contract refused: {reason}.", error="Error", arguments={"message": reason}
            )
        if selector == _PANIC:
            (code,) = _CODE.decode(body)
            meaning = PANICS.get(code, "a defect")
            return ContractRefused(
                f"The contract stopped at a defect of its own: {meaning} (panic {code:#04x}).",
                error="Panic",
                arguments={"code": code},
            )
        known = _errors().get(selector)
        if known is not None:
            contract, entry = known
            names = [part["name"] for part in entry["inputs"]]
            arguments = dict(zip(names, Layout(entry["inputs"]).decode(body), strict=True))
            ours = contract is None or contract in artifact_names()
            kind = AccessDenied if ours and entry["name"] == "AccessDenied" else ContractRefused
            return kind(
                _sentence(entry["name"], arguments) if ours else _listed(entry["name"], arguments),
                error=entry["name"],
                arguments=arguments,
                contract=contract,
            )
    except Undecodable:
        pass
    if not data:
        return ContractRefused("The contract refused, and gave no reason.", error="")
    return ContractRefused(
        f"A contract refused with an error modelward does not know: 0x{data[:36].hex()}.",
        error="0x" + selector.hex(),
        arguments={"data": data},
    )


def learn_errors(abi: ContractAbi) -> None:
    """Tell the custom errors of somebody else's contract by name from now on.

    Errors of one signature cannot be told apart: they keep the argument names learned first.
    """
    errors = _errors()
    for selector, entry in abi.errors.items():
        errors.setdefault(selector, (abi.name, entry))


@cache
def _errors() -> dict[bytes, tuple[str | None, Mapping[str, Any]]]:
    """Custom errors by selector, each with its contract unless several have it."""
    found: dict[bytes, tuple[str | None, Mapping[str, Any]]] = {}
    for name in artifact_names():
        for selector, entry in contract_abi(name).errors.items():
            found[selector] = (None if selector in found else name, entry)
    return found


def _revert_data(found: Any) -> bytes | None:
    """The bytes among an error's data, which nodes wrap in strings and objects of their own."""
    if isinstance(found, Mapping):
        candidates = [_revert_data(found.get(key)) for key in ("data", "result", "return")]
        return next((candidate for candidate in candidates if candidate is not None), None)
    if isinstance(found, str):
        text = found.removeprefix("Reverted ").strip()
        if text.startswith("0x"):
            try:
                return bytes.fromhex(text[2:])
            except ValueError:
                return None
    return None


def _sentence(name: str, arguments: Mapping[str, Any]) -> str:
    if name in SENTENCES:
        return _Words().vformat(SENTENCES[name], (), arguments)
    return _listed(name, arguments)


def _listed(name: str, arguments: Mapping[str, Any]) -> str:
    shown = ", ".join(
        f"{key} = 0x{value.hex()}" if isinstance(value, bytes) else f"{key} = {value}"
        for key, value in arguments.items()
    )
    return f"The contract refused with {name}({shown})."


class _Words(string.Formatter):
    """Format specifications for amounts (wei), times, hashes, statuses, rights and reasons."""

    def format_field(self, value: Any, format_spec: str) -> str:
        match format_spec:
            case "wei":
                return format_amount(value)
            case "time":
                return _time(value)
            case "hash":
                return f"0x{value.hex()[:8]}…"
            case "word":
                return _word(value)
            case "state":
                return "it was never placed" if value == 0 else f"it was {_word(value)}"
            case "right":
                return " and ".join(_RIGHTS[right] for right in Right if right in value)
            case "access":
                return ACCESS_REASONS.get(value, _word(value))
        return str(super().format_field(value, format_spec))


def _word(value: Enum) -> str:
    return value.name.lower().replace("_", " ")


def _time(seconds: int) -> str:
    if seconds >= NEVER:
        return "never"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
