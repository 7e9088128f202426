"""What a strategy that is refused without pause costs its neighbour and the journal.

The neighbour's wait for the disk is to stay within twice its quiet value. `as fast as it can`: two hundred refused
orders every 5 ms, for good, although live such a strategy is quarantined after a fraction of a second; `as fast as is
allowed`: a thousand a second; `recorded one by one`: each refusal is a record, and none is counted up.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import uvloop

from framework.domain.market_events import TimerFired
from framework.domain.numbers import Price, Size
from framework.domain.strategy import Strategy
from framework.engine import refusal_throttle
from framework.runtime.disk_writer import Durability
from tests.bench.figures import row
from tests.bench.hot_path import MARKET, Core

PHASES = 5
PHASE_S = 1.0
PACE_S = 0.01
STORM_PACE_S = 0.005
BATCH, BATCH_ALLOWED = 200, 5


class Storm(Strategy[None]):
    """Asks for far too much, again and again."""

    def on_timer(self, name: str) -> None:
        """Ask for as many orders as the timer's name says, all of which the gate refuses."""
        for _ in range(int(name)):
            self.buy(MARKET, Price(4_700), Size(10**9))


async def neighbour(core: Core, until_s: float) -> list[float]:
    """Milliseconds that each order waits for the disk."""
    waits = []
    while time.monotonic() < until_s:
        await asyncio.sleep(PACE_S)
        started = time.perf_counter_ns()
        core.order()
        await core.journal.wait_durable(core.journal.appended_count)
        waits.append((time.perf_counter_ns() - started) / 1e6)
    return waits


async def storm(core: Core, until_s: float, batch: int) -> int:
    """How many refusals there were."""
    batches = 0
    while time.monotonic() < until_s:
        core.kernel.publish(TimerFired("storm", str(batch), 1))
        batches += 1
        await asyncio.sleep(STORM_PACE_S)
    return batches * batch


async def measure(folder: Path, name: str, batch: int) -> None:
    """Interleave quiet and stormy seconds, and print how the neighbour's waits compare."""
    core = Core(folder, Durability.POWER_LOSS, refusals_per_second_max=1_000_000)
    core.add_strategy("storm", Storm, None, (MARKET,))
    await asyncio.sleep(PHASE_S)  # The rate budget begins empty.
    quiet: list[float] = []
    stormy: list[float] = []
    refused = written = 0
    for _ in range(PHASES):
        quiet += await neighbour(core, time.monotonic() + PHASE_S)
        before, until_s = size_of(folder), time.monotonic() + PHASE_S
        asked = asyncio.create_task(storm(core, until_s, batch))
        stormy += await neighbour(core, until_s)
        refused += await asked
        written += size_of(folder) - before
    core.close()
    row(f"neighbour's durable wait, {name}", stormy, quiet, unit="ms", against="the same, quiet", n=len(stormy))
    tail = statistics.quantiles(stormy, n=100)[98] / statistics.quantiles(quiet, n=100)[98]
    figures = {
        "figure": f"refusals, {name}",
        "refusals_per_s": round(refused / PHASES / PHASE_S),
        "journal_bytes_per_s": round(written / PHASES / PHASE_S),
        "p99_ratio": round(tail, 2),
    }
    sys.stdout.write(json.dumps(figures) + "\n")


def size_of(folder: Path) -> int:
    """Bytes of the journal."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def run() -> None:
    """Print the figures."""
    for name, batch in (("as fast as is allowed", BATCH_ALLOWED), ("as fast as it can", BATCH)):
        with tempfile.TemporaryDirectory() as folder:
            uvloop.run(measure(Path(folder), name, batch))
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(refusal_throttle, "SINGLY_MAX", 10**9):
        uvloop.run(measure(Path(folder), "as fast as it can, recorded one by one", BATCH))
