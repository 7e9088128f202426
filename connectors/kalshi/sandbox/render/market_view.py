"""The markets as clients see them: found by ticker or UUID, rendered from the engine's present state."""

from __future__ import annotations

from typing import Any

from connectors.kalshi.sandbox import errors, words
from connectors.kalshi.sandbox.listings import Catalog
from connectors.kalshi.sandbox.render.markets import REMOVED_MEMBERS, Listed, market_object, ticker_message
from connectors.sandbox.engine.exchange import Exchange
from connectors.sandbox.engine.matching import Book
from connectors.sandbox.engine.model import Market
from connectors.sandbox.serving.clock import VenueClock


class MarketView:
    """Read-only look at every market. `removed_members` adds to each Market object what the venue has dropped.

    Methods that take a `ticker` raise `KeyError` for an unknown one, `get` and `exists` excepted.
    """

    def __init__(self, exchange: Exchange, catalog: Catalog, *, clock: VenueClock) -> None:
        self._state = exchange.state
        self._clock = clock
        self._tickers_sent: dict[str, dict[str, Any]] = {}
        self.catalog = catalog
        self.removed_members = False

    def exists(self, ticker: str) -> bool:
        """True when a market of this ticker is listed, in whatever status."""
        return ticker in self._state.markets

    def get(self, ticker: str) -> Market:
        """A market by its ticker. Raises `Refusal` 404 `not_found` when there is none."""
        if not self.exists(ticker):
            raise errors.nested("not_found")
        return self._state.markets[ticker]

    def book(self, ticker: str) -> Book:
        """The engine's book of a market, as it is now."""
        return self._state.books[ticker]

    def shard(self, ticker: str) -> int:
        """The exchange index (shard) of a market, from 0."""
        return words.shard_of(self._state.markets[ticker].spec)

    def uuid(self, ticker: str) -> str:
        """The UUID that the stream gives as `market_id`; REST never shows it (vendor docs)."""
        return self.catalog.markets[ticker].market_uuid

    def listed(self, ticker: str) -> Listed:
        """A market with its listing and book, to be rendered as it is now."""
        return Listed(self._state.markets[ticker], self.catalog.markets[ticker], self.book(ticker), self._clock)

    def rendered(self, ticker: str) -> dict[str, Any]:
        """The Market object of a market, as REST writes it now."""
        shown = market_object(self.listed(ticker))
        return shown | REMOVED_MEMBERS if self.removed_members else shown

    def ticker_change(self, ticker: str) -> dict[str, Any] | None:
        """The `msg` of a ticker frame when one of its figures changed since this market's last call, else None."""
        message = ticker_message(self.listed(ticker))
        figures = {name: value for name, value in message.items() if name not in {"ts", "ts_ms", "time"}}
        if self._tickers_sent.get(ticker) == figures:
            return None
        self._tickers_sent[ticker] = figures
        return message
