"""Filling an empty ledger from a snapshot, where the journal no longer holds its first records.

A snapshot says what those records came to. Orders and fills that the state has forgotten are in no row, but positions
are whole: what the remembered fills do not explain of one is written to the table `carried`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from framework.domain.account_events import (
    ExternalOrderIgnored,
    FillVoided,
    InstrumentDefined,
    InstrumentSettled,
    StrategyQuarantined,
    StrategySaved,
)
from framework.domain.instruments import InstrumentId
from framework.domain.numbers import format_scaled, parse_scaled
from framework.domain.orders import Side
from framework.persistence.journal.records import Body, Entry, Record
from framework.persistence.journal.restore import known_orders
from framework.persistence.ledger.rows import LedgerRows
from framework.persistence.ledger.schema import MOVED
from framework.state.accounts import Accounts
from framework.state.positions import Position

_ATTRIBUTE = "UPDATE fills SET client_order_id = ?, strategy = ? WHERE venue = ? AND fill_id = ?"
_CARRY = "INSERT INTO carried VALUES (?, ?, ?, ?)"


def seed(db: sqlite3.Connection, accounts: Accounts, number: int) -> None:
    """Write the state after record `number` into an empty ledger, inside the caller's transaction.

    All rows carry this record's number. Raises `sqlite3.Error`.
    """
    rows = LedgerRows(db)
    purged = accounts.purged.remembered()
    for instrument in (*accounts.instruments.values(), *(one.instrument for one in purged)):
        _apply(rows, number, InstrumentDefined(instrument, 0))
    for order in known_orders(accounts).values():
        rows.put_order(order, number)
    _seed_fills(db, rows, accounts, number)
    for body in (*_strategies(accounts), *_external_orders(accounts)):
        _apply(rows, number, body)
    _carry(db, accounts)
    for of, value in (*accounts.settlements.items(), *((one.instrument.id, one.value) for one in purged)):
        _apply(rows, number, InstrumentSettled(of, value, 0, 0))
    rows.recount(accounts.instruments)


def _apply(rows: LedgerRows, number: int, body: Body) -> None:
    rows.apply(Entry(number, Record(0, 0, 0, body)))


def _seed_fills(db: sqlite3.Connection, rows: LedgerRows, accounts: Accounts, number: int) -> None:
    snapshot = accounts.fills.snapshot()
    for booked in snapshot.fills:
        fill = booked.fill
        _apply(rows, number, fill)
        if booked.strategy is not None:
            db.execute(_ATTRIBUTE, (booked.client_order_id, booked.strategy, fill.venue, fill.fill_id))
        if booked.is_voided:
            _apply(rows, number, FillVoided(venue=fill.venue, fill_id=fill.fill_id, ts_recv=0))
    for voided in snapshot.voids:
        _apply(rows, number, voided)


def _carry(db: sqlite3.Connection, accounts: Accounts) -> None:
    """Write of each position the part that the fills in rows do not explain."""
    for (of, strategy), (size, fees) in _unsettled(accounts).items():
        terms = accounts.instruments.get(of)
        if terms is None:
            continue
        size_decimals, money_decimals = terms.size_decimals, terms.price_decimals + terms.size_decimals
        explained = db.execute(
            f"SELECT side, {MOVED}, fee FROM fills WHERE instrument = ? AND strategy = ? AND is_voided = 0",  # noqa: S608
            (of, strategy),
        ).fetchall()
        for side, filled, fee in explained:
            size -= Side(side).sign * parse_scaled(filled, size_decimals)
            fees -= parse_scaled(fee, money_decimals)
        if size or fees:
            db.execute(_CARRY, (of, strategy, format_scaled(size, size_decimals), format_scaled(fees, money_decimals)))


def _unsettled(accounts: Accounts) -> dict[tuple[InstrumentId, str], tuple[int, int]]:
    """Signed size and fees by instrument and strategy, what belongs to no strategy under ''. Settlements are left out:
    the ledger shows size 0 for settled instruments by itself."""
    found = {(of, strategy): _traded(position) for (strategy, of), position in accounts.positions.strategies()}
    for of, position in accounts.positions.accounts():
        size, fees = _traded(position)
        owned = [amounts for (held, _), amounts in found.items() if held == of]
        found[of, ""] = (size - sum(one[0] for one in owned), fees - sum(one[1] for one in owned))
    return found


def _traded(position: Position) -> tuple[int, int]:
    (size, _, _, fees), trades, _ = position.snapshot()
    return int(size) + sum(one.change for one in trades), int(fees) + sum(one.fee for one in trades)


def _strategies(accounts: Accounts) -> Iterator[Body]:
    for strategy, state in accounts.saved_states.items():
        yield StrategySaved(strategy, state)
    for strategy, reason in accounts.trading.snapshot().quarantined:
        yield StrategyQuarantined(strategy, reason, 0)


def _external_orders(accounts: Accounts) -> Iterator[Body]:
    for (venue, venue_order_id), unmatched in accounts.unmatched.snapshot():
        if unmatched.open_snapshot is not None and unmatched.ended_snapshot is None:
            yield unmatched.open_snapshot
            if unmatched.ignored_for:
                yield ExternalOrderIgnored(
                    venue=venue, venue_order_id=venue_order_id, reason=unmatched.ignored_for, ts_recv=0
                )
