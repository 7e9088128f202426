"""How Kalshi's markets are read, with the fees of their series and events."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.client.instruments import ListedInstrument, Selection, has_wildcard
from connectors.client.rest import SignedRest, or_none
from connectors.client.wire.answers import UnreadableAnswer, UnusableInstrument
from connectors.kalshi.markets.instruments import LOT, fees_of, listed_of, series_of
from connectors.kalshi.rest import queries
from connectors.kalshi.wire.market_messages import RestEvent, RestMarket, RestSeries
from framework.domain.numbers import Size

# A position whose market settled while the daemon was down is closed by the payment, if it is no older than this.
_SETTLEMENTS_LOOK_BACK_S = 14 * 24 * 3600


class MarketSource:
    """An `InstrumentSource` of markets. All its reads raise like `SignedRest.get`."""

    def __init__(self, venue: str, rest: SignedRest, selection: Selection, *, subaccount: int, lot: Size = LOT) -> None:
        self._venue = venue
        self._rest = rest
        self._selection = selection
        self._subaccount = subaccount
        self._lot = lot
        self._series: dict[str, RestSeries | None] = {}
        self._events: dict[str, RestEvent | None] = {}

    async def list_wanted(self) -> dict[str, RestMarket]:
        """By ticker every market that the patterns name and that is not closed."""
        found = {market.ticker: market for market in await self.list_named(self._selection.exact)}
        for pattern in self._selection.open:
            found |= {market.ticker: market for market in await self._matching(pattern)}
        return found

    async def list_named(self, symbols: Sequence[str]) -> list[RestMarket]:
        """These markets, as far as the venue lists them."""
        return await queries.get_markets_named(self._rest, symbols)

    async def read(self, symbol: str) -> RestMarket | None:
        """One market, None when the venue does not list it."""
        return await or_none(queries.get_market(self._rest, symbol))

    async def list_held(self) -> list[str]:
        """The tickers of positions, open orders, and payments of the last two weeks."""
        own, rest = self._subaccount, self._rest
        since_s = max(0, rest.time.now_ms() // 1000 - _SETTLEMENTS_LOOK_BACK_S)
        held: list[str] = []
        for listed in (
            await queries.get_positions(rest, subaccount=own),
            await queries.get_orders(rest, status="resting", subaccount=own),
            await queries.get_settlements(rest, since_s=since_s, subaccount=own),
        ):
            held += [*(one.ticker for one in listed), *(row.text("ticker") for row in listed.bad if row.text("ticker"))]
        return list(dict.fromkeys(held))

    async def describe(self, row: RestMarket) -> ListedInstrument:
        """The market with its fees, in domain terms. Raises `UnusableInstrument` too, for one that cannot be traded."""
        try:
            series, event = await self._terms(row)
            listed = listed_of(row, venue=self._venue, fees=fees_of(series, event), event=event, lot=self._lot)
        except UnreadableAnswer as e:
            raise UnusableInstrument(str(e)) from e
        if listed.payment is not None:
            self._events.pop(row.event_ticker, None)
        return listed

    async def _terms(self, market: RestMarket) -> tuple[RestSeries | None, RestEvent | None]:
        """The series and the event, whose fees and exclusivity hold for the market."""
        ticker = series_of(market.event_ticker)
        if ticker not in self._series:
            await self._load_series(ticker)
        if market.event_ticker not in self._events:
            event = await or_none(queries.get_event(self._rest, market.event_ticker))
            self._events[market.event_ticker] = event
        return self._series[ticker], self._events[market.event_ticker]

    async def _load_series(self, ticker: str) -> None:
        """Read a series and, page by page, its live events: far fewer requests than one per event."""
        self._series[ticker] = await or_none(queries.get_series(self._rest, ticker))
        for event in await queries.get_events_of_series(self._rest, ticker):
            self._events[event.event_ticker] = event

    async def _matching(self, pattern: str) -> list[RestMarket]:
        kind, colon, name = pattern.partition(":")
        # A pattern whose first part has no wildcard names one series; without it every market would be read.
        series = name if colon else None if has_wildcard(pattern.partition("-")[0]) else pattern.partition("-")[0]
        group = {"event_ticker": name} if kind == "event" else {"series_ticker": series}
        found: list[RestMarket] = []
        for status in ("open", "unopened", "paused"):
            listed = await queries.get_markets(self._rest, status=status, **group)
            found += [one for one in listed if kind == "event" or self._selection.matches(pattern, one.ticker)]
        return found
