"""Rows of orders, fills and trades as most venues list them: flat JSON objects with decimals as text. Pure.

A venue says how its fields are called and what its words mean (`RowWords`). One whose rows are of another form decodes
them by itself, with a struct of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from connectors.client.wire.answers import UnusableInstrument
from connectors.client.wire.coins import (
    CoinMarket,
    book_levels,
    coin_instrument,
    money_of,
    price_of,
    size_of,
)
from connectors.client.wire.decimals import NS_PER_MS, scaled_of, time_ns
from connectors.client.wire.dialect import OrderStates
from framework.domain.account_events import BalanceReport, Fill, OrderSnapshot
from framework.domain.instruments import FeeSchedule, Instrument, InstrumentStatus
from framework.domain.market_events import BookSnapshot, TradePrint
from framework.domain.orders import Side

Row = dict[str, Any]
"""One row as JSON gives it: a page of such is `Page[Row]`."""

_ROLES = {"maker": True, "taker": False, "true": True, "false": False}
BALANCE_DECIMALS = 8
"""Balances are read with so many digits after the point, unless a venue says otherwise."""


class RowWords(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue calls the fields of its rows, where that is not the name used here, and what its words mean.

    Of a market: those of `CoinMarket`, `state`, and, where given, `taker_fee` and `maker_fee` (rates). Of a book:
    `bids` and `asks`, lists of price and size. Of an order: `id`, `market`, `client_id`, `side`, `price`, `size`,
    `filled`, `state`, and, where given, `reason` and `created`. Of a fill: `id`, `market`, `order_id`, `client_id`,
    `side`, `price`, `size`, `fee`, `role`, `time`, and, where given, `fee_currency`. Of a trade: `id`, `price`, `size`,
    `side` (the taker's), `time`. Of a balance: `currency`, `total`, `available`. `role` is a text or says whether it is
    the maker's. Times are numbers of `unit_ns`, or RFC 3339.
    """

    states: OrderStates
    market: Mapping[str, str] = {}
    statuses: Mapping[str, InstrumentStatus] = {}
    """Of markets; a word that is not here means closed."""
    book: Mapping[str, str] = {}
    order: Mapping[str, str] = {}
    fill: Mapping[str, str] = {}
    trade: Mapping[str, str] = {}
    balance: Mapping[str, str] = {}
    sides: Mapping[str, Side] = msgspec.field(default_factory=lambda: {"buy": Side.BUY, "sell": Side.SELL})
    unit_ns: int = NS_PER_MS

    def instrument_of(self, row: Row, venue: str) -> Instrument:
        """A market of coins. Raises `UnusableInstrument`, naming market and field, for what can't be read."""
        fields = _Fields(row, self.market)
        try:
            texts = {name: fields.optional(name) for name in CoinMarket.__struct_fields__}
            rates = [fields.optional(name) or "0" for name in ("taker_fee", "maker_fee")]
            status = self.statuses.get(fields.optional("state"), InstrumentStatus.CLOSED)
        except ValueError as e:
            raise UnusableInstrument(f"{row!r}: {e}"[:200]) from e
        fees = FeeSchedule(taker_rate=rates[0], maker_rate=rates[1])
        return coin_instrument(venue, CoinMarket(**texts), fees=fees, status=status)

    def book_of(self, row: Row, instrument: Instrument) -> BookSnapshot:
        """A whole book, without times. Raises `ValueError` for what can't be read."""
        sides = [row.get(self.book.get(name, name)) for name in ("bids", "asks")]
        if not all(isinstance(side, list) for side in sides):
            raise ValueError(f"{instrument.symbol}: the book has not two lists")
        bids, asks = (book_levels(side, instrument) for side in sides if side is not None)
        return BookSnapshot(instrument.id, 0, 0, bids, asks)

    def order_of(self, row: Row, instrument: Instrument, ts_recv: int) -> OrderSnapshot:
        """An order as an event. Raises `ValueError`, naming the field, for what can't be read."""
        fields = _Fields(row, self.order)
        size, filled = size_of(fields.text("size"), instrument), size_of(fields.text("filled"), instrument, "filled")
        state = fields.text("state")
        return OrderSnapshot(
            venue=instrument.venue,
            venue_order_id=fields.text("id"),
            client_order_id=fields.optional("client_id"),
            instrument=instrument.id,
            side=self._side(fields),
            price=price_of(fields.text("price"), instrument),
            size=size,
            filled=filled,
            is_open=self.states.is_open(state, size - filled),
            is_cancelling=self.states.is_cancelling(state),
            ts_recv=ts_recv,
            created_ns=self._time(fields, "created"),
            reason=fields.optional("reason"),
        )

    def fill_of(self, row: Row, instrument: Instrument, ts_recv: int) -> Fill:
        """An own fill as an event. Raises `ValueError`, naming the field, for what can't be read."""
        fields = _Fields(row, self.fill)
        role = fields.text("role").lower()
        if role not in _ROLES:
            raise ValueError(f"role: {role[:40]!r} is neither maker nor taker")
        return Fill(
            venue=instrument.venue,
            instrument=instrument.id,
            fill_id=fields.text("id"),
            venue_order_id=fields.text("order_id"),
            client_order_id=fields.optional("client_id"),
            side=self._side(fields),
            price=price_of(fields.text("price"), instrument),
            size=size_of(fields.text("size"), instrument),
            fee=money_of(fields.text("fee"), instrument),
            is_maker=_ROLES[role],
            ts_venue=self._time(fields, "time"),
            ts_recv=ts_recv,
            **self._fee_currency(fields, instrument),
        )

    def trade_of(self, row: Row, instrument: Instrument, ts_recv: int) -> TradePrint:
        """A public trade as an event. Raises `ValueError`, naming the field, for what can't be read."""
        fields = _Fields(row, self.trade)
        return TradePrint(
            instrument.id,
            self._time(fields, "time"),
            ts_recv,
            fields.text("id"),
            price_of(fields.text("price"), instrument),
            size_of(fields.text("size"), instrument),
            self._side(fields),
        )

    def balance_of(self, row: Row, venue: str, ts_recv: int, *, decimals: int = BALANCE_DECIMALS) -> BalanceReport:
        """What there is of a currency, as an event, at so many `decimals`. Raises `ValueError`, naming the field, for
        what can't be read."""
        fields = _Fields(row, self.balance)
        total, free = (scaled_of(fields.text(name), decimals, name) for name in ("total", "available"))
        return BalanceReport(
            venue=venue,
            currency=fields.text("currency"),
            amount=total,
            decimals=decimals,
            ts_recv=ts_recv,
            available=free,
            locked=total - free,
        )

    def _side(self, fields: _Fields) -> Side:
        word = fields.text("side")
        if word not in self.sides:
            raise ValueError(f"side: {word[:40]!r} is none of {', '.join(self.sides)}")
        return self.sides[word]

    def _time(self, fields: _Fields, name: str) -> int:
        return time_ns(fields.optional(name), unit_ns=self.unit_ns, field=name)

    def _fee_currency(self, fields: _Fields, instrument: Instrument) -> dict[str, Any]:
        currency = fields.optional("fee_currency")
        is_quote = currency in ("", instrument.quote_currency)
        return {} if is_quote else {"fee_currency": currency, "fee_decimals": instrument.money_decimals}


class _Fields:
    """The fields of one row, by the names used here."""

    def __init__(self, row: Row, names: Mapping[str, str]) -> None:
        self._row = row
        self._names = names

    def optional(self, name: str) -> str:
        """A text, whole number or boolean as text; empty where there is none. Raises `ValueError` for all else, so
        for numbers with a fraction, which are not exact."""
        value = self._row.get(self._names.get(name, name))
        if value is None or isinstance(value, str):
            return value or ""
        if isinstance(value, (bool, int)):
            return str(value)
        raise ValueError(f"{name}: {value!r} is neither text nor a whole number"[:200])

    def text(self, name: str) -> str:
        """The same, which must be there."""
        found = self.optional(name)
        if not found:
            raise ValueError(f"{self._names.get(name, name)}: is missing")
        return found
