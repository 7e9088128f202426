"""Making the ledger anew from the journal: after damage, after a change of its tables, or to prove that it agrees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from framework.domain.orders import Order
from framework.runtime.background import InlineWorker
from framework.runtime.files import FileSystem
from framework.state.accounts import Accounts
from framework.state.audit import dump
from framework.state.ledger import Ledger
from framework.state.ledger_schema import LedgerError
from framework.state.records import Body, Checkpoint, EpochTaken, SnapshotTaken
from framework.state.segment_sink import segment_numbers
from framework.state.snapshots import Snapshot, read_snapshot, snapshot_numbers


def rebuild_ledger(files: FileSystem, journal_directory: Path, path: Path) -> int:
    """Build the ledger from every record that the journal holds, put it in the place of the old one, and return the
    number of its last record.

    Hold the state directory's lock. Where the journal no longer begins with record 1, an existing ledger is the only
    place with what came before: it is not replaced. Raises `LedgerError`, and `JournalError` for damage.
    """
    firsts = segment_numbers(files, journal_directory)
    first = firsts[0] if firsts else 1
    if first > 1 and path.exists():
        raise LedgerError(
            f"ledger: {path} holds records before {first}, which the journal has not kept; move it away first to build "
            "one from what the journal holds"
        )
    draft = path.with_name(path.name + ".rebuilt")
    _remove(draft)
    ledger = Ledger.open(draft, InlineWorker())
    snapshot = _first_snapshot(files, journal_directory) if first > 1 else None
    folded = snapshot.number if snapshot else 0
    accounts = Accounts.from_snapshot(snapshot.state) if snapshot else Accounts()
    for entry in dump(files, journal_directory):
        ledger.apply(entry)
        if entry.number > folded:
            ledger.put_orders(orders_changed(accounts, entry.record.body, entry.record.now_ns))
    ledger.close()
    _remove(path)
    draft.rename(path)
    return ledger.applied_number


def orders_changed(accounts: Accounts, body: Body, now_ns: int) -> Sequence[Order]:
    """Fold one record's body into the state; the orders that changed."""
    if isinstance(body, EpochTaken):
        accounts.begin_epoch()
    if isinstance(body, (EpochTaken, Checkpoint, SnapshotTaken)):
        return ()
    return accounts.apply(body, now_ns).orders


def _first_snapshot(files: FileSystem, directory: Path) -> Snapshot | None:
    found = (read_snapshot(files, directory, number) for number in snapshot_numbers(files, directory))
    return next((snapshot for snapshot in found if snapshot is not None), None)


def _remove(path: Path) -> None:
    for suffix in ("-wal", "-shm", ""):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
