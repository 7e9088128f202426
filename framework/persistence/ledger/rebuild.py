"""Bringing the ledger up to the journal: at every start, and by `tidegate journal rebuild-ledger`.

A start shows in the ledger what it has missed. A ledger that is damaged, or of another version, is no reason not to
trade: it is renamed whole and a new one begun, from the journal's first record where the journal still has it, else
from the snapshot that the run itself begins with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from framework.domain.orders import Order
from framework.persistence.journal.journal import Recovered
from framework.persistence.journal.restore import begin_accounts, fold_record, known_orders
from framework.persistence.journal.scan import read_entries, scan_journal
from framework.persistence.journal.segments import segment_numbers
from framework.persistence.journal.snapshots import SnapshotFile, read_snapshot, snapshot_numbers
from framework.persistence.ledger.ledger import Ledger
from framework.persistence.ledger.schema import LedgerError, LedgerUnusable, move_aside
from framework.runtime.background import InlineWorker, Worker
from framework.runtime.files import FileSystem
from framework.state.accounts import Accounts


def rebuild_ledger(files: FileSystem, journal_directory: Path, path: Path) -> int:
    """Build the ledger from every record that the journal holds, replace the old one with it, and return the number of
    its last record.

    Hold the state directory's lock. Where the journal no longer begins with record 1, a snapshot says what came before,
    and only an existing ledger still has the orders and fills of that time. Raises `LedgerError` in that case, when the
    journal is empty and there is a ledger, and when the new one can't be written; `JournalError` for damage, and
    `OSError`. The old ledger stays as it is then.
    """
    found = scan_journal(files, journal_directory)
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
    accounts = begin_accounts(snapshot)
    if snapshot is not None:
        ledger.begin_from(accounts, snapshot.number)
    for entry in read_entries(files, directory, first=ledger.applied_number + 1):
        ledger.apply(entry)
        ledger.put_orders(fold_record(accounts, entry.record.body, entry.record.now_ns))
        if ledger.trouble:
            raise LedgerError(ledger.trouble)


def _first_snapshot(files: FileSystem, directory: Path) -> SnapshotFile | None:
    found = (read_snapshot(files, directory, number) for number in snapshot_numbers(files, directory))
    return next((snapshot for snapshot in found if snapshot is not None), None)


def _remove(path: Path) -> None:
    for suffix in ("-wal", "-shm", ""):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def open_ledger(path: Path, worker: Worker, *, last_number: int) -> tuple[Ledger, tuple[str, ...]]:
    """The ledger at `path`, a new one when the file can't be used, and sentences for the log.

    `last_number` is the journal's last record. `show_past` must follow. Raises `LedgerError` when another program holds
    the file or the disk refuses it.
    """
    try:
        return Ledger.open(path, worker, last_number=last_number), ()
    except LedgerUnusable as e:
        note = _replaced_note(e, move_aside(path))
        return Ledger.open(path, worker, last_number=last_number), (note,)


def show_past(
    ledger: Ledger, recovered: Recovered, changed: Mapping[str, Order], accounts: Accounts
) -> tuple[str, ...]:
    """Write the records that the ledger has missed and what has become of the orders; returns sentences for the log.

    After `open_ledger`, before the first `Ledger.apply`. `changed` are the orders whose rows may be old, by client
    order id; `accounts` is the state after the journal's last record. Raises `LedgerError` as `open_ledger` does, and
    `JournalError` for a record that can't be read.
    """
    try:
        _catch_up(ledger, recovered, changed.values())
    except LedgerUnusable as e:
        # Only now: SQLite finds damaged pages when it reads them, which need not be at the opening.
        note = _replaced_note(e, ledger.replace_file())
        _catch_up(ledger, recovered, {**known_orders(accounts), **changed}.values())
        return (note,)
    return ()


def _catch_up(ledger: Ledger, recovered: Recovered, orders: Iterable[Order]) -> None:
    files, directory, snapshot = recovered.files, recovered.directory, recovered.snapshot
    is_pruned = min(segment_numbers(files, directory), default=1) > 1
    if ledger.applied_number == 0 and snapshot is not None and is_pruned:
        ledger.begin_from(begin_accounts(snapshot), snapshot.number)
    ledger.catch_up(read_entries(files, directory, first=ledger.applied_number + 1), tuple(orders))


def _replaced_note(error: LedgerError, aside: Path) -> str:
    return f"{error}. It was put aside as {aside.name} and a new one begun; trading does not need it"
