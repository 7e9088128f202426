"""Looking at a journal from outside, while a daemon writes it or not: verify, dump; and giving up what is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from framework.domain.errors import JournalError
from framework.runtime.files import FileSystem, write_atomically
from framework.state.records import Entry
from framework.state.segment_sink import segment_name, segment_numbers
from framework.state.snapshots import read_snapshot, snapshot_name, snapshot_numbers
from framework.state.survey import Cut, Damage, end_of, read_entries, survey


class SnapshotFound(NamedTuple):
    """A snapshot file and whether it is whole."""

    number: int
    is_whole: bool


class JournalReport(NamedTuple):
    """What `verify` found. `first_number` is the first record kept, `last_number` the last good one (0 = none).

    `cut` is a torn tail that the next start will cut off (while a daemon writes: a record on its way).
    """

    segments: int
    first_number: int
    last_number: int
    cut: Cut | None
    damages: tuple[Damage, ...]
    snapshots: tuple[SnapshotFound, ...]
    undecodable: str

    @property
    def is_sound(self) -> bool:
        """Whether a daemon can start on it without losing anything that was durable."""
        return not self.damages and not self.undecodable and all(s.is_whole for s in self.snapshots)

    def lines(self) -> tuple[str, ...]:
        """The report as text."""
        records = f"records {self.first_number} to {self.last_number}" if self.last_number else "no records"
        snapshots = ", ".join(str(s.number) + ("" if s.is_whole else " (damaged)") for s in self.snapshots)
        lines = [f"{self.segments} segments, {records}", f"snapshots after records: {snapshots or 'none'}"]
        if self.cut is not None:
            lines.append(f"torn tail: {self.cut.file}, {self.cut.bytes_cut} bytes from offset {self.cut.offset}")
        lines += [f"DAMAGE: {d.file} at offset {d.offset}, record {d.number}: {d.what}" for d in self.damages]
        if self.undecodable:
            lines.append(f"DAMAGE: {self.undecodable}")
        lines.append("sound" if self.is_sound else "NOT sound")
        return tuple(lines)


def verify(files: FileSystem, directory: Path) -> JournalReport:
    """Check every byte and decode every record; changes nothing. Raises `JournalError` for another format version
    and `OSError`."""
    found = survey(files, directory)
    undecodable = ""
    if not found.damages:
        try:
            for _ in read_entries(files, directory):
                pass
        except JournalError as e:
            undecodable = str(e)
    snapshots = tuple(
        SnapshotFound(number, read_snapshot(files, directory, number) is not None)
        for number in snapshot_numbers(files, directory)
    )
    first = found.segments[0] if found.segments else 0
    last = found.last.first_number if found.last.first_number >= first else 0
    return JournalReport(len(found.segments), first, last, found.cut, found.damages, snapshots, undecodable)


def dump(files: FileSystem, directory: Path, *, first: int = 1) -> Iterator[Entry]:
    """Every record from `first` on that can be read, in order; what follows damage in a file is left out.

    Raises `JournalError` for a record that this program does not know and `OSError`.
    """
    return read_entries(files, directory, first=first)


def cut_after(files: FileSystem, directory: Path, number: int) -> tuple[Path, ...]:
    """Give up every record after `number`: the way out of damage. What is cut stays beside it as `….removed`.

    Returns the files kept aside. Hold the lock. Raises `JournalError` when `number` is not there, `OSError`.
    """
    firsts = segment_numbers(files, directory)
    holding = [first for first in firsts if first <= number]
    if not holding:
        raise JournalError(f"journal: record {number} is in no segment of {directory}; name one that `verify` lists")
    path = directory / segment_name(holding[-1])
    data = files.read(path)
    end = end_of(data, number)
    if end is None:
        raise JournalError(f"journal: record {number} can't be read in {path}; name an earlier one")
    later = [directory / segment_name(first) for first in firsts if first > number]
    later += [directory / snapshot_name(n) for n in snapshot_numbers(files, directory) if n > number]
    kept = [_removed(path), *(_removed(old) for old in later)]
    write_atomically(files, kept[0], data)
    for old in later:
        files.rename(old, _removed(old))
    files.sync_directory(directory)
    write_atomically(files, path, data[:end])
    return tuple(kept)


def _removed(path: Path) -> Path:
    return path.with_name(path.name + ".removed")
