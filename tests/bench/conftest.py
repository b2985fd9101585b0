import pytest

from modelward.bench import gas


@pytest.fixture(scope="session")
def measured():
    """Every figure, with next to nothing open."""
    return gas.measure()
