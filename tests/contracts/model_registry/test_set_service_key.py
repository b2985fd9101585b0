from modelward.chain.events import ServiceKeySet
from modelward.terms import ServiceKey
from tests.contracts.said import event, said

FIRST, SECOND = b"\x0a" * 32, b"\x0b" * 32


def test_a_model_has_none_to_begin_with(registry, model_id):
    nothing = ServiceKey(epoch=0, public_key=bytes(32))

    assert registry.service_key_of(model_id) == nothing
    assert registry.service_key_of(b"\x77" * 32) == nothing


def test_epochs_are_counted_from_1_and_said(registry, owner, model_id):
    for epoch, key in enumerate((FIRST, SECOND, FIRST), start=1):
        receipt = owner.send(registry.set_service_key(model_id, key))

        assert registry.service_key_of(model_id) == ServiceKey(epoch, key)
        assert said(receipt, registry) == [
            event(ServiceKeySet, model_id=model_id, epoch=epoch, public_key=key)
        ]


def test_it_returns_the_epoch(registry, owner, model_id):
    owner.send(registry.set_service_key(model_id, FIRST))

    assert registry.view("setServiceKey", model_id, SECOND, sender=owner.address) == 2


def test_the_epochs_go_on_under_a_new_owner(registry, owner, sponsor, model_id):
    owner.send(registry.set_service_key(model_id, FIRST))
    owner.send(registry.offer_ownership(model_id, sponsor.address))
    sponsor.send(registry.accept_ownership(model_id))

    sponsor.send(registry.set_service_key(model_id, SECOND))

    assert registry.service_key_of(model_id) == ServiceKey(2, SECOND)


def test_a_zero_key_is_refused(registry, owner, model_id, reverts):
    with reverts("KeyIsZero"):
        owner.send(registry.set_service_key(model_id, bytes(32)))


def test_only_the_owner_may(registry, owner, outsider, model_id, reverts):
    with reverts("NotOwner", modelId=model_id, owner=owner.address, caller=outsider.address):
        outsider.send(registry.set_service_key(model_id, FIRST))


def test_an_unknown_model_has_no_key(registry, owner, reverts):
    with reverts("UnknownModel", modelId=b"\x77" * 32):
        owner.send(registry.set_service_key(b"\x77" * 32, FIRST))


def test_a_retired_model_keeps_its_key(registry, owner, retired_model_id, reverts):
    with reverts("ModelIsRetired", modelId=retired_model_id):
        owner.send(registry.set_service_key(retired_model_id, FIRST))
