"""Daemons that fall silent with orders at four venues, and a guard beside them that ends these.

    python -m tests.proofs.dead_man [--trials 100] [--calm 540] [--starts 50] [--count 50] [--timeout 4]
                                    [--kind stalled …] [--mutant beat-from-a-thread|no-guard]

The daemon is killed, stopped, or its loop is blocked: a second after the time-out nothing is open, beyond what the
limit of a venue makes a cancel wait. Stalls of half a second change nothing. A second daemon on the same state is
refused, and sends nothing. Prints one JSON object; exits 1 when a promise is broken. A mutant must be found out.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec

from framework.domain.errors import EXIT_FAILED
from tests.proofs.dead_man.trial import KINDS, Silence, guarded, second_start, silence, stalls
from tests.proofs.kill.world import World

LATE_S_MAX = 1.0
MUTANTS = ("", "beat-from-a-thread", "no-guard")


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What is played: silences of these kinds, seconds of short stalls, starts of a second daemon."""

    kinds: Sequence[str]
    calm_s: float
    starts: int
    count: int
    timeout_s: float
    mutant: str = ""


class Played(msgspec.Struct, kw_only=True):
    """What it came to. `starts` has exit code and orders of each second start."""

    silences: list[Silence] = []
    stalls: int = 0
    has_struck: bool = False
    starts: list[tuple[int, int]] = []


def run(directory: Path, spec: Spec) -> Played:
    """Play it, one after the other, with one guard for all. Ends with the first silence that the guard does not see."""
    module = "tests.proofs.dead_man.beat_from_a_thread" if spec.mutant == "beat-from-a-thread" else "framework"
    played = Played()
    with World(directory, count=spec.count, module=module).running() as world:
        world.wait_full()
        with nullcontext() if spec.mutant == "no-guard" else guarded(world, spec.timeout_s):
            played.stalls, played.has_struck = stalls(world, spec.calm_s)
            played.starts = [second_start(world) for _ in range(spec.starts)]
            for kind in () if played.has_struck else spec.kinds:
                played.silences.append(silence(world, kind, spec.timeout_s))
                if played.silences[-1].latch_s is None:
                    break
    return played


def broken(played: Played) -> list[str]:
    """The promises that do not depend on how fast the machine is, as far as they are broken."""
    found = ["short stalls: the guard struck"] if played.has_struck else []
    for code, orders in played.starts:
        found += [f"a second daemon: exit code {code}, {orders} orders"] if (code, orders) != (EXIT_FAILED, 0) else []
    for number, one in enumerate(played.silences, 1):
        trial = f"silence {number}, {one.kind}"
        if one.latch_s is None:
            found.append(f"{trial}: the guard did nothing, orders are open: {one.left}")
            continue
        found += [f"{trial}: {count} orders left at {venue}" for venue, count in one.left.items()]
        found += [f"{trial}: new after the latch: {name}" for name in one.new_after]
        found += [f"{trial}: {one.limited} answers of 429"] if one.limited else []
        found += [] if one.is_halted else [f"{trial}: the daemon sent orders under the latch"]
    return found


def late(played: Played) -> list[str]:
    """The promise of time, as far as it is broken."""
    found = []
    for number, one in enumerate(played.silences, 1):
        for venue, times in one.late.items():
            if times and max(times) > LATE_S_MAX:
                found.append(f"silence {number}, {one.kind}: {venue}: {max(times):.3f} s after the time-out")
    return found


def shown(played: Played) -> dict[str, Any]:
    """The figures, times in milliseconds after the time-out."""
    figures: dict[str, Any] = {"stalls": played.stalls, "second_starts": len(played.starts)}
    for kind in KINDS:
        of_kind = [one for one in played.silences if one.kind == kind]
        times = [late for one in of_kind for found in one.late.values() for late in found]
        if of_kind:
            figures[kind] = {
                "trials": len(of_kind),
                "orders": len(times),
                "latch_ms_max": round(1000 * max(one.latch_s or 0.0 for one in of_kind)),
                "late_ms_max": round(1000 * max(times, default=0.0)),
            }
    return figures


def main() -> int:
    """Run it; 1 when a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--calm", type=float, default=540.0, help="seconds of short stalls")
    parser.add_argument("--starts", type=int, default=50, help="starts of a second daemon")
    parser.add_argument("--count", type=int, default=50, help="open orders at each venue")
    parser.add_argument("--timeout", type=float, default=4.0, help="the guard's")
    parser.add_argument("--kind", action="append", choices=KINDS, default=[])
    parser.add_argument("--mutant", choices=MUTANTS, default="")
    options = parser.parse_args()
    kinds = options.kind or KINDS
    spec = Spec(
        kinds=[kinds[number % len(kinds)] for number in range(options.trials)],
        calm_s=options.calm,
        starts=options.starts,
        count=options.count,
        timeout_s=options.timeout,
        mutant=options.mutant,
    )
    with tempfile.TemporaryDirectory() as folder:
        played = run(Path(folder), spec)
    problems = [*broken(played), *late(played)]
    print(json.dumps({"figures": shown(played), "problems": problems[:50]}, indent=2))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
