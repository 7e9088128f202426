"""What durability costs: the loop's share of a record, and the wait for the disk beside the disk's own.

The journal may cost the loop 6 µs per record: the rows named "loop's share" print the time of `append`, a look at the
clock included, beside handing bytes to a bare thread that writes and syncs them. After idle time that is the system's
price of waking a thread, and most of it. A durable acknowledgement may take 1.5 times as long as the disk's own append
and fdatasync. With `process-crash` durability a record is one write in the loop's thread: that row stands beside such a
write.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import SimpleQueue

import uvloop

from framework.domain.account_events import OrderReport, ReportKind
from framework.persistence.journal.journal import Journal
from framework.persistence.journal.records import Record, encode_record
from framework.runtime.background import InlineWorker
from framework.runtime.clock import SystemClock
from framework.runtime.disk_writer import Durability, start_writer
from framework.runtime.files import RealFiles
from tests.bench.figures import ROUNDS, per_call_ns, row

ACKNOWLEDGEMENTS = 300
BURST = 2_000
PACES = (("one each 1 ms", 0.001, 1_000), ("one after 5 ms idle", 0.005, 400))
REPORT = OrderReport(venue="kalshi", client_order_id="tg7f3a91-12-45", kind=ReportKind.SENT, ts_recv=1, detail="0" * 64)
RECORD = Record(1, 2, 3, REPORT)


def open_journal(folder: Path, durability: Durability = Durability.POWER_LOSS) -> Journal:
    """A journal with the writer that the daemon takes."""
    journal, _ = Journal.open(
        RealFiles(),
        folder,
        start_writer=lambda sink: start_writer(sink, clock=SystemClock(), durability=durability),
        worker=InlineWorker(),
    )
    return journal


async def paced(work: Callable[[], object], gap_s: float, count: int) -> list[float]:
    """Microseconds of each call; the loop is idle between them."""
    took = []
    for _ in range(count):
        await asyncio.sleep(gap_s)
        started = time.perf_counter_ns()
        work()
        took.append((time.perf_counter_ns() - started) / 1e3)
    return took


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
    row(
        "durable acknowledgement, limit: ratio 1.5",
        own,
        disk,
        unit="us",
        against="append + fdatasync",
        n=ACKNOWLEDGEMENTS,
    )


async def loop_share(folder: Path) -> None:
    """Interleave appends with handing bytes to a bare thread that writes and syncs them, in bursts and alone."""
    journal = open_journal(folder / "share")
    queue: SimpleQueue[bytes | None] = SimpleQueue()
    thread = threading.Thread(target=write_and_sync, args=(queue, folder / "raw"))
    thread.start()
    append, put = partial(journal.append, RECORD), partial(queue.put, encode_record(RECORD))
    own, bare = [], []
    for _ in range(ROUNDS):
        own.append(per_call_ns(append, BURST) / 1e3)
        bare.append(per_call_ns(put, BURST) / 1e3)
        await journal.wait_durable(journal.appended_count)
    print_share(f"{BURST} at once", own, bare, BURST * ROUNDS)
    for pace, gap_s, count in PACES:
        own, bare = [], []
        for _ in range(ROUNDS):
            own += await paced(append, gap_s, count // ROUNDS)
            bare += await paced(put, gap_s, count // ROUNDS)
        print_share(pace, own, bare, len(own))
    queue.put(None)
    thread.join()
    journal.close()


def write_and_sync(queue: SimpleQueue[bytes | None], path: Path) -> None:
    """Write and sync what is there, until None comes."""
    raw = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    while (data := queue.get()) is not None:
        os.write(raw, data)
        if queue.empty():
            os.fdatasync(raw)
    os.close(raw)


def print_share(pace: str, own: list[float], bare: list[float], n: int) -> None:
    """Print one row of the loop's share."""
    row(f"record, loop's share, {pace}, limit: 6 us", own, bare, unit="us", against="put for a bare writer thread", n=n)


async def inline_share(folder: Path) -> None:
    """What a record costs the loop without a writer thread, beside a write of the same bytes."""
    journal = open_journal(folder / "inline", Durability.PROCESS_CRASH)
    payload = encode_record(RECORD)
    raw = os.open(folder / "raw", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    pace, gap_s, count = PACES[-1]
    own, write = [], []
    for _ in range(ROUNDS):
        own += await paced(partial(journal.append, RECORD), gap_s, count // ROUNDS)
        write += await paced(partial(os.write, raw, payload), gap_s, count // ROUNDS)
    os.close(raw)
    journal.close()
    row(f"record with process-crash, {pace}", own, write, unit="us", against="one write", n=len(own))


def run() -> None:
    """Print the figures."""
    for bench in (durable_ack, loop_share, inline_share):
        with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as folder:
            uvloop.run(bench(Path(folder)))
