"""Everything that is read of a KalqiX account and its markets: `PolledReads` of the toolkit. All raise like reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from connectors.client.gateway import one_alike
from connectors.client.instruments import InstrumentRegistry
from connectors.client.pages import by_number
from connectors.client.rest import SignedRest, or_none
from connectors.client.usual.account_rows import AccountRows
from connectors.client.wire.calls import Params, path_part
from connectors.client.wire.decimals import NS_PER_S, any_unit_ns
from connectors.client.wire.json_text import Millis
from connectors.client.wire.listing import Listing
from connectors.client.wire.rows import Row
from connectors.kalqix.dialect import PAGE_SIZE, WORDS, Dialect
from connectors.kalqix.sign import signature_digest
from connectors.kalqix.wire.rows import Market, Page, RowReader, grouping_of, market_of, symbol_of
from framework.domain.account_events import BalanceReport, Fill, OrderSnapshot
from framework.domain.errors import RefusedByVenue, Retryable
from framework.domain.instruments import Instrument
from framework.domain.market_events import BookSnapshot, TradePrint
from framework.domain.orders import Order
from framework.domain.ports import Clock
from framework.domain.venue import IsClaimed, UnreadableRow

_CLOCKS_APART_NS = 5 * NS_PER_S
"""An order counts as sent since its creation, give or take what clocks, rounding to seconds and queues make of it."""
_CLOCK_SET_BACK_NS = 86_400 * NS_PER_S  # Our wall clock may have been set back since it dated an order.
_KNOWN_MAX = 50_000


class MarketRows:
    """The rows of all markets, and what else is to be known of each, which every read brings up to date."""

    def __init__(self, rest: SignedRest, venue: str, dialect: Dialect) -> None:
        self._rest = rest
        self.venue = venue
        self.known: dict[str, Market] = {}
        """By symbol. Written here only."""
        self.reader = RowReader(has_base_units=dialect.has_agents, markets=self.known)

    async def read_all(self) -> Iterable[Row]:
        """Every market that the venue lists, and note what else is to be known of each."""
        rows = await self._rest.listing("/markets", Page, by_number, [("page_size", PAGE_SIZE)])
        for row in rows:
            self.known[symbol_of(row)] = market_of(row)
        return rows

    async def read_held(self) -> Iterable[str]:
        """The markets of open orders."""
        rows = await self._rest.listing("/orders", Page, by_number, _OPEN)
        return [symbol_of(row) for row in rows]

    def instrument_of(self, row: Row) -> Instrument:
        """What a row says. Raises `UnusableInstrument`."""
        one = WORDS.instrument_of(self.reader.market(row), self.venue)
        percent = row.get("max_price_deviation_percent")
        is_known = isinstance(percent, int) and 0 < percent < 100
        return msgspec.structs.replace(one, price_deviation_max=f"0.{percent:02d}") if is_known else one


class KalqixReads:
    """`PolledReads` of one account; `user` names it in the path of its own trades."""

    def __init__(
        self, rest: SignedRest, dialect: Dialect, rows: AccountRows, markets: MarketRows, registry: InstrumentRegistry,
        *, user: str, clock: Clock,
    ) -> None:  # fmt: skip
        self._venue = markets.venue
        self._rest = rest
        self._dialect = dialect
        self._rows = rows
        self._registry = registry
        self._user = user
        self._clock = clock
        self._reader = markets.reader
        self.own: dict[str, bool] = {}
        """Which order ids are the account's: a trade of A names two, and not whose they are. `note_order` writes it."""

    def note_order(self, order_id: str, *, is_own: bool = True) -> None:
        """Note whose an order is."""
        self.own[order_id] = is_own
        if len(self.own) > _KNOWN_MAX:
            del self.own[next(iter(self.own))]

    @property
    def unreadable(self) -> tuple[UnreadableRow, ...]:
        """The rows that the last read of each list left out."""
        return self._rows.unreadable

    async def prepare(self) -> None:
        """Measure the venue's clock by its milliseconds, or, where there is no such path, by the `Date` of another."""
        sent_ns = self._clock.monotonic_ns()
        try:
            stamp_ms = (await self._rest.get("/time", _Time)).server_time
            self._rest.time.sample_ms(stamp_ms, sent_ns=sent_ns, received_ns=self._clock.monotonic_ns())
        except RefusedByVenue:
            await self._rest.get("/markets", msgspec.Raw)

    async def read_book(self, instrument: Instrument, /) -> BookSnapshot:
        """The whole book as it is now; A's page wants the grouping of prices."""
        grouping = None if self._dialect.has_agents else grouping_of(instrument)
        path = f"/markets/{path_part(instrument.symbol)}/order-book"
        return self._reader.book(await self._rest.get(path, Row, [("tickSize", grouping)]), instrument)

    async def read_trades(self, instrument: Instrument, page: int, /) -> Sequence[TradePrint]:
        """A page of public trades, newest first."""
        path = f"/markets/{path_part(instrument.symbol)}/trades"
        found = await self._rest.get(path, Page, [("page", page), ("page_size", PAGE_SIZE)])
        now_ns = self._clock.now_ns()
        return [WORDS.trade_of(self._reader.trade(row), instrument, now_ns) for row in found.data]

    async def list_open(self) -> Sequence[OrderSnapshot]:
        """Every open order of the account, at the time at which it was asked for."""
        asked_ns = self._clock.now_ns()
        listed = await self._rest.listing("/orders", Page, by_number, _OPEN)
        return await self._rows.open_orders(self._orders(listed), asked_ns, self._read_row)

    async def read_order(self, venue_order_id: str, /) -> OrderSnapshot | None:
        """One order, open or ended; None when the venue does not know it."""
        asked_ns = self._clock.now_ns()
        return self._rows.read_order(await self._read_row(venue_order_id), asked_ns)

    async def find_sent(self, order: Order, is_claimed: IsClaimed, /) -> OrderSnapshot | None:
        """The order by our id in B. In A by the wallet's signature that was sent last, which its row shows; where rows
        show none, by content and time. Raises `Retryable` when several are like it."""
        if self._dialect.terms.client_ids:
            return await self.find_named(order.client_order_id)
        asked_ns = self._clock.now_ns()
        since_ns = order.created_ns + self._rest.time.now_ns() - asked_ns - _CLOCKS_APART_NS
        for back_ns in (0, _CLOCK_SET_BACK_NS):
            listed = await self._recent("/orders", order.instrument.partition(":")[2], since_ns - back_ns)
            shown = [row for row in listed if row.get("signature") and order.sent_as]
            for row in shown:
                if signature_digest(str(row["signature"])) == order.sent_as:
                    one = self._rows.read_order(self._order(row), asked_ns)
                    return one and msgspec.structs.replace(one, client_order_id=order.client_order_id)
        others = (self._rows.read_order(self._order(row), asked_ns) for row in listed if row not in shown)
        return one_alike(filter(None, others), order, since_ns=since_ns, is_claimed=is_claimed)

    async def find_named(self, client_order_id: str) -> OrderSnapshot | None:
        """The order of a client id (B); None when the venue knows none."""
        asked_ns = self._clock.now_ns()
        listed = self._orders(
            await self._rest.listing("/orders", Page, by_number, [("client_order_id", client_order_id)])
        )
        return self._rows.read_order(next(iter(listed), None), asked_ns)

    async def list_fills(self, since_ns: int, /) -> Sequence[Fill]:
        """The fills since a venue time in every known market, oldest first."""
        asked_ns = self._clock.now_ns()
        found: Listing[Row] = Listing([], [])
        for symbol in self._registry.symbols():
            listed = await self._recent(f"/users/{self._user}/trades", symbol, since_ns)
            await self._learn_owners(listed.rows)
            found.rows += self._reader.fills(reversed(listed.rows), self.own)
            found.bad += listed.bad
        return sorted(await self._rows.fills(found, asked_ns), key=lambda one: one.ts_venue)

    async def read_balances(self) -> Sequence[BalanceReport]:
        """Every balance. Raises `ValueError` for one that can't be read: a balance that is left out counts as none."""
        asked_ns = self._clock.now_ns()
        rows = await self._rest.listing("/positions", Page, by_number, [("page_size", PAGE_SIZE)])
        return [WORDS.balance_of(self._reader.balance(row), self._venue, asked_ns) for row in rows]

    async def _recent(self, path: str, symbol: str, since_ns: int) -> Listing[Row]:
        """A market's list with the newest first, until one is older than `since_ns`."""

        def is_older(row: Row) -> bool:
            try:
                return any_unit_ns(row.get("timestamp")) < since_ns
            except ValueError:
                return False

        params: Params = [("ticker", symbol), ("page_size", PAGE_SIZE)]
        listed = await self._rest.listing(path, Page, by_number, params, is_known=is_older)
        return Listing([row for row in listed.rows if not is_older(row)], listed.bad)

    async def _learn_owners(self, rows: Iterable[Row]) -> None:
        """Find out which orders of own trades are ours, where that is not known and no role is stated.

        An order that is not shown counts as another's only where the trade's other order is ours: reads may lag.
        """
        for row in rows:
            pair = [str(row.get(name)) for name in ("maker_order_id", "taker_order_id")]
            if row.get("role") or all(one in self.own for one in pair):
                continue
            ours = [await self._is_ours(one) for one in pair]
            if not any(ours):
                raise Retryable(f"trade {row.get('trade_id')}: neither of its orders is shown as ours yet")
            for one, is_ours in zip(pair, ours, strict=True):
                self.note_order(one, is_own=is_ours)

    async def _is_ours(self, order_id: str) -> bool:
        """Whether the venue shows an order as the account's: it may show others', or refuse to."""
        try:
            _ = order_id in self.own or await self._read_row(order_id)
        except RefusedByVenue as e:
            if e.status != _FORBIDDEN:
                raise
        return self.own.get(order_id, False)

    async def _read_row(self, venue_order_id: str) -> Row | None:
        row = await or_none(self._rest.get(f"/orders/{path_part(venue_order_id)}", Row, endpoint="/orders/*"))
        return None if row is None else self._order(row)

    def _orders(self, listed: Listing[Row]) -> Listing[Row]:
        return Listing([self._order(row) for row in listed.rows], listed.bad)

    def _order(self, row: Row) -> Row:
        neutral, owner = self._reader.order(row), str(row.get("wallet_address") or self._user).lower()
        if neutral["id"]:
            self.note_order(str(neutral["id"]), is_own=self._user.lower() in ("me", owner))
        return neutral


class _Time(msgspec.Struct, frozen=True):
    server_time: Millis


_FORBIDDEN = 403
_OPEN = (("open", "true"), ("page_size", PAGE_SIZE))
