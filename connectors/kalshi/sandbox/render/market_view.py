"""The markets as clients see them: found by ticker or UUID, rendered from the engine's present state."""

from __future__ import annotations

from typing import Any

from connectors.kalshi.sandbox import errors, words
from connectors.kalshi.sandbox.catalog import Catalog
from connectors.kalshi.sandbox.render.markets import REMOVED_MEMBERS, market_object, snapshot_message, ticker_message
from connectors.sandbox.engine.exchange import Exchange
from connectors.sandbox.engine.matching import Book
from connectors.sandbox.engine.model import Market
from connectors.sandbox.serving.clock import VenueClock


class MarketView:
    """Read-only look at every market. `removed_members` adds to each Market object what the venue has dropped.

    Methods that take a `ticker` raise `KeyError` for an unknown one, `get` and `exists` excepted.
    """

    def __init__(self, exchange: Exchange, catalog: Catalog, *, clock: VenueClock) -> None:
        self._exchange = exchange
        self._catalog = catalog
        self._clock = clock
        self._tickers_sent: dict[str, dict[str, Any]] = {}
        self.removed_members = False

    def get(self, ticker: str) -> Market:
        """A market by its ticker. Raises `Refusal` 404 `not_found` when there is none."""
        market = self._exchange.state.markets.get(ticker)
        if market is None:
            raise errors.nested("not_found")
        return market

    def book(self, ticker: str) -> Book:
        """The engine's book of a market, as it is now."""
        return self._exchange.state.books[ticker]

    def shard(self, ticker: str) -> int:
        """The exchange index (shard) of a market, from 0."""
        return words.shard_of(self._exchange.state.markets[ticker].spec)

    def uuid(self, ticker: str) -> str:
        """The UUID that the stream gives as `market_id`; REST never shows it (vendor docs)."""
        return self._catalog.markets[ticker].market_uuid

    def rendered(self, ticker: str) -> dict[str, Any]:
        """The Market object of a market, as REST writes it now."""
        market, listing = self._exchange.state.markets[ticker], self._catalog.markets[ticker]
        shown = market_object(market, listing, book=self.book(ticker), clock=self._clock)
        return shown | REMOVED_MEMBERS if self.removed_members else shown

    def exists(self, ticker: str) -> bool:
        """True when a market of this ticker is listed, in whatever status."""
        return ticker in self._exchange.state.markets

    def ticker_of(self, market_uuid: str) -> str | None:
        """The ticker of the market with this UUID, or None."""
        return self._catalog.ticker_of(market_uuid)

    def snapshot(self, ticker: str, *, use_yes_price: bool) -> dict[str, Any]:
        """The `msg` of an orderbook_snapshot; asks in NO prices unless `use_yes_price`."""
        market = self._exchange.state.markets[ticker]
        return snapshot_message(market, self.book(ticker), market_uuid=self.uuid(ticker), use_yes_price=use_yes_price)

    def ticker_message(self, ticker: str) -> dict[str, Any]:
        """The `msg` of a ticker frame, stamped with the present time."""
        market = self._exchange.state.markets[ticker]
        return ticker_message(
            market,
            self.book(ticker),
            market_uuid=self.uuid(ticker),
            clock=self._clock,
            engine_ns=self._clock.engine_ns(),
        )

    def ticker_change(self, ticker: str) -> dict[str, Any] | None:
        """The `msg` of a ticker frame when one of its figures changed since this market's last call, else None."""
        message = self.ticker_message(ticker)
        figures = {name: value for name, value in message.items() if name not in {"ts", "ts_ms", "time"}}
        if self._tickers_sent.get(ticker) == figures:
            return None
        self._tickers_sent[ticker] = figures
        return message
