"""The whole story in one process: train, publish, grant, pay, predict, verify, refund, withdraw.

The chain is the embedded one, in the same process and without anybody else on it. All the rest,
contracts, bundle, store, journal, worker and the process it predicts in, is what runs elsewhere.
"""

from modelward.demo.dispute import DisputeReport, run_dispute_demo
from modelward.demo.statements import Statement, statements
from modelward.demo.story import DemoCheck, DemoReport, EscrowStatement, run_demo

__all__ = [
    "DemoCheck",
    "DemoReport",
    "DisputeReport",
    "EscrowStatement",
    "Statement",
    "run_demo",
    "run_dispute_demo",
    "statements",
]
