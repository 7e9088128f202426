"""Making the ledger anew from the journal: after damage, after a change of its tables, or to prove that it agrees."""

from __future__ import annotations

from pathlib import Path

from framework.runtime.background import InlineWorker
from framework.runtime.files import FileSystem
from framework.state.accounts import Accounts
from framework.state.audit import dump
from framework.state.ledger import Ledger
from framework.state.ledger_schema import LedgerError
from framework.state.record_fold import fold_record
from framework.state.snapshots import Snapshot, read_snapshot, snapshot_numbers
from framework.state.survey import survey


def rebuild_ledger(files: FileSystem, journal_directory: Path, path: Path) -> int:
    """Build the ledger from every record that the journal holds, put it in the place of the old one, and return the
    number of its last record.

    Hold the state directory's lock. Where the journal no longer begins with record 1, a snapshot says what came before,
    and an existing ledger is the only place with the orders and fills of that time: it is not replaced. Raises
    `LedgerError`, and `JournalError` for damage, with the old ledger in its place.
    """
    found = survey(files, journal_directory)
    if found.damages:
        raise found.damages[0].error(journal_directory)
    first = found.segments[0] if found.segments else 1
    if path.exists() and (first > 1 or not found.last.first_number):
        held = f"what the journal has not kept: it begins with record {first}" if first > 1 else "more: it is empty"
        raise LedgerError(
            f"ledger: {path} may hold {held}; move it away first to build a ledger from what the journal holds"
        )
    draft = path.with_name(path.name + ".rebuilt")
    _remove(draft)
    ledger = Ledger.open(draft, InlineWorker())
    try:
        _fill(ledger, files, journal_directory, first)
    finally:
        ledger.close()
    _remove(path)
    draft.rename(path)
    return ledger.applied_number


def _fill(ledger: Ledger, files: FileSystem, directory: Path, first: int) -> None:
    snapshot = _first_snapshot(files, directory) if first > 1 else None
    accounts = Accounts.from_snapshot(snapshot.state) if snapshot else Accounts()
    if snapshot is not None:
        ledger.begin_from(accounts, snapshot.number)
    for entry in dump(files, directory, first=ledger.applied_number + 1):
        ledger.apply(entry)
        ledger.put_orders(fold_record(accounts, entry.record.body, entry.record.now_ns))
        if ledger.trouble:
            raise LedgerError(ledger.trouble)


def _first_snapshot(files: FileSystem, directory: Path) -> Snapshot | None:
    found = (read_snapshot(files, directory, number) for number in snapshot_numbers(files, directory))
    return next((snapshot for snapshot in found if snapshot is not None), None)


def _remove(path: Path) -> None:
    for suffix in ("-wal", "-shm", ""):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
