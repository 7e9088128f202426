"""The listings around the markets: series, events, and each market's texts and strikes. The engine needs none of it."""

from __future__ import annotations

from connectors.kalshi.sandbox.listings import EventListing, Listings, MarketListing, Series


class Catalog:
    """All listings by ticker, each kind in order of listing: series, events, and markets."""

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
        """The event ticker of a market. Raises `KeyError` when there is no such market."""
        return self.markets[ticker].event_ticker

    def ticker_of(self, market_uuid: str) -> str | None:
        """The ticker of the market that the stream names by this UUID, or None."""
        return self._by_uuid.get(market_uuid)

    def of_event(self, event_ticker: str) -> list[MarketListing]:
        """The markets of an event, in order of listing; empty for an unknown event."""
        return [market for market in self.markets.values() if market.event_ticker == event_ticker]

    def of_series(self, series_ticker: str) -> list[MarketListing]:
        """The markets of a series, in order of listing; empty for an unknown series."""
        return [market for market in self.markets.values() if market.series_ticker == series_ticker]
