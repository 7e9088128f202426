from __future__ import annotations

import random
from pathlib import Path

import pytest

from framework.domain.errors import JournalError
from framework.persistence.journal.journal import JournalSettings
from framework.persistence.journal.records import Checkpoint, Record, encode_record
from framework.persistence.journal.segments import segment_name
from framework.persistence.journal.snapshots import snapshot_name
from framework.runtime.clock import SystemClock
from framework.runtime.disk_writer import DiskWriter, InlineWriter
from framework.state.account_snapshot import CANONICAL_VERSION
from framework.state.accounts import Accounts
from tests.proofs.power_loss.__main__ import Figures, cut_power, flip_bits, refuse
from tests.proofs.power_loss.faults import flip
from tests.proofs.power_loss.promises import JOURNAL, BrokenPromise, Promises, check, new_disk, restart
from tests.proofs.power_loss.story import Story
from tests.proofs.power_loss.writers import finish
from tests.support.crash_files import CrashFiles, Fate

EMPTY = Accounts().digest()
RNG = random.Random(5)


def a_record(step: int = 1) -> Record:
    return Record(step, 0, 0, Checkpoint(EMPTY, CANONICAL_VERSION))


def a_file(files: CrashFiles, path: Path, *writes: bytes) -> None:
    handle = files.open_append(path)
    handle.write(b"old")
    handle.sync()
    files.sync_directory(path.parent)
    for data in writes:
        handle.write(data)


def test_journal_when_the_power_fails_at_every_operation_then_nothing_acknowledged_is_lost() -> None:
    figures = Figures()

    cut_power(figures, 3, syncs=True, groups=4)

    assert figures.examples == []
    assert figures.points.total() > 300
    assert figures.recovery_points > 50


def test_journal_when_the_disk_lies_about_syncs_then_the_proof_sees_losses() -> None:
    figures = Figures()

    cut_power(figures, 3, syncs=False, groups=4)

    assert figures.broken["lost"] > 100
    assert not figures.is_kept


def test_journal_when_a_bit_of_it_is_flipped_then_the_start_refuses_and_says_where() -> None:
    figures = Figures()

    flip_bits(figures, 6, every_bytes=17)

    assert figures.examples == []
    assert figures.flips["detected"] > 100
    assert figures.flips["missed"] == figures.flips["unexplained"] == 0


def test_journal_when_any_operation_is_refused_then_nothing_is_acknowledged_any_more() -> None:
    figures = Figures()

    refuse(figures, 5, groups=4)

    assert figures.examples == []
    assert {"journal failed", "no start", "no epoch", "snapshot given up"} == set(figures.refusals)


@pytest.mark.parametrize("fate", list(Fate))
def test_writer_thread_when_the_power_fails_at_any_operation_then_what_it_acknowledged_is_there(fate: Fate) -> None:
    files, promises, rng = new_disk(), Promises(), random.Random(9)
    broken: list[BrokenPromise] = []
    opened = restart(
        files,
        start_writer=lambda sink: DiskWriter(sink, clock=SystemClock()),
        settings=JournalSettings(segment_bytes_max=1_000),
    )

    def look() -> None:
        promises.acknowledged = opened.journal.durable_count
        try:
            check(files.after_power_loss(fate, rng), promises)
        except BrokenPromise as e:
            broken.append(e)

    files.watch = look
    for step in range(60):
        promises.record(encode_record(a_record(step)), EMPTY)
        opened.journal.append(a_record(step))
    opened.journal.close()
    look()

    assert broken == []
    assert promises.acknowledged == 60


def test_journal_when_its_directory_is_new_then_its_name_is_durable_before_a_record_is() -> None:
    files = new_disk()
    restart(files).journal.append(a_record())

    assert restart(files.after_power_loss(Fate.LOSE_ALL, RNG)).found.last == 1


def test_journal_when_the_mark_before_an_acknowledged_record_is_damaged_then_the_start_refuses() -> None:
    files = new_disk()
    opened = restart(files)
    opened.journal.append(a_record())
    opened.journal.close()
    path = JOURNAL / segment_name(1)
    mark = files.size(path) - 1
    restart(files).journal.append(a_record(2))

    with pytest.raises(BrokenPromise, match=r"refused: .*record 2: checksum mismatch, and record 2 is whole behind it"):
        restart(flip(files, path, mark * 8))


