"""Deploy the contracts to a network of deploy.toml: python scripts/deploy.py [NETWORK [ACCOUNT]]"""

from __future__ import annotations

import sys
from getpass import getpass

from modelward.chain.accounts import open_account
from modelward.chain.connection import Chain
from modelward.config import load_config
from modelward.deployment import deploy
from modelward.errors import ModelwardError


def main(network: str | None = None, account: str | None = None) -> None:
    config = load_config()
    chain = Chain.connect(config.network(network))
    payer = open_account(config, chain, account, default_role="deployer", ask_password=getpass)
    deployment = deploy(chain, payer, config)
    for contract in deployment.record.contracts.values():
        print(f"{contract.name:<16} {contract.address}  block {contract.block}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:3])
    except ModelwardError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
