"""Clocks that are wrong, step, drift and go back at a restart: what is signed, named and counted stays right.

    python -m tests.proofs.clock [--restarts 1000] [--seed 1] [--venue kalshi zdex-v2]

Runs each venue's sandbox, which refuses timestamps that are too far off, and restarts a connector against it again and
again over real HTTP, each time with another skew and drift, stepping the wall clock in between. Epochs are real files.
No signature may be refused but the first one where the venue's time is learnt by a signed read, and the first one after
the venue's own clock was set by more than its window; every id must be new, the order of the last run found again, and
the venue's offset told as it is. Prints one JSON object and exits 1 unless all of that held and the controls were
caught.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from connectors.client.request_clock import RequestClock
from connectors.client.venue_time import VenueTime
from framework.domain.errors import AccountRefused, OutcomeUnknown, Retryable
from framework.domain.market_events import Heartbeat
from framework.runtime.clock import ManualClock
from framework.runtime.files import RealFiles
from framework.runtime.state_directory import lock_state, read_epoch, take_epoch
from framework.state.books import Books
from framework.state.orders.client_order_ids import ClientOrderIds, parse_client_order_id
from tests.proofs.clock.run import INSTANCE, Left, Run, stand
from tests.proofs.clock.skewed import BASE_NS, HOUR, MS, S, SkewedClock
from tests.proofs.clock.venues import ROWS, Row

SKEWS_NS = tuple(sign * size for size in (MS, 100 * MS, S, 5 * S, 15 * S, 30 * S, 60 * S, HOUR) for sign in (-1, 1))
SKEW_PROMISED_NS = 60 * S
DRIFTS_PPM = (-500, -100, 0, 100, 500)
STEPS_NS = (-HOUR, -60 * S, -5 * S, 5 * S, 60 * S, HOUR)
VENUE_STEPS_NS = (-5 * S, 5 * S, -60 * S, 60 * S, -HOUR, HOUR)
START_NS = 2 * S
"""A process that starts takes so long at least."""
EDGE_MS = 100
"""So near to the edge of a window the way of a request decides."""
SLOW_WAY_NS = 100 * MS
"""A refusal of what was longer under way says nothing: with the half second that a `Date` leaves open, and what clocks
drift apart in five minutes, such a way can be past the narrowest window, of a second."""
CONTENT_CLOCK_NS = 8 * S
"""By so much the wall clock may be set between an order and its look-up where content and time alone find it."""
STREAM_EVERY = 25
ORDERS_PER_RUN = 2
BURST = 8
TRIES_MAX = 3
FIGURES = dict.fromkeys(
    (
        "first_reads_off", "refused_at_first_sync", "refused_after_first_sync", "told_wrongly", "streams",
        "orders_of_the_last_run_found", "orders_of_the_last_run_not_found", "not_found_by_content_as_the_clock_was_set",
    ),
    0,
)  # fmt: skip


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


async def restarts(row: Row, directory: Path, *, count: int, seed: int) -> dict[str, Any]:
    """Start, trade while clocks are stepped, stop; `count` times, the wall clock going back in half of them."""
    rng = random.Random(seed)
    names = Names(directory / "state", rng)
    figures: Counter[str] = Counter(FIGURES)
    wall_before_ns = 0
    left: Left | None = None
    known: set[str] = set()
    async with stand(row, directory / "sandbox", seed) as venue:
        for number in range(count):
            venue.truth.jump(START_NS)
            skew_ns = rng.choice(SKEWS_NS)
            clock = SkewedClock(venue.truth, rng, skew_ns=skew_ns, drift_ppm=rng.choice(DRIFTS_PPM))
            figures["wall_clock_back_at_restart"] += clock.now_ns() < wall_before_ns
            ids, run = names.begin(), Run(venue, clock, rng)
            try:
                before = venue.refused
                await run.start()
                is_off = row.is_first_signed and not row.lets_in(skew_ns / MS, margin_ms=EDGE_MS)
                figures["first_reads_off"] += is_off
                figures["refused_at_first_sync"] += max(0, venue.refused - before - is_off)
                before = venue.refused
                if number % STREAM_EVERY == 0:
                    known |= {one.venue_order_id for one in await run.burst([names.next(ids) for _ in range(BURST)])}
                    await run.stream()
                    figures["streams"] += 1
                    # Its end may have cut a connection, and connects are paced.
                    venue.truth.jump(S)
                if left is not None:
                    figures[await _looked_up(row, run, left, known - {left.venue_order_id})] += 1
                for _ in range(ORDERS_PER_RUN):
                    venue.truth.jump(rng.randrange(20 * S))
                    clock.step(rng.choice(STEPS_NS))
                    left = await run.trade(names.next(ids))
                    known.add(left.venue_order_id)
            finally:
                await run.connector.close()
            figures["refused_after_first_sync"] += venue.refused - before
            figures["told_wrongly"] += run.told_wrongly
            wall_before_ns = clock.now_ns()
        accepted = venue.accepted()
    return {
        "restarts": count,
        **figures,
        "orders": len(names.given),
        "orders_accepted": len(accepted),
        "ids_repeated": len(names.given) - len(set(names.given)) + len(accepted) - len(set(accepted)),
        "ids_out_of_order": names.out_of_order,
        "epoch_files_lost": names.files_lost,
    }


async def _looked_up(row: Row, run: Run, left: Left, claimed: Set[str]) -> str:
    """The figure that counts the look-up of an order of the last run."""
    is_found = await run.finds(left, claimed)
    moved_ns = run.clock.now_ns() - run.truth.wall_ns() - (left.order.created_ns - left.wall_ns)
    if is_found or not row.has_content_alone or abs(moved_ns) < CONTENT_CLOCK_NS:
        return "orders_of_the_last_run_found" if is_found else "orders_of_the_last_run_not_found"
    return "not_found_by_content_as_the_clock_was_set"


async def drift(row: Row, directory: Path, *, seed: int, hours: int) -> dict[str, Any]:
    """Hours of drift, with a read every five minutes and the look at the venue's clock that is due then."""
    rng = random.Random(seed)
    refused, slow, error_ms_max = 0, 0, 0
    async with stand(row, directory / "drift", seed) as venue:
        for drift_ppm in DRIFTS_PPM:
            venue.truth.jump(START_NS)
            clock = SkewedClock(venue.truth, rng, skew_ns=rng.choice(SKEWS_NS), drift_ppm=drift_ppm)
            run = Run(venue, clock, rng)
            await run.start()
            for _ in range(hours * 12):
                venue.truth.jump(300 * S)
                before, asked_ns = venue.refused, venue.truth.wall_ns()
                await run.renew_clock()
                await run.read()
                is_slow = venue.truth.wall_ns() - asked_ns > SLOW_WAY_NS
                slow += is_slow
                refused += 0 if is_slow else venue.refused - before
                error_ms_max = max(error_ms_max, abs(run.signed_ms - venue.shown_ms))
            await run.connector.close()
    ways = {"slow_ways": slow, "stamp_error_ms_max": error_ms_max}
    return {"hours_each": hours, "ppm": DRIFTS_PPM, "refused": refused, **ways}


