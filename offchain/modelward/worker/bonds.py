"""Bonds: takes back those of answers that nobody settled in time.

Such an answer is void and its fee gone, but the bond is the worker's once somebody has it released.
The transactions carry no answer and fly with those that do. Whether a bond is free again is asked
of the chain, and whether its release is on its way of the journal: nothing is sent twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence

from modelward.chain.connection import Block
from modelward.chain.contracts import ExactReferee
from modelward.chain.sender import Sender
from modelward.chain.transactions import SignedTransaction
from modelward.errors import ContractRefused, FeeTooHigh, InsufficientFunds, RpcError
from modelward.journal import Job, Journal, Lease
from modelward.journal.states import PENDING
from modelward.terms import ZERO_HASH, RequestId, format_amount
from modelward.worker.admission import Admission
from modelward.worker.flight import Flight, Shipment
from modelward.worker.taking import Takers

_AT_ONCE = 16
"""Bonds looked after each time."""
_LOOK_AGAIN_SECONDS = 3600.0
"""How long a bond that is not worth the gas is left."""

_log = logging.getLogger(__name__)


class Bonds:
    """Looks after the bonds of one worker account, some of them each time."""

    def __init__(
        self, sender: Sender, takers: Takers, journal: Journal, admission: Admission, flight: Flight
    ) -> None:
        self._sender = sender
        self._takers = takers
        self._journal = journal
        self._admission = admission
        self._flight = flight
        self._left_until: dict[RequestId, float] = {}

    def take_back(self) -> None:
        """Note which bonds are free again, and have others released that are worth the gas.

        Nothing is done while another worker sends for this account.

        Raises `RpcUnavailable` or `RpcError`.
        """
        referee = self._takers.referee
        if referee is None:
            return
        now = time.monotonic()
        lapsed = self._journal.lapsed_holds()
        due = [each for each in lapsed if self._left_until.get(each, 0.0) <= now][:_AT_ONCE]
        if not due or not self._journal.hold(Lease.SENDING):
            return
        waiting = self._note_free(referee, self._journal.jobs_among(due))
        if waiting:
            with self._sender.turn():
                head = self._sender.chain.head()
                self._flight.send(self._releases(referee, waiting, head), self._flight.runway(head))

    def _note_free(self, referee: ExactReferee, staked: Sequence[Job]) -> list[Job]:
        """Those whose bonds are not free as of a confirmed block; of the others the journal is
        told."""
        waiting: list[Job] = []
        confirmed = self._sender.chain.confirmed_head().number
        for job in staked:
            if referee.pending_of(job.request_id, block=confirmed) == ZERO_HASH:
                self._journal.record_bond_free(job.request_id, confirmed)
                self._left_until.pop(job.request_id, None)
                _log.info("%s its bond is free again", job.request_id.hex()[:8])
            else:
                waiting.append(job)
        return waiting

    def _releases(
        self, referee: ExactReferee, staked: Sequence[Job], head: Block
    ) -> Iterator[Shipment]:
        on_its_way = {
            SignedTransaction.from_raw(each.raw).call.data
            for each in self._journal.transactions(*PENDING)
        }
        for job in staked:
            call = referee.release(job.request_id, self._takers.posted(job))
            if call.data in on_its_way:
                continue
            try:
                gas = self._sender.estimate(call)
                cost = gas * self._admission.fees(head).price(head.base_fee)
            except ContractRefused:
                continue  # a block that is not confirmed has released it
            except (FeeTooHigh, InsufficientFunds, RpcError) as error:
                _log.warning("%s its bond stays: %s", job.request_id.hex()[:8], error.message)
                continue
            if cost < job.bond:
                yield Shipment((), call, gas)
                continue
            self._left_until[job.request_id] = time.monotonic() + _LOOK_AGAIN_SECONDS
            _log.warning(
                "%s its bond of %s is left for now: releasing it costs about %s",
                job.request_id.hex()[:8],
                format_amount(job.bond),
                format_amount(cost),
            )
