"""The journal: append-only records from which the state is rebuilt. No byte of an order leaves before its record is
durable (I1).

Call order: `Journal.open` (reads everything, truncates a torn tail, refuses damage), fold `Recovered.entries()`, then
`append`, and `wait_durable` before anything leaves that a record announces; `close` at the end. What durable means is a
setting: with `power-loss` a record that was waited for survives a power failure, with `process-crash` the death of the
process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec

from framework.domain.errors import JournalError
from framework.persistence.journal.records import Entry, Record, SnapshotTaken
from framework.persistence.journal.scan import Cut, JournalScan, hole_in, read_entries, scan_journal
from framework.persistence.journal.segments import SegmentSink, segment_name, segment_numbers
from framework.persistence.journal.snapshots import (
    SnapshotFile,
    newest_snapshot,
    snapshot_drafts,
    snapshot_name,
    snapshot_numbers,
    write_snapshot,
)
from framework.runtime.background import Worker
from framework.runtime.disk_writer import Sink, Writer
from framework.runtime.files import FileSystem


class JournalSettings(msgspec.Struct, frozen=True, gc=False):
    """The journal's limits: a segment of `segment_bytes_max` bytes or more is followed by a new one, and the newest
    `snapshots_kept` snapshots stay, with all segments that hold records after the oldest of them. Two, so that one
    damaged snapshot does not cost the state."""

    segment_bytes_max: int = 16 * 1024 * 1024
    snapshots_kept: int = 2


class Recovered(NamedTuple):
    """What `Journal.open` found in `directory`: the newest whole snapshot (None: there is none) and the records after
    it, up to `last_number`, 0 for none.

    `cut` is the torn tail that was truncated, None for none; `notes` are sentences for the log.
    """

    snapshot: SnapshotFile | None
    last_number: int
    cut: Cut | None
    notes: tuple[str, ...]
    files: FileSystem
    directory: Path

    def entries(self) -> Iterator[Entry]:
        """The records after the snapshot, in order and without a gap. Reads the disk again at each call.

        Raises `JournalError` when a record that was there at the opening is not there any more or can't be decoded, and
        `OSError`.
        """
        expected = self.snapshot.number + 1 if self.snapshot else 1
        for entry in read_entries(self.files, self.directory, first=expected, last=self.last_number):
            if entry.number != expected:
                break
            yield entry
            expected += 1
        if expected <= self.last_number:
            raise JournalError(
                f"journal: record {expected} could not be read again in {self.directory}: the disk changed under the "
                "daemon. Run `tidegate journal verify`, and look for another program that writes there"
            )


class Journal:
    """The open journal. `append` and the waits belong to the event loop; writer and worker touch the disk, elsewhere.

    Records have numbers 1, 2, … without a gap, over all runs.
    """

    def __init__(
        self, files: FileSystem, directory: Path, writer: Writer, worker: Worker, settings: JournalSettings
    ) -> None:
        self._files = files
        self._directory = directory
        self._writer = writer
        self._worker = worker
        self._settings = settings
        self.append: Callable[[Record], int] = writer.append
        """Queue a record and return its number. Raises `JournalError` once the journal has failed.

        A writer with a thread encodes it there, later: nothing in a record may ever change. One that can't be encoded
        makes the journal fail.
        """

    def __repr__(self) -> str:
        return f"Journal(directory={str(self._directory)!r}, writer={self._writer!r})"

    @classmethod
    def open(
        cls,
        files: FileSystem,
        directory: Path,
        *,
        start_writer: Callable[[Sink], Writer],
        worker: Worker,
        settings: JournalSettings | None = None,
    ) -> tuple[Journal, Recovered]:
        """Read what is in the directory, truncate a torn tail, and go on after the last record.

        Hold the state directory's lock. `start_writer` makes the writer of records, `worker` writes snapshots. It may
        be interrupted at any point and repeated. Raises `JournalError` naming file, offset, record and remedy when
        something durable can't be read or the disk refuses it.
        """
        settings = settings or JournalSettings()
        try:
            files.make_directory(directory)
            # A new directory's own name is durable only now; without it no record in it is.
            files.sync_directory(directory.parent)
            found = scan_journal(files, directory)
            if found.damages:
                raise found.damages[0].error(directory)
            snapshot, notes = _newest_snapshot(files, directory, found)
            _make_durable(files, directory, found)
            sink = SegmentSink(
                files,
                directory,
                last=found.last,
                segment=found.segments[-1] if found.segments else None,
                segment_bytes_max=settings.segment_bytes_max,
            )
        except OSError as e:
            raise JournalError(f"journal: {directory} can't be read or written ({e}); check the disk and rights") from e
        recovered = Recovered(snapshot, found.last.first_number, found.cut, notes, files, directory)
        return cls(files, directory, start_writer(sink), worker, settings), recovered

    @property
    def appended_count(self) -> int:
        """The number of the last record that was queued; 0 for none. It may not be durable."""
        return self._writer.appended_count

    @property
    def durable_count(self) -> int:
        """The number of the last record that is durable; every earlier one is, too. 0 for none."""
        return self._writer.durable_count

    @property
    def failure(self) -> JournalError | None:
        """What made the journal fail, None while it works. It never recovers within a run: after a failed sync nobody
        knows what is on the disk."""
        return self._writer.failure

    async def wait_durable(self, number: int) -> None:
        """Return once record `number` is durable. Raises `JournalError` when the journal fails before that."""
        if number > self._writer.durable_count:
            await self._writer.wait_durable(number)

    async def snapshot(self, state: bytes, *, at_number: int, keep_from: int | None = None) -> SnapshotTaken:
        """Write a snapshot of the state after record `at_number`, then delete the segments that no kept snapshot needs.

        Segments with records after `keep_from` stay in any case: the ledger may not have them yet. Append the
        `SnapshotTaken` that is returned. Raises `JournalError` when the journal has failed, and `OSError` when the
        snapshot can't be written: the journal itself goes on then.
        """
        await self.wait_durable(at_number)
        return await self._worker.run(lambda: self._write_snapshot(SnapshotFile(at_number, state), keep_from))

    def close(self) -> None:
        """Write and sync what is queued, mark the orderly end, and close the segment. Raises `JournalError` when that
        failed."""
        self._writer.close()

    def _write_snapshot(self, snapshot: SnapshotFile, keep_from: int | None) -> SnapshotTaken:
        # A record that is only process-crash durable must not be outlived by a snapshot that counts on it.
        for first in segment_numbers(self._files, self._directory)[-1:]:
            _sync_file(self._files, self._directory / segment_name(first))
        digest = write_snapshot(self._files, self._directory, snapshot)
        prune(self._files, self._directory, snapshots_kept=self._settings.snapshots_kept, keep_from=keep_from)
        return SnapshotTaken(snapshot.number, digest)


def prune(files: FileSystem, directory: Path, *, snapshots_kept: int, keep_from: int | None = None) -> None:
    """Delete what no start needs any more; no snapshot may be under way. Raises `OSError`.

    These are unfinished drafts of snapshots, all snapshots but the newest `snapshots_kept`, and the segments that end
    before the oldest of those and hold no record after `keep_from` (None: no limit). While there are fewer snapshots
    than `snapshots_kept`, only drafts are deleted.
    """
    for draft in snapshot_drafts(files, directory):
        files.remove(directory / draft)
    snapshots = snapshot_numbers(files, directory)
    if len(snapshots) < snapshots_kept:
        return
    kept = snapshots[-snapshots_kept:]
    covered = kept[0] if keep_from is None else min(kept[0], keep_from)
    firsts = segment_numbers(files, directory)
    for number in snapshots[:-snapshots_kept]:
        files.remove(directory / snapshot_name(number))
    # The last segment is in no pair, so it always stays: it is the one that is written.
    for first, following in pairwise(firsts):
        if following - 1 <= covered:
            files.remove(directory / segment_name(first))
            # One by one: a removal that a power failure undoes must not leave a hole behind a later one.
            files.sync_directory(directory)


def _newest_snapshot(
    files: FileSystem, directory: Path, found: JournalScan
) -> tuple[SnapshotFile | None, tuple[str, ...]]:
    """The newest whole snapshot, and sentences for the log. Raises `JournalError` when the segments do not go on where
    it ends, or nothing covers their missing beginning."""
    notes: list[str] = []
    if found.cut is not None:
        notes.append(
            f"journal: {found.cut.file} was torn at offset {found.cut.offset} and truncated there, with this warning: "
            f"{found.cut.bytes_cut} bytes of record {found.cut.first_number} and later, never acknowledged"
        )
    snapshot, damaged = newest_snapshot(files, directory)
    newest = max(snapshot_numbers(files, directory), default=0)
    hole = hole_in(found, newest=newest, whole=snapshot.number if snapshot else 0)
    if hole and newest > found.last.first_number:
        raise JournalError(
            f"journal: {directory}: {hole}. Restore that folder from a backup; or keep a copy and move that snapshot "
            "away: what came after is then missing here and comes back from the venue"
        )
    if hole:
        raise JournalError(
            f"journal: {directory}: {hole} ({', '.join(damaged) or 'none'} damaged). Restore a snapshot or segment "
            "from a backup; or keep a copy and start with an empty state directory: open orders and positions come "
            "back from the venue as external orders, to be adopted with `tidegate external-orders`"
        )
    notes += [f"journal: {name} is damaged; the one before it and the records after are used" for name in damaged]
    return snapshot, tuple(notes)


def _make_durable(files: FileSystem, directory: Path, found: JournalScan) -> None:
    """Make the disk hold exactly what the scan found, durably: a fold of records that a power failure could still take
    away would be a state that nobody can rebuild."""
    if found.cut is not None:
        path = directory / found.cut.file
        if found.cut.offset:
            files.truncate(path, found.cut.offset)
        else:
            files.remove(path)
    if found.segments:
        _sync_file(files, directory / segment_name(found.segments[-1]))
    files.sync_directory(directory)


def _sync_file(files: FileSystem, path: Path) -> None:
    handle = files.open_append(path)
    try:
        handle.sync()
    finally:
        handle.close()
