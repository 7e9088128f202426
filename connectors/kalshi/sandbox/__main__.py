"""`python -m connectors.kalshi.sandbox`: the same as `tidegate sandbox kalshi`."""

import sys

from connectors.kalshi.sandbox.command import main

if __name__ == "__main__":
    sys.exit(main())
