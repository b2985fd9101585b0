"""What owners and requesters do, for scripts, notebooks and the command line.

`connect` reaches a deployment; `Owner` and `Requester` act on it with the connection's account.
"""

from modelward.sdk.catalogue import Catalogue, ListedModel, ListedVersion
from modelward.sdk.connection import Connection, connect
from modelward.sdk.owner import Owner, PublishedVersion, StandingGrant
from modelward.sdk.requester import PlacedRequest, Quotation, Requester, RequestStanding
from modelward.sdk.result import Result
from modelward.sdk.timeline import Step, steps, timeline
from modelward.sdk.verification import Check, Verification, verify

__all__ = [
    "Catalogue",
    "Check",
    "Connection",
    "ListedModel",
    "ListedVersion",
    "Owner",
    "PlacedRequest",
    "PublishedVersion",
    "Quotation",
    "RequestStanding",
    "Requester",
    "Result",
    "StandingGrant",
    "Step",
    "Verification",
    "connect",
    "steps",
    "timeline",
    "verify",
]
