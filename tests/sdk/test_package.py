"""`import modelward` costs nothing; what it offers is loaded on first use."""

from __future__ import annotations

import subprocess
import sys

import pytest

import modelward


def test_importing_the_package_loads_nothing_heavy():
    program = (
        "import sys, modelward; heavy = {'web3', 'eth_account', 'sklearn', 'skops', 'pandas'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("name", ["Owner", "Requester", "connect"])
def test_the_sdk_is_at_hand(name):
    from modelward import sdk

    assert getattr(modelward, name) is getattr(sdk, name)
    assert name in modelward.__all__


def test_what_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'modelward' has no attribute 'Lessee'"):
        modelward.Lessee  # noqa: B018