async def venue_steps(row: Row, directory: Path, *, seed: int, rounds: int) -> dict[str, Any]:
    """The venue's own clock is set while we run: nobody can know before the next answer."""
    rng = random.Random(seed)
    figures: Counter[str] = Counter({"beyond": 0, "refused_within": 0, "refused_twice": 0, "recovered": 0})
    async with stand(row, directory / "steps", seed) as venue:
        run = Run(venue, SkewedClock(venue.truth, rng, skew_ns=3 * S), rng)
        await run.start()
        for number, step_ns in enumerate(VENUE_STEPS_NS * rounds):
            venue.step(step_ns)
            before, error_ms = venue.refused, run.signed_ms - venue.shown_ms
            figures["recovered"] += await _trades(run, f"{INSTANCE}-s-{number}")
            refused = venue.refused - before
            figures["beyond"] += not row.lets_in(error_ms)
            figures["refused_within"] += refused if row.lets_in(error_ms, margin_ms=EDGE_MS) else 0
            figures["refused_twice"] += refused > 1
        await run.connector.close()
    return {"steps_s": [step_ns // S for step_ns in VENUE_STEPS_NS], "rounds": rounds, **figures}


async def _trades(run: Run, name: str) -> bool:
    """Whether a trade is done within the tries that there are."""
    for attempt in range(TRIES_MAX):
        try:
            await run.trade(f"{name}-{attempt}")
        except Retryable:
            continue
        return True
    return False


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


@contextmanager
def _switched(owner: type, name: str, value: object) -> Iterator[None]:
    """A protection that is taken out."""
    kept = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, kept)


async def control(row: Row, directory: Path, *, count: int, seed: int) -> int:
    """Signatures refused when the measured offset is not used."""
    rng = random.Random(seed)
    with _switched(VenueTime, "now_ns", lambda self: self._clock.now_ns()):
        async with stand(row, directory / "control", seed) as venue:
            for _ in range(count):
                clock = SkewedClock(venue.truth, rng, skew_ns=rng.choice((-HOUR, HOUR)))
                run = Run(venue, clock, rng)
                try:
                    await run.read()
                except Retryable:
                    pass
                finally:
                    await run.connector.close()
            return venue.refused


async def twins(row: Row, directory: Path, *, seed: int) -> int:
    """Signatures refused when two requests may have one time, at a venue to which they are one then."""
    rng = random.Random(seed)
    with _switched(RequestClock, "next_ms", lambda self: (self._time.earliest_ns() - self._margin_ns) // MS):
        async with stand(row, directory / "twins", seed) as venue:
            run = Run(venue, SkewedClock(venue.truth, rng, skew_ns=0), rng)
            await run.start()
            with suppress(Retryable, OutcomeUnknown, AccountRefused, LookupError):
                await run.burst([f"{INSTANCE}-t-{number}" for number in range(BURST)])
            await run.connector.close()
            return venue.refused


async def prove(
    directory: Path, rows: Sequence[Row], *, count: int, seed: int, hours: int = 6, rounds: int = 5
) -> dict[str, Any]:
    """The whole proof: so many restarts, `hours` of drift, and each step of the venue's clock so many `rounds`."""
    return {
        "seed": seed,
        "ages": ages(seed=seed),
        "venues": {
            row.name: {
                "restarts": await restarts(row, directory / row.name, count=count, seed=seed),
                "drift": await drift(row, directory / row.name, seed=seed, hours=hours),
                "venue_steps": await venue_steps(row, directory / row.name, seed=seed, rounds=rounds),
                "control_refused": await control(row, directory / row.name, count=max(1, count // 100), seed=seed),
                "twins_refused": await twins(row, directory / row.name, seed=seed) if row.refuses_twins else None,
            }
            for row in rows
        },
    }


def broken(figures: dict[str, Any]) -> list[str]:
    """The promises that did not hold at a venue."""
    runs, steps = figures["restarts"], figures["venue_steps"]
    kept = {
        "signatures at the first sync": runs["refused_at_first_sync"] == 0,
        "signatures after it": runs["refused_after_first_sync"] == 0,
        "ids": runs["ids_repeated"] == runs["ids_out_of_order"] == 0,
        "orders": runs["orders"] == runs["orders_accepted"],
        "orders found again": runs["orders_of_the_last_run_not_found"] == 0 < runs["restarts"],
        "offsets told": runs["told_wrongly"] == 0 < runs["streams"],
        "drift": figures["drift"]["refused"] == 0,
        "steps of the venue": steps["refused_within"] == steps["refused_twice"] == 0 < steps["beyond"],
        "recovery": steps["recovered"] == len(VENUE_STEPS_NS) * steps["rounds"],
        "controls": figures["control_refused"] > 0 and figures["twins_refused"] != 0,
    }
    return [name for name, is_kept in kept.items() if not is_kept]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--restarts", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--venue", nargs="*", choices=ROWS, default=list(ROWS))
    options = parser.parse_args()
    rows = [ROWS[name] for name in options.venue]
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(prove(Path(folder), rows, count=options.restarts, seed=options.seed))
    failed = {name: found for name, one in figures["venues"].items() if (found := broken(one))}
    print(json.dumps({"broken": failed, **figures}, indent=1))
    return 1 if failed or not rows or figures["ages"]["apart"] else 0


if __name__ == "__main__":
    sys.exit(main())
