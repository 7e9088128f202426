from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from framework.domain.errors import JournalError
from framework.persistence.journal.journal import Journal, JournalSettings, Recovered
from framework.persistence.journal.records import Checkpoint, Record
from framework.persistence.journal.scan import read_entries
from framework.persistence.journal.segments import segment_name
from framework.persistence.journal.verify import cut_after, verify
from framework.runtime.background import InlineWorker
from framework.runtime.clock import SystemClock
from framework.runtime.disk_writer import DiskWriter, Durability, InlineWriter, Sink, Writer
from framework.runtime.files import RealFiles

FILES = RealFiles()
SMALL = JournalSettings(segment_bytes_max=400)


def open_journal(
    directory: Path,
    settings: JournalSettings | None = None,
    start_writer: Callable[[Sink], Writer] = InlineWriter,
) -> tuple[Journal, Recovered]:
    return Journal.open(FILES, directory, start_writer=start_writer, worker=InlineWorker(), settings=settings)


def record(step: int) -> Record:
    return Record(step, 1_000 + step, 2_000 + step, Checkpoint(f"state {step}"))


def write(directory: Path, count: int, settings: JournalSettings | None = None, *, closes: bool = True) -> None:
    journal, _ = open_journal(directory, settings)
    for _ in range(count):
        journal.append(record(journal.appended_count + 1))
    if closes:
        journal.close()


def steps(recovered: Recovered) -> list[int]:
    return [entry.record.step for entry in recovered.entries()]


def only_segment(directory: Path) -> Path:
    return directory / segment_name(1)


def test_journal_when_reopened_then_every_record_is_there_in_order(tmp_path: Path) -> None:
    write(tmp_path, 3)
    write(tmp_path, 2)

    journal, recovered = open_journal(tmp_path)

    assert [(e.number, e.record) for e in recovered.entries()] == [(n, record(n)) for n in range(1, 6)]
    assert recovered.cut is None
    assert recovered.notes == ()
    assert journal.append(record(6)) == 6
    journal.close()


def test_journal_when_empty_then_it_begins_with_record_1(tmp_path: Path) -> None:
    journal, recovered = open_journal(tmp_path / "new" / "journal")

    assert steps(recovered) == []
    assert journal.append(record(1)) == 1
    assert (tmp_path / "new").stat().st_mode & 0o777 <= 0o755
    assert (tmp_path / "new" / "journal").stat().st_mode & 0o777 == 0o700
    assert only_segment(tmp_path / "new" / "journal").stat().st_mode & 0o777 == 0o600
    journal.close()


def test_journal_when_the_tail_is_torn_at_any_byte_then_it_is_cut_and_reported(tmp_path: Path) -> None:
    write(tmp_path, 2, closes=False)
    whole = only_segment(tmp_path).read_bytes()
    write(tmp_path, 1, closes=False)
    longer = only_segment(tmp_path).read_bytes()

    for size in range(len(whole), len(longer)):
        only_segment(tmp_path).write_bytes(longer[:size])
        journal, recovered = open_journal(tmp_path)
        assert steps(recovered) == [1, 2]
        assert (recovered.cut is None) == (size == len(whole))
        assert only_segment(tmp_path).read_bytes() == whole
        assert journal.append(record(3)) == 3
        assert only_segment(tmp_path).read_bytes() == longer


def test_journal_when_the_last_frame_has_a_flipped_bit_then_it_is_cut(tmp_path: Path) -> None:
    write(tmp_path, 2, closes=False)
    start = only_segment(tmp_path).stat().st_size
    write(tmp_path, 1, closes=False)
    whole = only_segment(tmp_path).read_bytes()

    for bit in range(start * 8, len(whole) * 8):
        only_segment(tmp_path).write_bytes(flipped(whole, bit))
        _, recovered = open_journal(tmp_path)
        assert steps(recovered) == [1, 2]
        assert recovered.cut is not None
        assert recovered.cut.offset == start
        assert recovered.cut.first_number == 3
        assert len(recovered.notes) == 1


def test_journal_when_any_bit_before_the_last_frame_is_flipped_then_it_refuses_and_changes_nothing(
    tmp_path: Path,
) -> None:
    write(tmp_path, 2, closes=False)
    start = only_segment(tmp_path).stat().st_size
    write(tmp_path, 1, closes=False)
    whole = only_segment(tmp_path).read_bytes()

    for bit in range(start * 8):
        damaged = flipped(whole, bit)
        only_segment(tmp_path).write_bytes(damaged)
        with pytest.raises(JournalError) as caught:
            open_journal(tmp_path)
        assert segment_name(1) in str(caught.value)
        assert only_segment(tmp_path).read_bytes() == damaged


def test_journal_when_closed_then_even_a_flip_in_the_last_record_is_damage(tmp_path: Path) -> None:
    write(tmp_path, 1)
    whole = only_segment(tmp_path).read_bytes()
    only_segment(tmp_path).write_bytes(flipped(whole, 8 * 100))

    with pytest.raises(JournalError, match=r"record 1: checksum mismatch.*1 records were durable.*cut --after 0"):
        open_journal(tmp_path)


