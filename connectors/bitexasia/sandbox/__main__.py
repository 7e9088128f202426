"""`tidegate sandbox bitexasia`, also as `python -m connectors.bitexasia.sandbox`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from connectors.bitexasia.sandbox.server import bitexasia
from connectors.bitexasia.sandbox.venue import NAME, BitExAsiaOptions
from connectors.sandbox.serving.command import run_sandbox


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a local BitExAsia until a signal, with the options in `arguments`; like `run_sandbox`."""
    return run_sandbox(NAME, BitExAsiaOptions, bitexasia, arguments)


if __name__ == "__main__":
    sys.exit(main())
