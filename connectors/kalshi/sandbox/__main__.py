"""`tidegate sandbox kalshi`, also as `python -m connectors.kalshi.sandbox`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from connectors.kalshi.sandbox.server import KalshiSandbox, SandboxOptions
from connectors.sandbox.serving.command import run_sandbox


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a local Kalshi until a signal, with the options in `arguments`; returns and raises as `run_sandbox` does."""
    return run_sandbox("kalshi", SandboxOptions, KalshiSandbox, arguments)


if __name__ == "__main__":
    sys.exit(main())
