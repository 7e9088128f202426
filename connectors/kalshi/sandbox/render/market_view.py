"""The markets as clients are shown them: found by ticker or UUID, rendered from the engine's present state.

The words around the markets: events, series, titles, strikes. The engine trades without them.
"""

from __future__ import annotations

from typing import Any

from connectors.kalshi.sandbox import errors
from connectors.kalshi.sandbox.render import markets as render_markets
from connectors.kalshi.sandbox.wire import VenueClock
from connectors.sandbox.exchange import Exchange
from connectors.sandbox.markets import EventListing, Listings, MarketListing, Series
from connectors.sandbox.matching import Book
from connectors.sandbox.model import Market


class Catalog:
    """All listings by ticker, each kind in order of listing."""

    def __init__(self, listings: Listings) -> None:
        self.series: dict[str, Series] = {}
        self.events: dict[str, EventListing] = {}
        self.markets: dict[str, MarketListing] = {}
        self._by_uuid: dict[str, str] = {}
        self.add(listings)

    def add(self, listings: Listings) -> None:
        """List more series, events and markets; those that are known already are replaced."""
        self.series |= {one.ticker: one for one in listings.series}
        self.events |= {one.event_ticker: one for one in listings.events}
        for market in listings.markets:
            self.markets[market.spec.market_id] = market
            self._by_uuid[market.market_uuid] = market.spec.market_id

    def event_of(self, ticker: str) -> str:
        """The event ticker of a market that exists."""
        return self.markets[ticker].event_ticker

    def ticker_of(self, market_uuid: str) -> str | None:
        """The market that the stream names by this UUID, or None."""
        return self._by_uuid.get(market_uuid)

    def of_event(self, event_ticker: str) -> list[MarketListing]:
        """The markets of an event, in order of listing."""
        return [market for market in self.markets.values() if market.event_ticker == event_ticker]

    def of_series(self, series_ticker: str) -> list[MarketListing]:
        """The markets of a series, in order of listing."""
        return [market for market in self.markets.values() if market.series_ticker == series_ticker]


class MarketView:
    """Read-only look at every market. `removed_members` adds to a Market what the venue has dropped."""

    def __init__(self, exchange: Exchange, catalog: Catalog, *, clock: VenueClock) -> None:
        self._exchange = exchange
        self._catalog = catalog
        self._clock = clock
        self._tickers_sent: dict[str, dict[str, Any]] = {}
        self.removed_members = False

    def get(self, ticker: str) -> Market:
        """A market by its ticker. Raises `VenueRefusal` 404 when there is none."""
        market = self._exchange.state.markets.get(ticker)
        if market is None:
            raise errors.nested("not_found")
        return market

    def book(self, ticker: str) -> Book:
        """The book of a market that exists."""
        return self._exchange.state.books[ticker]

    def shard(self, ticker: str) -> int:
        """The exchange index of a market that exists."""
        return self._exchange.state.markets[ticker].spec.exchange_index

    def uuid(self, ticker: str) -> str:
        """The UUID that the stream names a market by."""
        return self._catalog.markets[ticker].market_uuid

    def rendered(self, ticker: str) -> dict[str, Any]:
        """The Market object of a market that exists."""
        market, listing = self._exchange.state.markets[ticker], self._catalog.markets[ticker]
        shown = render_markets.market(market, listing, book=self.book(ticker), clock=self._clock)
        return shown | render_markets.REMOVED_MEMBERS if self.removed_members else shown

    def knows(self, ticker: str) -> bool:
        """True when the market exists."""
        return ticker in self._exchange.state.markets

    def ticker_of(self, market_id: str) -> str | None:
        """The ticker of a market's UUID, or None."""
        return self._catalog.ticker_of(market_id)

    def snapshot(self, ticker: str, *, use_yes_price: bool) -> dict[str, Any]:
        """The `msg` of an orderbook_snapshot."""
        market = self._exchange.state.markets[ticker]
        return render_markets.snapshot_message(
            market, self.book(ticker), market_uuid=self.uuid(ticker), use_yes_price=use_yes_price
        )

    def ticker_message(self, ticker: str) -> dict[str, Any]:
        """The `msg` of a ticker frame as of now."""
        market = self._exchange.state.markets[ticker]
        return render_markets.ticker_message(
            market,
            self.book(ticker),
            market_uuid=self.uuid(ticker),
            clock=self._clock,
            engine_ns=self._clock.engine_ns(),
        )

    def ticker_change(self, ticker: str) -> dict[str, Any] | None:
        """The `msg` of a ticker frame when one of its figures changed since the last call, else None."""
        message = self.ticker_message(ticker)
        figures = {name: value for name, value in message.items() if name not in {"ts", "ts_ms", "time"}}
        if self._tickers_sent.get(ticker) == figures:
            return None
        self._tickers_sent[ticker] = figures
        return message
