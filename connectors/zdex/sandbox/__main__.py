"""`tidegate sandbox zdex`, also as `python -m connectors.zdex.sandbox`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from connectors.sandbox.serving.command import run_sandbox
from connectors.zdex.sandbox.server import SandboxOptions, ZdexSandbox


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a local ZDEX until a signal, with the options in `arguments`; returns and raises as `run_sandbox` does."""
    return run_sandbox("zdex", SandboxOptions, ZdexSandbox, arguments)


if __name__ == "__main__":
    sys.exit(main())
