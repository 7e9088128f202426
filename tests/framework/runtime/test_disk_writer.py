from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from framework.domain.errors import JournalError
from framework.persistence.journal.journal import Journal
from framework.persistence.journal.records import Checkpoint, Record
from framework.runtime.background import InlineWorker
from framework.runtime.clock import SystemClock
from framework.runtime.disk_writer import DiskWriter, Durability, InlineWriter
from framework.runtime.files import RealFiles
from tests.support.faulty_files import FaultyFiles

WAIT_S = 10


class GatedSink:
    """Records what the writer does; each write waits until the gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.reached = threading.Event()
        self.sync_gate = threading.Event()
        self.sync_gate.set()
        self.synced = threading.Event()
        self.batches: list[list[object]] = []
        self.committed: list[int] = []
        self.steps: list[str] = []
        self.error: OSError | None = None
        self.last_number = 0

    def write(self, records: Sequence[object], committed: int, /) -> None:
        self.reached.set()
        assert self.gate.wait(WAIT_S)
        self.steps.append("write")
        self.batches.append(list(records))
        self.committed.append(committed)

    def sync(self) -> None:
        self.steps.append("sync")
        self.synced.set()
        assert self.sync_gate.wait(WAIT_S)
        if self.error is not None:
            raise self.error

    def close(self, committed: int, /) -> None:
        self.steps.append(f"close {committed}")


async def test_writer_when_many_are_queued_then_one_commit_takes_them_all() -> None:
    sink = GatedSink()
    writer = DiskWriter(sink, clock=SystemClock())
    assert writer.append(b"first") == 1
    waiting = asyncio.create_task(writer.wait_durable(1))
    await asyncio.sleep(0)
    assert sink.reached.wait(WAIT_S)
    for n in range(2, 102):
        assert writer.append(b"%d" % n) == n
    assert writer.durable_count == 0
    assert not waiting.done()

    sink.gate.set()
    await asyncio.wait_for(writer.wait_durable(101), WAIT_S)

    assert waiting.done()
    assert [len(batch) for batch in sink.batches] == [1, 100]
    assert sink.committed == [0, 1]
    assert sink.steps == ["write", "sync", "write", "sync"]
    writer.close()
    assert sink.steps[-1] == "close 101"


async def test_writer_when_written_but_not_synced_then_nothing_is_durable() -> None:
    sink = GatedSink()
    sink.gate.set()
    sink.sync_gate.clear()
    writer = DiskWriter(sink, clock=SystemClock())
    writer.append(b"x")
    waiting = asyncio.create_task(writer.wait_durable(1))
    assert sink.synced.wait(WAIT_S)
    await asyncio.sleep(0.01)

    assert writer.durable_count == 0
    assert not waiting.done()
    sink.sync_gate.set()
    await asyncio.wait_for(waiting, WAIT_S)
    writer.close()


async def test_writer_when_the_commit_ends_while_a_waiter_is_being_noted_then_it_is_released(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sink = GatedSink()
    writer = DiskWriter(sink, clock=SystemClock())
    writer.append(b"x")
    loop = asyncio.get_running_loop()
    make_future = loop.create_future

    def commit_meanwhile() -> asyncio.Future[None]:
        monkeypatch.undo()
        sink.gate.set()
        writer.close()
        return make_future()

    waiting = writer.wait_durable(1)
    monkeypatch.setattr(loop, "create_future", commit_meanwhile)
    with pytest.raises(StopIteration):
        waiting.send(None)


async def test_writer_when_durable_then_waiting_returns_at_once() -> None:
    sink = GatedSink()
    sink.gate.set()
    writer = DiskWriter(sink, clock=SystemClock())
    writer.append(b"x")
    await asyncio.wait_for(writer.wait_durable(1), WAIT_S)

    waited = writer.wait_durable(1)
    with pytest.raises(StopIteration):
        waited.send(None)
    writer.close()


async def test_writer_when_process_crash_durability_then_nothing_is_synced_before_close() -> None:
    sink = GatedSink()
    sink.gate.set()
    writer = DiskWriter(sink, clock=SystemClock(), durability=Durability.PROCESS_CRASH)
    writer.append(b"x")
    await asyncio.wait_for(writer.wait_durable(1), WAIT_S)
    writer.close()

    assert sink.steps == ["write", "close 1"]


async def test_writer_when_synced_then_the_latency_is_observed() -> None:
    sink = GatedSink()
    sink.gate.set()
    observed: list[int] = []
    writer = DiskWriter(sink, clock=SystemClock(), observe_sync_ns=observed.append)
    writer.append(b"x")
    writer.close()

    assert len(observed) == 1
    assert observed[0] >= 0


async def test_writer_when_the_sync_fails_then_it_is_never_tried_again_and_everybody_is_told() -> None:
    sink = GatedSink()
    sink.error = OSError(errno.EIO, "broken")
    writer = DiskWriter(sink, clock=SystemClock())
    writer.append(b"x")
    writer.append(b"y")
    waits = [asyncio.create_task(writer.wait_durable(n)) for n in (1, 2)]
    await asyncio.sleep(0)
    sink.gate.set()

    for wait in waits:
        with pytest.raises(JournalError, match=r"record 1 .*broken.*nothing leaves"):
            await asyncio.wait_for(wait, WAIT_S)
    with pytest.raises(JournalError):
        writer.append(b"z")
    with pytest.raises(JournalError):
        await writer.wait_durable(2)
    with pytest.raises(JournalError):
        writer.close()
    assert sink.steps == ["write", "sync"]
    assert writer.durable_count == 0


async def test_writer_when_a_waiter_was_cancelled_then_the_others_are_released() -> None:
    sink = GatedSink()
    writer = DiskWriter(sink, clock=SystemClock())
    writer.append(b"x")
    gone, stays = asyncio.create_task(writer.wait_durable(1)), asyncio.create_task(writer.wait_durable(1))
    await asyncio.sleep(0)
    gone.cancel()
    sink.gate.set()

    await asyncio.wait_for(stays, WAIT_S)
    writer.close()


async def test_writer_when_the_number_was_never_appended_then_waiting_is_refused() -> None:
    sink = GatedSink()
    sink.gate.set()
    writer = DiskWriter(sink, clock=SystemClock())

    with pytest.raises(ValueError, match="number: 1 was never appended"):
        await writer.wait_durable(1)
    writer.close()
    with pytest.raises(JournalError, match="closed"):
        writer.append(b"x")


async def test_writer_when_the_thread_dies_of_a_bug_then_the_log_has_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    sink = GatedSink()
    sink.error = RuntimeError("bug")  # type: ignore[assignment]
    sink.gate.set()
    writer = DiskWriter(sink, clock=SystemClock())
    writer.append(b"x")

    with pytest.raises(JournalError, match="unexpected error"):
        await asyncio.wait_for(writer.wait_durable(1), WAIT_S)


@pytest.mark.parametrize("fail_after", range(8))
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_journal_when_the_disk_fails_then_what_was_acknowledged_is_there_after_the_restart(
    tmp_path: Path, fail_after: int, error: int
) -> None:
    files = FaultyFiles(error)
    journal, _ = Journal.open(files, tmp_path, start_writer=InlineWriter, worker=InlineWorker())
    files.fail_after = fail_after
    acknowledged: list[int] = []
    with pytest.raises(JournalError, match="refused"):
        acknowledged.extend(journal.append(Record(n, 0, 0, Checkpoint("x" * 50))) for n in range(1, 100))
    operations = len(files.operations)
    with pytest.raises(JournalError):
        journal.append(Record(0, 0, 0, Checkpoint("later")))
    with pytest.raises(JournalError):
        journal.close()
    assert len(files.operations) == operations

    reopened, recovered = Journal.open(RealFiles(), tmp_path, start_writer=InlineWriter, worker=InlineWorker())

    assert recovered.last_number in (len(acknowledged), len(acknowledged) + 1)
    assert [entry.record.step for entry in recovered.entries()] == list(range(1, recovered.last_number + 1))
    reopened.close()
