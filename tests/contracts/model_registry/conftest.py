import pytest

from modelward import commitments
from tests.contracts.specimens import NAME, TERMS


@pytest.fixture
def model_id(registry, owner, isolation):
    """A model of the owner's, without thresholds."""
    owner.send(registry.register_model(NAME, TERMS))
    return commitments.model_id(owner.address, NAME)


@pytest.fixture
def retired_model_id(registry, owner, isolation):
    """Another model of the owner's, retired."""
    owner.send(registry.register_model("retired", TERMS))
    model_id = commitments.model_id(owner.address, "retired")
    owner.send(registry.retire_model(model_id))
    return model_id
