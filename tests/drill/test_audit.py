"""The audit tells a worker that lost, doubled or invented something from one that did not."""

from __future__ import annotations

from dataclasses import replace

from modelward.chain.accounts import Account
from modelward.chain.encoding import to_hex
from modelward.chain.sender import Sender
from modelward.drill.audit import audit
from modelward.journal import Checkpoint, Ending, Placement, State, TransactionState
from modelward.terms import frame_clear_output


def violations(site, placed, crew, **options):
    return audit(site, placed, [crew.journal], **options).violations


def test_a_worker_that_did_its_work_is_found_without_fault(site, random, crew):
    placed = [site.place(random) for _ in range(2)]
    assert crew.finish()
    found = audit(site, placed, [crew.journal])
    assert found.violations == []
    assert found.counts == {"requests": 2, "fulfilled": 2}


def test_a_request_left_open_was_lost(site, random, crew):
    placed = site.place(random)
    site.mine()
    (violation,) = violations(site, [placed], crew)
    assert "was lost: the chain holds it OPEN, no journal knows it" in violation


def test_a_wrong_result_is_found_by_its_commitment(site, random, crew):
    placed = site.place(random)
    assert crew.finish()
    other = next(each for each in site.samples if each != placed.sample)
    (violation,) = violations(site, [replace(placed, sample=other)], crew)
    assert "was paid for a wrong result" in violation


def test_an_answer_of_a_stranger_is_no_end_of_ours(site, random, crew):
    placed = site.place(random)
    site.mine()
    crew.step()
    escrow = site.deployment.escrow
    output = frame_clear_output(placed.sample.output)
    call = escrow.fulfil(placed.offer, placed.request, placed.commitment, output)
    stranger = Sender(site.chain, Account.development("outsider"))
    (waiting,) = crew.journal.transactions(TransactionState.SENT)
    site.chain.rpc("anvil_dropTransaction", [to_hex(waiting.hash)])
    stranger.broadcast(stranger.prepare(call))
    site.mine()
    (violation,) = violations(site, [placed], crew)
    assert "was fulfilled, the journal says sent" in violation


def test_a_journal_that_says_what_the_chain_does_not_is_found(site, random, crew):
    placed = site.place(random)
    site.mine()
    journal = crew.journal
    block = site.chain.head()
    here = Checkpoint(block.number, block.hash, block.timestamp)
    placement = Placement(placed.id, placed.offer, placed.request, b"", block.number, block.hash)
    journal.advance(0, here, placed=[placement])
    ending = Ending(placed.id, State.FINAL, None, block.number, block.hash, bytes(32))
    journal.advance(block.number + 1, replace(here, number=block.number + 1), ended=[ending])
    (violation,) = violations(site, [placed], crew)
    assert "was lost: the chain holds it OPEN, the journal says final" in violation


def test_a_request_that_nobody_placed_is_found(site, random, crew):
    placed = site.place(random)
    assert crew.finish()
    found = violations(site, [], crew)
    assert any("nobody placed it" in each for each in found)
    assert any("made" in each and placed.id.hex()[:8] in each for each in found)


def test_a_request_may_run_out_where_that_was_allowed(site, random, crew):
    placed = site.place(random, lifetime=10)
    site.mine()
    site.chain.rpc("evm_increaseTime", [60])
    assert crew.finish()
    assert violations(site, [placed], crew, unanswered=[placed.id]) == []
    assert violations(site, [placed], crew) != []
