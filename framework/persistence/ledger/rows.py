"""From journal records to the ledger's rows: orders, fills, positions, refusals, strategies, external orders.

Everything but the orders' rows follows from the journal's records alone, so a rebuild gives the same rows again. An
order's row is what the state has made of it, which the caller gives: the rules for that stand in one place,
`framework.state.orders.machine`. A record that is written twice changes nothing the second time. External orders are in
the table `orphans`, whose name is a written format.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from framework.domain.account_events import (
    ExternalOrderIgnored,
    Fill,
    FillVoided,
    InstrumentDefined,
    InstrumentSettled,
    OrderSnapshot,
    Scope,
    StrategyQuarantined,
    StrategySaved,
    TradingState,
    TradingStateChanged,
)
from framework.domain.intents import NewOrder
from framework.domain.numbers import UNPLACED, amount_text, format_scaled, parse_scaled
from framework.domain.orders import Order, Side, Trigger
from framework.domain.verdicts import Approved, RefusalsCounted, Refused
from framework.persistence.journal.records import Entry
from framework.persistence.ledger.schema import MOVED
from framework.state.positions import Denomination, trade_of

_ORDER = """
INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (client_order_id) DO UPDATE SET venue_order_id = excluded.venue_order_id, strategy = excluded.strategy,
    price = excluded.price, size = excluded.size, filled = excluded.filled, status = excluded.status,
    reason = excluded.reason, updated_ns = excluded.updated_ns
"""
_FILL = "INSERT OR IGNORE INTO fills VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_CLAIM = """
UPDATE fills SET client_order_id = ?, strategy = ? WHERE strategy = '' AND venue_order_id = ? AND venue = ?
"""
_POSITION = """
INSERT INTO positions VALUES (?, ?, ?, ?)
ON CONFLICT (instrument, strategy) DO UPDATE SET size = excluded.size, fees = excluded.fees
"""
_STRATEGY = """
INSERT INTO strategies VALUES (?, ?, ?, ?)
ON CONFLICT (strategy) DO UPDATE SET record = excluded.record,
    state = CASE WHEN excluded.quarantined = '' THEN excluded.state ELSE strategies.state END,
    quarantined = CASE WHEN excluded.quarantined = '' THEN strategies.quarantined ELSE excluded.quarantined END
"""
_IS_OURS = "SELECT 1 FROM orders WHERE venue = ? AND (client_order_id = ? OR venue_order_id = ?)"
_EXTERNAL_ORDER = """
INSERT INTO orphans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?, ?)
ON CONFLICT (venue, venue_order_id) DO UPDATE SET price = excluded.price, size = excluded.size,
    filled = excluded.filled, is_open = min(is_open, excluded.is_open), seen_ns = max(seen_ns, excluded.seen_ns)
    WHERE excluded.seen_ns >= seen_ns OR NOT excluded.is_open
"""
_IGNORE_EXTERNAL = "UPDATE orphans SET ignored_for = ? WHERE venue = ? AND venue_order_id = ?"
_FORGET_EXTERNAL = "DELETE FROM orphans WHERE venue = ? AND venue_order_id = ?"
_LIFT_QUARANTINE = "UPDATE strategies SET quarantined = '', record = ? WHERE strategy = ?"


class Scale(NamedTuple):
    """How many decimals an instrument's prices and sizes have, None while it is not defined, and its currencies."""

    price: int | None
    size: int | None
    base_currency: str = ""
    quote_currency: str = ""
    settle_currency: str = ""

    @property
    def money(self) -> int | None:
        """Decimals of an amount of money, which is a price times a size; None while either is not known."""
        return None if self.price is None or self.size is None else self.price + self.size

    @property
    def denomination(self) -> Denomination | None:
        """The same as `trade_of` takes it."""
        if self.price is None or self.size is None:
            return None
        return Denomination(*self[2:], size_decimals=self.size, money_decimals=self.price + self.size)


UNKNOWN_SCALE = Scale(None, None)
"""The scale of an instrument that was never defined: its amounts are kept as scaled integers."""


