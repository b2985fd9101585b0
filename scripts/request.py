"""Request a prediction, wait for it, and replay it if the account may open the model.

python scripts/request.py MODEL INPUT.json [NETWORK [ACCOUNT]]
"""

from __future__ import annotations

import sys
from getpass import getpass
from pathlib import Path

from modelward import Requester, connect
from modelward.errors import KeyNotGranted, ModelwardError
from modelward.sdk import verify


def main(model: str, file: str, network: str | None = None, account: str | None = None) -> None:
    connection = connect(network, account, default_role="requester", ask_password=getpass)
    requester = Requester(connection)
    placed = requester.send(model, Path(file))
    print(f"placed 0x{placed.id.hex()}")
    result = requester.wait(placed.id)
    print(f"answered by {result.worker}: {result.prediction}")
    try:
        for check in verify(connection, placed.id).checks:
            print(f"ok  {check.what}")
    except KeyNotGranted as refused:
        print(f"not replayed: {refused}")


if __name__ == "__main__":
    if not 3 <= len(sys.argv) <= 5:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except ModelwardError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
