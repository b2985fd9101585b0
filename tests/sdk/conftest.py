"""Everything here trades on the market of `tests/market.py`, and on that of exact models."""

from tests.exact_market import *  # noqa: F403
from tests.market import *  # noqa: F403
