"""An answer, and the callers and terms that a request does not accept it from."""

from modelward.terms import INLINE_ONLY

COMMITMENT = bytes(range(0x60, 0x80))
OUTPUT = b"\x00" + b"an output in clear"

SEALED = b"\x01" + b"an envelope"
REFERENCE = b"\x02" + b"\x0c" * 32 + b"file:///outputs"
SEALED_REFERENCE = b"\x03" + b"\x0c" * 32 + b"file:///outputs"

ANOTHER_ADDRESS = "0x" + "Ee" * 20

CHANGED_OFFER = {
    "model_id": b"\x01" * 32,
    "version_id": b"\x01" * 32,
    "owner": ANOTHER_ADDRESS,
    "payee": ANOTHER_ADDRESS,
    "payee_bps": 10_000,
    "token": ANOTHER_ADDRESS,
    "fee": 10**18,
    "verifier": ANOTHER_ADDRESS,
}
CHANGED_REQUEST = {
    "requester": ANOTHER_ADDRESS,
    "payer": ANOTHER_ADDRESS,
    "input_hash": b"\x01" * 32,
    "deadline": 2**40 - 1,
    "worker": ANOTHER_ADDRESS,
    "reply_key": b"\x01" * 32,
    "callback_gas": 1,
    "flags": INLINE_ONLY,
}
"""Another value for each field of an offer and of a request."""
