"""Facts about orders in any order, some lost, some repeated: the memory against a venue and a perfect observer.

    python -m tests.proofs.event_order [--steps 100000] [--permutations 20000] [--seed 1] [--mutant NAME]

Prints one JSON object: steps and permutations, divergences, how often every rare state was reached, and what each
negative control was caught by. Exits 1 when anything diverged, a state was reached less than 100 times, or a control
was not caught. With `--mutant` only that protection is switched off and the proof must fail: it exits 1 and says how.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from typing import Any

from tests.proofs.event_order.checks import Divergence
from tests.proofs.event_order.machine import Tally, run_machine
from tests.proofs.event_order.mutants import MUTANTS
from tests.proofs.event_order.permutations import run_permutations
from tests.proofs.event_order.rare import NAMES

REACHED_MIN = 100
RUNS_PER_BATCH = 200


def run_steps(tally: Tally, *, seed: int, steps: int) -> None:
    """Machines, batch after batch, until so many steps are done. Raises `Divergence`."""
    batch = 0
    while tally.steps < steps:
        batch += 1
        run_machine(tally, seed_of_run=seed * 1_000_003 + batch, runs=RUNS_PER_BATCH)


def caught(name: str, *, seed: int, runs: int = 150, permutations: int = 2_000) -> str:
    """What reports the mutant, empty when nothing does."""
    with MUTANTS[name]():
        try:
            run_machine(Tally(), seed_of_run=seed, runs=runs, is_shrunk=False)
            run_permutations(Counter(), seed_of_run=seed, permutations=permutations)
        except Divergence as e:
            return str(e)
    return ""


def prove(*, steps: int, permutations: int, seed: int) -> dict[str, Any]:
    """The whole proof."""
    started = time.monotonic()
    tally = Tally()
    divergences: list[str] = []
    whole = 0
    try:
        run_steps(tally, seed=seed, steps=steps)
        whole = run_permutations(tally.reached, seed_of_run=seed, permutations=permutations)
    except Divergence as e:
        divergences.append(str(e))
    return {
        "seed": seed,
        "machines": tally.runs,
        "steps": tally.steps,
        "permutations": permutations,
        "permutations_without_loss": whole,
        "divergences": divergences,
        "states": len(NAMES),
        "reached_min": min(tally.reached[name] for name in NAMES),
        "reached": {name: tally.reached[name] for name in NAMES},
        "seconds": round(time.monotonic() - started, 1),
    }


def is_kept(figures: dict[str, Any]) -> bool:
    """Whether every promise held."""
    return (
        not figures["divergences"] and figures["reached_min"] >= REACHED_MIN and all(figures["mutants_caught"].values())
    )


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--permutations", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mutant", choices=sorted(MUTANTS))
    options = parser.parse_args()
    if options.mutant:
        finding = caught(options.mutant, seed=options.seed)
        print(json.dumps({"mutant": options.mutant, "caught": finding}))
        return 1 if finding else 0
    figures = prove(steps=options.steps, permutations=options.permutations, seed=options.seed)
    figures["mutants_caught"] = {name: caught(name, seed=options.seed) for name in MUTANTS}
    print(json.dumps(figures, indent=1))
    return 0 if is_kept(figures) else 1


if __name__ == "__main__":
    sys.exit(main())
