"""The ledger's tables, and opening its file. Money, prices and sizes are exact decimals as text (I15); times are wall
nanoseconds.

The decimals of an amount are not known before its instrument is defined: until then it is kept as `scaled:<integer>`.
`carried` holds what a position was before the first fill that is in a row: nothing, unless the ledger was begun from a
snapshot (`framework.persistence.ledger.seed`) or fills have gone (`framework.persistence.ledger.retention`). Tables and
columns are a format that other programs read: a change needs another `SCHEMA_VERSION` and a step in `_UPGRADES`.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from framework.domain.errors import TidegateError
from framework.runtime.files import RealFiles, aside_name

SCHEMA_VERSION = 4
"""SQLite's `user_version` of a ledger that this program writes."""
READABLE_VERSIONS = (3, SCHEMA_VERSION)
"""Versions whose tables a reader understands: what an older one lacks has defaults."""
MOVED = "CASE moved WHEN '' THEN size ELSE moved END"
"""By how much a fill moved the position, as SQL."""
FINAL_STATUSES = "('filled', 'cancelled', 'expired', 'rejected')"
"""The statuses of orders that have ended, as SQL."""

_EXTERNAL_ORDERS = """
CREATE TABLE orphans (
    venue TEXT NOT NULL, venue_order_id TEXT NOT NULL, client_order_id TEXT NOT NULL, instrument TEXT NOT NULL,
    side TEXT NOT NULL, price TEXT NOT NULL, size TEXT NOT NULL, filled TEXT NOT NULL, is_open INTEGER NOT NULL,
    ignored_for TEXT NOT NULL, seen_ns INTEGER NOT NULL, record INTEGER NOT NULL,
    PRIMARY KEY (venue, venue_order_id)) WITHOUT ROWID;
"""
_CARRIED = """
CREATE TABLE carried (
    instrument TEXT NOT NULL, strategy TEXT NOT NULL, size TEXT NOT NULL, fees TEXT NOT NULL,
    PRIMARY KEY (instrument, strategy)) WITHOUT ROWID;
"""
_FEES = """
ALTER TABLE instruments ADD COLUMN base_currency TEXT NOT NULL DEFAULT '';
ALTER TABLE instruments ADD COLUMN quote_currency TEXT NOT NULL DEFAULT '';
ALTER TABLE instruments ADD COLUMN settle_currency TEXT NOT NULL DEFAULT '';
ALTER TABLE fills ADD COLUMN moved TEXT NOT NULL DEFAULT '';
ALTER TABLE fills ADD COLUMN cost TEXT NOT NULL DEFAULT '';
ALTER TABLE fills ADD COLUMN fee_paid TEXT NOT NULL DEFAULT '';
ALTER TABLE fills ADD COLUMN fee_currency TEXT NOT NULL DEFAULT '';
ALTER TABLE fills ADD COLUMN source TEXT NOT NULL DEFAULT 'listed';
"""
"""Of a fill: by how much it moved the position where that is not its size, its exact cost, its fee in a currency of its
own, and what shows it. Empty where the other columns say it."""
_ORDER_KINDS = """
ALTER TABLE orders ADD COLUMN kind TEXT NOT NULL DEFAULT 'limit';
ALTER TABLE orders ADD COLUMN trigger_kind TEXT NOT NULL DEFAULT '';
ALTER TABLE orders ADD COLUMN trigger_price TEXT NOT NULL DEFAULT '';
ALTER TABLE orders ADD COLUMN trigger_by TEXT NOT NULL DEFAULT '';
ALTER TABLE orders ADD COLUMN quote_amount TEXT NOT NULL DEFAULT '';
"""
_TABLES = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE instruments (
    instrument TEXT PRIMARY KEY, venue TEXT NOT NULL, price_decimals INTEGER NOT NULL, size_decimals INTEGER NOT NULL,
    settled_value TEXT NOT NULL DEFAULT '', settled_record INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE orders (
    client_order_id TEXT PRIMARY KEY, venue TEXT NOT NULL, venue_order_id TEXT NOT NULL, strategy TEXT NOT NULL,
    instrument TEXT NOT NULL, side TEXT NOT NULL, price TEXT NOT NULL, size TEXT NOT NULL, filled TEXT NOT NULL,
    time_in_force TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL, created_ns INTEGER NOT NULL,
    updated_ns INTEGER NOT NULL, record INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX orders_venue_order_id ON orders (venue_order_id);
CREATE INDEX orders_record ON orders (record);
CREATE TABLE fills (
    venue TEXT NOT NULL, fill_id TEXT NOT NULL, client_order_id TEXT NOT NULL, venue_order_id TEXT NOT NULL,
    strategy TEXT NOT NULL, instrument TEXT NOT NULL, side TEXT NOT NULL, price TEXT NOT NULL, size TEXT NOT NULL,
    fee TEXT NOT NULL, is_maker INTEGER NOT NULL, is_voided INTEGER NOT NULL, ts_venue INTEGER NOT NULL,
    ts_recv INTEGER NOT NULL, record INTEGER NOT NULL, PRIMARY KEY (venue, fill_id)) WITHOUT ROWID;
CREATE INDEX fills_record ON fills (record);
CREATE INDEX fills_unclaimed ON fills (venue_order_id) WHERE strategy = '';
CREATE INDEX fills_instrument ON fills (instrument);
CREATE TABLE voids (
    venue TEXT NOT NULL, fill_id TEXT NOT NULL, reason TEXT NOT NULL, record INTEGER NOT NULL,
    PRIMARY KEY (venue, fill_id)) WITHOUT ROWID;
CREATE TABLE positions (
    instrument TEXT NOT NULL, strategy TEXT NOT NULL, size TEXT NOT NULL, fees TEXT NOT NULL,
    PRIMARY KEY (instrument, strategy)) WITHOUT ROWID;
CREATE TABLE refusals (
    record INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL, strategy TEXT NOT NULL, instrument TEXT NOT NULL,
    code TEXT NOT NULL, check_name TEXT NOT NULL, detail TEXT NOT NULL);
CREATE TABLE strategies (
    strategy TEXT PRIMARY KEY, state BLOB NOT NULL, quarantined TEXT NOT NULL, record INTEGER NOT NULL) WITHOUT ROWID;
{_EXTERNAL_ORDERS}{_CARRIED}{_FEES}{_ORDER_KINDS}"""
_UPGRADES = {1: _EXTERNAL_ORDERS, 2: _CARRIED, 3: _FEES + _ORDER_KINDS}
"""Schema version -> the statements that make the next version of it. They only add: rows that are there stay."""

_UNUSABLE_CODES = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""What SQLite answers when tables are missing, when pages are damaged, and when the file is something else."""


class LedgerError(TidegateError):
    """The ledger can't be read or written now. A running daemon trades on without it, and
    `tidegate journal rebuild-ledger` makes a new one."""


class LedgerUnusable(LedgerError):
    """The file is no ledger that this program can write: it is damaged, or of another version. A start renames it and
    begins a new one."""


def ledger_error(path: Path, error: sqlite3.Error | OSError) -> LedgerError:
    """The error to raise for one of SQLite or of the disk: `LedgerUnusable` when the file itself is bad."""
    is_unusable = getattr(error, "sqlite_errorcode", 0) & 0xFF in _UNUSABLE_CODES
    kind = LedgerUnusable if is_unusable else LedgerError
    return kind(f"ledger: {path}: {error}; run `tidegate journal rebuild-ledger`")


def move_aside(path: Path) -> Path:
    """Rename a closed ledger, with the files that SQLite keeps beside it, to `….damaged`, or `….damaged-2` where that
    is taken, and return the new path. Raises `LedgerError`.
    """
    aside = aside_name(RealFiles(), path, ".damaged")
    try:
        # The ledger itself last: SQLite would take a write-ahead log that is left behind for the next file's own.
        for suffix in ("-wal", "-shm", ""):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
    except OSError as e:
        raise ledger_error(path, e) from e
    return aside


def connect(path: Path) -> sqlite3.Connection:
    """Open the ledger for writing; a missing one is made, readable by its owner alone, and an older one upgraded.

    Used by one thread at a time. Raises `LedgerUnusable` when the file is not a ledger that can be upgraded to this
    version, and `LedgerError` when another program holds it or the disk refuses it.
    """
    try:
        path.touch(mode=0o600, exist_ok=True)
        connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    except (OSError, sqlite3.Error) as e:
        raise ledger_error(path, e) from e
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # A power failure may cost the newest transactions, never the file: the next start catches up.
        connection.execute("PRAGMA synchronous = NORMAL")
        _prepare(connection, path)
    except sqlite3.Error as e:
        connection.close()
        raise ledger_error(path, e) from e
    except LedgerError:
        connection.close()
        raise
    return connection


def connect_for_reading(path: Path) -> sqlite3.Connection:
    """Open the ledger for reading, while a daemon writes it or not; rows come as `sqlite3.Row`.

    Raises `LedgerError` when there is none, when it has another version, and when it can't be read.
    """
    if not path.exists():
        raise LedgerError(f"ledger: there is no {path}; start the daemon once or run `tidegate journal rebuild-ledger`")
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    connection.row_factory = sqlite3.Row
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as e:
        connection.close()
        raise ledger_error(path, e) from e
    if version not in READABLE_VERSIONS:
        connection.close()
        raise LedgerError(
            f"ledger: {path} has schema {version}, this program reads {SCHEMA_VERSION}; start the daemon once "
            "with this program, or run `tidegate journal rebuild-ledger`"
        )
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    elif version in _UPGRADES:
        steps = " ".join(_UPGRADES[step] for step in range(version, SCHEMA_VERSION))
        connection.executescript(f"BEGIN; {steps} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    elif version != SCHEMA_VERSION:
        raise LedgerUnusable(
            f"ledger: {path} has schema {version}, this program writes {SCHEMA_VERSION}; "
            "run `tidegate journal rebuild-ledger`"
        )
