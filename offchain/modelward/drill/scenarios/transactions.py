"""What befalls a signed transaction between the worker and a block."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from typing import Final

from modelward.chain.accounts import Account
from modelward.chain.encoding import to_hex
from modelward.chain.fees import Fees
from modelward.chain.sender import Sender
from modelward.chain.transactions import Call
from modelward.config import Policy
from modelward.drill.audit import audit
from modelward.drill.crew import Crew, hired
from modelward.drill.faults import Fault
from modelward.drill.findings import Findings
from modelward.drill.site import Site
from modelward.journal import SignedAnswer, TransactionState
from modelward.terms import GWEI

_LIFETIME: Final = 1_200
_BASE_FEE: Final = 5 * GWEI
_BUMP: Final = (9, 8)
"""A replacement bids at least 12.5 % more."""

_SEVERAL: Final = 3
_STEPS: Final = 25
"""In so many a worker has sent its transactions, even if the machine is busy."""

Mishap = Callable[[Site, Crew, int], None]
"""Told how many transactions are sent before the one that it happens to, in the same exchange."""


def mishap(site: Site, seed: int) -> Findings:
    """One of eight things happens to a transaction: to the one that answers two requests, or, with
    every other eight seeds, to one of three that are sent at once."""
    name, happen = list(MISHAPS.items())[seed % len(MISHAPS)]
    several = bool(seed // len(MISHAPS) % 2)
    found = Findings()
    policy = Policy(batch=1) if several else Policy()
    with site.episode(seed) as random, hired(site, policy=policy) as crew:
        site.set_base_fee(_BASE_FEE)
        placed = site.place_many(random, _SEVERAL if several else 2, lifetime=_LIFETIME)
        site.mine()
        happen(site, crew, random.randrange(_SEVERAL) if several else 0)
        at_once = site.plan.batched["eth_sendRawTransaction"]
        found.demand(bool(at_once) or not several, "no transactions were sent at once")
        found.counts["sent at once"] += at_once
        done = crew.finish(restarts=False)
        found.demand(done, f"{name}: {crew.without_end}")
        late = [each.id for each in placed if site.chain.head().timestamp > each.request.deadline]
        found.add(audit(site, placed, [crew.journal], unanswered=late))
        signed = crew.journal.transactions(*TransactionState)
        replaced = len(signed) > len({each.nonce for each in signed})
        found.demand(
            replaced or happen is not _raise_the_base_fee,
            "a transaction that had become too cheap was not replaced",
        )
        _check_bumps(signed, found)
        found.counts[name] += 1
    return found


def _check_bumps(signed: list[SignedAnswer], found: Findings) -> None:
    by_nonce = defaultdict(list)
    for each in signed:
        by_nonce[each.nonce].append(each)
    up, down = _BUMP
    for nonce, rivals in by_nonce.items():
        rivals.sort(key=lambda each: each.max_fee)
        for lower, higher in pairwise(rivals):
            enough = (
                higher.max_fee * down >= lower.max_fee * up and higher.tip * down >= lower.tip * up
            )
            found.demand(enough, f"the transaction {nonce} was replaced by less than 12.5 % more")
            found.counts["replacements"] += 1


def _drop(site: Site, crew: Crew, before: int) -> None:
    dropped = _sent(crew, before)[before]
    site.chain.rpc("anvil_dropTransaction", [to_hex(dropped.hash)])


def _swallow(site: Site, crew: Crew, before: int) -> None:
    _fail_to_send(site, crew, before, Fault.SWALLOWED)


def _underprice(site: Site, crew: Crew, before: int) -> None:
    _fail_to_send(site, crew, before, Fault.UNDERPRICED)


def _raise_the_base_fee(site: Site, crew: Crew, _: int) -> None:
    """Ten times what the transactions were signed under, for as long as they wait."""
    _sent(crew)
    for _ in range(30):
        site.set_base_fee(10 * _BASE_FEE)
        site.mine()
        crew.step()
        if not crew.journal.transactions(TransactionState.SIGNED, TransactionState.SENT):
            break


def _use_the_key(site: Site, crew: Crew, before: int) -> None:
    """Somebody else with the key takes the nonce, for a higher fee."""
    _sent(crew, before)
    _send_elsewhere(site, crew, ahead=before, mined=True)


def _leave_a_gap_above(site: Site, crew: Crew, before: int) -> None:
    _send_elsewhere(site, crew, ahead=before + 2)
    crew.step()


def _leave_a_gap_below(site: Site, crew: Crew, _: int) -> None:
    """The worker queues behind a transaction that then disappears."""
    vanishing = _send_elsewhere(site, crew, ahead=0)
    crew.step()
    site.chain.rpc("anvil_dropTransaction", [to_hex(vanishing)])


def _lose_the_reply(site: Site, crew: Crew, before: int) -> None:
    _fail_to_send(site, crew, before, *[Fault.LOST_REPLY] * 2)


def _sent(crew: Crew, before: int = 0) -> list[SignedAnswer]:
    """Step until the worker has sent a transaction behind so many others; all that it has sent."""
    sent: list[SignedAnswer] = []
    for _ in range(_STEPS):
        crew.step()
        sent = crew.journal.transactions(TransactionState.SENT)
        if len(sent) > before:
            break
    return sent


def _fail_to_send(site: Site, crew: Crew, before: int, *faults: Fault) -> None:
    site.plan.schedule("eth_sendRawTransaction", *[None] * before, *faults)
    crew.step()


def _send_elsewhere(site: Site, crew: Crew, *, ahead: int, mined: bool = False) -> bytes:
    sender = Sender(site.chain, Account.development(crew.account.name))
    signed = sender.sign(
        Call(to=sender.address, data=b""),
        gas=21_000,
        nonce=sender.nonce() + ahead,
        fees=Fees(max_fee=500 * GWEI, tip=50 * GWEI),
    )
    sender.broadcast(signed)
    if mined:
        site.mine()
    return signed.hash


MISHAPS: Final[dict[str, Mishap]] = {
    "dropped from the pool": _drop,
    "acknowledged and forgotten": _swallow,
    "underpriced": _underprice,
    "base fee x 10": _raise_the_base_fee,
    "key used elsewhere": _use_the_key,
    "nonce gap above": _leave_a_gap_above,
    "nonce gap below": _leave_a_gap_below,
    "lost reply": _lose_the_reply,
}
