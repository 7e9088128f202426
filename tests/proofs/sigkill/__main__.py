"""Real daemons, killed by SIGKILL at named points and at random moments, again and again on the same state.

    python -m tests.proofs.sigkill [--venue kalqix-a] [--cycles N] [--randoms R] [--seed S] [--lanes L] [--points a,b]
                                   [--durability process-crash] [--mutant wire-before-journal]

At Kalshi, at another one of the venues in `venues.py`, or with `--venue all` at one after the other.

A sandbox of its own process trades on while the daemon is dead and says at the end what really happened. After each
start the ledger is compared with it, until a look that begins soon enough after the daemon was ready (`agree_s_max`;
5.000 s at Kalshi) shows every open order known on both sides, every fill booked once and alike, positions exact: what
no such look shows is wrong, on a machine that is too busy as well. After each death, every order of the venue has an
older record. Prints one JSON object (`agree_ms`: from ready to the beginning of the look that showed it; `look_ms`: how
long looks took), of `all` venues one for each; exits 1 if a promise was broken or a point was not reached often enough.
A mutant must be found out.

Where a venue lists no fills, those of an order are compared as a sum, and at the end what they cost. Where the position
alone shows what rests and trades (ZDEX), it is the position, and at the end every order that the venue states as
filled; of others `ascribed_elsewhere` counts those for which another size is booked than they really traded.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import math
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from framework.runtime.disk_writer import Durability
from framework.runtime.failpoints import POINTS
from tests.proofs.sigkill.child import MUTANTS, end_with_parent
from tests.proofs.sigkill.lane import Cycle, Lane, plan
from tests.proofs.sigkill.venues import VENUES

RANDOMS = 100
PER_POINT = 10
MUTANT_CYCLES = 20
LANE_CYCLES_MAX = 100
"""More deaths begin again on an empty state: the venue's answer to what really happened grows with its age."""
MODULES = ("framework.daemon", "strategies.market_maker")


def run(
    venue: str, plans: Sequence[Sequence[Cycle]], root: Path, *, lanes: int, seed: int, mutant: str, durability: str
) -> dict[str, Any]:
    """Every plan on a state and a venue of its own, `lanes` of them at a time; their figures as one."""
    started = time.monotonic()
    for module in (*MODULES, f"connectors.{VENUES[venue].venue}.plugin"):
        importlib.import_module(module)
    imported_s = time.monotonic() - started
    gc.collect()
    gc.freeze()
    make = partial(Lane, venue=venue, mutant=mutant, durability=durability)
    figures = []
    for first in range(0, len(plans), lanes):
        pipes = [
            _start_lane(plans[number], partial(make, root / f"{venue}-{number}", seed=seed + number))
            for number in range(first, min(first + lanes, len(plans)))
        ]
        figures += [_read(pid, pipe) for pid, pipe in pipes]
    merged = _merge(figures)
    header = {"seconds": round(time.monotonic() - started, 1), "imports_s": round(imported_s, 2), "seed": seed}
    row = VENUES[venue]
    bound = {"ready_s_max": row.ready_s_max, "agree_s_max": row.agree_s_max, "agree_s_max_why": row.why}
    return {"venue": venue} | header | {"durability": durability, "load_average": os.getloadavg()[1]} | bound | merged


def _start_lane(cycles: Sequence[Cycle], make: Callable[[], Lane]) -> tuple[int, int]:
    reading, writing = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    code = 1
    try:
        os.close(reading)
        end_with_parent(signal.SIGTERM)
        figures = make().run(cycles)
        with open(writing, "w") as pipe:
            json.dump(figures, pipe)
        code = 0
    except BaseException:  # noqa: BLE001 - a lane that breaks must not go on as a second parent
        traceback.print_exc()
    os._exit(code)


def _read(pid: int, reading: int) -> dict[str, Any]:
    with open(reading) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    if not text:
        raise RuntimeError("a lane broke; its traceback is above")
    return dict(json.loads(text))


