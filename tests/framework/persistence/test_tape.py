from __future__ import annotations

import errno
import struct
from pathlib import Path
from zlib import crc32

import msgspec
import pytest

from framework.domain.account_events import ShutdownRequested
from framework.domain.instruments import InstrumentId
from framework.domain.market_events import BookStale, TimerFired
from framework.persistence.journal.records import Checkpoint, Entry, Record
from framework.persistence.tape import KernelInput, Tape, TapeError, TapeSettings, merge, read_tape
from framework.runtime.background import BackgroundWorker, InlineWorker
from framework.runtime.files import RealFiles
from tests.support.faulty_files import FaultyFiles

FILES = RealFiles()
STALE = BookStale(InstrumentId("kalshi:A"), 7, "gap")


def write(directory: Path, steps: range, settings: TapeSettings | None = None) -> Tape:
    tape = Tape.open(FILES, directory, InlineWorker(), settings)
    for step in steps:
        tape.record(step, 100 + step, 200 + step, STALE)
        tape.flush()
    tape.close()
    return tape


def steps(directory: Path) -> list[int]:
    return [found.step for found in read_tape(FILES, directory)]


def test_tape_when_read_back_then_every_event_is_there_with_its_times(tmp_path: Path) -> None:
    tape = Tape.open(FILES, tmp_path, BackgroundWorker("tape"))
    expected = []
    for step in range(1, 5_000):
        event = TimerFired("mm", "requote", step) if step % 2 else STALE
        tape.record(step, 100 + step, 200 + step, event)
        expected.append(KernelInput(step, 100 + step, 200 + step, event))
    tape.close()

    assert list(read_tape(FILES, tmp_path)) == expected
    assert tape.shed_count == 0


def test_tape_when_reopened_then_it_goes_on_in_a_new_segment_and_knows_the_last_step(tmp_path: Path) -> None:
    write(tmp_path, range(1, 4))
    tape = write(tmp_path, range(4, 6))

    assert tape.last_step == 3
    assert steps(tmp_path) == [1, 2, 3, 4, 5]
    assert len(list(tmp_path.iterdir())) == 2


def test_tape_when_torn_then_what_is_whole_is_read_and_later_segments_too(tmp_path: Path) -> None:
    write(tmp_path, range(1, 4))
    (first,) = tmp_path.iterdir()
    first.write_bytes(first.read_bytes()[:-1])
    tape = write(tmp_path, range(10, 12))

    assert tape.last_step == 2
    assert steps(tmp_path) == [1, 2, 10, 11]


def test_tape_when_an_event_was_changed_on_the_disk_then_the_segment_ends_before_it(tmp_path: Path) -> None:
    write(tmp_path, range(1, 4))
    (segment,) = tmp_path.iterdir()
    data = segment.read_bytes()
    segment.write_bytes(data[:-1] + b"q")
    assert data.endswith(b"gap")

    assert steps(tmp_path) == [1, 2]


def test_tape_when_the_last_segment_holds_nothing_then_its_name_can_be_taken_again(tmp_path: Path) -> None:
    write(tmp_path, range(1, 2))
    (first,) = tmp_path.iterdir()
    first.write_bytes(first.read_bytes()[:20])

    tape = write(tmp_path, range(1, 3))

    assert tape.last_step == 0
    assert steps(tmp_path) == [1, 2]


def test_tape_when_it_is_not_written_then_it_drops_events_and_counts_them(tmp_path: Path) -> None:
    tape = Tape.open(FILES, tmp_path, StandingWorker(), TapeSettings(pending_max=10))
    for step in range(1, 31):
        tape.record(step, 0, 0, STALE)

    assert tape.shed_count == 20
    tape.close()
    assert steps(tmp_path) == list(range(1, 11))


class StandingWorker(InlineWorker):
    def submit(self, job: object, /) -> bool:
        return False


def test_tape_when_the_disk_is_full_then_trading_is_not_disturbed(tmp_path: Path) -> None:
    files = FaultyFiles(errno.ENOSPC)
    worker = BackgroundWorker("tape")
    tape = Tape.open(files, tmp_path, worker, TapeSettings(pending_max=5))
    files.fail_after = 0
    tape.record(1, 0, 0, STALE)
    tape.flush()
    worker.close()
    for step in range(2, 12):
        tape.record(step, 0, 0, STALE)

    assert isinstance(worker.failure, OSError)
    assert tape.shed_count == 5
    files.fail_after = None
    tape.close()


def test_tape_when_it_grows_beyond_its_bytes_then_the_oldest_segments_go(tmp_path: Path) -> None:
    settings = TapeSettings(bytes_max=2_000, segment_bytes_max=400)
    write(tmp_path, range(1, 200), settings)

    assert steps(tmp_path)[-1] == 199
    assert steps(tmp_path) == list(range(steps(tmp_path)[0], 200))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2_000
    write(tmp_path, range(200, 400), settings)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2_000


def test_merge_when_journal_and_tape_are_given_then_inputs_come_in_the_order_of_steps(tmp_path: Path) -> None:
    write(tmp_path, range(1, 4))
    stop = ShutdownRequested("operator", 1)
    entries = [
        Entry(1, Record(0, 1, 1, Checkpoint("start"))),
        Entry(2, Record(2, 5, 6, Checkpoint("inside a step"))),
        Entry(3, Record(4, 8, 9, stop)),
    ]

    found = list(merge(entries, read_tape(FILES, tmp_path)))

    assert [item.step for item in found] == [1, 2, 3, 4]
    assert found[-1] == KernelInput(4, 8, 9, stop)


def test_tape_when_another_version_wrote_its_last_event_then_a_start_goes_on_after_it(tmp_path: Path) -> None:
    write(tmp_path, range(1, 4))
    (segment,) = tmp_path.iterdir()
    payload = msgspec.msgpack.encode((4, 104, 204, ("LaterEvent", "kalshi:A")))
    segment.write_bytes(segment.read_bytes() + struct.pack("<II", len(payload), crc32(payload)) + payload)

    tape = write(tmp_path, range(5, 7))

    assert tape.last_step == 4
    with pytest.raises(TapeError, match="tape: the event of step 4 can't be decoded"):
        steps(tmp_path)


def test_tape_when_no_record_can_hold_an_event_then_that_one_alone_is_left_out(tmp_path: Path) -> None:
    tape = Tape.open(FILES, tmp_path, BackgroundWorker("tape"))
    for step, reason in enumerate(("gap", "\ud800", "gap"), 1):
        tape.record(step, 1, 1, BookStale(InstrumentId("kalshi:A"), 7, reason))
    tape.record(4, 1, 1, BookStale(InstrumentId("kalshi:A"), 10**30, "gap"))
    tape.close()

    assert (steps(tmp_path), tape.shed_count, tape.trouble) == ([1, 3], 2, "")