class LedgerRows:
    """Writes rows through one connection, inside the caller's transaction. Every method raises `sqlite3.Error`.

    It remembers the scales that it has read and written: make a new one after a transaction that was rolled back.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        terms = "price_decimals, size_decimals, base_currency, quote_currency, settle_currency"
        rows = connection.execute(f"SELECT instrument, {terms} FROM instruments")  # noqa: S608
        self._scales = {instrument: Scale(*scale) for instrument, *scale in rows}

    def apply(self, entry: Entry) -> None:
        """Write what a record says. Kinds that are in no table are left out: reports, amends and cancels change orders,
        whose rows come by `put_order`."""
        number, record = entry
        match record.body:
            case Fill() as fill:
                self._book(fill, number)
            case Refused() | RefusalsCounted() as refused:
                self._refuse(refused, number)
            case Approved(intent=NewOrder() as intent) as approved:
                self.put_order(_recorded_order(approved, intent), number)
            case InstrumentDefined() as defined:
                self._define(defined)
            case InstrumentSettled() as settled:
                self._settle(settled, number)
            case FillVoided() as voided:
                self._void(voided, number)
            case OrderSnapshot() as snapshot:
                self._show_external_order(snapshot, number)
            case ExternalOrderIgnored() as ignored:
                reason = ignored.reason or "no reason given"
                self._db.execute(_IGNORE_EXTERNAL, (reason, ignored.venue, ignored.venue_order_id))
            case StrategySaved(strategy, state):
                self._db.execute(_STRATEGY, (strategy, state, "", number))
            case StrategyQuarantined(strategy, reason):
                self._db.execute(_STRATEGY, (strategy, b"", reason or "quarantined", number))
            case TradingStateChanged(scope=Scope.STRATEGY, target=strategy, state=TradingState.ACTIVE):
                self._db.execute(_LIFT_QUARANTINE, (number, strategy))
            case _:
                pass

    def put_order(self, order: Order, number: int) -> None:
        """Write an order as it is known after record `number`; its fills that no order claimed become its own."""
        scale = self._scales.get(order.instrument, UNKNOWN_SCALE)
        row = (
            order.client_order_id,
            order.venue,
            order.venue_order_id,
            order.strategy,
            order.instrument,
            order.side.value,
            amount_text(order.price, scale.price),
            amount_text(order.size, scale.size),
            amount_text(order.filled, scale.size),
            order.time_in_force.value,
            order.status.value,
            order.reason,
            order.created_ns,
            order.updated_ns,
            number,
            order.kind.value,
            *_trigger_columns(order.trigger, scale),
            amount_text(order.quote_amount, scale.money) if order.quote_amount else "",
        )
        self._db.execute(_ORDER, row)
        if order.venue_order_id:
            # One of ours that came as external, before its answer gave its venue order id.
            self._db.execute(_FORGET_EXTERNAL, (order.venue, order.venue_order_id))
        if order.venue_order_id and order.strategy:
            key = (order.client_order_id, order.strategy, order.venue_order_id, order.venue)
            if self._db.execute(_CLAIM, key).rowcount:
                self.recount((order.instrument,))

    def rewind(self, last: int) -> None:
        """Forget everything that came after record `last`: the journal lost it and will use the same numbers again."""
        for table in ("orders", "fills", "voids", "refusals", "strategies", "orphans"):
            self._db.execute(f"DELETE FROM {table} WHERE record > ?", (last,))  # noqa: S608
        self._db.execute(
            "UPDATE fills SET is_voided = EXISTS "
            "(SELECT 1 FROM voids WHERE voids.venue = fills.venue AND voids.fill_id = fills.fill_id)"
        )
        self._db.execute(
            "UPDATE instruments SET settled_value = '', settled_record = 0 WHERE settled_record > ?", (last,)
        )
        self.recount(list(self._scales))

    def recount(self, instruments: Iterable[str]) -> None:
        """Compute the positions of instruments again: what is carried, plus the signed sum of the fills that were not
        voided; the size is 0 once the instrument is settled."""
        for instrument in instruments:
            self._db.execute("DELETE FROM positions WHERE instrument = ?", (instrument,))
            rows = self._db.execute(
                f"SELECT strategy, side, {MOVED}, fee FROM fills "  # noqa: S608
                "WHERE instrument = ? AND is_voided = 0",
                (instrument,),
            ).fetchall()
            carried = "SELECT strategy, 'buy', size, fees FROM carried WHERE instrument = ?"
            rows += self._db.execute(carried, (instrument,)).fetchall()
            for strategy, side, size, fee in rows:
                self._move(instrument, strategy, Side(side).sign, size, fee)

    def _book(self, fill: Fill, number: int) -> None:
        scale = self._scales.get(fill.instrument, UNKNOWN_SCALE)
        trade = trade_of(fill, scale.denomination)
        change = fill.side.sign * trade.change
        moved, fee = amount_text(change, scale.size), amount_text(trade.fee, scale.money)
        key = (fill.venue, fill.fill_id)
        is_voided = self._db.execute("SELECT 1 FROM voids WHERE venue = ? AND fill_id = ?", key).fetchone() is not None
        client_order_id, strategy = self._owner(fill)
        row = (
            *key,
            client_order_id,
            fill.venue_order_id,
            strategy,
            fill.instrument,
            fill.side.value,
            amount_text(fill.price, scale.price),
            amount_text(fill.size, scale.size),
            fee,
            fill.is_maker,
            is_voided,
            fill.ts_venue,
            fill.ts_recv,
            number,
            "" if change == fill.size else moved,
            "" if fill.cost is None else amount_text(fill.cost, scale.money),
            format_scaled(fill.fee, fill.fee_decimals) if fill.fee_currency else "",
            fill.fee_currency,
            fill.source.value,
        )
        if self._db.execute(_FILL, row).rowcount == 1 and not is_voided:
            self._move(fill.instrument, strategy, fill.side.sign, moved, fee)

    def _show_external_order(self, snapshot: OrderSnapshot, number: int) -> None:
        """Keep a listed order unless it is one of ours. Its end is final, whatever another listing says."""
        ids = (snapshot.venue, snapshot.client_order_id, snapshot.venue_order_id)
        if self._db.execute(_IS_OURS, ids).fetchone() is not None:
            return
        price, size, *_ = self._scales.get(snapshot.instrument, UNKNOWN_SCALE)
        amounts = (
            amount_text(snapshot.price, price),
            amount_text(snapshot.size, size),
            amount_text(snapshot.filled, size),
        )
        names = (snapshot.venue, snapshot.venue_order_id, snapshot.client_order_id, snapshot.instrument)
        row = (*names, snapshot.side.value, *amounts, snapshot.is_open, snapshot.ts_recv, number)
        self._db.execute(_EXTERNAL_ORDER, row)

    def _owner(self, fill: Fill) -> tuple[str, str]:
        """Client order id and strategy of a fill by the rows of orders so far; '' for what they do not say."""
        query = "SELECT client_order_id, strategy FROM orders WHERE "
        if not fill.client_order_id and not fill.venue_order_id:
            return "", ""  # of no order: a liquidation, say
        if fill.client_order_id:
            found = self._db.execute(query + "client_order_id = ?", (fill.client_order_id,)).fetchone()
        else:
            key = (fill.venue_order_id, fill.venue)
            found = self._db.execute(query + "venue_order_id = ? AND venue = ?", key).fetchone()
        return (found[0], found[1]) if found else (fill.client_order_id, "")

    def _move(self, instrument: str, strategy: str, sign: int, size: str, fee: str) -> None:
        scale = self._scales.get(instrument, UNKNOWN_SCALE)
        if scale.size is None or scale.money is None:
            return
        key = (instrument, strategy)
        held = self._db.execute(
            "SELECT size, fees FROM positions WHERE instrument = ? AND strategy = ?", key
        ).fetchone()
        old_size, old_fees = held or ("0", "0")
        settled = self._db.execute("SELECT settled_record FROM instruments WHERE instrument = ?", (instrument,))
        moved = 0 if settled.fetchone()[0] else sign * parse_scaled(size, scale.size)
        new_size = parse_scaled(old_size, scale.size) + moved
        new_fees = parse_scaled(old_fees, scale.money) + parse_scaled(fee, scale.money)
        self._db.execute(_POSITION, (*key, amount_text(new_size, scale.size), amount_text(new_fees, scale.money)))

    def _void(self, voided: FillVoided, number: int) -> None:
        key = (voided.venue, voided.fill_id)
        self._db.execute("INSERT OR IGNORE INTO voids VALUES (?, ?, ?, ?)", (*key, voided.reason, number))
        changed = self._db.execute(
            "UPDATE fills SET is_voided = 1 WHERE venue = ? AND fill_id = ? AND is_voided = 0 RETURNING instrument", key
        ).fetchone()
        if changed:
            self.recount(changed)

    def _settle(self, settled: InstrumentSettled, number: int) -> None:
        scale = self._scales.get(settled.instrument, UNKNOWN_SCALE)
        self._db.execute(
            "UPDATE instruments SET settled_value = ?, settled_record = ? WHERE instrument = ? AND settled_record = 0",
            (amount_text(settled.value, scale.price), number, settled.instrument),
        )
        self.recount((settled.instrument,))

    def _refuse(self, refused: Refused | RefusalsCounted, number: int) -> None:
        if isinstance(refused, Refused):
            strategy, detail, check = refused.intent.strategy, refused.detail, refused.check
            instrument = refused.intent.instrument if isinstance(refused.intent, NewOrder) else ""
        else:
            strategy, instrument, check = refused.strategy, "", "kernel"
            detail = f"{refused.count} more, in steps {refused.first_step} to {refused.last_step}"
        row = (number, refused.ts_ns, strategy, instrument, refused.code.value, check, detail)
        self._db.execute("INSERT OR IGNORE INTO refusals VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def _define(self, defined: InstrumentDefined) -> None:
        terms = defined.instrument
        if terms.id in self._scales:
            return
        currencies = (terms.base_currency, terms.quote_currency, terms.settle_currency)
        scale = self._scales[terms.id] = Scale(terms.price_decimals, terms.size_decimals, *currencies)
        columns = "instrument, venue, price_decimals, size_decimals, base_currency, quote_currency, settle_currency"
        insert = f"INSERT OR IGNORE INTO instruments ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
        self._db.execute(insert, (terms.id, terms.venue, scale.price, scale.size, *currencies))
        self._place(terms.id, scale)

    def _place(self, instrument: str, scale: Scale) -> None:
        """Give the amounts that came before the instrument's definition their decimals."""
        columns = {"price": scale.price, "size": scale.size, "fee": scale.money, "filled": scale.size}
        columns |= {"cost": scale.money, "trigger_price": scale.price, "quote_amount": scale.money}
        external = ("price", "size", "filled")
        order, fill = (*external, "trigger_price", "quote_amount"), ("price", "size", "fee", "cost")
        for table, names in (("fills", fill), ("orders", order), ("orphans", external)):
            for name in names:
                found = self._db.execute(
                    f"SELECT DISTINCT {name} FROM {table} WHERE instrument = ? AND {name} LIKE ?",  # noqa: S608
                    (instrument, UNPLACED + "%"),
                ).fetchall()
                for (old,) in found:
                    new = amount_text(int(old.removeprefix(UNPLACED)), columns[name])
                    update = f"UPDATE {table} SET {name} = ? WHERE instrument = ? AND {name} = ?"  # noqa: S608
                    self._db.execute(update, (new, instrument, old))
        self.recount((instrument,))


def _trigger_columns(trigger: Trigger | None, scale: Scale) -> tuple[str, str, str]:
    if trigger is None:
        return "", "", ""
    return trigger.kind.value, amount_text(trigger.price, scale.price), trigger.by.value


def _recorded_order(approved: Approved, intent: NewOrder) -> Order:
    """An order that was approved and of which nothing else is known."""
    return Order(
        client_order_id=approved.client_order_id,
        venue=approved.venue,
        strategy=intent.strategy,
        instrument=intent.instrument,
        side=intent.side,
        price=intent.price,
        size=intent.size,
        time_in_force=intent.time_in_force,
        created_ns=approved.ts_ns,
        updated_ns=approved.ts_ns,
        kind=intent.kind,
        trigger=intent.trigger,
        quote_amount=intent.quote_amount,
    )
