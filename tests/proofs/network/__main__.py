"""Daemons that trade through a network that is spoiled and healed again, hundreds of times.

    python -m tests.proofs.network [--venue kalqix-a] [--trials 480] [--seed S] [--lanes 6] [--outage-s 60]
                                   [--mutant no-silence-watch]

At Kalshi, or at another one of the venues of the SIGKILL proof (`venues.py` there has what differs). Each lane has a
sandbox, a proxy in front of its REST and of its stream, if it has one, and a daemon. A trial puts one of eight toxics
on one leg or on both for one to four seconds, heals it, and measures the time until the connector is up, the daemon is
ready, and its open orders and positions are the venue's in two looks in a row. After the trials: total outages,
connections that fall silent, and a stream that only leaves own fills out. Prints one JSON object; exits 1 when a
promise was broken. A mutant must be found out.

Lanes leave the connections in peace for about a minute before they are cut again: the cap on connects is to be
measured here, not to be the reason why a recovery is late. Judged are all connects, tried or accepted, of each leg.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import msgspec

from tests.proofs.network.spec import Spec, legs_cut
from tests.proofs.network.spy import MUTANTS
from tests.proofs.sigkill.venues import VENUES
from tests.support.daemon import ROOT
from tests.support.toxics import TOXICS

SILENT_CASES = ("frozen", "muted", "fills_muted")
OUTAGES = ("refused", "dead")
CONNECTS = ("stream_connects_per_minute_max", "rest_connects_per_minute_max")
EMPTY = ("orders_lost", "orders_left_open", "unrecorded", "fills_wrong", "fills_unclaimed", "amounts_off")
SLOWEST = 12


def plan(
    trials: int, rng: random.Random, lanes: int, legs: Sequence[str] = ("rest", "stream", "both")
) -> list[list[tuple[str, str]]]:
    """Every toxic on every leg equally often, in a drawn order; each lane has as many cuts of the stream as others."""
    every = list(islice(cycle([(toxic, leg) for toxic in TOXICS for leg in legs]), trials))
    rng.shuffle(every)
    every.sort(key=lambda trial: "stream" in legs_cut(trial))
    dealt = [every[lane::lanes] for lane in range(lanes)]
    for one in dealt:
        rng.shuffle(one)
    return dealt


def run(specs: Sequence[Spec]) -> dict[str, Any]:
    """Every lane in a process of its own, all at once; their figures as one."""
    started = time.monotonic()
    with ExitStack() as stack:
        lanes = [stack.enter_context(_started(spec)) for spec in specs]
        try:
            codes = [lane.wait() for lane in lanes]
        except BaseException:  # also when this process is told to end: no lane may outlive it
            for lane in lanes:
                lane.terminate()
            raise
    broken = [f"{Path(spec.directory) / 'lane.log'}" for spec, code in zip(specs, codes, strict=True) if code]
    if broken:
        raise RuntimeError("a lane broke:\n" + "\n".join("…" + Path(log).read_text()[-3000:] for log in broken))
    figures = [json.loads((Path(spec.directory) / "figures.json").read_bytes()) for spec in specs]
    header = {"venue": specs[0].venue, "seconds": round(time.monotonic() - started, 1), "lanes": len(specs)}
    return header | merge(figures)


def _started(spec: Spec) -> subprocess.Popen[bytes]:
    directory = Path(spec.directory)
    directory.mkdir(parents=True)
    (directory / "spec.json").write_bytes(msgspec.json.encode(spec))
    words = ["-m", "tests.proofs.network.lane", str(directory / "spec.json"), str(directory / "figures.json")]
    with (directory / "lane.log").open("wb") as log:
        return subprocess.Popen([sys.executable, *words], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)


def merge(lanes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures of all lanes as one object."""
    trials = [trial for lane in lanes for trial in lane["trials"]]
    slowest = sorted(trials, key=_seconds, reverse=True)
    added = (
        "orders", "orders_twice", "fills", "rate_limited", "refused_signatures", "approved", "approved_on_stale_book",
        "ascribed_elsewhere",
    )  # fmt: skip
    listed = (*EMPTY, "venue_problems")
    legs = sorted({trial["leg"] for trial in trials})
    return {
        "trials": len(trials),
        "never_reconciled": sum(trial["reconciled_s"] is None for trial in trials),
        **_shares("reconciled_s", [_seconds(trial) for trial in trials]),
        "reconciled_s_p99_by_toxic": {kind: _p99(trials, toxic=kind) for kind in TOXICS},
        "reconciled_s_p99_by_leg": {leg: _p99(trials, leg=leg) for leg in legs},
        "slowest": slowest[:SLOWEST],
        "cases": {name: found for lane in lanes for name, found in lane["cases"].items()},
        **{name: sum(lane[name] for lane in lanes) for name in added},
        **{name: [one for lane in lanes for one in lane[name]] for name in listed},
        "positions_agree": all(lane["positions_agree"] for lane in lanes),
        "exit_codes": [lane["exit_code"] for lane in lanes],
        **{name: max(lane[name] for lane in lanes) for name in CONNECTS if name in lanes[0]},
        "connects_per_minute_allowed": min(lane["connects_per_minute_allowed"] for lane in lanes),
    }


