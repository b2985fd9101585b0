"""Let somebody request predictions from a model of yours, look at your grants, end them.

python scripts/grant_and_revoke.py grant|revoke GRANTEE MODEL [NETWORK [ACCOUNT]]
"""

from __future__ import annotations

import sys
from getpass import getpass

from modelward import Owner, connect
from modelward.errors import ModelwardError
from modelward.terms import Right

MONTH = 30 * 86_400


def main(
    verb: str, grantee: str, model: str, network: str | None = None, account: str | None = None
) -> None:
    connection = connect(network, account, default_role="owner", ask_password=getpass)
    owner = Owner(connection)
    if verb == "grant":
        owner.grant(grantee, model, Right.INFER, expiry=connection.now() + MONTH, quota=100)
    else:
        owner.revoke(grantee, model)
    for grant in owner.grants(model):
        print(f"{grant.grantee}  {grant.granted.rights.name}  {grant.access.name}")


if __name__ == "__main__":
    if not 4 <= len(sys.argv) <= 6 or sys.argv[1] not in ("grant", "revoke"):
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except ModelwardError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
