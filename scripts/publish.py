"""Publish a fitted estimator as a version of a model of yours.

python scripts/publish.py FILE.skops HELD_OUT.csv NAME PRICE [NETWORK [ACCOUNT]]
"""

from __future__ import annotations

import sys
from getpass import getpass

from modelward import Owner, connect
from modelward.errors import ModelwardError
from modelward.models.estimators import read_estimator
from modelward.pipeline.held_out import read_held_out
from modelward.terms import parse_amount


def main(
    file: str,
    held_out: str,
    name: str,
    price: str,
    network: str | None = None,
    account: str | None = None,
) -> None:
    estimator = read_estimator(file)
    inputs, labels = read_held_out(held_out)
    connection = connect(network, account, default_role="owner", ask_password=getpass)
    published = Owner(connection).publish(
        estimator, inputs, labels, name=name, price=parse_amount(price)
    )
    for change in published.changes:
        print(change)
    print(published.reference)


if __name__ == "__main__":
    if not 5 <= len(sys.argv) <= 7:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except ModelwardError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
