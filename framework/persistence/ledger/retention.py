"""How much of the past the ledger keeps: rows that are too old, or for which there is no room, go.

Refusals go first, then orders that have ended, then fills, settled instruments last. What the fills that went came to
is added to the table `carried`, so that positions stay whole. Nothing but refusals goes within a day: until then a
venue may repeat or take back a fill, and a row that had gone would be booked twice.
"""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from framework.domain.numbers import UNPLACED, format_scaled, parse_scaled
from framework.domain.orders import Side
from framework.persistence.ledger.schema import FINAL_STATUSES
from framework.runtime.files import RealFiles

DAY_NS = 86_400_000_000_000
SLICE_ROWS = 5_000
"""Most rows that go in one transaction, which the rows of newer records wait for."""
INTERVAL_NS, BUSY_INTERVAL_NS = 10_000_000_000, 1_000_000_000
"""How often the ledger is looked at, and how often while there is more to remove."""
_FREE_PAGES_MIN = 4_096
_COPIES = 3
"""So many times what the rows take must be free on the disk before the file is rewritten: two copies, and room."""


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """`bytes_max`: size of the tables in bytes beyond which the oldest rows go; `days_max`: their age at which they go,
    whichever comes first. `archive`: the folder that gets them as gzipped JSON lines, None to drop them."""

    bytes_max: int
    days_max: int
    archive: Path | None = None


DEFAULT_RETENTION = Retention(bytes_max=1_073_741_824, days_max=90)
"""One GiB and ninety days, without an archive."""


class _Kind(NamedTuple):
    """Rows of one table that may go: the condition for it, their key, the column of their time, and the age in
    nanoseconds that they reach in any case."""

    table: str
    where: str
    key: tuple[str, ...]
    time: str
    age_ns_min: int


_KINDS = (
    _Kind("refusals", "1", ("record",), "ts_ns", 0),
    _Kind("orders", f"status IN {FINAL_STATUSES}", ("client_order_id",), "updated_ns", DAY_NS),
    _Kind("orphans", "NOT is_open", ("venue", "venue_order_id"), "seen_ns", DAY_NS),
    _Kind("fills", f"size NOT LIKE '{UNPLACED}%'", ("venue", "fill_id"), "ts_recv", DAY_NS),
)
_SETTLED = """
SELECT * FROM instruments AS i WHERE settled_record > 0
    AND NOT EXISTS (SELECT 1 FROM fills WHERE fills.instrument = i.instrument)
    AND instrument NOT IN (SELECT instrument FROM orders) LIMIT ?
"""
"""Orders have no index by instrument: they are read once for all settled ones, not once for each."""


def remove_old_rows(db: sqlite3.Connection, retention: Retention, now_ns: int) -> int:
    """Remove up to `SLICE_ROWS` rows that are too old or too many, inside the caller's transaction; how many it were.

    What goes is on the disk in the archive before the caller commits. A crash between leaves it in both: `record`
    tells. Raises `sqlite3.Error`, and `OSError` when the archive can't be written.
    """
    is_too_large = used_bytes(db) > retention.bytes_max
    for before_ns in (now_ns - retention.days_max * DAY_NS, *([now_ns] if is_too_large else [])):
        for kind in _KINDS:
            if rows := _rows(db, kind, min(before_ns, now_ns - kind.age_ns_min)):
                return _remove(db, kind, rows, retention, now_ns)
    return _remove_settled(db, retention, now_ns)


def used_bytes(db: sqlite3.Connection) -> int:
    """Bytes of the file that hold rows. What is free in it is used before the file grows."""
    return (_pragma(db, "page_count") - _pragma(db, "freelist_count")) * _pragma(db, "page_size")


def give_back(db: sqlite3.Connection, room_bytes: int) -> None:
    """Make the file smaller when more than half of it is free, as after the limit was lowered. Outside a transaction;
    writes all rows twice before it gives room back, so only where `room_bytes`, what is free on the disk, are plenty:
    the journal lies on it, too. Raises `sqlite3.Error`."""
    free = _pragma(db, "freelist_count")
    is_worth_it = free > _FREE_PAGES_MIN and free * 2 > _pragma(db, "page_count")
    if is_worth_it and room_bytes > _COPIES * used_bytes(db):
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the file itself changes only then


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])


