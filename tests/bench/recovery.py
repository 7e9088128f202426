"""How long a start takes that has many records to read: open, verify, fold, epoch."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from framework.domain.account_events import OrderReport, ReportKind
from framework.domain.instruments import InstrumentId
from framework.domain.intents import NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side
from framework.domain.rate_limits import RequestKind
from framework.domain.verdicts import Approved
from framework.persistence.recovery import RecordSettings, open_records
from framework.runtime.clock import SystemClock, seeded_rng
from framework.runtime.disk_writer import Durability
from framework.runtime.files import RealFiles
from framework.state.accounts import AccountRecord
from tests.bench.figures import row
from tests.support.state_records import fill

MARKET = InstrumentId("kalshi:T")


def life_of(number: int) -> Iterator[AccountRecord]:
    """Approved, sent, accepted, filled: four records."""
    name = f"b-1-{number}"
    intent = NewOrder(strategy="mm", instrument=MARKET, side=Side.BUY, price=Price(4_700), size=Size(100))
    # The bench writes what a gate once approved; it does not trade.
    yield Approved(intent=intent, venue="kalshi", client_order_id=name, request_kind=RequestKind.NEW, ts_ns=number)
    for kind in (ReportKind.SENT, ReportKind.ACCEPTED):
        yield OrderReport(
            venue="kalshi",
            client_order_id=name,
            kind=kind,
            ts_recv=number,
            venue_order_id=f"v{number}",
            detail="0" * 64,
        )
    yield fill(
        f"f{number}",
        name=name,
        venue_order_id=f"v{number}",
        price=4_700,
        size=100,
        fee=1,
        at=number,
        instrument=MARKET,
    )


async def write(directory: Path, count: int) -> None:
    """A run of so many records, with snapshots as the daemon takes them."""
    settings = RecordSettings(
        directory=directory, durability=Durability.PROCESS_CRASH, tape=None, version="0", config_hash="0"
    )
    clock = SystemClock()
    records = open_records(RealFiles(), settings, clock=clock, rng=seeded_rng(1), observe_sync_ns=lambda _: None)
    step = 0
    for number in range(1, count // 4 + 1):
        for body in life_of(number):
            step += 1
            records.recorder.journal(step, step, step, body)
            records.accounts.apply(body, step)
        if number % 100 == 0:
            await records.run_maintenance(step, clock)
    records.close()


def start_s(directory: Path) -> float:
    """Seconds of one start."""
    settings = RecordSettings(
        directory=directory, durability=Durability.POWER_LOSS, tape=None, version="0", config_hash="0"
    )
    started = time.perf_counter()
    records = open_records(
        RealFiles(), settings, clock=SystemClock(), rng=seeded_rng(1), observe_sync_ns=lambda _: None
    )
    took = time.perf_counter() - started
    records.close()
    return took


def run() -> None:
    """Print the figures, against the limits that a start is held to."""
    for records, limit_s in ((10_000, 2.0), (1_000_000, 15.0)):
        with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as folder:
            asyncio.run(write(Path(folder), records))
            took = [start_s(Path(folder)) for _ in range(3)]
        row(f"start after {records} records", took, [limit_s], unit="s", against="its limit", n=len(took))
