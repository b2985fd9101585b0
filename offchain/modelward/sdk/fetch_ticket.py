"""What an account signs to fetch stored content from a gateway: EIP-712, bound to a deadline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eth_abi.abi import encode
from eth_account import Account as EthAccount
from eth_keys.exceptions import BadSignature
from eth_utils.crypto import keccak

from modelward.chain.accounts import Account
from modelward.chain.connection import Chain
from modelward.chain.encoding import to_address
from modelward.commitments import DOMAIN_VERSION, domain_separator, typed_data_digest
from modelward.errors import ContractRefused, RpcError
from modelward.terms import Address

TICKET_TYPE = (
    "Fetch(address account,address owner,bytes32 resource,bytes32 contentHash,uint256 deadline)"
)
_TYPEHASH = keccak(text=TICKET_TYPE)
_ERC1271_MAGIC = bytes.fromhex("1626ba7e")


@dataclass(frozen=True, slots=True)
class FetchTicket:
    """A request for content of an owner's resource; `deadline` in Unix seconds."""

    account: Address
    owner: Address
    resource: bytes
    content_hash: bytes
    deadline: int

    def document(self, signature: bytes) -> dict[str, object]:
        """The JSON object that a gateway is asked with."""
        return {
            "account": self.account,
            "owner": self.owner,
            "resource": f"0x{self.resource.hex()}",
            "content_hash": f"0x{self.content_hash.hex()}",
            "deadline": self.deadline,
            "signature": f"0x{signature.hex()}",
        }

    def typed_data(self, chain_id: int, data_share: Address) -> dict[str, Any]:
        """The EIP-712 message of this ticket, as wallets take it."""
        named = [tuple(each.split(" ")) for each in TICKET_TYPE[6:-1].split(",")]
        return {
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"},
                ],
                "Fetch": [{"name": name, "type": kind} for kind, name in named],
            },
            "domain": {
                "name": "modelward Gateway",
                "version": DOMAIN_VERSION,
                "chainId": chain_id,
                "verifyingContract": data_share,
            },
            "primaryType": "Fetch",
            "message": {
                "account": self.account,
                "owner": self.owner,
                "resource": f"0x{self.resource.hex()}",
                "contentHash": f"0x{self.content_hash.hex()}",
                "deadline": self.deadline,
            },
        }

    def digest(self, chain_id: int, data_share: Address) -> bytes:
        """What is signed, in the domain "modelward Gateway" with DataShare as its contract."""
        types = ["bytes32", "address", "address", "bytes32", "bytes32", "uint256"]
        fields = [
            _TYPEHASH,
            self.account,
            self.owner,
            self.resource,
            self.content_hash,
            self.deadline,
        ]
        domain = domain_separator("Gateway", chain_id=chain_id, contract=data_share)
        return typed_data_digest(domain, keccak(encode(types, fields)))


def sign_ticket(
    ticket: FetchTicket, account: Account, *, chain_id: int, data_share: Address
) -> bytes:
    """The account's signature, 65 bytes."""
    return account.signer.sign_typed_data(ticket.typed_data(chain_id, data_share))


def is_signed(chain: Chain, ticket: FetchTicket, signature: bytes, *, data_share: Address) -> bool:
    """Whether the ticket's account signed it: with its key, or as a contract by ERC-1271.

    Raises `RpcUnavailable` when the chain cannot be asked.
    """
    digest = ticket.digest(chain.chain_id, data_share)
    if len(signature) == 65 and _recovered(digest, signature) == ticket.account:
        return True
    if not chain.code(ticket.account):
        return False
    call = _ERC1271_MAGIC + encode(["bytes32", "bytes"], [digest, signature])
    try:
        answer = chain.call(ticket.account, call)
    except (ContractRefused, RpcError):
        return False
    return answer[:32] == _ERC1271_MAGIC + bytes(28)


def _recovered(digest: bytes, signature: bytes) -> Address | None:
    try:
        return to_address(EthAccount._recover_hash(digest, signature=signature))
    except (BadSignature, ValueError, TypeError):
        return None