def _merge(lanes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    def total(name: str) -> dict[str, int]:
        counted: Counter[str] = Counter()
        for lane in lanes:
            counted.update(lane[name])
        return dict(sorted(counted.items()))

    added = (
        "kills", "orders", "orders_twice", "fills", "ascribed_elsewhere",
        "records", "records_unseen", "checkpoints_written",
        "checkpoints_folded", "snapshots_written", "epochs", "rate_limited", "refused_signatures",
    )  # fmt: skip
    times = {name: sorted(ms for lane in lanes for ms in lane[name]) for name in ("ready_ms", "agree_ms", "look_ms")}
    shares = (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
    return {
        **{name: sum(lane[name] for lane in lanes) for name in added},
        "reached": total("reached"),
        "unreached": total("unreached"),
        "starts_compared": len(times["ready_ms"]),
        "starts_agreed": len(times["agree_ms"]),
        **{f"{name}_{which}": _at(values, share) for name, values in times.items() for which, share in shares},
        "venue_problems": [problem for lane in lanes for problem in lane["venue_problems"]],
        "wrong": total("wrong"),
        "examples": [example for lane in lanes for example in lane["examples"]],
    }


def _at(values: Sequence[float], share: float) -> float | None:
    return round(values[min(int(len(values) * share), len(values) - 1)], 1) if values else None


def is_kept(figures: dict[str, Any], wanted: Counter[str]) -> bool:
    """Whether every promise held, and every point was reached as often as it was planned."""
    is_reached = all(figures["reached"].get(point, 0) >= count for point, count in wanted.items())
    limits = (("ready_ms_p99", figures["ready_s_max"] * 1000), ("agree_ms_max", figures["agree_s_max"] * 1000))
    is_quick = all(figures[name] is not None and figures[name] <= limit for name, limit in limits)
    is_agreed = figures["starts_agreed"] == figures["starts_compared"]
    counts = ("orders_twice", "rate_limited", "refused_signatures", "records_unseen")
    is_clean = not figures["wrong"] and not figures["venue_problems"] and not any(figures[name] for name in counts)
    return is_clean and is_reached and is_agreed and is_quick and figures["fills"] > 0


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venue", choices=(*VENUES, "all"), default="kalshi")
    parser.add_argument("--cycles", type=int, default=0, help="deaths (default: ten at each point and 100 at random)")
    parser.add_argument("--randoms", type=int, default=-1, help="so many of them at random (default: a quarter)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--lanes", type=int, default=2)
    # No strategy moves funds: `tests/framework/cli/test_funds.py` dies at those points.
    orders = ",".join(point for point in POINTS if not point.startswith("move-"))
    parser.add_argument("--points", default=orders, help="fail points, comma-separated")
    parser.add_argument("--durability", choices=[one.value for one in Durability], default=Durability.POWER_LOSS.value)
    parser.add_argument("--mutant", choices=MUTANTS, default="")
    parser.add_argument("--keep", type=Path, help="keep logs and records in this new folder")
    options = parser.parse_args()
    # Whoever ends this process, now or as a lane, has it clean up: the folder, the sandbox, the daemon.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    chosen = list(VENUES) if options.venue == "all" else [options.venue]
    with tempfile.TemporaryDirectory() as folder:
        results = {venue: _prove(venue, options, options.keep or Path(folder)) for venue in chosen}
    found = {venue: figures for venue, (figures, _) in results.items()}
    print(json.dumps(found if options.venue == "all" else found[options.venue], indent=1))
    return 0 if all(kept for _, kept in results.values()) else 1


def _prove(venue: str, options: argparse.Namespace, root: Path) -> tuple[dict[str, Any], bool]:
    """The figures of one venue, and whether every promise held."""
    points = [point for point in options.points.split(",") if point and point not in VENUES[venue].absent]
    full = MUTANT_CYCLES if options.mutant else PER_POINT * len(points) + RANDOMS
    cycles = options.cycles or full
    randoms = cycles // 4 if options.randoms < 0 else options.randoms
    planned = plan(points, cycles=cycles, randoms=randoms, rng=random.Random(options.seed))
    count = options.lanes * math.ceil(cycles / (options.lanes * LANE_CYCLES_MAX))
    plans = [planned[number::count] for number in range(count)]
    figures = run(
        venue, plans, root, lanes=options.lanes, seed=options.seed, mutant=options.mutant, durability=options.durability
    )
    return figures, is_kept(figures, Counter(cycle.point for cycle in planned if cycle.point))


if __name__ == "__main__":
    sys.exit(main())
