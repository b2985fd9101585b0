"""What a worker relies on when it follows the contracts' events, checked when it starts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelward.deployment import check_deployment
from modelward.errors import CodeMismatch


@pytest.fixture
def changed(deployment):
    """The deployment as a record that somebody changed tells it."""

    def change(name, **fields):
        contracts = dict(deployment.record.contracts)
        contracts[name] = replace(contracts[name], **fields)
        return replace(deployment, record=replace(deployment.record, contracts=contracts))

    return change


def test_a_deployment_as_recorded_passes(deployment):
    check_deployment(deployment)


def test_a_later_first_block_than_the_true_one_is_noticed(deployment, changed):
    block = deployment.record.contracts["DataShare"].block
    with pytest.raises(CodeMismatch, match=f"in block {block}, not"):
        check_deployment(changed("DataShare", block=block + 1))


def test_an_address_that_the_transaction_did_not_deploy_to_is_noticed(deployment, changed):
    other = deployment.addresses["InferenceEscrow"]
    with pytest.raises(CodeMismatch, match="was deployed at"):
        check_deployment(changed("ModelRegistry", address=other))


@pytest.mark.parametrize("name", ["DataShare", "ModelRegistry"])
def test_an_escrow_that_goes_by_other_contracts_is_noticed(deployment, changed, name, outsider):
    unknown = "0x" + 64 * "0"  # a transaction that the node has forgotten
    with pytest.raises(CodeMismatch, match=f"goes by the {name}"):
        check_deployment(changed(name, address=outsider.address, transaction=unknown))
