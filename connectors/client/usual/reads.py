"""The reads of a venue without a stream whose lists are the usual ones: a table of paths in place of methods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from connectors.client.pages import NextPage, by_number
from connectors.client.rest import SignedRest, or_none
from connectors.client.usual.account_rows import AccountRows
from connectors.client.wire.calls import Params, path_part
from connectors.client.wire.decimals import NS_PER_MS
from connectors.client.wire.rows import Row, RowWords
from framework.domain.account_events import BalanceReport, Fill, OrderSnapshot
from framework.domain.instruments import Instrument
from framework.domain.market_events import BookSnapshot, TradePrint
from framework.domain.orders import Order
from framework.domain.ports import Clock
from framework.domain.venue import IsClaimed, UnreadableRow


class Lists(msgspec.Struct, frozen=True, kw_only=True):
    """Where a venue lists what. `page` is its page of `Row`s, `next_page` how the next one is asked for.

    `ping` is a path that is read unsigned before all others, for the venue's time. Books and trades take the market as
    the parameter `market_name`, trades also `page` (from 0, the newest first). One order is read at `orders`/ID; the
    list `orders` shows the open ones with the parameters `open_only`, and the one of our id with `client_id_name`.
    Fills come with the oldest first, since the time `since_name`, a number of `since_unit_ns`. Balances are one array.
    """

    page: Any
    next_page: NextPage[Any] = by_number
    ping: str = "/time"
    markets: str = "/markets"
    book: str = "/book"
    trades: str = "/trades"
    market_name: str = "market"
    orders: str = "/orders"
    open_only: tuple[tuple[str, str], ...] = (("state", "open"),)
    client_id_name: str = "client_id"
    fills: str = "/fills"
    since_name: str = "since"
    since_unit_ns: int = NS_PER_MS
    balances: str = "/balances"


class ListMarkets:
    """The rows of all markets, and the markets in which the account has an open order."""

    def __init__(self, rest: SignedRest, lists: Lists, words: RowWords) -> None:
        self._rest = rest
        self._lists = lists
        self._words = words

    def symbol_of(self, row: Row) -> str:
        """The symbol of a market's row; empty where it has none."""
        return str(row.get(self._words.market.get("symbol", "symbol"), ""))

    async def read_all(self) -> Iterable[Row]:
        """Every market. Raises like reads."""
        return await self._rest.listing(self._lists.markets, self._lists.page, self._lists.next_page)

    async def read_held(self) -> Iterable[str]:
        """The markets of open orders. Raises like reads."""
        lists = self._lists
        name = self._words.order.get("market", "market")
        rows = await self._rest.listing(lists.orders, lists.page, lists.next_page, lists.open_only)
        return [str(row[name]) for row in rows if name in row]


class ListReads:
    """`PolledReads` of one account by a table of paths. All raise like reads."""

    def __init__(
        self, venue: str, rest: SignedRest, lists: Lists, words: RowWords, rows: AccountRows, *, clock: Clock
    ) -> None:
        self._venue = venue
        self._rest = rest
        self._lists = lists
        self._words = words
        self._rows = rows
        self._clock = clock

    @property
    def unreadable(self) -> tuple[UnreadableRow, ...]:
        """The rows that the last read of each list left out."""
        return self._rows.unreadable

    async def prepare(self) -> None:
        """Read what needs no signature, for the venue's time."""
        await self._rest.get(self._lists.ping, msgspec.Raw)

    async def read_book(self, instrument: Instrument, /) -> BookSnapshot:
        """The whole book as it is now."""
        row = await self._rest.get(self._lists.book, Row, self._of(instrument))
        return self._words.book_of(row, instrument)

    async def read_trades(self, instrument: Instrument, page: int, /) -> Sequence[TradePrint]:
        """A page of public trades, newest first."""
        found = await self._rest.get(self._lists.trades, self._lists.page, [*self._of(instrument), ("page", page)])
        return [self._words.trade_of(row, instrument, self._clock.now_ns()) for row in found.rows]

    async def list_open(self) -> Sequence[OrderSnapshot]:
        """Every open order of the account, at the time at which it was asked for."""
        asked_ns = self._clock.now_ns()
        listed = await self._listed(self._lists.orders, self._lists.open_only)
        return await self._rows.open_orders(listed, asked_ns, self._order_row)

    async def read_order(self, venue_order_id: str, /) -> OrderSnapshot | None:
        """One order, open or ended; None when the venue does not know it."""
        asked_ns = self._clock.now_ns()
        return self._rows.read_order(await self._order_row(venue_order_id), asked_ns)

    async def find_sent(self, order: Order, _is_claimed: IsClaimed, /) -> OrderSnapshot | None:
        """The order of our id."""
        return await self.find_named(order.client_order_id)

    async def find_named(self, client_order_id: str) -> OrderSnapshot | None:
        """The order of a client id; None when the venue knows none."""
        asked_ns = self._clock.now_ns()
        listed = await self._listed(self._lists.orders, [(self._lists.client_id_name, client_order_id)])
        return self._rows.read_order(next(iter(listed), None), asked_ns)

    async def list_fills(self, since_ns: int, /) -> Sequence[Fill]:
        """The fills since a venue time, oldest first."""
        asked_ns = self._clock.now_ns()
        since = (self._lists.since_name, since_ns // self._lists.since_unit_ns)
        return await self._rows.fills(await self._listed(self._lists.fills, [since]), asked_ns)

    async def read_balances(self) -> Sequence[BalanceReport]:
        """Every balance. Raises `ValueError` for one that can't be read: a balance that is left out counts as none."""
        asked_ns, rows = self._clock.now_ns(), await self._rest.get(self._lists.balances, list[Row])
        return [self._words.balance_of(row, self._venue, asked_ns) for row in rows]

    def _of(self, instrument: Instrument) -> list[tuple[str, str | int | None]]:
        return [(self._lists.market_name, instrument.symbol)]

    async def _listed(self, path: str, params: Params) -> Any:
        return await self._rest.listing(path, self._lists.page, self._lists.next_page, params)

    async def _order_row(self, venue_order_id: str) -> Row | None:
        return await or_none(self._rest.get(f"{self._lists.orders}/{path_part(venue_order_id)}", Row))
