"""Reading the ledger, while a daemon writes it or not.

Amounts are exact decimals as text, `scaled:<integer>` while the instrument is not defined; times are wall nanoseconds;
`record` is the number of the journal record that a row began with.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from framework.domain.numbers import format_scaled, parse_scaled
from framework.domain.verdicts import OLD_SPELLINGS
from framework.persistence.ledger.schema import FINAL_STATUSES, connect_for_reading, ledger_error


class OrderLine(msgspec.Struct, frozen=True, gc=False):
    """One order as last known. `side`, `time_in_force`, `status`, `kind` and those of a trigger are values of the enums
    of these names; what concerns a trigger or an amount is empty where there is none."""

    client_order_id: str
    venue: str
    venue_order_id: str
    strategy: str
    instrument: str
    side: str
    price: str
    size: str
    filled: str
    time_in_force: str
    status: str
    reason: str
    created_ns: int
    updated_ns: int
    record: int
    kind: str = "limit"
    trigger_kind: str = ""
    trigger_price: str = ""
    trigger_by: str = ""
    quote_amount: str = ""


class FillLine(msgspec.Struct, frozen=True, gc=False):
    """One fill, voided ones included. `strategy` is empty while no order of ours is known for it. `moved` is by how
    much it moved the position where that is not its size, `cost` its exact cost where the price is an average;
    `fee_paid` is its fee in `fee_currency` where that is not the quote currency's money. `source` is what shows it."""

    venue: str
    fill_id: str
    client_order_id: str
    venue_order_id: str
    strategy: str
    instrument: str
    side: str
    price: str
    size: str
    fee: str
    is_maker: bool
    is_voided: bool
    ts_venue: int
    ts_recv: int
    record: int
    moved: str = ""
    cost: str = ""
    fee_paid: str = ""
    fee_currency: str = ""
    source: str = "listed"


class PositionLine(msgspec.Struct, frozen=True, gc=False):
    """A net position (long > 0) and the fees paid for its fills. `settled_value` is what a contract was paid out at,
    empty while the instrument is not settled."""

    venue: str
    instrument: str
    size: str
    fees: str
    settled_value: str


class RefusalLine(msgspec.Struct, frozen=True, gc=False):
    """One intent that the gate refused. `code` is the value of a `RefusalCode`; `instrument` is empty for an amend or a
    cancel, `check_name` is `gate` for a refusal of the gate itself."""

    record: int
    ts_ns: int
    strategy: str
    instrument: str
    code: str
    check_name: str
    detail: str


class ExternalOrderLine(msgspec.Struct, frozen=True, gc=False):
    """An open order at a venue that is not ours, as it was listed last, at `seen_ns`. `ignored_for` is the operator's
    reason to leave it out, empty when there is none."""

    venue: str
    venue_order_id: str
    client_order_id: str
    instrument: str
    side: str
    price: str
    size: str
    filled: str
    ignored_for: str
    seen_ns: int
    record: int


_Line = TypeVar("_Line")