def test_journal_when_an_unacknowledged_group_has_a_hole_then_all_of_it_is_cut(tmp_path: Path) -> None:
    journal, _ = open_journal(tmp_path, start_writer=OneGroup)
    journal.append(record(1))
    group = journal._writer
    assert isinstance(group, OneGroup)
    group.write_group([record(2), record(3), record(4)])
    whole = only_segment(tmp_path).read_bytes()
    only_segment(tmp_path).write_bytes(flipped(whole, 8 * (second_frame(whole) + 8)))

    _, recovered = open_journal(tmp_path)

    assert steps(recovered) == [1]
    assert recovered.cut is not None
    assert recovered.cut.first_number == 2


class OneGroup(InlineWriter):
    """Writes several records as one commit that was never acknowledged."""

    def write_group(self, records: list[object]) -> None:
        self._sink.write(records, self._durable)


def second_frame(data: bytes) -> int:
    return data.index(b"\xd7\x1d", data.index(b"\xd7\x1d") + 1)


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_journal_when_the_end_of_an_older_segment_is_damaged_then_it_refuses(tmp_path: Path) -> None:
    write(tmp_path, 20, SMALL, closes=False)
    first = sorted(tmp_path.glob("*.seg"))[0]
    first.write_bytes(first.read_bytes()[:-1])

    with pytest.raises(JournalError, match="incomplete frame, and a later segment exists"):
        open_journal(tmp_path, SMALL)


@pytest.mark.parametrize("missing", [0, 1])
def test_journal_when_a_segment_is_missing_then_it_refuses(tmp_path: Path, missing: int) -> None:
    write(tmp_path, 20, SMALL)
    segments = sorted(tmp_path.glob("*.seg"))
    assert len(segments) > 3
    segments[missing].unlink()

    with pytest.raises(JournalError, match="missing"):
        open_journal(tmp_path)


def test_journal_when_a_record_is_taken_out_whole_then_it_refuses(tmp_path: Path) -> None:
    write(tmp_path, 4, closes=False)
    data = only_segment(tmp_path).read_bytes()
    starts = [n for n in range(len(data)) if data.startswith(b"\xd7\x1d", n)]
    only_segment(tmp_path).write_bytes(data[: starts[3]])
    write(tmp_path, 0)
    only_segment(tmp_path).write_bytes(data[: starts[2]] + data[starts[3] :])

    with pytest.raises(JournalError, match="misfit: record 4 stands where 3 belongs"):
        open_journal(tmp_path)


def test_journal_when_a_record_is_replaced_with_a_good_checksum_then_it_refuses(tmp_path: Path) -> None:
    write(tmp_path / "a", 3, closes=False)
    journal, _ = open_journal(tmp_path / "b")
    for text in ("x", "state 2", "state 3"):
        journal.append(Record(1, 2, 3, Checkpoint(text)))
    ours, theirs = only_segment(tmp_path / "a").read_bytes(), only_segment(tmp_path / "b").read_bytes()
    only_segment(tmp_path / "a").write_bytes(ours[: second_frame(ours)] + theirs[second_frame(theirs) :])

    with pytest.raises(JournalError, match="misfit: record 2 is not chained to the one before it"):
        open_journal(tmp_path / "a")


def test_journal_when_a_new_segment_is_torn_in_its_header_then_it_is_removed(tmp_path: Path) -> None:
    write(tmp_path, 20, SMALL, closes=False)
    last = sorted(tmp_path.glob("*.seg"))[-1]
    (tmp_path / segment_name(21)).write_bytes(last.read_bytes()[:17])

    journal, recovered = open_journal(tmp_path, SMALL)

    assert steps(recovered) == list(range(1, 21))
    assert recovered.cut is not None
    assert recovered.cut.file == segment_name(21)
    assert journal.append(record(21)) == 21
    journal.close()
    assert steps(open_journal(tmp_path, SMALL)[1])[-1] == 21


async def test_journal_when_a_snapshot_is_taken_then_recovery_begins_after_it(tmp_path: Path) -> None:
    journal, _ = open_journal(tmp_path, SMALL)
    for step in range(1, 11):
        journal.append(record(step))
    taken = await journal.snapshot(b"state after 10", at_number=10)
    journal.append(Record(11, 0, 0, taken))
    journal.close()

    _, recovered = open_journal(tmp_path, SMALL)

    assert recovered.snapshot is not None
    assert recovered.snapshot == (10, b"state after 10")
    assert [entry.record.body for entry in recovered.entries()] == [taken]


async def test_journal_when_a_record_never_becomes_durable_then_no_snapshot_counts_on_it(tmp_path: Path) -> None:
    journal, _ = open_journal(tmp_path, start_writer=NeverDurable)
    journal.append(record(1))

    with pytest.raises(JournalError, match="not durable"):
        await journal.snapshot(b"state 1", at_number=1)
    assert list(tmp_path.glob("*.state")) == []


