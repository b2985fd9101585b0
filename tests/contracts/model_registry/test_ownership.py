"""`offerOwnership` and `acceptOwnership`."""

from dataclasses import replace

import pytest

from modelward.chain.events import OwnershipOffered, OwnershipTransferred
from modelward.terms import ZERO_ADDRESS, Access, GrantTerms, Right
from tests.contracts.said import event, said
from tests.contracts.specimens import NAME, TERMS, version_of


@pytest.fixture
def heir(sponsor):
    """Whom the model is offered to."""
    return sponsor


@pytest.fixture
def offered(registry, owner, heir, model_id):
    owner.send(registry.offer_ownership(model_id, heir.address))
    return model_id


class TestOffering:
    def test_it_says_so_and_changes_nothing_yet(self, registry, owner, heir, model_id):
        receipt = owner.send(registry.offer_ownership(model_id, heir.address))

        assert registry.pending_owner_of(model_id) == heir.address
        assert registry.model_of(model_id).owner == owner.address
        assert said(receipt, registry) == [
            event(
                OwnershipOffered,
                model_id=model_id,
                owner=owner.address,
                new_owner=heir.address,
            )
        ]

    def test_a_later_offer_replaces_it(self, registry, owner, outsider, heir, offered, reverts):
        owner.send(registry.offer_ownership(offered, outsider.address))

        with reverts(
            "NotOfferedTo", modelId=offered, offeredTo=outsider.address, caller=heir.address
        ):
            heir.send(registry.accept_ownership(offered))

    def test_it_can_be_taken_back(self, registry, owner, heir, offered, reverts):
        owner.send(registry.offer_ownership(offered, ZERO_ADDRESS))

        assert registry.pending_owner_of(offered) == ZERO_ADDRESS
        with reverts("NotOfferedTo", modelId=offered, offeredTo=ZERO_ADDRESS, caller=heir.address):
            heir.send(registry.accept_ownership(offered))

    def test_only_the_owner_may(self, registry, owner, outsider, model_id, reverts):
        with reverts("NotOwner", modelId=model_id, owner=owner.address, caller=outsider.address):
            outsider.send(registry.offer_ownership(model_id, outsider.address))

    def test_an_unknown_model_cannot_be_offered(self, registry, owner, heir, reverts):
        with reverts("UnknownModel", modelId=b"\x77" * 32):
            owner.send(registry.offer_ownership(b"\x77" * 32, heir.address))

    def test_nor_a_retired_one(self, registry, owner, heir, retired_model_id, reverts):
        with reverts("ModelIsRetired", modelId=retired_model_id):
            owner.send(registry.offer_ownership(retired_model_id, heir.address))


class TestAccepting:
    def test_the_model_changes_hands_and_says_so(self, registry, owner, heir, offered):
        before = registry.model_of(offered)

        receipt = heir.send(registry.accept_ownership(offered))

        assert registry.model_of(offered) == replace(before, owner=heir.address)
        assert registry.pending_owner_of(offered) == ZERO_ADDRESS
        assert said(receipt, registry) == [
            event(
                OwnershipTransferred,
                model_id=offered,
                old_owner=owner.address,
                new_owner=heir.address,
            )
        ]

    def test_the_new_owner_disposes_of_it_and_the_old_one_no_more(
        self, registry, owner, heir, offered, reverts
    ):
        heir.send(registry.accept_ownership(offered))

        heir.send(registry.set_terms(offered, replace(TERMS, fee=0)))
        with reverts("NotOwner", modelId=offered, owner=heir.address, caller=owner.address):
            owner.send(registry.set_terms(offered, TERMS))
        assert registry.model_of(offered).terms.fee == 0

    def test_what_is_offered_from_now_on_is_the_new_owners(self, registry, owner, heir, offered):
        version = version_of(offered, owner.address)
        owner.send(registry.publish_version(version))
        before = registry.quote(offered, registry.version_id_of(version)).offer

        heir.send(registry.accept_ownership(offered))

        after = registry.quote(offered, registry.version_id_of(version)).offer
        assert after == replace(before, owner=heir.address, payee=heir.address)

    def test_a_payee_that_was_named_stays_until_other_terms_are_set(
        self, registry, owner, heir, outsider, offered
    ):
        version = version_of(offered, owner.address)
        owner.send(registry.publish_version(version))
        version_id = registry.version_id_of(version)
        owner.send(registry.set_terms(offered, replace(TERMS, payee=outsider.address)))

        heir.send(registry.accept_ownership(offered))
        assert registry.quote(offered, version_id).offer.payee == outsider.address

        heir.send(registry.set_terms(offered, TERMS))
        assert registry.quote(offered, version_id).offer.payee == heir.address

    def test_the_old_owners_grants_no_longer_count_for_it(
        self, registry, data_share, owner, heir, worker, offered
    ):
        owner.send(data_share.grant(worker.address, offered, GrantTerms(Right.SERVE)))

        heir.send(registry.accept_ownership(offered))

        now_owner = registry.model_of(offered).owner
        access = data_share.access_of(now_owner, worker.address, offered, Right.SERVE)
        assert access == Access.NOT_GRANTED

    def test_its_name_stays_taken_for_the_old_owner_and_free_for_the_new(
        self, registry, owner, heir, offered, reverts
    ):
        heir.send(registry.accept_ownership(offered))

        with reverts("ModelExists", modelId=offered):
            owner.send(registry.register_model(NAME, TERMS))
        heir.send(registry.register_model(NAME, TERMS))
        assert registry.model_of(registry.model_id_of(heir.address, NAME)).versions == 0

    def test_nobody_else_may(self, registry, owner, outsider, heir, offered, reverts):
        for caller in (outsider, owner):
            with reverts(
                "NotOfferedTo", modelId=offered, offeredTo=heir.address, caller=caller.address
            ):
                caller.send(registry.accept_ownership(offered))

    def test_once_only(self, registry, owner, heir, offered, reverts):
        heir.send(registry.accept_ownership(offered))
        heir.send(registry.offer_ownership(offered, owner.address))
        owner.send(registry.accept_ownership(offered))

        with reverts("NotOfferedTo", modelId=offered, offeredTo=ZERO_ADDRESS, caller=heir.address):
            heir.send(registry.accept_ownership(offered))

    def test_a_model_retired_meanwhile_stays_where_it_is(
        self, registry, owner, heir, offered, reverts
    ):
        owner.send(registry.retire_model(offered))

        with reverts("ModelIsRetired", modelId=offered):
            heir.send(registry.accept_ownership(offered))

    def test_an_unknown_model_was_offered_to_nobody(self, registry, heir, reverts):
        with reverts("UnknownModel", modelId=b"\x77" * 32):
            heir.send(registry.accept_ownership(b"\x77" * 32))
