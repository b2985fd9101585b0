"""Everything here trades on the market of `tests/market.py`."""

from tests.market import *  # noqa: F403
