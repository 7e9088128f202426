"""What is read of the account: orders, own trades, positions, money. All methods raise like reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import structlog

from connectors.client.gateway import one_alike
from connectors.client.loader import InstrumentParts
from connectors.client.lone_rows import LoneRows, RowFields
from connectors.client.pages import by_last_id, by_offset
from connectors.client.rest import SignedRest, or_none
from connectors.client.usual.numbered_trades import NumberedTrades, OrderNumbers, TradesFrom
from connectors.client.wire.calls import path_part
from connectors.client.wire.coins import price_of
from connectors.client.wire.decimals import NS_PER_MS, NS_PER_S
from connectors.client.wire.listing import BadRow, Listing
from connectors.zdex.dialect import Dialect
from connectors.zdex.wire import messages as m
from connectors.zdex.wire.decode import balance_of, created_ns, fill_of, funding_of, order_of, position_of
from connectors.zdex.wire.encode import OPEN, ORDERS, PAGE, type_of
from framework.domain.account_events import Fill, OrderSnapshot, PositionReport
from framework.domain.errors import RefusedByVenue, Retryable
from framework.domain.events import Event
from framework.domain.orders import Order
from framework.domain.ports import Clock
from framework.domain.venue import IsClaimed, UnreadableRow

FUNDING = "/me/funding-history"
_CLOCKS_NS = 10 * NS_PER_S
"""So far may the clocks differ by which an order was made here and taken there."""
_DAY_NS = 86_400 * NS_PER_S
_FIELDS = {
    "orders": RowFields("symbol", "id"),
    "fills": RowFields("symbol", "id"),
    "positions": RowFields("symbol"),
}
_log = structlog.get_logger("zdex")


class ZdexReads:
    """Implements `connectors.client.polling.gateway.AccountLookups`, and reads positions and money."""

    def __init__(
        self, venue: str, rest: SignedRest, instruments: InstrumentParts, dialect: Dialect, *, clock: Clock,
        funding_days: int,
    ) -> None:  # fmt: skip
        self._venue = venue
        self._rest = rest
        self._instruments = instruments
        self._dialect = dialect
        self._clock = clock
        self._funding_ns = funding_days * _DAY_NS
        self._rows = LoneRows(venue, _FIELDS, clock, rest.report)
        self._numbers = OrderNumbers()
        self._trades = NumberedTrades(self._read_trades)
        self._paid: set[str] = set()
        self._funded = True

    @property
    def unreadable(self) -> tuple[UnreadableRow, ...]:
        """The rows that the last read of each list left out."""
        return self._rows.unreadable

    def note(self, answer: m.OrderAnswer) -> None:
        """Remember what an answer says of an order's numbers."""
        self._numbers.learn(answer.number, answer.order.id)

    def snapshot(self, row: m.OrderRow, asked_ns: int) -> OrderSnapshot:
        """A row as an event. Raises `ValueError` for one that can't be read."""
        self._numbers.learn(row.venue_order_id, row.id)
        one = self._instruments.listed(row.symbol)
        return order_of(row, one, asked_ns, has_client_ids=self._dialect.has_client_ids)

    async def list_open(self) -> Sequence[OrderSnapshot]:
        """Every open order, from the lists of the two states."""
        asked_ns, listed, seen = self._clock.now_ns(), Listing[m.OrderRow]([], []), dict[str, m.OrderRow]()
        for status in OPEN:
            page = await self._orders([("status", status)])
            seen |= {row.id: row for row in page}
            listed.bad += page.bad
        listed.rows += seen.values()
        alone, decode = lambda bad: self._order_row(bad.name), lambda row: self.snapshot(row, asked_ns)
        found = await self._rows.events("orders", listed, decode, alone)
        return [one for one in found if one.is_open]

    async def read_order(self, venue_order_id: str, /) -> OrderSnapshot | None:
        """One order, open or ended; None when the venue does not know it."""
        asked_ns = self._clock.now_ns()
        row = await self._order_row(venue_order_id)
        return None if row is None else self.snapshot(row, asked_ns)

    async def find_sent(self, order: Order, is_claimed: IsClaimed, /) -> OrderSnapshot | None:
        """The order of our id in v2; in v1, which has none, the one order of this content that was made no earlier and
        that is no other one of ours. Raises `Retryable` when several are."""
        asked_ns, symbol = self._clock.now_ns(), order.instrument.partition(":")[2]
        since_ns = order.created_ns + self._rest.time.now_ns() - asked_ns - _CLOCKS_NS
        rows = await self._orders([("symbol", symbol)], since_ns=since_ns)
        if rows.bad:
            raise Retryable(f"{order.client_order_id}: an order of {symbol} can't be read: {rows.bad[0].reason}")
        if self._dialect.has_client_ids:
            row = next((row for row in rows if row.client_order_id == order.client_order_id), None)
            return None if row is None else self.snapshot(row, asked_ns)
        found = (
            self.snapshot(row, asked_ns) for row in rows if created_ns(row) >= since_ns and self._is_of_type(row, order)
        )
        return one_alike(found, order, since_ns=since_ns, is_claimed=is_claimed)

    async def list_fills(self, since_ns: int, /) -> Sequence[Fill]:
        """The takers' trades since a venue time, oldest first."""
        asked_ns, listed = self._clock.now_ns(), Listing[m.TradeRow]([], [])
        for symbol in self._instruments.registry.symbols():
            page = await self._trades.since(symbol, since_ns // NS_PER_MS)
            listed.rows += page.rows
            listed.bad += page.bad
        await self._learn_numbers(listed)
        listed.rows = [row for row in listed if self._numbers.order_of(row.order_id)]
        found = await self._rows.events("fills", listed, lambda row: self._fill(row, asked_ns), _not_alone)
        return sorted((one for one in found if one.ts_venue >= since_ns), key=lambda one: one.ts_venue)

    async def positions(self) -> tuple[PositionReport, ...]:
        """Every position that is not flat. Raises `Retryable` where there are two of a market, as in hedge mode."""
        asked_ns = self._clock.now_ns()
        listed = await self._rest.listing("/positions", m.PositionPage, _one_page, [("status", "OPEN")])

        def report(row: m.PositionRow) -> PositionReport:
            return position_of(row, self._instruments.listed(row.symbol), asked_ns)

        found = [one for one in await self._rows.events("positions", listed, report, _not_alone) if one.size]
        if len({one.instrument for one in found}) < len(found):
            raise Retryable("the account has two positions of one market: set its position mode to ONE_WAY")
        return tuple(found)

    async def held_symbols(self) -> list[str]:
        """The symbols of open positions and open orders, which must be known before their rows can be read."""
        rows: list[Any] = [*await self._rest.listing("/positions", m.PositionPage, _one_page, [("status", "OPEN")])]
        for status in OPEN:
            rows += await self._orders([("status", status)])
        return [row.symbol for row in rows]

    async def money(self) -> Iterable[Event]:
        """The balances, and the funding payments that have not been handed on in this run."""
        asked_ns = self._clock.now_ns()
        answer = await self._rest.get("/futures/balance", m.BalanceAnswer)
        balances = [balance_of(row, self._venue, asked_ns) for row in answer.rows]
        flows = [funding_of(row, self._venue, asked_ns) for row in await self._new_funding()]
        self._paid.update(one.flow_id for one in flows)
        return [*balances, *sorted(flows, key=lambda one: one.ts_venue)]

    async def _new_funding(self) -> list[m.FundingRow]:
        since_ms = (self._rest.time.now_ns() - self._funding_ns) // NS_PER_MS
        page, is_old = m.DataPage[m.FundingRow], partial(self._is_old, since_ms)
        try:
            rows = await self._rest.listing(FUNDING, page, by_offset, [PAGE], is_known=is_old) if self._funded else ()
        except RefusedByVenue as e:
            self._funded = False
            _log.warning("funding payments can't be read; the balance shows them all the same", reason=str(e))
            return []
        return [row for row in rows if not is_old(row)]

    def _is_old(self, since_ms: int, row: m.FundingRow) -> bool:
        return row.id in self._paid or row.time < since_ms

    async def _orders(self, params: list[tuple[str, str | int]], *, since_ns: int | None = None) -> Listing[m.OrderRow]:
        """A list of orders, newest first; with `since_ns` no further than to one that is older."""
        is_old = None if since_ns is None else lambda row: created_ns(row) < since_ns
        rows: Listing[m.OrderRow] = await self._rest.listing(
            ORDERS, m.OrderPage, by_offset, [*params, PAGE], is_known=is_old
        )
        times = [created_ns(row) for row in rows]
        if since_ns is not None and (0 in times or any(b > a + _CLOCKS_NS for a, b in pairwise(times))):
            raise Retryable(f"{ORDERS}: the rows have no times with the newest first, so what they lack may be there")
        return rows

    async def _order_row(self, venue_order_id: str) -> m.OrderRow | None:
        path = f"{ORDERS}/{path_part(venue_order_id)}"
        answer = await or_none(self._rest.get(path, m.OrderAnswer, endpoint=f"{ORDERS}/*"))
        if answer is None:
            return None
        self.note(answer)
        return answer.order

    def _is_of_type(self, row: m.OrderRow, order: Order) -> bool:
        """Whether a row has the kind and the trigger of ours, which an event does not hold."""
        one, trigger = self._instruments.listed(row.symbol), order.trigger
        is_after = trigger is None or price_of(row.stop_price or "0", one, "stopPrice") == trigger.price
        return row.type == type_of(order.kind, trigger) and is_after

    async def _read_trades(self, params: TradesFrom) -> Listing[m.TradeRow]:
        after = by_last_id("fromId", lambda row: row.id)
        return await self._rest.listing("/futures/myTrades", m.DataPage[m.TradeRow], after, params)

    async def _learn_numbers(self, rows: Iterable[m.TradeRow]) -> None:
        """Read the orders of markets in which a trade has a number that is not known, as after a restart: those since a
        day before, because a listed trade is that of an order which took, soon after it was made or triggered."""
        unknown = [row for row in rows if self._numbers.order_of(row.order_id) is None]
        since_ns = min((row.time for row in unknown), default=0) * NS_PER_MS - _DAY_NS
        for symbol in {row.symbol for row in unknown}:
            for order in await self._orders([("symbol", symbol)], since_ns=since_ns):
                self._numbers.learn(order.venue_order_id, order.id)
        self._numbers.miss(row.order_id for row in unknown)

    def _fill(self, row: m.TradeRow, asked_ns: int) -> Fill:
        name = self._numbers.order_of(row.order_id) or str(row.order_id)
        return fill_of(row, self._instruments.listed(row.symbol), name, asked_ns)


def _one_page(_page: object, _rows: Listing[Any], _count: int, /) -> None:
    """The list comes whole."""


async def _not_alone(_row: BadRow) -> None:
    """What can't be read in its list can't be read alone."""
