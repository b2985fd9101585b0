"""web3.py on a `DevChain` in process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from web3.providers import JSONBaseProvider

if TYPE_CHECKING:
    from web3.types import RPCEndpoint, RPCResponse

    from modelward.devchain.chain import DevChain


class DevChainProvider(JSONBaseProvider):
    """Hands every request to the chain as JSON, and decodes JSON, exactly as over HTTP."""

    global_ccip_read_enabled = False

    def __init__(self, chain: DevChain, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.chain = chain

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Send one request."""
        return self.decode_rpc_response(self.chain.handle(self.encode_rpc_request(method, params)))

    def make_batch_request(
        self, requests: list[tuple[RPCEndpoint, Any]]
    ) -> list[RPCResponse] | RPCResponse:
        """Send a batch; the answers come in the order of the requests."""
        answer = self.chain.handle(self.encode_batch_rpc_request(requests))
        return cast("list[RPCResponse] | RPCResponse", self.decode_rpc_response(answer))

    def is_connected(self, show_traceback: bool = False) -> bool:  # noqa: ARG002
        """Return True: there is nothing between the two."""
        return True
