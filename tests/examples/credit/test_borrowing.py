"""Drawing, repaying, expiry and default; and what the lender may do with its money."""

import pytest

from modelward.terms import ZERO_ADDRESS
from tests.examples.credit.conftest import (
    COIN,
    DEFAULTED,
    FEE_BPS,
    MAX_LIMIT,
    NONE,
    OPEN,
    POOL,
    WHOLE,
)

LIMIT = MAX_LIMIT // 2


def with_fee(amount):
    return amount + -(-amount * FEE_BPS // 10_000)


@pytest.fixture
def indebted(borrower, opened, draw, line_of):
    """The line, with 100 tokens drawn on it."""
    draw(borrower, 100 * COIN)
    return line_of(borrower)


class TestDrawing:
    @pytest.mark.parametrize("amount", [1, 99, 100 * COIN])
    def test_what_is_drawn_is_owed_with_its_fee_rounded_up(
        self, credit, token, borrower, opened, draw, line_of, amount
    ):
        receipt = draw(borrower, amount)

        assert line_of(borrower).owed == with_fee(amount)
        assert token.view("balanceOf", borrower.address) == amount
        assert credit.view("available") == POOL - amount
        (said,) = credit.said(receipt, "Drawn")
        assert (said["amount"], said["fee"]) == (amount, with_fee(amount) - amount)

    def test_up_to_the_limit_fee_included(self, borrower, opened, draw, line_of, reverts):
        most = LIMIT * 10_000 // (10_000 + FEE_BPS)
        owed = with_fee(most + 1)
        with reverts("OverLimit", owed=owed, limit=LIMIT):
            draw(borrower, most + 1)
        draw(borrower, most)
        assert line_of(borrower).owed <= LIMIT

    def test_several_draws_share_the_limit(self, borrower, indebted, draw, reverts):
        with reverts("OverLimit", owed=indebted.owed + with_fee(LIMIT), limit=LIMIT):
            draw(borrower, LIMIT)

    def test_until_the_line_expires(self, credit, borrower, opened, line_of, mine_at, reverts):
        expiry = line_of(borrower).expiry
        call = credit.call("draw", COIN, borrower.address)
        mine_at(expiry, borrower, call)
        with reverts("LineExpired", expiry=expiry, timestamp=expiry + 1):
            mine_at(expiry + 1, borrower, call)

    def test_no_more_than_the_lender_put_in(self, credit, lender, borrower, opened, draw, reverts):
        lender.send(credit.call("unfund", POOL - COIN, lender.address))
        with reverts("NotEnoughFunds", asked=2 * COIN, available=COIN):
            draw(borrower, 2 * COIN)

    def test_by_who_has_a_line(self, outsider, opened, draw, reverts):
        with reverts("LineNotOpen", status=NONE):
            draw(outsider, 1)

    def test_to_somebody(self, credit, borrower, opened, reverts):
        with reverts("ReceiverIsZero"):
            borrower.send(credit.call("draw", 1, ZERO_ADDRESS))


class TestRepaying:
    def test_what_is_repaid_can_be_lent_again(self, credit, borrower, indebted, give, line_of):
        give(borrower, indebted.owed)
        receipt = borrower.send(credit.call("repay", borrower.address, indebted.owed))

        assert line_of(borrower).owed == 0
        assert credit.view("available") == POOL + indebted.owed - 100 * COIN
        (said,) = credit.said(receipt, "Repaid")
        assert (said["amount"], said["owed"]) == (indebted.owed, 0)

    def test_anyone_may_repay_for_a_borrower(
        self, credit, token, borrower, outsider, indebted, give, line_of
    ):
        give(outsider, COIN)
        outsider.send(credit.call("repay", borrower.address, COIN))
        assert line_of(borrower).owed == indebted.owed - COIN
        assert token.view("balanceOf", outsider.address) == 0

    def test_no_more_is_taken_than_is_owed(self, credit, token, borrower, indebted, give, line_of):
        give(borrower, 10 * indebted.owed)
        borrower.send(credit.call("repay", borrower.address, 10 * indebted.owed))
        assert line_of(borrower).owed == 0
        left = 9 * indebted.owed + 100 * COIN
        assert token.view("balanceOf", borrower.address) == left

    def test_who_owes_nothing_repays_nothing(self, credit, borrower, opened, reverts):
        with reverts("NothingOwed", borrower=borrower.address):
            borrower.send(credit.call("repay", borrower.address, 1))


class TestDefault:
    @pytest.fixture
    def defaulted(self, credit, borrower, outsider, indebted, wait_until):
        wait_until(indebted.due + 1)
        return outsider.send(credit.call("declareDefault", borrower.address))

    def test_what_is_not_repaid_in_time_is_one(
        self, credit, borrower, indebted, defaulted, line_of
    ):
        line = line_of(borrower)
        assert (line.status, line.limit, line.defaults) == (DEFAULTED, 0, 1)
        (said,) = credit.said(defaulted, "DefaultDeclared")
        assert said == {"borrower": borrower.address, "owed": indebted.owed}

    def test_to_the_last_second_it_is_none(
        self, credit, borrower, outsider, indebted, mine_at, reverts
    ):
        call = credit.call("declareDefault", borrower.address)
        with reverts("NotDue", due=indebted.due, timestamp=indebted.due):
            mine_at(indebted.due, outsider, call)

    def test_who_owes_nothing_cannot_default(
        self, credit, borrower, outsider, opened, line_of, wait_until, reverts
    ):
        wait_until(line_of(borrower).due + 1)
        with reverts("NothingOwed", borrower=borrower.address):
            outsider.send(credit.call("declareDefault", borrower.address))

    def test_once(self, credit, borrower, outsider, defaulted, reverts):
        with reverts("LineNotOpen", status=DEFAULTED):
            outsider.send(credit.call("declareDefault", borrower.address))

    def test_afterwards_nothing_is_drawn_or_applied_for(
        self, borrower, defaulted, draw, apply_for_credit, line_of, reverts
    ):
        with reverts("LineNotOpen", status=DEFAULTED):
            draw(borrower, 1)
        with reverts("CannotApply", status=DEFAULTED, owed=line_of(borrower).owed):
            apply_for_credit(borrower, "second")

    def test_repaid_in_full_it_stays_on_record_only(
        self, credit, borrower, indebted, defaulted, give, scored, line_of
    ):
        give(borrower, indebted.owed)
        borrower.send(credit.call("repay", borrower.address, indebted.owed))
        assert line_of(borrower).status == NONE
        scored(borrower, WHOLE, "second")
        assert (line_of(borrower).status, line_of(borrower).defaults) == (OPEN, 1)


class TestLending:
    def test_the_lender_takes_out_what_is_not_lent(
        self, credit, token, lender, borrower, indebted, reverts
    ):
        left = POOL - 100 * COIN
        with reverts("NotEnoughFunds", asked=left + 1, available=left):
            lender.send(credit.call("unfund", left + 1, lender.address))
        lender.send(credit.call("unfund", left, lender.address))
        assert token.view("balanceOf", lender.address) == left
        assert token.view("balanceOf", credit.address) == 0

    @pytest.mark.parametrize("function", ["fund", "unfund"])
    def test_nobody_else_does(self, credit, lender, outsider, reverts, function):
        arguments = (1,) if function == "fund" else (1, outsider.address)
        with reverts("NotLender", lender=lender.address, caller=outsider.address):
            outsider.send(credit.call(function, *arguments))

    def test_nothing_is_sent_to_the_zero_address(self, credit, lender, reverts):
        with reverts("ReceiverIsZero"):
            lender.send(credit.call("unfund", 1, ZERO_ADDRESS))

    def test_what_it_lends_on_can_be_read(self, credit, lender, bureau, token):
        lending = credit.view("lending")
        assert (lending["bureau"], lending["token"]) == (bureau.address, token.address)
        assert credit.view("lender") == lender.address
