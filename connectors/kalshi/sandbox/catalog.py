"""The listings around the markets: series, events, and each market's texts and strikes. The engine needs none of it."""

from __future__ import annotations

from connectors.kalshi.sandbox.listings import EventListing, Listings, MarketListing, Series


class Catalog:
    """All listings by ticker, each kind in order of listing: series, events, and markets."""

    def __init__(self, listings: Listings) -> None:
        self.series: dict[str, Series] = {}
        self.events: dict[str, EventListing] = {}
        self.markets: dict[str, MarketListing] = {}
        self.add(listings)

    def add(self, listings: Listings) -> None:
        """List more series, events and markets; those that are known already are replaced."""
        self.series |= {one.ticker: one for one in listings.series}
        self.events |= {one.event_ticker: one for one in listings.events}
        self.markets |= {one.spec.market_id: one for one in listings.markets}

    def event_of(self, ticker: str) -> str:
        """The event ticker of a market. Raises `KeyError` when there is no such market."""
        return self.markets[ticker].event_ticker

    def ticker_of(self, market_uuid: str) -> str | None:
        """The ticker of the market that the stream names by this UUID, or None."""
        return next((ticker for ticker, one in self.markets.items() if one.market_uuid == market_uuid), None)

    def tickers_of(self, group_ticker: str) -> list[str]:
        """The tickers of the markets of an event or a series, in order of listing; empty for an unknown one."""
        return [ticker for ticker, one in self.markets.items() if group_ticker in (one.event_ticker, one.series_ticker)]
