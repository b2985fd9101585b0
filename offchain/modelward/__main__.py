"""`python -m modelward` is `modelward`."""

import sys

from modelward.cli import main

if __name__ == "__main__":
    sys.exit(main())
