"""The ledger: the journal's face for people and tools, in SQLite. Written behind, rebuildable, never waited for.

Call order: `Ledger.open` with the number of the journal's last record, `catch_up` with the entries after
`applied_number`, then `apply` and `put_orders` as things happen, `mark_durable`, and `flush` ten times a second;
`close` at the end, after the journal's, closes the worker too. `persistence.ledger.rebuild` begins it.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from framework.domain.orders import Order
from framework.persistence.journal.records import Entry
from framework.persistence.ledger.rows import LedgerRows, OrderRow, order_row
from framework.persistence.ledger.schema import LedgerError, connect, ledger_error, move_aside
from framework.persistence.ledger.seed import seed
from framework.runtime.background import Worker
from framework.runtime.failpoints import reach
from framework.state.accounts import Accounts

PENDING_MAX = 50_000
"""Most things that wait to be written; beyond it the ledger stands still until the next start."""
_FLUSH_AT = 256
_TRANSACTION_MAX = 1_000

_Pending = Entry | tuple[OrderRow, ...]


class Ledger:
    """The writing side. `apply`, `put_orders` and `flush` are the loop's; the rows are written by the worker."""

    def __init__(self, connection: sqlite3.Connection, worker: Worker, path: Path) -> None:
        self._connection = connection
        self._rows: LedgerRows | None = LedgerRows(connection)
        self._worker = worker
        self._path = path
        self._pending: deque[_Pending] = deque()
        self._is_scheduled = False
        self._is_stalled = False
        self._is_rewound = False
        self._trouble = ""
        self._applied = self._queued = _number(connection, "applied")
        self._durable_mark = self._durable_mark_stored = _number(connection, "durable")

    def __repr__(self) -> str:
        return f"Ledger(path={str(self._path)!r}, applied={self._applied}, pending={len(self._pending)})"

    @classmethod
    def open(cls, path: Path, worker: Worker, *, last_number: int | None = None) -> Ledger:
        """Open or create the ledger.

        `last_number` is the journal's last record: what the ledger knows beyond it was lost by the journal in a power
        failure and is forgotten here too. Raises `LedgerUnusable` for a file to be put aside, `LedgerError`.
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
        """The last record that is in the tables, committed."""
        return self._applied

    @property
    def is_rewound(self) -> bool:
        """Whether it had to forget records that the journal lost: its orders may still show what those said."""
        return self._is_rewound

    @property
    def durable_mark(self) -> int:
        """The last record that an earlier `mark_durable` said was durable in the journal, 0 if none: a journal that
        ends before it has lost what was acknowledged."""
        return self._durable_mark_stored

    @property
    def trouble(self) -> str:
        """Why it does not show what happens; empty: it does. What could not be written is tried again, unless it fell
        too far behind: then it stands still, and the next start catches up from the journal."""
        if self._is_stalled:
            why = self._trouble or str(self._worker.failure or "it is too slow")
            return f"ledger: {self._path} stands still until the next start, which catches up: {why}"
        return self._trouble or (f"ledger: {self._worker.failure!r}" if self._worker.failure is not None else "")

    def apply(self, entry: Entry) -> None:
        """Queue a record. Entries come in order; those that are there already are left out."""
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
        """Queue orders as they are now: those that changed, or at the start all that are known."""
        if orders and not self._is_stalled:
            self._pending.append(tuple(order_row(order) for order in orders))

    def mark_durable(self, number: int) -> None:
        """Have it remembered, with the next `flush`, that the journal's record `number` is durable. What an earlier
        run said is forgotten with it: only once this run has written down what it made of it."""
        self._durable_mark = number

    def flush(self) -> None:
        """Have what is queued written soon."""
        if self._has_news and not self._is_scheduled:
            # Set before the worker may clear it: the job can be over when `submit` returns.
            self._is_scheduled = True
            if not self._worker.submit(self._write_behind):
                self._is_scheduled = False

    def catch_up(self, entries: Iterable[Entry], orders: Sequence[Order] = ()) -> None:
        """Write entries, and what orders have become by them, now and in the caller's thread; before the first `apply`.

        All of it or, after a crash, nothing: else the next start would take the orders for shown. Raises `LedgerError`.
        """
        new = (entry for entry in entries if entry.number > self._applied)
        self._write(chain(new, [tuple(order_row(order) for order in orders)]))
        self._queued = self._applied

    def begin_from(self, accounts: Accounts, number: int) -> None:
        """Begin an empty ledger with the state after record `number`: what came before is nowhere any more. Instead of
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
        """Put the file aside, whose name from now on is returned, and begin an empty one; before the first `apply`.
        Raises `LedgerError`."""
        self._connection.close()
        aside = move_aside(self._path)
        self._connection = connect(self._path)
        self._rows = LedgerRows(self._connection)
        self._applied = self._queued = 0
        return aside

    def close(self) -> None:
        """Close the worker, write the rest and give the file back. Raises `LedgerError`."""
        self._worker.close()
        try:
            self._write_pending()
        finally:
            self._connection.close()

    @property
    def _has_news(self) -> bool:
        return bool(self._pending) or self._durable_mark != self._durable_mark_stored

    def _write_behind(self) -> None:
        """The worker's turn: what can't be written now, because another program holds the file, is tried again."""
        # Cleared first: what is queued from here on either is seen below or asks for another turn.
        self._is_scheduled = False
        try:
            self._write_pending()
        except LedgerError as e:
            self._trouble = str(e)
        else:
            self._trouble = ""

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
        # Taken away until the rows are committed: what is undone must not be remembered by the one who wrote it.
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
            for row in item:
                rows.put_order(row, number)
        return number


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of what is written in it, or nothing."""
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
    """Say which record is the last one `applied`, or seen `durable`, or the one after which the ledger `begins`."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, str(number)))


def _note_gap(connection: sqlite3.Connection, first: int, last: int) -> None:
    """Say that records are missing: what they held is in no row and in no position."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('gap', ?)", (f"{first} to {last}",))


def _number(connection: sqlite3.Connection, key: str) -> int:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return int(row[0]) if row else 0
