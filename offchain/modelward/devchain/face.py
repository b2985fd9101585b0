"""The JSON-RPC 2.0 envelope: one request or a batch in, answers out."""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from modelward.devchain import control, reading, sending
from modelward.devchain.faults import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    RpcFault,
    invalid_params,
)
from modelward.devchain.methods import Method
from modelward.devchain.node import Node
from modelward.json_nesting import depth

log = logging.getLogger(__name__)

MAX_BATCH: Final = 1_000
MAX_NESTING: Final = 32

_METHODS: Final[dict[str, Method]] = {**reading.METHODS, **sending.METHODS, **control.METHODS}


def answer_bytes(node: Node, request: bytes) -> bytes:
    """Answer a request in JSON with one in JSON; empty for a notification."""
    try:
        document = request.decode("utf-8")
        if depth(document) > MAX_NESTING:
            raise ValueError(f"nested deeper than {MAX_NESTING} levels")
        decoded = json.loads(document, parse_constant=_no_constant)
    except ValueError as error:
        return _encoded(_error(None, RpcFault(PARSE_ERROR, f"parse error: {error}")))
    answer = answer_any(node, decoded)
    return b"" if answer is None else _encoded(answer)


def answer_any(node: Node, request: object) -> dict[str, Any] | list[dict[str, Any]] | None:
    """Answer one request (an object) or a batch (an array); None for notifications alone."""
    if not isinstance(request, list):
        return answer_one(node, request)
    if not request:
        return _error(None, RpcFault(INVALID_REQUEST, "empty batch"))
    if len(request) > MAX_BATCH:
        return _error(None, RpcFault(INVALID_REQUEST, f"batch too large, limit {MAX_BATCH}"))
    answers = [answer for item in request if (answer := answer_one(node, item)) is not None]
    return answers or None


def answer_one(node: Node, request: object) -> dict[str, Any] | None:
    """Answer one request; None if it is a notification, which has no id."""
    if not isinstance(request, dict):
        return _error(None, RpcFault(INVALID_REQUEST, "a request must be an object"))
    identity = request.get("id")
    if isinstance(identity, bool) or not isinstance(identity, str | int | None):
        return _error(None, RpcFault(INVALID_REQUEST, "id must be a string, an integer or null"))
    if request.get("jsonrpc") != "2.0":
        return _error(identity, RpcFault(INVALID_REQUEST, 'jsonrpc must be "2.0"'))
    if not isinstance(request.get("method"), str):
        return _error(identity, RpcFault(INVALID_REQUEST, "method must be a string"))
    try:
        result = _call(node, request["method"], request.get("params"))
    except RpcFault as fault:
        answer = _error(identity, fault)
    except Exception as error:
        log.exception("%s failed", request["method"])
        answer = _error(
            identity, RpcFault(INTERNAL_ERROR, f"internal error: {type(error).__name__}: {error}")
        )
    else:
        answer = {"jsonrpc": "2.0", "id": identity, "result": result}
    return answer if "id" in request else None


def _call(node: Node, name: str, parameters: object) -> Any:
    method = _METHODS.get(name)
    if method is None:
        raise RpcFault(METHOD_NOT_FOUND, f"the method {name} does not exist/is not available")
    if parameters is None:
        parameters = []
    if not isinstance(parameters, list):
        raise invalid_params("params must be an array")
    return method.call(node, parameters)


def _error(identity: Any, fault: RpcFault) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identity, "error": fault.as_json()}


def _encoded(answer: object) -> bytes:
    return json.dumps(answer, separators=(",", ":")).encode()


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
