"""`python -m connectors.kalqix.sandbox`: a local KalqiX."""

import sys
from collections.abc import Sequence

from connectors.kalqix.sandbox.server import KalqixOptions, kalqix
from connectors.sandbox.serving.command import run_sandbox


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a local KalqiX until a signal; returns and raises as `run_sandbox` does."""
    return run_sandbox("kalqix", KalqixOptions, kalqix, arguments)


if __name__ == "__main__":
    sys.exit(main())
