"""Checking a journal from outside, and the way out of damage: `journal verify` and `journal cut`.

Checking changes nothing and needs no lock: a daemon may write meanwhile. `cut_after` needs the state directory's lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from framework.domain.errors import JournalError
from framework.persistence.journal.scan import Cut, Damage, end_of, hole_in, read_entries, scan_journal
from framework.persistence.journal.segments import segment_name, segment_numbers
from framework.persistence.journal.snapshots import read_snapshot, snapshot_name, snapshot_numbers
from framework.runtime.files import FileSystem, aside_name, write_atomically

REMOVED = ".removed"
"""The suffix of a file whose records were dropped by `cut_after`; the file stays for a later look."""


class SnapshotFound(NamedTuple):
    """A snapshot file: the record after which it was taken, and whether it is whole."""

    number: int
    is_whole: bool


class JournalReport(NamedTuple):
    """What `verify` found. `segments` counts the files; `first_number` is the first record in them, `last_number` the
    last good one (0: none).

    `cut` is a torn tail that the next start will truncate (while a daemon writes: a record that is being written).
    `undecodable` says which record this program does not know, `hole` which records no state can be made without, and
    `lost` which durable records are gone after the last one; each is empty for none.
    """

    segments: int
    first_number: int
    last_number: int
    cut: Cut | None
    damages: tuple[Damage, ...]
    snapshots: tuple[SnapshotFound, ...]
    undecodable: str
    hole: str
    lost: str

    @property
    def is_sound(self) -> bool:
        """Whether a daemon can start on it without losing anything that was durable. A torn tail is no loss."""
        is_whole = all(one.is_whole for one in self.snapshots)
        return is_whole and not (self.damages or self.undecodable or self.hole or self.lost)

    def lines(self) -> tuple[str, ...]:
        """The report as lines of text for an operator; the last one says `sound` or `NOT sound`."""
        records = f"records {self.first_number} to {self.last_number}" if self.last_number else "no records"
        snapshots = ", ".join(str(s.number) + ("" if s.is_whole else " (damaged)") for s in self.snapshots)
        lines = [f"{self.segments} segments, {records}", f"snapshots after records: {snapshots or 'none'}"]
        if self.cut is not None:
            lines.append(f"torn tail: {self.cut.file}, {self.cut.bytes_cut} bytes from offset {self.cut.offset}")
        lines += [f"DAMAGE: {d.file} at offset {d.offset}, record {d.number}: {d.what}" for d in self.damages]
        lines += [f"DAMAGE: {what}" for what in (self.undecodable, self.hole, self.lost) if what]
        lines.append("sound" if self.is_sound else "NOT sound")
        return tuple(lines)


def verify(files: FileSystem, directory: Path, *, durable_mark: int = 0) -> JournalReport:
    """Check every byte and decode every record.

    `durable_mark` is the last record that the ledger knows to have been durable, 0 when it does not say. Ask the ledger
    before: then a daemon that writes meanwhile is never ahead of it. Raises `JournalError` for another format version,
    and `OSError`.
    """
    found = scan_journal(files, directory)
    undecodable = ""
    if not found.damages:
        try:
            for _ in read_entries(files, directory):
                pass
        except JournalError as e:
            undecodable = str(e)
    numbers = snapshot_numbers(files, directory)
    snapshots = tuple(SnapshotFound(n, read_snapshot(files, directory, n) is not None) for n in numbers)
    first = found.segments[0] if found.segments else 0
    last = found.last.first_number if found.last.first_number >= first else 0
    newest = max((one.number for one in snapshots), default=0)
    hole = hole_in(found, newest=newest, whole=max((one.number for one in snapshots if one.is_whole), default=0))
    lost = "" if found.damages or undecodable or hole else lost_end(found.last.first_number, durable_mark)
    return JournalReport(len(found.segments), first, last, found.cut, found.damages, snapshots, undecodable, hole, lost)


def lost_end(last: int, durable_mark: int) -> str:
    """Which durable records are gone after record `last`, judged by the ledger's `durable_mark`; empty: none."""
    if durable_mark <= last:
        return ""
    return f"records {last + 1} to {durable_mark} were durable and are gone from the journal's end"


def cut_point(files: FileSystem, directory: Path, damaged: int) -> int:
    """The last record that `cut_after` can keep when record `damaged` can't be read; 0: it can keep none.

    Raises `OSError`.
    """
    try:
        _check_start(files, directory, damaged - 1)
    except JournalError:
        return 0
    return damaged - 1


def cut_after(files: FileSystem, directory: Path, number: int) -> tuple[Path, ...]:
    """Drop every record after `number`, 0 for all: the way out of damage. Hold the state directory's lock.

    Returns the files that keep what was dropped, named `….removed`, or `….removed-2` where that is taken. Raises
    `JournalError`, with nothing changed, when record `number` is not there or no run could start from what would be
    left, and `OSError`.
    """
    firsts, snapshots = segment_numbers(files, directory), snapshot_numbers(files, directory)
    later = [directory / segment_name(first) for first in firsts if first > number]
    later += [directory / snapshot_name(n) for n in snapshots if n > number]
    if number == 0:
        return _move_aside(files, directory, later)
    path, data, end = _check_start(files, directory, number)
    # The copy comes first and the cut last: after a failure in between every record is still in some file.
    copy = aside_name(files, path, REMOVED)
    write_atomically(files, copy, data)
    moved = _move_aside(files, directory, later)
    write_atomically(files, path, data[:end])
    return copy, *moved


def _check_start(files: FileSystem, directory: Path, number: int) -> tuple[Path, bytes, int]:
    """The segment that holds record `number`, its bytes, and where the record ends in them. Raises `JournalError` when
    no run could start from the records up to it."""
    firsts = segment_numbers(files, directory)
    holding = [first for first in firsts if first <= number]
    if not holding:
        raise JournalError(
            f"journal: record {number} is in no segment of {directory}; name one that `verify` lists, or 0 to drop "
            "all of them"
        )
    path = directory / segment_name(holding[-1])
    data = files.read(path)
    end = end_of(data, number)
    if end is None:
        raise JournalError(f"journal: record {number} can't be read in {path}; name an earlier one, or 0")
    covering = [n for n in snapshot_numbers(files, directory) if firsts[0] - 1 <= n <= number]
    if firsts[0] > 1 and not any(read_snapshot(files, directory, n) for n in covering):
        raise JournalError(
            f"journal: records 1 to {firsts[0] - 1} are not kept, and no whole snapshot is of a record up to {number}: "
            "nothing could start from what is left. Name a later record, or 0 to drop all of them"
        )
    return path, data, end


def _move_aside(files: FileSystem, directory: Path, paths: Sequence[Path]) -> tuple[Path, ...]:
    moved: list[Path] = []
    for old in paths:
        moved.append(aside_name(files, old, REMOVED))
        files.rename(old, moved[-1])
    files.sync_directory(directory)
    return tuple(moved)
