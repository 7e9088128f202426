"""The markets as clients are shown them: found by ticker or UUID, rendered from the engine's present state."""

from __future__ import annotations

from typing import Any

from connectors.kalshi.sandbox import errors, render_markets
from connectors.kalshi.sandbox.catalog import Catalog
from connectors.kalshi.sandbox.wire import VenueClock
from connectors.sandbox.exchange import Exchange
from connectors.sandbox.matching import Book
from connectors.sandbox.model import Market


class MarketView:
    """Read-only look at every market. `removed_members` adds to a Market what the venue has dropped."""

    def __init__(self, exchange: Exchange, catalog: Catalog, *, clock: VenueClock) -> None:
        self._exchange = exchange
        self._catalog = catalog
        self._clock = clock
        self._tickers_told: dict[str, dict[str, Any]] = {}
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
        if self._tickers_told.get(ticker) == figures:
            return None
        self._tickers_told[ticker] = figures
        return message
