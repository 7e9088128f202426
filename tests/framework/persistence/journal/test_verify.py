"""Ways out of damage: each one that is named leads to a journal that a start goes on from."""

from __future__ import annotations

from pathlib import Path

import pytest

from framework.domain.errors import JournalError
from framework.persistence.journal.journal import Journal, JournalSettings, Recovered, prune
from framework.persistence.journal.records import Checkpoint, Record, decode_record
from framework.persistence.journal.restore import read_accounts
from framework.persistence.journal.segments import HEADER_SIZE
from framework.persistence.journal.snapshots import SnapshotFile, write_snapshot
from framework.persistence.journal.verify import cut_after, cut_point, verify
from framework.runtime.background import InlineWorker
from framework.runtime.disk_writer import InlineWriter
from framework.runtime.files import RealFiles

FILES = RealFiles()
SMALL = JournalSettings(segment_bytes_max=400, snapshots_kept=1)


def opened(directory: Path) -> tuple[Journal, Recovered]:
    return Journal.open(FILES, directory, start_writer=InlineWriter, worker=InlineWorker(), settings=SMALL)


def write(directory: Path, count: int, *, snapshot: int = 0, keep_from: int | None = None) -> list[int]:
    """A closed journal of small segments, pruned at its snapshot; the first records of its segments."""
    journal, _ = opened(directory)
    for number in range(1, count + 1):
        journal.append(Record(number, number, number, Checkpoint(f"state {number}")))
    journal.close()
    if snapshot:
        write_snapshot(FILES, directory, SnapshotFile(snapshot, b"state"))
        prune(FILES, directory, snapshots_kept=1, keep_from=keep_from)
    return [int(path.stem.partition("-")[2]) for path in sorted(directory.glob("*.seg"))]


def damage_first(directory: Path, segment: int) -> None:
    """Flip a bit of the first record of the segment with this place."""
    path = sorted(directory.glob("*.seg"))[segment]
    data = bytearray(path.read_bytes())
    data[HEADER_SIZE + 20] ^= 1
    path.write_bytes(data)


def starts_after(directory: Path) -> int:
    """The last record that a start goes on from."""
    journal, recovered = opened(directory)
    journal.close()
    return recovered.last_number


def test_cut_when_the_first_record_is_damaged_then_all_can_be_given_up_and_a_start_begins_anew(tmp_path: Path) -> None:
    write(tmp_path, 20)
    damage_first(tmp_path, 0)
    (damage,) = verify(FILES, tmp_path).damages
    assert (damage.number, cut_point(FILES, tmp_path, damage.number)) == (1, 0)

    kept = cut_after(FILES, tmp_path, 0)

    assert all(path.exists() for path in kept)
    assert starts_after(tmp_path) == 0


def test_cut_when_a_segment_is_missing_then_the_records_before_it_stay(tmp_path: Path) -> None:
    firsts = write(tmp_path, 20)
    sorted(tmp_path.glob("*.seg"))[1].unlink()
    (damage,) = verify(FILES, tmp_path).damages
    assert damage.number == firsts[1]

    cut_after(FILES, tmp_path, cut_point(FILES, tmp_path, damage.number))

    assert starts_after(tmp_path) == firsts[1] - 1


def test_cut_when_nothing_could_start_from_the_rest_then_it_refuses_and_changes_nothing(tmp_path: Path) -> None:
    firsts = write(tmp_path, 40, snapshot=30, keep_from=15)
    assert 1 < firsts[0] < firsts[1] < 30
    damage_first(tmp_path, 1)
    before = sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir())
    assert cut_point(FILES, tmp_path, firsts[1]) == 0

    with pytest.raises(JournalError, match="nothing could start from what is left"):
        cut_after(FILES, tmp_path, firsts[1] - 1)

    assert sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir()) == before


def test_cut_when_a_snapshot_covers_the_beginning_then_a_start_goes_on_from_it(tmp_path: Path) -> None:
    firsts = write(tmp_path, 40, snapshot=20)
    damage_first(tmp_path, -1)
    (damage,) = verify(FILES, tmp_path).damages
    assert damage.number == firsts[-1]

    cut_after(FILES, tmp_path, cut_point(FILES, tmp_path, damage.number))

    assert starts_after(tmp_path) == firsts[-1] - 1


def test_verify_when_the_first_segment_is_missing_then_it_is_as_little_sound_as_a_start(tmp_path: Path) -> None:
    write(tmp_path, 20)
    sorted(tmp_path.glob("*.seg"))[0].unlink()

    report = verify(FILES, tmp_path)

    assert not report.is_sound
    assert "no whole snapshot covers them" in report.hole
    with pytest.raises(JournalError, match="no whole snapshot covers them"):
        opened(tmp_path)


def test_verify_when_it_ends_before_its_snapshot_then_it_is_as_little_sound_as_a_start(tmp_path: Path) -> None:
    write(tmp_path, 20, snapshot=20)
    sorted(tmp_path.glob("*.seg"))[-1].unlink()

    report = verify(FILES, tmp_path)

    assert not report.is_sound
    assert "a segment was lost" in report.hole
    with pytest.raises(JournalError, match="a segment was lost"):
        opened(tmp_path)


def test_verify_when_a_snapshot_covers_the_beginning_then_it_is_sound(tmp_path: Path) -> None:
    write(tmp_path, 40, snapshot=20)
    assert verify(FILES, tmp_path).is_sound
    assert starts_after(tmp_path) == 40


def test_read_accounts_when_the_first_segment_is_missing_then_no_state_is_made_of_the_rest(tmp_path: Path) -> None:
    write(tmp_path, 20)
    sorted(tmp_path.glob("*.seg"))[0].unlink()

    with pytest.raises(JournalError, match=r"records 1 to \d+ are missing"):
        read_accounts(FILES, tmp_path)


def test_record_when_another_version_wrote_it_then_the_error_says_how_to_find_out_which() -> None:
    with pytest.raises(JournalError, match="last EpochTaken that `tidegate journal dump` prints before this record"):
        decode_record(7, b"\x94\x01\x02\x03\x91\xa9Something")
