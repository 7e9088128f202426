"""Kills while strategies storm or block the loop, a venue hangs, the daemon is stopped or dead.

    python -m tests.proofs.kill [--trials 100] [--count 50] [--kind busy …] [--mutant latch-in-ram]

Four sandboxes, `--count` open orders at each, and `tidegate kill` as a process of its own. After the latch no new order
leaves, whatever was approved; the cancels are at the venues within a quarter of a second (a second where the loop is
blocked), beyond what a venue's limit makes them wait; a venue that hangs holds up no other; no limit is reached; and
the latch survives a SIGKILL. Prints one JSON object; exits 1 when a promise is broken. With the mutant, whose latch is
in memory, it must.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from framework.domain.errors import EXIT_ORDERS_LEFT
from tests.proofs.kill.trial import BLOCKED, HUNG, KINDS, Figures, play
from tests.proofs.kill.world import World

LATE_S_MAX, LATE_BLOCKED_S_MAX, FIRST_S_MAX = 0.25, 1.0, 0.4
MUTANTS = {"": "framework", "latch-in-ram": "tests.proofs.kill.latch_in_ram"}


def run(directory: Path, kinds: Sequence[str], *, count: int, mutant: str = "") -> list[Figures]:
    """Play trials of these kinds, one after the other."""
    with World(directory, count=count, module=MUTANTS[mutant]).running() as world:
        return [play(world, kind) for kind in kinds]


def broken(trials: Sequence[Figures]) -> list[str]:
    """The promises that do not depend on how fast the machine is, as far as they are broken."""
    found = []
    for number, one in enumerate(trials, 1):
        expected = EXIT_ORDERS_LEFT if one.kind == "hung" else 0
        trial = f"trial {number}, {one.kind}"
        found += [f"{trial}: new after the latch: {name}" for name in one.new_after]
        found += [f"{trial}: {count} orders left at {venue}" for venue, count in one.left.items()]
        found += [f"{trial}: {one.limited} answers of 429"] if one.limited else []
        found += [f"{trial}: exit code {one.code}: {one.said}"] if one.code != expected else []
        found += [f"{trial}: the latch did not survive: orders went out"] if not one.halted else []
    return found


def late(trials: Sequence[Figures]) -> list[str]:
    """The promises of time, as far as they are broken."""
    found = []
    for kinds, most in ((BLOCKED, LATE_BLOCKED_S_MAX), (set(KINDS) - set(BLOCKED), LATE_S_MAX)):
        p99 = _p99([late for one in trials if one.kind in kinds for found in one.late.values() for late in found])
        found += [f"cancels of {', '.join(sorted(kinds))}: p99 {p99:.3f} s"] if p99 > most else []
    first = max((one.first_s for one in trials), default=0.0)
    return found + ([f"the first cancel {first:.3f} s after the command"] if first > FIRST_S_MAX else [])


def shown(trials: Sequence[Figures]) -> dict[str, Any]:
    """The figures of each kind, times in milliseconds."""
    figures = {}
    for kind in KINDS:
        of_kind = [one for one in trials if one.kind == kind]
        times = [late for one in of_kind for found in one.late.values() for late in found]
        if of_kind:
            figures[kind] = {
                "trials": len(of_kind),
                "cancels": len(times),
                "late_ms_p50": _ms(sorted(times)[len(times) // 2] if times else 0.0),
                "late_ms_p99": _ms(_p99(times)),
                "late_ms_p99_by_venue": {
                    venue: _ms(_p99([late for one in of_kind for late in one.late.get(venue, [])]))
                    for venue in of_kind[0].late
                },
                "latch_ms_max": _ms(max(one.latch_s for one in of_kind)),
                "first_ms_max": _ms(max(one.first_s for one in of_kind)),
                "command_s_max": round(max(one.command_s for one in of_kind), 1),
                "new_after": sum(len(one.new_after) for one in of_kind),
                "limited": sum(one.limited for one in of_kind),
            }
    return figures


def _p99(values: Sequence[float]) -> float:
    return sorted(values)[max(len(values) * 99 // 100 - 1, 0)] if values else 0.0


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def main() -> int:
    """Run it; 1 when a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--count", type=int, default=50, help="open orders at each venue")
    parser.add_argument("--kind", action="append", choices=KINDS, default=[], help=f"only these; {HUNG} is what hangs")
    parser.add_argument("--mutant", choices=list(MUTANTS), default="")
    options = parser.parse_args()
    kinds = options.kind or KINDS
    with tempfile.TemporaryDirectory() as folder:
        chosen = [kinds[number % len(kinds)] for number in range(options.trials)]
        trials = run(Path(folder), chosen, count=options.count, mutant=options.mutant)
    problems = [*broken(trials), *late(trials)]
    print(json.dumps({"trials": len(trials), "kinds": shown(trials), "problems": problems[:50]}, indent=2))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
