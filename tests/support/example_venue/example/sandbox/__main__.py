"""`tidegate sandbox example`, also as `python -m example.sandbox` in the folder of the plugin."""

import sys
from collections.abc import Sequence

from connectors.sandbox.serving.command import run_sandbox

from .exchange import ExampleOptions, example


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a local Example until a signal; returns and raises as `run_sandbox` does."""
    return run_sandbox("example", ExampleOptions, example, arguments)


if __name__ == "__main__":
    sys.exit(main())
