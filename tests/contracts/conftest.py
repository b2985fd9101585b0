"""What the tests of the contracts need beyond the shared fixtures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from modelward.errors import ContractRefused


@pytest.fixture(autouse=True)
def isolation(devchain):
    """No test leaves a trace."""


@pytest.fixture(scope="session")
def reverts() -> Callable[..., AbstractContextManager[None]]:
    """Expect a custom error with exactly these arguments, by their Solidity names."""

    @contextmanager
    def expect(error: str, **arguments: Any) -> Iterator[None]:
        with pytest.raises(ContractRefused) as caught:
            yield
        assert (caught.value.error, caught.value.arguments) == (error, arguments)

    return expect
