"""Reading the state of a daemon that does not run: a fold of its journal that touches nothing."""

from __future__ import annotations

from pathlib import Path

from framework.domain.errors import JournalError
from framework.runtime.files import FileSystem
from framework.state.accounts import Accounts
from framework.state.ledger_rebuild import orders_changed
from framework.state.snapshots import Snapshot, read_snapshot, snapshot_numbers
from framework.state.survey import read_entries, survey


def fold(files: FileSystem, directory: Path, *, last: int | None = None) -> Accounts:
    """The state after record `last` (None: after the last whole one), from the newest snapshot before it.

    Raises `JournalError` for a record that can't be read.
    """
    snapshot = _newest_snapshot(files, directory, last)
    accounts = Accounts.from_snapshot(snapshot.state) if snapshot else Accounts()
    for entry in read_entries(files, directory, first=snapshot.number + 1 if snapshot else 1, last=last):
        orders_changed(accounts, entry.record.body, entry.record.now_ns)
    return accounts


def read_accounts(files: FileSystem, directory: Path) -> Accounts:
    """The state after the journal's last whole record; no lock is taken and nothing is cut.

    Raises `JournalError` when there is no journal, or a damaged one.
    """
    if not files.exists(directory):
        raise JournalError(f"journal: there is no {directory}; name the daemon's state directory: --state-dir DIR")
    found = survey(files, directory)
    if found.damages:
        raise found.damages[0].error(directory)
    return fold(files, directory)


def _newest_snapshot(files: FileSystem, directory: Path, last: int | None) -> Snapshot | None:
    numbers = [number for number in snapshot_numbers(files, directory) if last is None or number <= last]
    found = (read_snapshot(files, directory, number) for number in reversed(numbers))
    return next((snapshot for snapshot in found if snapshot is not None), None)
