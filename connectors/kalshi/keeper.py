"""Reads markets again when the stream says that they changed, without holding the stream up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from connectors.kalshi.loader import MarketLoader
from framework.domain.errors import RefusedByVenue, Retryable

# A created market may take a moment to be readable (vendor docs).
_RETRY_MS = 1_000
_TRIES_MAX = 30


class MarketKeeper:
    """A queue of one kind of work, each market at most once in it. `on_fetched` is called after each market."""

    def __init__(self, loader: MarketLoader, on_fetched: Callable[[str], None]) -> None:
        self._loader = loader
        self._on_fetched = on_fetched
        self._tries: dict[str, int] = {}
        self._is_refresh_wanted = False
        self._is_wanted = asyncio.Event()
        self.abandoned = 0
        """Markets that could not be read after many tries; a refresh may still find them."""

    def __repr__(self) -> str:
        return f"<MarketKeeper waiting={len(self._tries)} refresh={self._is_refresh_wanted}>"

    def fetch(self, ticker: str) -> None:
        """Have one market read soon."""
        self._tries.setdefault(ticker, 0)
        self._is_wanted.set()

    def refresh(self) -> None:
        """Have every known market read soon."""
        self._is_refresh_wanted = True
        self._is_wanted.set()

    async def run(self) -> None:
        """Work until cancelled. Raises `Fatal` only."""
        while True:
            await self._is_wanted.wait()
            self._is_wanted.clear()
            try:
                if self._is_refresh_wanted:
                    await self._loader.refresh()
                    self._is_refresh_wanted = False
            except (Retryable, RefusedByVenue):
                self._is_wanted.set()
            for ticker in list(self._tries):
                await self._fetch(ticker)
            if self._tries or self._is_wanted.is_set():
                self._is_wanted.set()
                await asyncio.sleep(_RETRY_MS / 1000)

    async def _fetch(self, ticker: str) -> None:
        try:
            is_found = await self._loader.fetch(ticker)
        except (Retryable, RefusedByVenue):
            is_found = False
        if is_found:
            self._tries.pop(ticker, None)
            self._on_fetched(ticker)
            return
        self._tries[ticker] += 1
        if self._tries[ticker] >= _TRIES_MAX:
            del self._tries[ticker]
            self.abandoned += 1