def _rows(db: sqlite3.Connection, kind: _Kind, before_ns: int) -> list[dict[str, object]]:
    """The oldest rows of a kind that may go and are older than `before_ns`."""
    oldest = f"SELECT * FROM {kind.table} WHERE {kind.where} ORDER BY record LIMIT ?"  # noqa: S608
    found = db.execute(f"SELECT * FROM ({oldest}) WHERE {kind.time} < ?", (SLICE_ROWS, before_ns))  # noqa: S608
    return _named(found)


def _named(found: sqlite3.Cursor) -> list[dict[str, object]]:
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]


def _remove(
    db: sqlite3.Connection, kind: _Kind, rows: Sequence[dict[str, object]], retention: Retention, now_ns: int
) -> int:
    _archive(retention, kind.table, rows, now_ns)
    if kind.table == "fills":
        _carry(db, rows)
    where = " AND ".join(f"{name} = ?" for name in kind.key)
    keys = [tuple(row[name] for name in kind.key) for row in rows]
    db.executemany(f"DELETE FROM {kind.table} WHERE {where}", keys)  # noqa: S608
    if kind.table == "fills":
        db.executemany("DELETE FROM voids WHERE venue = ? AND fill_id = ?", keys)
    return len(rows)


def _remove_settled(db: sqlite3.Connection, retention: Retention, now_ns: int) -> int:
    """Settled instruments of which no order and no fill is left."""
    rows = _named(db.execute(_SETTLED, (SLICE_ROWS,)))
    names = [(row["instrument"],) for row in rows]
    one = "SELECT * FROM positions WHERE instrument = ?"
    positions = [position for name in names for position in _named(db.execute(one, name))]
    _archive(retention, "positions", positions, now_ns)
    _archive(retention, "instruments", rows, now_ns)
    for table in ("instruments", "positions", "carried"):
        db.executemany(f"DELETE FROM {table} WHERE instrument = ?", names)  # noqa: S608
    return len(rows)


def _carry(db: sqlite3.Connection, fills: Sequence[dict[str, object]]) -> None:
    """Keep what fills that go came to: a position is what is carried plus the fills in rows."""
    scales = {
        name: (size, price + size)
        for name, price, size in db.execute("SELECT instrument, price_decimals, size_decimals FROM instruments")
    }
    sums: dict[tuple[str, str], list[int]] = {}
    for fill in fills:
        if fill["is_voided"]:
            continue
        size_decimals, money_decimals = scales[fill["instrument"]]
        held = sums.setdefault((str(fill["instrument"]), str(fill["strategy"])), [0, 0])
        held[0] += Side(fill["side"]).sign * parse_scaled(str(fill["moved"] or fill["size"]), size_decimals)
        held[1] += parse_scaled(str(fill["fee"]), money_decimals)
    for (instrument, strategy), (size, fees) in sums.items():
        size_decimals, money_decimals = scales[instrument]
        key = (instrument, strategy)
        old = db.execute("SELECT size, fees FROM carried WHERE instrument = ? AND strategy = ?", key).fetchone()
        if old is not None:
            size += parse_scaled(old[0], size_decimals)
            fees += parse_scaled(old[1], money_decimals)
        amounts = (format_scaled(size, size_decimals), format_scaled(fees, money_decimals))
        db.execute("INSERT OR REPLACE INTO carried VALUES (?, ?, ?, ?)", (*key, *amounts))


def _archive(retention: Retention, table: str, rows: Sequence[dict[str, object]], now_ns: int) -> None:
    """Append rows to the archive's file of the day, one JSON object a line, and see that they are on the disk. Each
    call makes a gzip member of its own: a file of several is one file for every reader."""
    if retention.archive is None or not rows:
        return
    day = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC)
    path = retention.archive / f"ledger-{day:%Y-%m-%d}.jsonl.gz"
    lines = b"".join(msgspec.json.encode({"table": table, **row}) + b"\n" for row in rows)
    files = RealFiles()
    files.make_directory(retention.archive)
    file = files.open_append(path)
    try:
        file.write(gzip.compress(lines))
        file.sync()
    finally:
        file.close()
