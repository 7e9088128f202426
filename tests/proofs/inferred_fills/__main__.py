"""Fills that no list shows: our positions, orders and money against a venue that lists little.

    python -m tests.proofs.inferred_fills [--runs 10000] [--seed 1] [--mutant NAME]

Each run is an account of its own in virtual time, at a venue with the terms that one of the connectors declares (all
listed, by order, takers' alone; with and without ids of ours): orders of two strategies trade in parts, answers and
reads get lost, lists are read out of order and show fills late or never, orders end unasked, positions are liquidated,
and the daemon restarts from its journal or a snapshot. At rest the position must be the venue's, whatever was guessed
on the way.
Where no amounts are stated, a hidden fill can be given to the wrong one of two orders, or two of them can hide each
other. Until what comes next shows it, some of the venue's position is neither ours nor reserved: `uncovered_ms_max`
says for how long. Positions are read every 5 s where nothing waits (each second where something does), a read may be as
old as the lag (1.5 s at most here), and a gap counts once it has lasted longer than that. There are no public trades
here, which have a position read within a second.
Prints one JSON object; exits 1 when a run went wrong, something was left unreserved for longer than that explains, or a
mutant was not caught. With `--mutant` only that protection
is switched off and the proof must fail: it exits 1 and says how.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from typing import Any

from tests.proofs.inferred_fills.mutants import MUTANTS
from tests.proofs.inferred_fills.run import Run, Wrong

MET_MIN = 100
UNCOVERED_MS_MAX = 10_000
"""Longest time between two reads of the position, twice the lag of a read, and a second's pause before the last one,
which may not be answered at first."""
WRONG_SHOWN_MAX = 5


def prove(*, runs: int, seed: int) -> dict[str, Any]:
    """So many runs."""
    started, met = time.monotonic(), Counter[str]()
    wrong: list[str] = []
    uncovered_ms_max = 0
    for number in range(runs):
        run = Run(f"{seed}/{number}", met)
        met[f"runs of {run.name}"] += 1
        try:
            run.play()
        except Wrong as e:
            wrong.append(f"run {number}, {run.name}: {e}")
        uncovered_ms_max = max(uncovered_ms_max, run.uncovered_ms_max)
    return {
        "seed": seed,
        "runs": runs,
        "right": runs - len(wrong),
        "wrong": wrong[:WRONG_SHOWN_MAX],
        "uncovered_ms_max": uncovered_ms_max,
        "met": dict(sorted(met.items())),
        "seconds": round(time.monotonic() - started, 1),
    }


def caught(name: str, *, seed: int, runs: int = 200) -> dict[str, str]:
    """What reports the mutant, by dialect; empty where nothing does."""
    mutant = MUTANTS[name]
    with mutant.switch():
        return {dialect: _reported(dialect, seed=seed, runs=runs) for dialect in mutant.dialects}


def _reported(dialect: str, *, seed: int, runs: int) -> str:
    for number in range(runs):
        try:
            Run(f"{seed}/{number}", Counter(), (dialect,)).play()
        except Wrong as e:
            return f"run {number}: {e}"
    return ""


def is_kept(figures: dict[str, Any]) -> bool:
    """Whether every promise held, and everything was met that makes it hard."""
    is_met = min(figures["met"].values()) >= min(MET_MIN, figures["runs"] // 100)
    is_covered = figures["uncovered_ms_max"] <= UNCOVERED_MS_MAX
    is_caught = all(all(one.values()) for one in figures["mutants_caught"].values())
    return not figures["wrong"] and is_met and is_covered and is_caught


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mutant", choices=sorted(MUTANTS))
    options = parser.parse_args()
    if options.mutant:
        finding = caught(options.mutant, seed=options.seed)
        print(json.dumps({"mutant": options.mutant, "caught": finding}))
        return 1 if all(finding.values()) else 0
    figures = prove(runs=options.runs, seed=options.seed)
    figures["mutants_caught"] = {name: caught(name, seed=options.seed) for name in MUTANTS}
    print(json.dumps(figures, indent=1))
    return 0 if is_kept(figures) else 1


if __name__ == "__main__":
    sys.exit(main())
