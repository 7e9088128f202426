"""`python -m framework` and the `tidegate` command: signals and standard streams first, then everything else."""

from __future__ import annotations

import sys

from framework.domain.loading import load_late
from framework.runtime.standard_streams import open_standard_streams
from framework.runtime.stop_signals import StopSignals


def main() -> int:
    """Run the command line of this process and return its exit code; see `framework.cli.main`.

    `run` gets its signals from here on, before the rest is loaded. The other verbs end as a signal says.
    """
    signals = StopSignals()
    is_run = next((word for word in sys.argv[1:] if not word.startswith("-")), "") == "run"
    if is_run:
        signals.install()
    open_standard_streams()
    code = int(load_late("framework.cli.main:main")(signals=signals))
    if is_run:
        load_late("framework.runtime.background:end_process_if_held")(code)
    return code


if __name__ == "__main__":
    sys.exit(main())
