"""Reading the state of a daemon that does not run: a fold of its journal that touches nothing."""

from __future__ import annotations

from pathlib import Path

from framework.domain.errors import JournalError
from framework.runtime.files import FileSystem
from framework.state.accounts import Accounts
from framework.state.record_fold import fold_record
from framework.state.snapshots import newest_snapshot, snapshot_numbers
from framework.state.survey import hole_in, read_entries, survey


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
    found = survey(files, directory)
    if found.damages:
        raise found.damages[0].error(directory)
    newest = max(snapshot_numbers(files, directory), default=0)
    snapshot, _ = newest_snapshot(files, directory)
    hole = hole_in(found, newest=newest, whole=snapshot.number if snapshot else 0)
    if hole:
        raise JournalError(f"journal: {directory}: {hole}; run `tidegate journal verify`, which says what can be done")
    return fold(files, directory)
