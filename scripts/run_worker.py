"""Answer requests on a network of deploy.toml: python scripts/run_worker.py [NETWORK [ACCOUNT]]"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from getpass import getpass

from modelward.chain.accounts import open_account
from modelward.chain.connection import Chain
from modelward.config import load_config
from modelward.content.store import ContentStore
from modelward.deployment import load_deployment
from modelward.errors import ModelwardError
from modelward.worker import Worker, open_journal


def main(network: str | None = None, account: str | None = None) -> None:
    config = load_config()
    chain = Chain.connect(config.network(network))
    deployment = load_deployment(chain, config)
    signer = open_account(config, chain, account, default_role="worker", ask_password=getpass)
    store = ContentStore(config.store_url)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with (
        open_journal(chain, deployment, signer, directory=config.journal_directory) as journal,
        Worker(chain, deployment, signer, store, journal) as worker,
    ):
        worker.run(stop)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        main(*sys.argv[1:3])
    except ModelwardError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
