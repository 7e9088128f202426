"""What durability costs: the loop's share of a record, and the wait for the disk beside the disk's own."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

from framework.domain.events import OrderReport, ReportKind
from framework.runtime.background import InlineWorker
from framework.runtime.clock import SystemClock
from framework.runtime.disk_writer import DiskWriter, Durability
from framework.runtime.files import RealFiles
from framework.state.journal import Journal
from framework.state.records import Record, encode_record
from tests.bench.figures import compare, row

ACKNOWLEDGEMENTS = 300
REPORT = OrderReport(venue="kalshi", client_order_id="tg7f3a91-12-45", kind=ReportKind.SENT, ts_recv=1, detail="0" * 64)
RECORD = Record(1, 2, 3, REPORT)


def open_journal(folder: Path) -> Journal:
    """A journal with its writer thread."""
    journal, _ = Journal.open(
        RealFiles(),
        folder,
        start_writer=lambda sink: DiskWriter(sink, clock=SystemClock(), durability=Durability.POWER_LOSS),
        worker=InlineWorker(),
    )
    return journal


async def durable_ack(folder: Path) -> None:
    """Interleave durable acknowledgements with the disk's own append and fdatasync of the same bytes."""
    journal = open_journal(folder / "journal")
    payload = encode_record(RECORD)
    raw = os.open(folder / "raw", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    own, disk = [], []
    for _ in range(ACKNOWLEDGEMENTS):
        started = time.perf_counter_ns()
        await journal.wait_durable(journal.append(RECORD))
        own.append((time.perf_counter_ns() - started) / 1e3)
        started = time.perf_counter_ns()
        os.write(raw, payload)
        os.fdatasync(raw)
        disk.append((time.perf_counter_ns() - started) / 1e3)
    os.close(raw)
    journal.close()
    row("durable acknowledgement", own, disk, unit="us", against="append + fdatasync", n=ACKNOWLEDGEMENTS)


async def loop_cost(folder: Path) -> None:
    """What one record of a burst costs the loop; the writer thread works beside it."""
    journal = open_journal(folder / "burst")
    compare(
        "append a record, loop's share",
        lambda: journal.append(RECORD),
        lambda: encode_record(RECORD),
        calls=2_000,
        against="encoding it",
    )
    journal.close()


def run() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as folder:
        asyncio.run(durable_ack(Path(folder)))
        asyncio.run(loop_cost(Path(folder)))
