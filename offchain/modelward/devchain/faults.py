"""The errors of JSON-RPC 2.0 and of Ethereum nodes, as clients expect to read them."""

from __future__ import annotations

from typing import Any, Final

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
SERVER_ERROR: Final = -32000
EXECUTION_REVERTED: Final = 3


class RpcFault(Exception):
    """An error object on its way to the client.

    `code` and `message` as in JSON-RPC 2.0; `data` is the revert data in hex, where there is any.
    """

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def as_json(self) -> dict[str, Any]:
        """Return the JSON-RPC error object."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.data is not None:
            error["data"] = self.data
        return error


def invalid_params(message: str) -> RpcFault:
    """Return the fault for parameters that cannot be read."""
    return RpcFault(INVALID_PARAMS, message)


def refused(message: str) -> RpcFault:
    """Return the fault for a well-formed request that the chain will not carry out."""
    return RpcFault(SERVER_ERROR, message)
