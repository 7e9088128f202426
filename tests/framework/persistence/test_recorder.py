from __future__ import annotations

from pathlib import Path

from framework.domain.account_events import ShutdownRequested
from framework.domain.instruments import InstrumentId
from framework.domain.market_events import BookStale
from framework.persistence.journal.journal import Journal
from framework.persistence.journal.segments import FIRST_CHAIN, Header, SegmentSink
from framework.persistence.ledger.ledger import Ledger
from framework.persistence.recorder import Recorder
from framework.persistence.tape import KernelInput, Tape, merge, read_tape
from framework.runtime.background import InlineWorker
from framework.runtime.clock import SystemClock
from framework.runtime.disk_writer import DiskWriter, Durability, InlineWriter, start_writer
from framework.runtime.files import RealFiles

FILES = RealFiles()


async def test_recorder_when_a_run_is_recorded_then_journal_and_tape_give_its_inputs_back(tmp_path: Path) -> None:
    journal, _ = Journal.open(
        FILES,
        tmp_path / "journal",
        start_writer=lambda sink: DiskWriter(sink, clock=SystemClock()),
        worker=InlineWorker(),
    )
    tape = Tape.open(FILES, tmp_path / "tape", InlineWorker())
    ledger = Ledger.open(tmp_path / "ledger", InlineWorker())
    recorder = Recorder(journal, tape, ledger)
    stale, stop = BookStale(InstrumentId("kalshi:A"), 1, "gap"), ShutdownRequested("operator", 2)

    recorder.tape(1, 10, 20, stale)
    assert recorder.journal(2, 11, 21, stop) == 1
    await recorder.wait_durable()
    assert journal.durable_count == 1
    recorder.flush()
    assert ledger.applied_number == 1
    journal.close()
    ledger.close()
    tape.close()

    _, recovered = Journal.open(FILES, tmp_path / "journal", start_writer=InlineWriter, worker=InlineWorker())
    found = list(merge(recovered.entries(), read_tape(FILES, tmp_path / "tape")))
    assert found == [KernelInput(1, 10, 20, stale), KernelInput(2, 11, 21, stop)]


def test_recorder_when_there_is_no_tape_and_no_ledger_then_the_journal_is_enough(tmp_path: Path) -> None:
    journal, _ = Journal.open(FILES, tmp_path, start_writer=InlineWriter, worker=InlineWorker())
    recorder = Recorder(journal)

    recorder.tape(1, 10, 20, BookStale(InstrumentId("kalshi:A"), 1, "gap"))
    recorder.orders(())
    recorder.flush()
    assert recorder.journal(2, 11, 21, ShutdownRequested("operator", 2)) == 1
    journal.close()


def test_start_writer_when_the_durability_is_given_then_only_power_loss_needs_a_thread(tmp_path: Path) -> None:
    for durability, kind in ((Durability.POWER_LOSS, DiskWriter), (Durability.PROCESS_CRASH, InlineWriter)):
        sink = SegmentSink(FILES, tmp_path, last=Header(0, FIRST_CHAIN), segment=None, segment_bytes_max=1_000)
        writer = start_writer(sink, clock=SystemClock(), durability=durability)
        assert isinstance(writer, kind)
        writer.close()
