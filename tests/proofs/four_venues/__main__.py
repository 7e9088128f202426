"""The daemon of `config/four-venues.toml`: four venues and three strategies at once, compared with every truth.

    python -m tests.proofs.four_venues [--minutes 10] [--story quiet|faults|deaths] [--seed S] [--keep DIR]

The file itself is run; laid over it are only the state directory, the metrics port, and the addresses of the sandboxes,
which are processes of their own, so that they outlive the daemon and can be killed. `quiet` lets it trade. `faults` has
every fault that each venue can commit committed once there while it runs. `deaths` has one venue dead at the start,
which comes up a third of the time later, and kills another in the middle.

At the end everything is halted until balances are compared, resumed, and stopped while it trades. Prints one JSON
object; exits 1 when a promise was broken.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

from tests.proofs.four_venues.judge import broken
from tests.proofs.four_venues.run import STORIES, Run, Spec


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--story", choices=STORIES, default="quiet")
    parser.add_argument("--seed", type=int, default=7, help="order of the faults")
    parser.add_argument("--dead", default="zdex", help="the venue that is dead at the start")
    parser.add_argument("--dying", default="bitexasia", help="the venue that dies in the middle")
    parser.add_argument("--venues", default="", help="commit faults at these only, comma-separated")
    parser.add_argument("--kinds", default="", help="commit these faults only, comma-separated")
    parser.add_argument(
        "--call-ms-max",
        type=int,
        default=5_000,
        help="how long a strategy's hook may block: a machine that stands still is none of its faults",
    )
    parser.add_argument("--keep", type=Path, help="keep logs and records in this new folder")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        spec = Spec(
            directory=options.keep or Path(folder),
            story=options.story,
            seconds=options.minutes * 60,
            seed=options.seed,
            dead=options.dead,
            dying=options.dying,
            venues=tuple(filter(None, options.venues.split(","))),
            kinds=tuple(filter(None, options.kinds.split(","))),
            kernel={"strategy_call_ms_max": options.call_ms_max},
        )
        figures = Run(spec).figures()
    figures["machine_load"] = [round(load_before, 1), *(round(one, 1) for one in os.getloadavg()[:2])]
    figures["broken"] = broken(figures)
    print(json.dumps(figures, indent=1))
    return 1 if figures["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