class LedgerReader:
    """The reading side, with a read-only connection of its own. `close` it at the end.

    Raises `LedgerError` when there is no ledger of this version; so does every query when the file can't be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = connect_for_reading(path)

    def close(self) -> None:
        """Close the connection; no query may follow."""
        self._connection.close()

    @property
    def applied_number(self) -> int:
        """The journal's record up to which the ledger is complete, 0 for none."""
        return int(self._stored("applied") or 0)

    @property
    def durable_mark(self) -> int:
        """The last record known to have been durable, 0 for none: a journal that ends before it has lost records."""
        return int(self._stored("durable") or 0)

    @property
    def gap(self) -> str:
        """Journal records that are missing in the ledger, as `first to last`, empty for none: rebuild it then."""
        return self._stored("gap")

    @property
    def begins_after(self) -> int:
        """The record up to which orders and fills may be in no row, because the journal held them no more when the
        ledger was made; positions are whole. 0: nothing is missing."""
        return int(self._stored("begins") or 0)

    def orders(
        self, *, strategy: str = "", status: str = "", open_only: bool = False, limit: int = 100
    ) -> list[OrderLine]:
        """The newest `limit` orders, newest first. `status` is a value of `OrderStatus`; '' lets all pass."""
        where = f"(? = '' OR strategy = ?) AND (? = '' OR status = ?) AND (NOT ? OR status NOT IN {FINAL_STATUSES})"
        query = f"SELECT * FROM orders WHERE {where} ORDER BY record DESC, created_ns DESC LIMIT ?"  # noqa: S608
        return _lines(OrderLine, self._rows(query, (strategy, strategy, status, status, open_only, limit)))

    def fills(self, *, strategy: str = "", instrument: str = "", limit: int = 100) -> list[FillLine]:
        """The newest `limit` fills, newest first, voided ones included; '' lets all strategies or instruments pass."""
        where = "(? = '' OR strategy = ?) AND (? = '' OR instrument = ?)"
        query = f"SELECT * FROM fills WHERE {where} ORDER BY record DESC, ts_venue DESC LIMIT ?"  # noqa: S608
        return _lines(FillLine, self._rows(query, (strategy, strategy, instrument, instrument, limit)))

    def positions(self, *, strategy: str = "") -> list[PositionLine]:
        """The account's net positions, or one strategy's part of them, by instrument. Flat ones that once were not are
        included."""
        query = (
            "SELECT i.venue, i.instrument, i.settled_value, i.price_decimals, i.size_decimals, p.size, p.fees "
            "FROM positions p JOIN instruments i USING (instrument) WHERE ? = '' OR p.strategy = ? "
            "ORDER BY i.instrument, p.strategy"
        )
        sums: dict[str, tuple[sqlite3.Row, int, int]] = {}
        for row in self._rows(query, (strategy, strategy)):
            _, size, fees = sums.get(row["instrument"], (row, 0, 0))
            size += parse_scaled(row["size"], row["size_decimals"])
            fees += parse_scaled(row["fees"], row["price_decimals"] + row["size_decimals"])
            sums[row["instrument"]] = (row, size, fees)
        return [_position(row, size, fees) for row, size, fees in sums.values()]

    def refusals(self, *, strategy: str = "", code: str = "", limit: int = 100) -> list[RefusalLine]:
        """The newest `limit` refusals, newest first. `code` is a value of `RefusalCode`; '' lets all pass. A code in an
        old spelling is found and shown in the present one."""
        spellings = [code, *(old for old, new in OLD_SPELLINGS.items() if new == code)]
        marks = ", ".join("?" * len(spellings))
        where = f"(? = '' OR strategy = ?) AND (? = '' OR code IN ({marks}))"
        query = f"SELECT * FROM refusals WHERE {where} ORDER BY record DESC LIMIT ?"  # noqa: S608
        lines = _lines(RefusalLine, self._rows(query, (strategy, strategy, code, *spellings, limit)))
        return [msgspec.structs.replace(line, code=OLD_SPELLINGS.get(line.code, line.code)) for line in lines]

    def external_orders(self, *, ignored: bool = False, limit: int = 100) -> list[ExternalOrderLine]:
        """The newest `limit` open orders that are not ours, newest first; with `ignored` also those that the operator
        ignores."""
        columns = "venue, venue_order_id, client_order_id, instrument, side, price, size, filled, ignored_for, seen_ns"
        where = "is_open AND (? OR ignored_for = '')"
        query = f"SELECT {columns}, record FROM orphans WHERE {where} ORDER BY record DESC LIMIT ?"  # noqa: S608
        return _lines(ExternalOrderLine, self._rows(query, (ignored, limit)))

    def _stored(self, key: str) -> str:
        """What the table `meta` says, '' when it says nothing."""
        rows = self._rows("SELECT value FROM meta WHERE key = ?", (key,))
        return str(rows[0]["value"]) if rows else ""

    def _rows(self, query: str, arguments: tuple[object, ...]) -> list[sqlite3.Row]:
        try:
            return self._connection.execute(query, arguments).fetchall()
        except sqlite3.Error as e:
            raise ledger_error(self._path, e) from e


def _lines(kind: type[_Line], rows: Iterable[sqlite3.Row]) -> list[_Line]:
    return [msgspec.convert(dict(row), kind, strict=False) for row in rows]


def _position(row: sqlite3.Row, size: int, fees: int) -> PositionLine:
    return PositionLine(
        venue=row["venue"],
        instrument=row["instrument"],
        size=format_scaled(size, row["size_decimals"]),
        fees=format_scaled(fees, row["price_decimals"] + row["size_decimals"]),
        settled_value=row["settled_value"],
    )
