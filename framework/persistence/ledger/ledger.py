"""The ledger: what the journal says, as SQLite tables for people and tools.

Trading never waits for it and never depends on it: it is written behind the journal, by a worker, and can be built
again from the journal. Only its `durable_mark` says something that the journal can't: which record was durable.

Call order: `Ledger.open` with the number of the journal's last record, `catch_up` with the entries after
`applied_number`, then `apply` and `put_orders` as things happen, `mark_durable`, and `flush` and `prune` ten times a
second; `close` after the journal's. `framework.persistence.ledger.rebuild` does all but the running part.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from functools import partial
from itertools import chain
from pathlib import Path
from shutil import disk_usage

from framework.domain.orders import Order
from framework.persistence.journal.records import Entry
from framework.persistence.ledger.retention import (
    BUSY_INTERVAL_NS,
    INTERVAL_NS,
    SLICE_ROWS,
    Retention,
    give_back,
    remove_old_rows,
)
from framework.persistence.ledger.rows import LedgerRows
from framework.persistence.ledger.schema import LedgerError, connect, ledger_error, move_aside
from framework.persistence.ledger.seed import seed
from framework.runtime.background import Worker
from framework.runtime.failpoints import reach
from framework.state.accounts import Accounts

PENDING_MAX = 50_000
"""Most records and groups of orders that wait to be written. Beyond it the ledger stands still until the next start
catches up: memory stays bounded when another program holds the file or the disk is slow."""
_FLUSH_AT = 256
_TRANSACTION_MAX = 1_000
"""Most records and groups of orders of one transaction."""

_Pending = Entry | tuple[Order, ...]


class Ledger:
    """The writing side. `apply`, `put_orders`, `mark_durable` and `flush` belong to the event loop and only queue; the
    worker writes the rows."""

    def __init__(self, connection: sqlite3.Connection, worker: Worker, path: Path) -> None:
        self._connection = connection
        self._rows: LedgerRows | None = LedgerRows(connection)
        self._worker = worker
        self._path = path
        self._pending: deque[_Pending] = deque()
        self._is_scheduled = False
        self._is_stalled = False
        self._is_rewound = False
        self._trouble = self._prune_trouble = ""
        self._prune_due_ns = 0
        self._applied = self._queued = _number(connection, "applied")
        self._durable_mark = self._durable_mark_stored = _number(connection, "durable")

    def __repr__(self) -> str:
        return f"Ledger(path={str(self._path)!r}, applied={self._applied}, pending={len(self._pending)})"

    @classmethod
    def open(cls, path: Path, worker: Worker, *, last_number: int | None = None) -> Ledger:
        """Open or create the ledger at `path`; `close` closes the worker too.

        `last_number` is the journal's last record, None to take the file as it is. What the ledger holds beyond that
        record was lost by the journal in a power failure, and is forgotten here too. Raises `LedgerUnusable` for a file
        that must be replaced, and `LedgerError` when another program holds it or the disk refuses it.
        """
        connection = connect(path)
        try:
            is_ahead = last_number is not None and _number(connection, "applied") > last_number
            if last_number is not None and is_ahead:
                with _transaction(connection):
                    LedgerRows(connection).rewind(last_number)
                    _set_number(connection, "applied", last_number)
            ledger = cls(connection, worker, path)
            ledger._is_rewound = is_ahead
            return ledger
        except sqlite3.Error as e:
            connection.close()
            raise ledger_error(path, e) from e

    @property
    def applied_number(self) -> int:
        """The last record that is committed to the tables, 0 for none; the journal keeps every record after it."""
        return self._applied

    @property
    def is_rewound(self) -> bool:
        """Whether `open` had to forget records that the journal lost: rows of orders may still show what those said."""
        return self._is_rewound

    @property
    def durable_mark(self) -> int:
        """The last record that the ledger knows to have been durable in the journal, 0 for none. A journal that ends
        before it has lost what was acknowledged."""
        return self._durable_mark_stored

    @property
    def trouble(self) -> str:
        """Why the ledger does not show what happens, empty while it does. What could not be written is tried again,
        unless the ledger fell too far behind: then it stands still, and the next start catches up."""
        if self._is_stalled:
            why = self._trouble or str(self._worker.failure or "it is too slow")
            return f"ledger: {self._path} stands still until the next start, which catches up: {why}"
        failure = f"ledger: {self._worker.failure!r}" if self._worker.failure is not None else ""
        return self._trouble or failure or self._prune_trouble

    def apply(self, entry: Entry) -> None:
        """Queue a record, in ascending order; one that was queued or written before is left out."""
        if entry.number <= self._queued or self._is_stalled:
            return
        if len(self._pending) >= PENDING_MAX:
            self._is_stalled = True
            return
        self._queued = entry.number
        self._pending.append(entry)
        if len(self._pending) >= _FLUSH_AT:
            self.flush()

    def put_orders(self, orders: Sequence[Order]) -> None:
        """Queue orders as they are now, to be shown after the records that were queued before."""
        # Copies: orders go on changing while they wait to be written.
        if orders and not self._is_stalled:
            self._pending.append(tuple(map(copy, orders)))

    def mark_durable(self, number: int) -> None:
        """Store with the next `flush` that the journal's record `number` is durable.

        It replaces the mark of an earlier run: call it only once this run has recorded that durable records were lost,
        or the loss would be forgotten.
        """
        self._durable_mark = number

    def flush(self) -> None:
        """Start the writing of what is queued; returns at once."""
        if self._has_news and not self._is_scheduled:
            # Set before the worker may clear it: the job can be over when `submit` returns.
            self._is_scheduled = True
            if not self._worker.submit(self._write_behind):
                self._is_scheduled = False

    def prune(self, retention: Retention, now_ns: int) -> None:
        """Start the removal of rows that are too old or too many, when it is time to look; returns at once. `now_ns` is
        wall time. What hinders it, as a full archive, is in `trouble`."""
        if now_ns >= self._prune_due_ns:
            # Set before the job may shorten it: the job can be over when `submit` returns.
            self._prune_due_ns = now_ns + INTERVAL_NS
            self._worker.submit(partial(self._prune, retention, now_ns))

    def catch_up(self, entries: Iterable[Entry], orders: Sequence[Order] = ()) -> None:
        """Write entries, and then orders, at once and in the caller's thread; before the first `apply`.

        Entries up to `applied_number` are left out. It is one transaction: if a crash left the entries without the
        orders, the next start would take the orders for shown. Raises `LedgerError`.
        """
        new = (entry for entry in entries if entry.number > self._applied)
        self._write(chain(new, [tuple(orders)]))
        self._queued = self._applied

    def begin_from(self, accounts: Accounts, number: int) -> None:
        """Fill an empty ledger with the state after record `number`, whose records the journal holds no more; before
        `catch_up`. Raises `LedgerError`."""
        try:
            with _transaction(self._connection):
                seed(self._connection, accounts, number)
                _set_number(self._connection, "applied", number)
                _set_number(self._connection, "begins", number)
            self._rows = LedgerRows(self._connection)
        except sqlite3.Error as e:
            raise ledger_error(self._path, e) from e
        self._applied = self._queued = number

    def replace_file(self) -> Path:
        """Rename the file, and begin an empty one; before the first `apply`. Returns the old file's new path. Raises
        `LedgerError`."""
        self._connection.close()
        aside = move_aside(self._path)
        self._connection = connect(self._path)
        self._rows = LedgerRows(self._connection)
        self._applied = self._queued = 0
        return aside

    def close(self) -> None:
        """Close the worker, write the rest and close the file. Raises `LedgerError`."""
        self._worker.close()
        try:
            self._write_pending()
        finally:
            self._connection.close()

    @property
    def _has_news(self) -> bool:
        return bool(self._pending) or self._durable_mark != self._durable_mark_stored

    def _write_behind(self) -> None:
        """The worker's job. What can't be written, as while another program holds the file, is tried again."""
        # Cleared first: what is queued from here on either is seen below or asks for another turn.
        self._is_scheduled = False
        try:
            self._write_pending()
        except LedgerError as e:
            self._trouble = str(e)
        else:
            self._trouble = ""

    def _prune(self, retention: Retention, now_ns: int) -> None:
        """The worker's other job: one slice of what is to go."""
        trouble = ""
        try:
            with _transaction(self._connection):
                removed = remove_old_rows(self._connection, retention, now_ns)
            if removed:
                self._rows = None  # an instrument whose scale it remembers may have gone
            if removed == SLICE_ROWS:
                self._prune_due_ns = now_ns + BUSY_INTERVAL_NS
            else:
                give_back(self._connection, disk_usage(self._path.parent).free)
        except (OSError, sqlite3.Error) as e:
            trouble = f"ledger: {self._path}: old rows stay: {e}"
        self._prune_trouble = trouble

    def _write_pending(self) -> None:
        while self._has_news:
            batch = [self._pending.popleft() for _ in range(min(len(self._pending), _TRANSACTION_MAX))]
            try:
                self._write(batch)
            except BaseException:
                # None of it is written. What comes after must not be either: that would leave a hole for good.
                self._pending.extendleft(reversed(batch))
                raise

    def _write(self, batch: Iterable[_Pending]) -> None:
        # Dropped until the rows are committed: after a rollback its scales would be of rows that are not there.
        writer, self._rows = self._rows, None
        mark_durable = self._durable_mark
        try:
            rows = writer or LedgerRows(self._connection)
            with _transaction(self._connection):
                number = self._write_rows(rows, batch)
                _set_number(self._connection, "applied", number)
                if mark_durable != self._durable_mark_stored:
                    _set_number(self._connection, "durable", mark_durable)
        except sqlite3.Error as e:
            raise ledger_error(self._path, e) from e
        self._applied, self._rows, self._durable_mark_stored = number, rows, mark_durable

    def _write_rows(self, rows: LedgerRows, batch: Iterable[_Pending]) -> int:
        """Write a batch; the number of its last record."""
        number = self._applied
        for item in batch:
            if isinstance(item, Entry):
                if item.number != number + 1:
                    _note_gap(self._connection, number + 1, item.number - 1)
                rows.apply(item)
                number = item.number
                continue
            for order in item:
                rows.put_order(order, number)
        return number


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all or nothing of what is executed inside."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        reach("before-ledger-commit")
        connection.execute("COMMIT")
        reach("after-ledger-commit")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _set_number(connection: sqlite3.Connection, key: str, number: int) -> None:
    """Store the record that is the last `applied` or `durable` one, or after which the ledger `begins`."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, str(number)))


def _note_gap(connection: sqlite3.Connection, first: int, last: int) -> None:
    """Store which records are missing: what they held is in no row and in no position."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('gap', ?)", (f"{first} to {last}",))


def _number(connection: sqlite3.Connection, key: str) -> int:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return int(row[0]) if row else 0
