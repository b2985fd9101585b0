"""What owners and requesters do, for scripts, notebooks and the command line.

`connect` reaches a deployment; `Owner` and `Requester` act on it with the connection's account.
"""

from modelward.sdk.asking import PreparedAsk, prepare_ask
from modelward.sdk.catalogue import Catalogue, ListedModel, ListedVersion
from modelward.sdk.connection import Connection, connect
from modelward.sdk.disputes import Judgement, Prospect
from modelward.sdk.encryption_keys import EncryptionKeys, RegisteredKey
from modelward.sdk.exact_publishing import DisputeTerms, StorageCost, storage_cost
from modelward.sdk.grants import StandingGrant, standing_grants
from modelward.sdk.history import RequestHistory, read_history
from modelward.sdk.owner import Owner, PublishedVersion
from modelward.sdk.participant import Participant
from modelward.sdk.requester import (
    PlacedRequest,
    Quotation,
    Requester,
    RequestStanding,
    placed_requests,
)
from modelward.sdk.result import Result, read_result, wait_for_result
from modelward.sdk.timeline import Step, steps, timeline
from modelward.sdk.verification import Check, Verification, verify

__all__ = [
    "Catalogue",
    "Check",
    "Connection",
    "DisputeTerms",
    "EncryptionKeys",
    "Judgement",
    "ListedModel",
    "ListedVersion",
    "Owner",
    "Participant",
    "PlacedRequest",
    "PreparedAsk",
    "Prospect",
    "PublishedVersion",
    "Quotation",
    "RegisteredKey",
    "RequestHistory",
    "RequestStanding",
    "Requester",
    "Result",
    "StandingGrant",
    "Step",
    "StorageCost",
    "Verification",
    "connect",
    "placed_requests",
    "prepare_ask",
    "read_history",
    "read_result",
    "standing_grants",
    "steps",
    "storage_cost",
    "timeline",
    "verify",
    "wait_for_result",
]
