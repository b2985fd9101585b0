"""A worker that kills itself at a milestone: python dying_worker.py MILESTONE JOURNAL"""

from __future__ import annotations

import os
import signal
import sys

from modelward.chain.accounts import open_account
from modelward.chain.connection import Chain
from modelward.config import load_config
from modelward.content.store import ContentStore
from modelward.deployment import load_deployment
from modelward.terms import RequestId
from modelward.worker import Milestone, Worker, open_journal


def main(point: Milestone, place: str) -> None:
    def observe(passed: Milestone, _: RequestId) -> None:
        if passed is point:
            os.kill(os.getpid(), signal.SIGKILL)

    config = load_config()
    chain = Chain.connect(config.network("local"))
    deployment = load_deployment(chain, config)
    account = open_account(config, chain, "worker")
    store = ContentStore(config.store_url)
    with (
        open_journal(
            chain, deployment, account, directory=config.journal_directory, place=place
        ) as journal,
        Worker(chain, deployment, account, store, journal, observer=observe) as worker,
    ):
        worker.drain()


if __name__ == "__main__":
    main(Milestone(sys.argv[1]), sys.argv[2])