def test_journal_when_snapshots_were_half_written_then_the_next_one_clears_them_away() -> None:
    files = new_disk()
    story = Story(files, 4, watch=lambda _: None)
    story.start()
    draft = JOURNAL / f"{snapshot_name(1)}.tmp"
    files.open_append(draft).write(b"half")

    story.keep_snapshot()

    assert not files.exists(draft)


def test_journal_when_segments_are_dropped_then_the_first_record_after_the_snapshot_stays() -> None:
    files = new_disk()
    opened = restart(files, settings=JournalSettings(segment_bytes_max=1, snapshots_kept=1))
    for step in range(1, 7):
        opened.journal.append(a_record(step))

    finish(opened.journal.snapshot(Accounts().to_snapshot(), at_number=3))

    assert [name for name in files.list(JOURNAL) if name.endswith(".seg")] == [segment_name(n) for n in (4, 5, 6)]


def test_journal_when_a_snapshot_says_another_format_version_then_the_error_names_the_file() -> None:
    files = new_disk()
    story = Story(files, 4, watch=lambda _: None)
    story.start()
    story.keep_snapshot()
    (path,) = (JOURNAL / name for name in files.list(JOURNAL) if name.endswith(".state"))

    with pytest.raises(BrokenPromise, match=rf"refused: journal: {path}: format version 3 is not 1"):
        restart(flip(files, path, 8 * 8 + 1))


def test_journal_when_no_snapshot_is_whole_then_the_error_names_the_damaged_ones() -> None:
    story = Story(new_disk(), 4, watch=lambda _: None)
    story.tell()
    files = story.files
    snapshots = [name for name in files.list(JOURNAL) if name.endswith(".state")]
    for name in snapshots:
        files = flip(files, JOURNAL / name, 8 * 100)

    with pytest.raises(BrokenPromise, match=rf"no whole snapshot covers them \({snapshots[-1]}.* damaged\)"):
        restart(files)


def test_journal_when_a_sync_was_refused_once_then_a_later_one_does_not_make_up_for_it() -> None:
    files = new_disk()
    opened = restart(files, start_writer=InlineWriter)
    opened.journal.append(a_record())
    files.watch = lambda: None
    node = files.node(JOURNAL / segment_name(1))
    node.errors += 1

    with pytest.raises(JournalError, match="record 2 and later ones could not be made durable"):
        opened.journal.append(a_record(2))
    with pytest.raises(JournalError):
        opened.journal.append(a_record(2))
    with pytest.raises(JournalError):
        finish(opened.journal.wait_durable(2))
    assert opened.journal.durable_count == 1


def test_disk_when_nothing_is_synced_then_data_names_and_directories_can_be_lost() -> None:
    files = new_disk()
    files.make_directory(JOURNAL)
    a_file(files, JOURNAL / "a", b"new")
    assert files.after_power_loss(Fate.LOSE_ALL, RNG).names.keys() == {JOURNAL.parent}

    files.sync_directory(JOURNAL.parent)
    files.rename(JOURNAL / "a", JOURNAL / "b")
    lost, kept = files.after_power_loss(Fate.LOSE_ALL, RNG), files.after_power_loss(Fate.KEEP_ALL, RNG)
    assert (lost.list(JOURNAL), lost.read(JOURNAL / "a")) == (["a"], b"old")
    assert (kept.list(JOURNAL), kept.read(JOURNAL / "b")) == (["b"], b"oldnew")


def test_disk_when_sectors_are_reordered_then_a_later_one_can_survive_without_an_earlier_one() -> None:
    files = new_disk()
    path = JOURNAL.parent / "a"
    a_file(files, path, b"1" * 600, b"2" * 600)
    survived = {files.after_power_loss(Fate.REORDERED, RNG).read(path) for _ in range(200)}

    assert all(data.startswith(b"old") for data in survived)
    assert any(b"1" not in data and b"2" in data for data in survived)
    assert any(len(data) < 1_203 for data in survived)


def test_disk_when_a_bit_flips_or_a_tail_is_cut_then_what_was_synced_is_as_it_was() -> None:
    files = new_disk()
    path = JOURNAL.parent / "a"
    a_file(files, path, b"1" * 600)
    for _ in range(50):
        flipped, prefix = (files.after_power_loss(fate, RNG).read(path) for fate in (Fate.BIT_FLIP, Fate.PREFIX))
        assert flipped.startswith(b"old")
        assert sum(byte != ord("1") for byte in flipped[3:]) == 1
        assert (b"old" + b"1" * 600).startswith(prefix)
