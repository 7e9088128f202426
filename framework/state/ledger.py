"""The ledger: the journal's face for people and tools, in SQLite. Written behind, rebuildable, never waited for.

Call order: `Ledger.open` with the number of the journal's last record, `catch_up` with the entries after
`applied_number`, then `apply` and `put_orders` as things happen, and `flush` ten times a second; `close` at the end,
after the journal's, closes the worker too.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from framework.domain.orders import Order
from framework.runtime.background import Worker
from framework.runtime.failpoints import reach
from framework.state.ledger_rows import LedgerRows, OrderRow, order_row
from framework.state.ledger_schema import LedgerError, connect
from framework.state.records import Entry

PENDING_MAX = 50_000
"""Most things that wait to be written; beyond it the ledger stands still until the next start."""
_FLUSH_AT = 256
_TRANSACTION_MAX = 1_000

_Pending = Entry | tuple[OrderRow, ...]


class Ledger:
    """The writing side. `apply`, `put_orders` and `flush` are the loop's; the rows are written by the worker."""

    def __init__(self, connection: sqlite3.Connection, worker: Worker, path: Path) -> None:
        self._connection = connection
        self._rows = LedgerRows(connection)
        self._worker = worker
        self._path = path
        self._pending: deque[_Pending] = deque()
        self._is_scheduled = False
        self._is_stalled = False
        self._is_rewound = False
        self._applied = self._queued = _applied(connection)

    def __repr__(self) -> str:
        return f"Ledger(path={str(self._path)!r}, applied={self._applied}, pending={len(self._pending)})"

    @classmethod
    def open(cls, path: Path, worker: Worker, *, last_number: int | None = None) -> Ledger:
        """Open or create the ledger.

        `last_number` is the journal's last record: what the ledger knows beyond it was lost by the journal in a power
        failure and is forgotten here too. Raises `LedgerError`.
        """
        connection = connect(path)
        try:
            is_ahead = last_number is not None and _applied(connection) > last_number
            if last_number is not None and is_ahead:
                with _transaction(connection):
                    LedgerRows(connection).rewind(last_number)
                    _set_applied(connection, last_number)
            ledger = cls(connection, worker, path)
            ledger._is_rewound = is_ahead
            return ledger
        except sqlite3.Error as e:
            connection.close()
            raise LedgerError(f"ledger: {path}: {e}; run `tidegate journal rebuild-ledger`") from e

    @property
    def applied_number(self) -> int:
        """The last record that is in the tables, committed."""
        return self._applied

    @property
    def is_rewound(self) -> bool:
        """Whether it had to forget records that the journal lost: its orders may still show what those said."""
        return self._is_rewound

    @property
    def pending_count(self) -> int:
        """How many records and orders wait to be written."""
        return len(self._pending)

    @property
    def is_stalled(self) -> bool:
        """Whether it fell too far behind and stands still; the next start catches up from the journal."""
        return self._is_stalled

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

    def flush(self) -> None:
        """Have what is queued written soon."""
        if self._pending and not self._is_scheduled:
            # Set before the worker may clear it: the job can be over when `submit` returns.
            self._is_scheduled = True
            if not self._worker.submit(self._write_pending):
                self._is_scheduled = False

    def catch_up(self, entries: Iterable[Entry], orders: Sequence[Order] = ()) -> None:
        """Write entries, and what orders have become by them, now and in the caller's thread; before the first `apply`.

        All of it or, after a crash, nothing: else the next start would take the orders for shown. Raises `LedgerError`.
        """
        new = (entry for entry in entries if entry.number > self._applied)
        self._write(chain(new, [tuple(order_row(order) for order in orders)]))
        self._queued = self._applied

    def close(self) -> None:
        """Close the worker, write the rest and give the file back. Raises `LedgerError`."""
        self._worker.close()
        try:
            self._write_pending()
        finally:
            self._connection.close()

    def _write_pending(self) -> None:
        # Cleared first: what is queued from here on either is seen below or asks for another turn.
        self._is_scheduled = False
        while self._pending:
            self._write([self._pending.popleft() for _ in range(min(len(self._pending), _TRANSACTION_MAX))])

    def _write(self, batch: Iterable[_Pending]) -> None:
        number = self._applied
        try:
            with _transaction(self._connection):
                for item in batch:
                    if isinstance(item, Entry):
                        if item.number != number + 1:
                            _note_gap(self._connection, number + 1, item.number - 1)
                        self._rows.apply(item)
                        number = item.number
                        continue
                    for row in item:
                        self._rows.put_order(row, number)
                _set_applied(self._connection, number)
        except sqlite3.Error as e:
            raise LedgerError(f"ledger: {self._path}: {e}; run `tidegate journal rebuild-ledger`") from e
        self._applied = number


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


def _set_applied(connection: sqlite3.Connection, number: int) -> None:
    """Say that `number` is the last record applied."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('applied', ?)", (str(number),))


def _note_gap(connection: sqlite3.Connection, first: int, last: int) -> None:
    """Say that records are missing: what they held is in no row and in no position."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('gap', ?)", (f"{first} to {last}",))


def _applied(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT value FROM meta WHERE key = 'applied'").fetchone()
    return int(row[0]) if row else 0
