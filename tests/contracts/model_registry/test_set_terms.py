from dataclasses import replace

import pytest

from modelward.chain.events import TermsSet
from modelward.terms import GWEI, MAX_FEE, MAX_TOKEN_FEE, WHOLE_BPS, ZERO_ADDRESS
from tests.contracts.said import event, said
from tests.contracts.specimens import TERMS, version_of
from tests.contracts.unchecked import unchecked


@pytest.mark.parametrize(
    "changes",
    [
        {"fee": 0},
        {"fee": GWEI},
        {"fee": MAX_FEE},
        {"payee_bps": 0},
        {"payee_bps": WHOLE_BPS},
        {"max_delay": 1},
        {"max_delay": 2**24 - 1},
        {"open": True},
    ],
    ids=str,
)
def test_it_replaces_the_terms_and_says_so(registry, owner, model_id, changes):
    terms = replace(TERMS, **changes)

    receipt = owner.send(registry.set_terms(model_id, terms))

    assert registry.model_of(model_id).terms == terms
    assert said(receipt, registry) == [event(TermsSet, model_id=model_id, terms=terms)]


def test_a_payee_can_be_named_changed_and_dropped(registry, owner, sponsor, outsider, model_id):
    for payee in (sponsor.address, outsider.address, ZERO_ADDRESS):
        terms = replace(TERMS, payee=payee)
        owner.send(registry.set_terms(model_id, terms))
        assert registry.model_of(model_id).terms == terms


def test_a_model_can_be_opened_and_closed_again(registry, owner, model_id):
    for is_open in (True, False):
        owner.send(registry.set_terms(model_id, replace(TERMS, open=is_open)))
        assert registry.model_of(model_id).terms.open is is_open


def test_versions_and_thresholds_stay(registry, owner, model_id):
    version = version_of(model_id, owner.address)
    owner.send(registry.raise_thresholds(model_id, version.metrics))
    owner.send(registry.publish_version(version))

    owner.send(registry.set_terms(model_id, replace(TERMS, fee=0)))

    assert registry.model_of(model_id).versions == 1
    assert registry.thresholds_of(model_id) == version.metrics


@pytest.mark.parametrize("fee", [1, GWEI - 1, GWEI + 1, MAX_FEE + 1, MAX_FEE + GWEI, 2**256 - 1])
def test_a_fee_not_in_whole_gwei_or_too_high_is_refused(registry, owner, model_id, reverts, fee):
    with reverts("InvalidFee", fee=fee, unit=GWEI, most=MAX_FEE):
        owner.send(registry.set_terms(model_id, unchecked(TERMS, fee=fee)))


class TestAPriceInAToken:
    """Any contract will do here; whether it is a token shows when it is asked for the fee."""

    @pytest.mark.parametrize("fee", [0, 1, GWEI + 1, MAX_TOKEN_FEE])
    def test_it_is_any_number_of_base_units(self, registry, owner, data_share, model_id, fee):
        terms = replace(TERMS, token=data_share.address, fee=fee)

        receipt = owner.send(registry.set_terms(model_id, terms))

        assert registry.model_of(model_id).terms == terms
        assert said(receipt, registry) == [event(TermsSet, model_id=model_id, terms=terms)]

    @pytest.mark.parametrize("fee", [MAX_TOKEN_FEE + 1, 2**256 - 1])
    def test_within_the_bound(self, registry, owner, data_share, model_id, reverts, fee):
        terms = unchecked(TERMS, token=data_share.address, fee=fee)

        with reverts("InvalidFee", fee=fee, unit=1, most=MAX_TOKEN_FEE):
            owner.send(registry.set_terms(model_id, terms))

    def test_it_gives_way_to_a_price_in_ether_and_comes_back(
        self, registry, owner, data_share, model_id
    ):
        in_token = replace(TERMS, token=data_share.address, fee=1)
        for terms in (in_token, TERMS, replace(TERMS, fee=0), in_token):
            owner.send(registry.set_terms(model_id, terms))
            assert registry.model_of(model_id).terms == terms

    def test_a_currency_is_a_contract(self, registry, owner, model_id, outsider, reverts):
        with reverts("TokenHasNoCode", token=outsider.address):
            owner.send(registry.set_terms(model_id, replace(TERMS, token=outsider.address)))


@pytest.mark.parametrize("share", [WHOLE_BPS + 1, 2**16 - 1])
def test_a_share_of_more_than_the_whole_is_refused(registry, owner, model_id, reverts, share):
    with reverts("InvalidShare", payeeBps=share, whole=WHOLE_BPS):
        owner.send(registry.set_terms(model_id, unchecked(TERMS, payee_bps=share)))


def test_no_time_to_answer_in_is_refused(registry, owner, model_id, reverts):
    with reverts("MaxDelayIsZero"):
        owner.send(registry.set_terms(model_id, unchecked(TERMS, max_delay=0)))


def test_what_was_refused_changes_nothing(registry, owner, model_id, reverts):
    with reverts("MaxDelayIsZero"):
        owner.send(registry.set_terms(model_id, unchecked(TERMS, fee=0, max_delay=0)))

    assert registry.model_of(model_id).terms == TERMS


def test_only_the_owner_may(registry, owner, outsider, model_id, reverts):
    with reverts("NotOwner", modelId=model_id, owner=owner.address, caller=outsider.address):
        outsider.send(registry.set_terms(model_id, TERMS))


def test_an_unknown_model_has_no_terms(registry, owner, reverts):
    with reverts("UnknownModel", modelId=b"\x77" * 32):
        owner.send(registry.set_terms(b"\x77" * 32, TERMS))


def test_a_retired_model_keeps_its_terms(registry, owner, retired_model_id, reverts):
    with reverts("ModelIsRetired", modelId=retired_model_id):
        owner.send(registry.set_terms(retired_model_id, TERMS))
