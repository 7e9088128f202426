"""State from the journal: what one record does to the state, and what all of them come to.

State is rebuilt by replaying the journal: from a snapshot, or from nothing, one record after the other. Whoever reads a
journal folds it with `fold_record`: a start, the comparison of disk and memory, a replay, the ledger's rebuild and a
dry reconciliation. So they all come to the same state (I22). Nothing here writes or takes a lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from framework.domain.errors import JournalError
from framework.domain.orders import Order
from framework.domain.verdicts import RefusalsCounted
from framework.persistence.journal.records import Body, Checkpoint, EpochTaken, SnapshotTaken
from framework.persistence.journal.scan import hole_in, read_entries, scan_journal
from framework.persistence.journal.snapshots import SnapshotFile, newest_snapshot, snapshot_numbers
from framework.runtime.files import FileSystem
from framework.state.accounts import Accounts


def begin_accounts(snapshot: SnapshotFile | None) -> Accounts:
    """The state that a fold begins with: the snapshot's, or an empty one where there is none.

    Raises `JournalError` when the snapshot was written by a version of the program whose state this one can't read.
    """
    return Accounts.from_snapshot(snapshot.state) if snapshot else Accounts()


def fold_record(accounts: Accounts, body: Body, now_ns: int) -> Sequence[Order]:
    """Apply what a record says, and return the orders that it changed. `now_ns` is the wall time of the record's step.

    A checkpoint changes nothing: to compare its digest costs a pass over the whole state, so a reader does it who
    depends on it (`framework.persistence.recovery`).
    """
    if isinstance(body, EpochTaken):
        accounts.begin_epoch()
    if isinstance(body, (EpochTaken, Checkpoint, SnapshotTaken, RefusalsCounted)):
        return ()
    return accounts.apply(body, now_ns).orders


def known_orders(accounts: Accounts) -> dict[str, Order]:
    """Every order that the state remembers, by client order id in ascending order. Ended ones are forgotten in time."""
    return {known.order.client_order_id: known.order for known in accounts.orders.snapshot().known}


def fold(files: FileSystem, directory: Path, *, last: int | None = None) -> Accounts:
    """The state after record `last` (None: after the last whole one), from the newest whole snapshot up to it.

    Whether the journal is whole is for the caller to know. Raises `JournalError` for a record that can't be read, and
    `OSError`.
    """
    snapshot, _ = newest_snapshot(files, directory, last=last)
    return _fold_after(snapshot, files, directory, last)


def read_accounts(files: FileSystem, directory: Path) -> Accounts:
    """The state after the last whole record of a journal whose daemon may run or not. Nothing on the disk is changed.

    Raises `JournalError` when there is no journal, or one that is damaged or has lost its beginning or its end, and
    `OSError`.
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
    return _fold_after(snapshot, files, directory, None)


def _fold_after(snapshot: SnapshotFile | None, files: FileSystem, directory: Path, last: int | None) -> Accounts:
    accounts = begin_accounts(snapshot)
    for entry in read_entries(files, directory, first=snapshot.number + 1 if snapshot else 1, last=last):
        fold_record(accounts, entry.record.body, entry.record.now_ns)
    return accounts