class NeverDurable(InlineWriter):
    """Takes records and says that none of them is durable."""

    @property
    def durable_count(self) -> int:
        return 0

    async def wait_durable(self, number: int, /) -> None:
        raise JournalError("not durable")


async def test_journal_when_the_newest_snapshot_is_damaged_then_the_one_before_it_is_used(tmp_path: Path) -> None:
    journal, _ = open_journal(tmp_path, SMALL)
    for number in (10, 20, 30):
        while journal.appended_count < number:
            journal.append(record(journal.appended_count + 1))
        await journal.snapshot(b"state %d" % number, at_number=number)
    journal.append(record(31))
    journal.close()
    newest = sorted(tmp_path.glob("*.state"))[-1]
    newest.write_bytes(flipped(newest.read_bytes(), 500))

    _, recovered = open_journal(tmp_path, SMALL)

    assert recovered.snapshot == (20, b"state 20")
    assert steps(recovered) == list(range(21, 32))
    assert "damaged" in recovered.notes[0]
    assert len(list(tmp_path.glob("*.state"))) == 2


async def test_journal_when_snapshots_are_taken_then_only_needed_segments_stay(tmp_path: Path) -> None:
    journal, _ = open_journal(tmp_path, SMALL)
    for number in (50, 100, 150):
        while journal.appended_count < number:
            journal.append(record(journal.appended_count + 1))
        await journal.snapshot(b"", at_number=number, keep_from=60)
    firsts = [entry.number for entry in read_entries(FILES, tmp_path)]
    assert 50 < firsts[0] <= 61

    await journal.snapshot(b"", at_number=150)
    firsts = [entry.number for entry in read_entries(FILES, tmp_path)]
    assert 90 < firsts[0] <= 101
    journal.close()
    assert open_journal(tmp_path)[1].last_number == 150


async def test_journal_when_no_whole_snapshot_covers_the_hole_then_it_refuses(tmp_path: Path) -> None:
    journal, _ = open_journal(tmp_path, SMALL)
    for number in (50, 100):
        while journal.appended_count < number:
            journal.append(record(journal.appended_count + 1))
        await journal.snapshot(b"", at_number=number)
    journal.close()
    for path in tmp_path.glob("*.state"):
        path.write_bytes(b"")

    with pytest.raises(JournalError, match=r"records 1 to \d+ are missing .* no whole snapshot"):
        open_journal(tmp_path)


async def test_journal_when_it_ends_before_its_snapshot_then_it_refuses(tmp_path: Path) -> None:
    journal, _ = open_journal(tmp_path, SMALL)
    for step in range(1, 31):
        journal.append(record(step))
    await journal.snapshot(b"", at_number=30)
    journal.close()
    sorted(tmp_path.glob("*.seg"))[-1].unlink()

    with pytest.raises(JournalError, match="a segment was lost"):
        open_journal(tmp_path)


def test_verify_when_damaged_then_it_names_the_place_and_cut_after_is_a_way_out(tmp_path: Path) -> None:
    write(tmp_path, 20, SMALL)
    third = sorted(tmp_path.glob("*.seg"))[2]
    third.write_bytes(flipped(third.read_bytes(), 8 * 180))
    report = verify(FILES, tmp_path)
    assert not report.is_sound
    (damage,) = report.damages
    assert damage.file == third.name
    assert any(third.name in line for line in report.lines())

    kept = cut_after(FILES, tmp_path, damage.number - 1)

    assert verify(FILES, tmp_path).is_sound
    assert all(path.exists() for path in kept)
    journal, recovered = open_journal(tmp_path, SMALL)
    assert steps(recovered) == list(range(1, damage.number))
    journal.close()


def test_verify_when_sound_then_it_says_so(tmp_path: Path) -> None:
    write(tmp_path, 20, SMALL)

    report = verify(FILES, tmp_path)

    assert report.is_sound
    assert (report.first_number, report.last_number) == (1, 20)
    assert report.lines()[-1] == "sound"


def test_entries_when_the_file_changes_after_the_start_then_it_is_noticed(tmp_path: Path) -> None:
    write(tmp_path, 3)
    _, recovered = open_journal(tmp_path)
    only_segment(tmp_path).write_bytes(only_segment(tmp_path).read_bytes()[:150])

    with pytest.raises(JournalError, match="could not be read again"):
        list(recovered.entries())


@pytest.mark.parametrize("durability", list(Durability))
async def test_journal_when_written_by_a_thread_then_it_reads_back_the_same(
    tmp_path: Path, durability: Durability
) -> None:
    def start_writer(sink: Sink) -> Writer:
        return DiskWriter(sink, clock=SystemClock(), durability=durability)

    journal, _ = open_journal(tmp_path, JournalSettings(segment_bytes_max=2_000), start_writer)
    for step in range(1, 301):
        number = journal.append(record(step))
        if step % 50 == 0:
            await asyncio.wait_for(journal.wait_durable(number), 10)
    journal.close()

    _, recovered = open_journal(tmp_path)
    assert [entry.record for entry in recovered.entries()] == [record(step) for step in range(1, 301)]
    assert verify(FILES, tmp_path).segments > 3