def _seconds(trial: dict[str, Any]) -> float:
    return float("inf") if trial["reconciled_s"] is None else float(trial["reconciled_s"])


def _p99(trials: Sequence[dict[str, Any]], **wanted: str) -> float | None:
    chosen = sorted(_seconds(one) for one in trials if all(one[name] == value for name, value in wanted.items()))
    return _at(chosen, 0.99)


def _shares(name: str, seconds: Sequence[float]) -> dict[str, float | None]:
    ordered = sorted(seconds)
    return {f"{name}_{label}": _at(ordered, share) for label, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))}


def _at(ordered: Sequence[float], share: float) -> float | None:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else None


def broken(figures: dict[str, Any]) -> list[str]:
    """The promises that were not kept."""
    return [*_broken_recoveries(figures), *_broken_truth(figures)]


def _broken_recoveries(figures: dict[str, Any]) -> Iterator[str]:
    late_s, row = figures["reconciled_s_p99"], VENUES[figures["venue"]]
    if figures["never_reconciled"] or (late_s is not None and late_s > row.reconciled_s_max):
        yield f"reconciled within {row.reconciled_s_max:g} s after healing (p99): {late_s}"
    for name, case in figures["cases"].items():
        if case["reconciled_s"] is None:
            yield f"{name}: reconciled afterwards"
        if name in SILENT_CASES and (case["noticed_s"] is None or case["noticed_s"] > row.noticed_s_max):
            yield f"{name}: noticed within {row.noticed_s_max:g} s: {case['noticed_s']}"
    for name in CONNECTS:
        if figures.get(name, 0) > figures["connects_per_minute_allowed"]:
            yield f"{name}: {figures[name]}, at most {figures['connects_per_minute_allowed']}"


def _broken_truth(figures: dict[str, Any]) -> Iterator[str]:
    zeros = ("orders_twice", "rate_limited", "refused_signatures", "approved_on_stale_book")
    for name in (*zeros, *EMPTY, "venue_problems"):
        if figures[name]:
            yield f"{name}: {figures[name]}"
    if not figures["positions_agree"]:
        yield "positions agree"
    if any(figures["exit_codes"]):
        yield f"exit codes: {figures['exit_codes']}"
    if not figures["fills"]:
        yield "something was traded"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venue", choices=tuple(VENUES), default="kalshi")
    parser.add_argument("--trials", type=int, default=480)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--lanes", type=int, default=6)
    parser.add_argument("--outage-s", type=float, default=60.0, help="length of each total outage")
    parser.add_argument("--mutant", choices=MUTANTS, default="", help="only the silent connections, without the watch")
    parser.add_argument("--keep", type=Path, help="keep logs and records in this new folder")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    row = VENUES[options.venue]
    cases = SILENT_CASES[:2] if options.mutant else (*OUTAGES, *row.silent_cases)
    legs = (*row.legs, "both") if len(row.legs) > 1 else row.legs
    lanes = len(cases) if options.mutant else options.lanes
    dealt = plan(0 if options.mutant else options.trials, random.Random(options.seed), lanes, legs)
    with tempfile.TemporaryDirectory() as folder:
        root = options.keep or Path(folder)
        specs = [
            Spec(
                directory=str(root / f"lane{lane}"),
                seed=options.seed + lane,
                trials=tuple(dealt[lane]),
                cases=cases[lane::lanes],
                outage_s=options.outage_s,
                mutant=options.mutant,
                venue=options.venue,
            )
            for lane in range(lanes)
        ]
        figures = run(specs)
    figures["broken"] = broken(figures)
    print(json.dumps({"seed": options.seed, "mutant": options.mutant, **figures}, indent=1))
    return 1 if figures["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
