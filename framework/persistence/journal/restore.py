"""Reading the state of a daemon that does not run: a fold of its journal that touches nothing.

Folding the journal into the state: what one record, also one that is not about orders or money, does to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from framework.domain.errors import JournalError
from framework.domain.orders import Order
from framework.persistence.journal.records import Body, Checkpoint, EpochTaken, SnapshotTaken
from framework.persistence.journal.scan import hole_in, read_entries, scan_journal
from framework.persistence.journal.snapshots import newest_snapshot, snapshot_numbers
from framework.runtime.files import FileSystem
from framework.state.accounts import Accounts


def fold_record(accounts: Accounts, body: Body, now_ns: int) -> Sequence[Order]:
    """Take in what a record says, at the wall time of its step; the orders that it changed. Everything that reads a
    journal folds it so. What a checkpoint states is for its reader to compare."""
    if isinstance(body, EpochTaken):
        accounts.begin_epoch()
    if isinstance(body, (EpochTaken, Checkpoint, SnapshotTaken)):
        return ()
    return accounts.apply(body, now_ns).orders


def fold(files: FileSystem, directory: Path, *, last: int | None = None) -> Accounts:
    """The state after record `last` (None: after the last whole one), from the newest snapshot before it.

    Raises `JournalError` for a record that can't be read.
    """
    snapshot, _ = newest_snapshot(files, directory, last=last)
    accounts = Accounts.from_snapshot(snapshot.state) if snapshot else Accounts()
    for entry in read_entries(files, directory, first=snapshot.number + 1 if snapshot else 1, last=last):
        fold_record(accounts, entry.record.body, entry.record.now_ns)
    return accounts


def read_accounts(files: FileSystem, directory: Path) -> Accounts:
    """The state after the journal's last whole record; no lock is taken and nothing is cut.

    Raises `JournalError` when there is no journal, or one that is damaged or has lost its beginning or its end.
    """
    if not files.exists(directory):
        raise JournalError(f"journal: there is no {directory}; name the daemon's state directory: --state-dir DIR")
    found = scan_journal(files, directory)
    if found.damages:
        raise found.damages[0].error(directory)
    newest = max(snapshot_numbers(files, directory), default=0)
    snapshot, _ = newest_snapshot(files, directory)
    hole = hole_in(found, newest=newest, whole=snapshot.number if snapshot else 0)
    if hole:
        raise JournalError(f"journal: {directory}: {hole}; run `tidegate journal verify`, which says what can be done")
    return fold(files, directory)
