"""The watchtower challenges what is wrong, if that pays, and leaves what is right."""

from __future__ import annotations

import shutil
from functools import partial

import pytest

from modelward.errors import InvalidTerms
from modelward.keepers.watch import Deed, Finding, Watchtower, sentence
from modelward.sdk import DisputeTerms, EncryptionKeys, connect
from modelward.terms import ETHER, SETTLE_TIME, RequestStatus, Right
from tests.exact_market import BOND, EXACT, NAME, mine_after, one_more
from tests.market import PRICE, configuration


@pytest.fixture
def watch(outsider):
    """A watchtower with an account that has nothing to do with the request."""

    def watch(announce=lambda _: None, **options):
        return Watchtower(outsider.connection, announce=announce, **options)

    return watch


def test_a_right_answer_is_left_and_told_of_once(watch, placed, post):
    tower = watch()
    assert list(tower.look()) == []
    post(placed)
    [finding] = tower.look()
    assert (finding.request_id, finding.deed) == (placed.id, Deed.PASSED)
    assert list(tower.look()) == []


def test_a_wrong_answer_is_challenged_and_its_profit_said_before(
    watch, placed, post, outsider, requester, referee
):
    post(placed, one_more)
    announced: list[Finding] = []
    tower = watch(announced.append)
    [finding] = tower.look()
    assert finding.deed is Deed.CHALLENGED
    [before] = announced
    assert before.prospect is not None
    assert before.deed is Deed.CHALLENGING
    assert before.prospect.reward == BOND // 2
    assert before.prospect.profit > 0
    assert referee.balance_of(outsider.address) == BOND // 2
    assert (requester.credit(), referee.balance_of(requester.address)) == (PRICE, BOND - BOND // 2)
    assert requester.result(placed.id).prediction.label in {"benign", "malignant"}
    assert "was wrong and is corrected" in sentence(finding)
    assert list(tower.look()) == []


def test_a_challenge_that_would_not_pay_is_not_sent(watch, placed, post, outsider, referee):
    post(placed, one_more)
    before = outsider.connection.chain.balance(outsider.address)
    [finding] = watch(least_profit=BOND).look()
    assert finding.deed is Deed.LEFT
    assert outsider.connection.chain.balance(outsider.address) == before
    assert referee.pending_of(placed.id) != bytes(32)


def test_one_that_starts_anew_finds_what_the_one_before_had_seen(watch, placed, post):
    post(placed, one_more)
    [left] = watch(least_profit=BOND).look()
    assert left.deed is Deed.LEFT
    [finding] = watch().look()
    assert finding.deed is Deed.CHALLENGED
    assert list(watch().look()) == []  # and one after that has nothing to do


def test_one_that_comes_second_loses_nothing(watch, placed, post, market, monkeypatch):
    post(placed, one_more)
    first, second = watch(), watch()
    second._read()
    assert [finding.deed for finding in first.look()] == [Deed.CHALLENGED]
    assert list(second.look()) == []


def test_its_own_answers_are_settled_when_their_time_has_come(
    placed, post, worker, market, connection
):
    posted = post(placed)
    tower = Watchtower(worker.connection)
    assert [finding.deed for finding in tower.look()] == [Deed.PASSED]
    market.devchain.increase_time(posted.answer.settle_after - connection.now() + 1)
    assert [finding.deed for finding in tower.look()] == [Deed.SETTLED]
    assert connection.escrow.request_of(placed.id).status is RequestStatus.FULFILLED
    assert worker.connection.escrow.credit_of(worker.connection.address) > 0


def test_the_bond_of_its_own_answer_that_lapsed_is_released_if_that_pays(
    post, placed, worker, market, referee, monkeypatch
):
    posted = post(placed)
    mine_after(market, posted.answer.settle_after + SETTLE_TIME)
    tower = Watchtower(worker.connection)
    with monkeypatch.context() as dear:
        dear.setattr("modelward.sdk.disputes.Prospect.profit", 0)
        assert [finding.deed for finding in tower.look()] == [Deed.LAPSED]
    assert referee.balance_of(posted.worker) == 0

    assert [finding.deed for finding in tower.look()] == [Deed.RELEASED]

    assert referee.balance_of(posted.worker) == BOND
    assert list(tower.look()) == []


def test_an_input_it_cannot_read_is_said_so(watch, placed, post, monkeypatch):
    post(placed, one_more)

    def unreadable(connection, history):
        raise InvalidTerms("sealed")

    monkeypatch.setattr("modelward.keepers.watch.opened_input", unreadable)
    [finding] = watch().look()
    assert (finding.deed, finding.reason) == (Deed.UNREADABLE, "sealed")


def test_a_lie_about_a_sealed_input_is_found_with_the_models_key_only(
    market, owner, breast_cancer, requester, post, referee, tmp_path
):
    """The version is public, as exact ones are, but its model has a key to seal inputs to."""
    for role in ("worker", "outsider"):
        EncryptionKeys(market.connection(role)).register()
    trained = breast_cancer.estimator, breast_cancer.inputs, breast_cancer.labels
    publish = partial(owner.publish, *trained, name=NAME, price=PRICE, open=True)
    publish(private=True)
    published = publish(private=False, disputes=EXACT)
    owner.grant("worker", NAME, Right.SERVE)
    elsewhere = shutil.copytree(market.folder, tmp_path / "elsewhere")  # without the request's book
    placed = requester.send(published.reference, breast_cancer.inputs.iloc[[0]])
    assert placed.private
    post(placed, one_more)

    def keeper():
        return connect("local", "outsider", config=configuration(elsewhere))

    [unread] = Watchtower(keeper()).look()
    assert (unread.deed, referee.pending_of(placed.id) != bytes(32)) == (Deed.UNREADABLE, True)

    owner.grant("outsider", NAME, Right.READ)
    before = keeper().chain.balance(keeper().address)
    announced: list[Finding] = []
    [found] = Watchtower(keeper(), announce=announced.append).look()
    assert found.deed is Deed.CHALLENGED
    [expected] = [finding.prospect for finding in announced]
    assert expected is not None
    gained = keeper().chain.balance(keeper().address) - before
    gained += referee.balance_of(keeper().address)
    assert expected.profit > 0
    assert gained == pytest.approx(expected.profit, rel=0.25)
    assert (requester.credit(), referee.balance_of(requester.address)) == (PRICE, BOND - BOND // 2)


def test_half_of_the_bond_pays_for_a_challenge_by_default(watch, placed, post):
    assert DisputeTerms().bond == ETHER // 100
    post(placed, one_more)
    [finding] = watch().look()
    assert finding.prospect is not None
    assert finding.prospect.cost < DisputeTerms().bond // 2
