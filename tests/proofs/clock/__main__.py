"""Clocks that are wrong, step, drift and go back at a restart: what is signed, named and counted stays right.

    python -m tests.proofs.clock [--restarts 1000] [--seed 1]

Runs the venue's sandbox, which refuses timestamps more than 10 s off, and restarts a connector against it again and
again over real HTTP, each time with another skew and drift, stepping the wall clock in between. Epochs are real files.
Prints one JSON object and exits 1 unless no signature was refused, every id was new, and the control was caught.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from connectors.client.venue_time import VenueTime
from framework.domain.client_order_ids import ClientOrderIds, parse_client_order_id
from framework.domain.errors import Retryable
from framework.domain.market_events import Heartbeat
from framework.domain.orders import Order
from framework.runtime.clock import ManualClock
from framework.runtime.files import RealFiles
from framework.runtime.state_directory import lock_state, read_epoch, take_epoch
from framework.state.books import Books
from tests.proofs.clock.run import INSTANCE, Run, stand
from tests.proofs.clock.skewed import BASE_NS, HOUR, MS, S, SkewedClock

SKEWS_NS = tuple(sign * size for size in (MS, 100 * MS, S, 5 * S, 15 * S, 30 * S, 60 * S, HOUR) for sign in (-1, 1))
SKEW_PROMISED_NS = 60 * S
DRIFTS_PPM = (-500, -100, 0, 100, 500)
STEPS_NS = (-HOUR, -60 * S, -5 * S, 5 * S, 60 * S, HOUR)
VENUE_STEPS_NS = (-5 * S, 5 * S, -60 * S, 60 * S, -HOUR, HOUR)
VENUE_STEP_TOLERATED_NS = 5 * S
VENUE_STEP_ROUNDS = 5
STREAM_EVERY = 25
ORDERS_PER_RUN = 2
TRIES_MAX = 3


class Names:
    """A state directory whose epoch outlives its runs, and every client order id that was ever given out."""

    def __init__(self, directory: Path, rng: random.Random) -> None:
        self._directory = directory
        self._files = RealFiles()
        self._rng = rng
        self.given: list[tuple[int, int]] = []
        self.files_lost = 0

    def begin(self) -> ClientOrderIds:
        """Take the next epoch as a start does; now and then the file is gone and the journal knows better."""
        lock = lock_state(self._directory)
        try:
            last = read_epoch(self._files, self._directory)
            if last and self._rng.random() < 0.05:
                (self._directory / "epoch").unlink()
                self.files_lost += 1
            return ClientOrderIds(INSTANCE, take_epoch(self._files, self._directory, at_least=last))
        finally:
            lock.close()

    def next(self, ids: ClientOrderIds) -> str:
        """The next id, noted."""
        name = ids.next()
        parsed = parse_client_order_id(name)
        assert parsed is not None, name
        self.given.append((parsed.epoch, parsed.number))
        return name

    @property
    def out_of_order(self) -> int:
        """Ids that did not come after the one before, by epoch and then counter."""
        return sum(after <= before for before, after in zip(self.given, self.given[1:], strict=False))


async def restarts(directory: Path, *, count: int, seed: int) -> dict[str, Any]:
    """Start, trade while clocks are stepped, stop; `count` times, the wall clock going back in half of them."""
    rng = random.Random(seed)
    names = Names(directory / "state", rng)
    refused: Counter[str] = Counter()
    figures: Counter[str] = Counter()
    wall_before_ns = 0
    left: Order | None = None
    async with stand(directory / "sandbox", seed) as venue:
        for number in range(count):
            skew_ns = rng.choice(SKEWS_NS)
            clock = SkewedClock(venue.truth, rng, skew_ns=skew_ns, drift_ppm=rng.choice(DRIFTS_PPM))
            figures["wall_clock_back_at_restart"] += clock.now_ns() < wall_before_ns
            ids, run = names.begin(), Run(venue.info, clock, rng)
            scope = "within_60s" if abs(skew_ns) <= SKEW_PROMISED_NS else "at_1h"
            before = venue.refused
            try:
                await run.start()
                refused[f"{scope}_at_first_sync"] += venue.refused - before
                before = venue.refused
                if number % STREAM_EVERY == 0:
                    await run.stream()
                    figures["streams"] += 1
                figures["orders_of_the_last_run_not_found"] += left is not None and not await run.finds(left)
                for _ in range(ORDERS_PER_RUN):
                    venue.truth.jump(rng.randrange(20 * S))
                    clock.step(rng.choice(STEPS_NS))
                    left = run.order(names.next(ids))
                    await run.trade(left.client_order_id)
            finally:
                await run.connector.close()
            refused[f"{scope}_after_first_sync"] += venue.refused - before
            figures["restarts_" + scope] += 1
            wall_before_ns = clock.now_ns()
        accepted = venue.accepted()
    return {
        "restarts": count,
        **figures,
        "refused": dict(refused),
        "orders": len(names.given),
        "orders_accepted": len(accepted),
        "ids_repeated": len(names.given) - len(set(names.given)) + len(accepted) - len(set(accepted)),
        "ids_out_of_order": names.out_of_order,
        "epoch_files_lost": names.files_lost,
    }


async def drift(directory: Path, *, seed: int, hours: int = 6) -> dict[str, Any]:
    """Hours of drift, with a read every ten minutes."""
    rng = random.Random(seed)
    refused, error_ms_max = 0, 0
    for drift_ppm in DRIFTS_PPM:
        async with stand(directory / f"drift{drift_ppm}", seed) as venue:
            clock = SkewedClock(venue.truth, rng, skew_ns=rng.choice(SKEWS_NS), drift_ppm=drift_ppm)
            run = Run(venue.info, clock, rng)
            await run.start()
            for _ in range(hours * 6):
                venue.truth.jump(600 * S)
                await run.read()
                error_ms_max = max(error_ms_max, abs(run.signed_ms - venue.truth.wall_ns() // MS))
            await run.connector.close()
            refused += venue.refused
    return {"hours_each": hours, "ppm": DRIFTS_PPM, "refused": refused, "venue_time_error_ms_max": error_ms_max}


async def venue_steps(directory: Path, *, seed: int) -> dict[str, Any]:
    """The venue's own clock is set while we run: nobody can know before the next answer."""
    rng = random.Random(seed)
    tolerated, recovered = 0, 0
    beyond: Counter[str] = Counter()
    async with stand(directory / "steps", seed) as venue:
        run = Run(venue.info, SkewedClock(venue.truth, rng, skew_ns=30 * S), rng)
        await run.start()
        for number, step_ns in enumerate(VENUE_STEPS_NS * VENUE_STEP_ROUNDS):
            venue.step(step_ns)
            before = venue.refused
            for attempt in range(TRIES_MAX):
                try:
                    await run.trade(f"{INSTANCE}-s-{number}-{attempt}")
                    recovered += 1
                    break
                except Retryable:
                    continue
            if abs(step_ns) <= VENUE_STEP_TOLERATED_NS:
                tolerated += venue.refused - before
            else:
                beyond[str(venue.refused - before)] += 1
        await run.connector.close()
    return {
        "steps_s": [step_ns // S for step_ns in VENUE_STEPS_NS],
        "refused_within_5s": tolerated,
        "rounds": VENUE_STEP_ROUNDS,
        "steps_by_refusals_beyond": dict(beyond),
        "recovered": recovered,
    }


def ages(*, seed: int, steps: int = 2_000) -> dict[str, int]:
    """What is measured in monotonic time is the same with and without steps of the wall clock."""
    rng = random.Random(seed)
    steady, stepped = ManualClock(wall_ns=BASE_NS), ManualClock(wall_ns=BASE_NS)
    twins = [(clock, Books(), VenueTime(clock)) for clock in (steady, stepped)]
    apart = 0
    for _ in range(steps):
        duration_ns, is_heard = rng.randrange(S), rng.random() < 0.3
        stepped.set_wall(stepped.now_ns() + rng.choice(STEPS_NS))
        found = []
        for clock, books, time in twins:
            clock.advance(duration_ns)
            now_ns = clock.monotonic_ns()
            if is_heard:
                books.apply(Heartbeat("kalshi", 0, clock.now_ns()), now_ns)
                time.sample_ms((BASE_NS + now_ns) // MS, sent_ns=now_ns - MS, received_ns=now_ns)
            found.append((books.age_ns("kalshi", now_ns), time.now_ms() if is_heard else 0))
        apart += found[0] != found[1]
    return {"steps": steps, "apart": apart}


async def control(directory: Path, *, count: int, seed: int) -> int:
    """Signatures refused when the measured offset is not used."""
    rng = random.Random(seed)
    measured = VenueTime.now_ns
    setattr(VenueTime, "now_ns", lambda self: self._clock.now_ns())  # noqa: B010 - the protection is switched off
    try:
        async with stand(directory / "control", seed) as venue:
            for _ in range(count):
                clock = SkewedClock(venue.truth, rng, skew_ns=rng.choice((-60 * S, 60 * S)))
                run = Run(venue.info, clock, rng)
                try:
                    await run.connector.gateway.positions()
                except Retryable:
                    pass
                finally:
                    await run.connector.close()
            return venue.refused
    finally:
        setattr(VenueTime, "now_ns", measured)  # noqa: B010


async def prove(directory: Path, *, count: int, seed: int) -> dict[str, Any]:
    """The whole proof."""
    return {
        "seed": seed,
        "restarts": await restarts(directory, count=count, seed=seed),
        "drift": await drift(directory, seed=seed),
        "venue_steps": await venue_steps(directory, seed=seed),
        "ages": ages(seed=seed),
        "control_refused": await control(directory, count=max(2, count // 100), seed=seed),
    }


def is_kept(figures: dict[str, Any]) -> bool:
    """Whether every promise held."""
    runs, steps = figures["restarts"], figures["venue_steps"]
    return (
        not any(runs["refused"].values())
        and runs["ids_repeated"] == runs["ids_out_of_order"] == 0
        and runs["orders"] == runs["orders_accepted"]
        and runs["orders_of_the_last_run_not_found"] == 0
        and figures["drift"]["refused"] == 0
        and steps["refused_within_5s"] == 0
        and set(steps["steps_by_refusals_beyond"]) == {"1"}
        and steps["recovered"] == len(VENUE_STEPS_NS) * VENUE_STEP_ROUNDS
        and figures["ages"]["apart"] == 0
        and figures["control_refused"] > 0
    )


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--restarts", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(prove(Path(folder), count=options.restarts, seed=options.seed))
    print(json.dumps(figures, indent=1))
    return 0 if is_kept(figures) else 1


if __name__ == "__main__":
    sys.exit(main())
