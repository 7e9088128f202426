"""What a stopped daemon left on the disk."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from framework.domain.intents import NewOrder
from framework.domain.verdicts import Approved
from framework.persistence.journal.scan import read_entries
from framework.persistence.journal.verify import verify
from framework.persistence.ledger.reader import LedgerReader
from framework.runtime.files import RealFiles


def promised_at(state: Path) -> dict[str, list[int]]:
    """When each new order was approved, by the journal: wall nanoseconds per client order id."""
    found: dict[str, list[int]] = {}
    for entry in read_entries(RealFiles(), state / "journal"):
        body = entry.record.body
        if isinstance(body, Approved) and isinstance(body.intent, NewOrder):
            found.setdefault(body.client_order_id, []).append(entry.record.now_ns)
    return found


def journal_is_sound(state: Path) -> bool:
    """Whether the journal can be built on."""
    return verify(RealFiles(), state / "journal").is_sound


def content(ledger: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the ledger, per table."""
    tables = ("meta", "instruments", "orders", "fills", "voids", "positions", "refusals", "strategies", "carried")
    with closing(sqlite3.connect(ledger)) as connection:
        return {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in tables}  # noqa: S608


def positions(state: Path, venue: str = "kalshi") -> dict[str, Decimal]:
    """The account's positions that are not flat, by the ledger: contracts per symbol."""
    reader = LedgerReader(state / "ledger.sqlite3")
    try:
        held = {row.instrument: Decimal(row.size) for row in reader.positions() if not row.settled_value}
        return {name.removeprefix(f"{venue}:"): size for name, size in held.items() if size}
    finally:
        reader.close()
