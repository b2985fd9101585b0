from dataclasses import replace

from modelward.chain.events import ModelRetired
from tests.contracts.said import event, said
from tests.contracts.specimens import NAME, TERMS, version_of


def test_it_withdraws_the_model_and_says_so(registry, owner, model_id):
    before = registry.model_of(model_id)

    receipt = owner.send(registry.retire_model(model_id))

    assert registry.model_of(model_id) == replace(before, retired=True)
    assert said(receipt, registry) == [event(ModelRetired, model_id=model_id)]


def test_none_of_its_versions_is_offered_any_more(registry, owner, model_id, reverts):
    version = version_of(model_id, owner.address)
    owner.send(registry.publish_version(version))

    owner.send(registry.retire_model(model_id))

    with reverts("ModelIsRetired", modelId=model_id):
        registry.quote(model_id, registry.version_id_of(version))


def test_it_is_for_good(registry, owner, model_id, reverts):
    owner.send(registry.retire_model(model_id))

    with reverts("ModelIsRetired", modelId=model_id):
        owner.send(registry.retire_model(model_id))
    with reverts("ModelExists", modelId=model_id):
        owner.send(registry.register_model(NAME, TERMS))


def test_the_owners_other_models_stay(registry, owner, model_id, retired_model_id):
    assert not registry.model_of(model_id).retired
    assert registry.model_of(retired_model_id).retired


def test_only_the_owner_may(registry, owner, outsider, model_id, reverts):
    with reverts("NotOwner", modelId=model_id, owner=owner.address, caller=outsider.address):
        outsider.send(registry.retire_model(model_id))


def test_an_unknown_model_cannot_be_retired(registry, owner, reverts):
    with reverts("UnknownModel", modelId=b"\x77" * 32):
        owner.send(registry.retire_model(b"\x77" * 32))
