"""Every ambiguous outcome of every request, played against a real daemon: does it end at the venue's truth?

    python -m tests.proofs.ambiguity --repeat 5 --dead-s 120

The matrix is {submit, cancel, amend, batch} x outcomes x {stream heard, look-ups alone} x venue. `batch` is three new
orders and two cancels asked for in one hook: they leave one by one, and the outcome strikes one of them. A cell is
kept when, within 5 s of healing (10 s at ZDEX, where only positions show what resting orders trade), status, filled
size, price and position equal the venue's truth; when nothing was sent again or under another id; when every end in the
journal has the venue's word behind it; and when, at every moment, what was reserved covered what could really happen.

A dead host counts as healed when the daemon reaches it again: how long that takes is the reconnect policy's, and is
printed apart (`reached_again_s`).

Prints one JSON object. Exits 1 when a promise is broken. `--mutant` takes a protection out: then it must fail.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import uvloop

from framework.runtime.clock import SystemClock
from framework.runtime.logging import configure_logging
from framework.runtime.secrets import SecretRegistry
from tests.proofs.ambiguity.cells import ACTIONS, EARS, PACES, Cell, Played, Terms, matrix, play_all
from tests.proofs.ambiguity.lineup import VENUES
from tests.proofs.ambiguity.mutants import MUTANTS
from tests.proofs.ambiguity.outcomes import OUTCOMES

FAULTS_SHOWN_MAX = 60


def figures(played: Sequence[Played], terms: Terms, *, elapsed_s: float) -> dict[str, Any]:
    """What is printed."""
    healed = sorted(one.healed_s for one in played if one.healed_s is not None)
    reached = sorted(one.reached_s for one in played if one.reached_s)
    failed = [one for one in played if one.faults]
    return {
        "cells": len(played),
        "kept": len(played) - len(failed),
        "failed": len(failed),
        "healed_s": {
            "p50": _quantile(healed, 0.5),
            "p99": _quantile(healed, 0.99),
            "max": _quantile(healed, 1.0),
            "limits": {name: VENUES[name]().healed_s_max for name in dict.fromkeys(one.cell.venue for one in played)},
        },
        "reached_again_s": {"p50": _quantile(reached, 0.5), "max": _quantile(reached, 1.0)},
        "never_healed": sum(one.healed_s is None for one in played),
        "looks_during_doubt": sum(one.doubts_sampled for one in played),
        "terms": terms._asdict() | PACES[terms.pace]._asdict(),
        "elapsed_s": round(elapsed_s, 1),
        "note": "batch: three new orders and two cancels of one hook, which leave one by one",
        "matrix": _table(played),
        "failures": [f"{one.cell.label}#{one.cell.repeat}: {fault}" for one in failed for fault in one.faults][
            :FAULTS_SHOWN_MAX
        ],
    }


def _table(played: Sequence[Played]) -> dict[str, dict[str, str]]:
    """Venue and outcome by action and ears: kept of played, and the slowest healing in seconds."""
    table: dict[str, dict[str, list[Played]]] = {}
    for one in played:
        row = table.setdefault(f"{one.cell.venue} {one.cell.outcome}", {})
        row.setdefault(f"{one.cell.action}, {one.cell.ears}", []).append(one)
    return {name: {column: _cell_text(those) for column, those in row.items()} for name, row in table.items()}


def _cell_text(those: Sequence[Played]) -> str:
    slowest = max((one.healed_s for one in those if one.healed_s is not None), default=None)
    kept = sum(not one.faults for one in those)
    return f"{kept}/{len(those)} {'never' if slowest is None else f'{slowest:.2f}'}"


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    return round(ordered[min(int(share * len(ordered)), len(ordered) - 1)], 3) if ordered else None


def chosen(options: argparse.Namespace) -> list[Cell]:
    """The cells asked for."""
    return [
        cell
        for cell in matrix(options.venue, options.outcome, repeats=options.repeat)
        if cell.action in options.action and cell.ears in options.ears
    ]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5, help="times that each cell is played, with other dice")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pace", choices=PACES, default="product", help="product: default settings")
    parser.add_argument("--dead-s", type=float, default=10.0, help="how long a dead host is dead")
    parser.add_argument("--lanes", type=int, default=24, help="cells at a time")
    parser.add_argument("--mutant", choices=MUTANTS, default="")
    parser.add_argument("--venue", nargs="*", choices=VENUES, default=list(VENUES))
    parser.add_argument("--action", nargs="*", choices=ACTIONS, default=ACTIONS)
    parser.add_argument("--outcome", nargs="*", choices=OUTCOMES, default=list(OUTCOMES))
    parser.add_argument("--ears", nargs="*", choices=EARS, default=EARS)
    parser.add_argument("--log", help="a file for the daemons' logs")
    options = parser.parse_args()
    terms = Terms(pace=options.pace, seed=options.seed, dead_s=options.dead_s, mutant=options.mutant)
    with open(options.log or "/dev/null", "w") as log:
        configure_logging("info", "json", clock=SystemClock(), secrets=SecretRegistry(), stream=log)
        started = time.monotonic()
        played = uvloop.run(play_all(chosen(options), terms, lanes=options.lanes))
    print(json.dumps(figures(played, terms, elapsed_s=time.monotonic() - started), indent=1))
    return 1 if any(one.faults for one in played) or not played else 0


if __name__ == "__main__":
    sys.exit(main())
