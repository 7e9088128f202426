"""Orphans in the ledger: orders that a venue lists and that are not ours, from the journal's records alone, so that
they are shown while a daemon runs or not, and made again with the rest of the ledger.
"""

from __future__ import annotations

import sqlite3

from framework.domain.events import OrderSnapshot
from framework.domain.operator_events import OrphanIgnored

_IS_OURS = "SELECT 1 FROM orders WHERE venue = ? AND (client_order_id = ? OR venue_order_id = ?)"
_SHOW = """
INSERT INTO orphans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?, ?)
ON CONFLICT (venue, venue_order_id) DO UPDATE SET price = excluded.price, size = excluded.size,
    filled = excluded.filled, is_open = min(is_open, excluded.is_open), seen_ns = max(seen_ns, excluded.seen_ns)
    WHERE excluded.seen_ns >= seen_ns OR NOT excluded.is_open
"""
_IGNORE = "UPDATE orphans SET ignored_for = ? WHERE venue = ? AND venue_order_id = ?"
_FORGET = "DELETE FROM orphans WHERE venue = ? AND venue_order_id = ?"


def is_ours(db: sqlite3.Connection, snapshot: OrderSnapshot) -> bool:
    """Whether a listed order is one of the ledger's."""
    key = (snapshot.venue, snapshot.client_order_id, snapshot.venue_order_id)
    return db.execute(_IS_OURS, key).fetchone() is not None


def show(db: sqlite3.Connection, snapshot: OrderSnapshot, amounts: tuple[str, str, str], number: int) -> None:
    """Keep a listed order that is not ours; `amounts` are price, size and filled as text. One that turns out to be
    ours is forgotten with its first row in orders; an end is final, whatever an older or later listing says."""
    names = (snapshot.venue, snapshot.venue_order_id, snapshot.client_order_id, snapshot.instrument)
    row = (*names, snapshot.side.value, *amounts, snapshot.is_open, snapshot.ts_recv, number)
    db.execute(_SHOW, row)


def ignore(db: sqlite3.Connection, event: OrphanIgnored) -> None:
    """Keep the operator's reason not to be told of it."""
    db.execute(_IGNORE, (event.reason or "no reason given", event.venue, event.venue_order_id))


def forget(db: sqlite3.Connection, venue: str, venue_order_id: str) -> None:
    """It is an order of ours now."""
    db.execute(_FORGET, (venue, venue_order_id))
