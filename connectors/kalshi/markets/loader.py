"""Reads the markets that are wanted, with the fees of their series and events.

Reads markets again when the stream says that they changed, without holding the stream up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from connectors.kalshi.markets.instruments import UnusableMarket, fees_of, series_of
from connectors.kalshi.markets.registry import MarketRegistry, Selection
from connectors.kalshi.rest import queries
from connectors.kalshi.rest.client import KalshiRest
from connectors.kalshi.rest.rate_limits import CostTable, documented_costs, rate_limits, tier_limits
from connectors.kalshi.settings import KalshiSettings
from connectors.kalshi.wire.errors import NOT_FOUND
from connectors.kalshi.wire.market_messages import Event as EventMessage
from connectors.kalshi.wire.market_messages import Market, Series
from framework.domain.errors import ConfigurationError, RefusedByVenue, Retryable
from framework.domain.events import Event
from framework.domain.market_events import LimitsDeclared
from framework.domain.ports import Clock

_WILDCARDS = frozenset("*?[")
# Positions of markets that settled while nobody watched are ended by what the venue paid since then.
_SETTLEMENTS_LOOK_BACK_S = 14 * 24 * 3600


class MarketLoader:
    """Fills a registry from REST and publishes what it learns."""

    def __init__(
        self,
        venue: str,
        rest: KalshiRest,
        settings: KalshiSettings,
        registry: MarketRegistry,
        *,
        clock: Clock,
        publish: Callable[[Event], None],
    ) -> None:
        self._venue = venue
        self._rest = rest
        self._settings = settings
        self._registry = registry
        self._clock = clock
        self._publish = publish
        self._series: dict[str, Series | None] = {}
        self._events: dict[str, EventMessage | None] = {}

    async def declare_limits(self) -> None:
        """Publish the account's rate limits, and pace reads by them."""
        try:
            costs = CostTable(await queries.endpoint_costs(self._rest))
        except RefusedByVenue:
            costs = documented_costs()
        try:
            account = await queries.account_limits(self._rest)
        except RefusedByVenue:
            account = tier_limits(self._settings.tier)
        limits = rate_limits(account, costs)
        self._rest.adopt_limits(limits, costs)
        self._publish(LimitsDeclared(self._venue, limits, self._clock.now_ns()))

    async def load(self) -> None:
        """Define every wanted market, and every other one that the account holds or was paid for lately.

        A pattern may match nothing yet: its markets are followed once they are created. Raises
        `ConfigurationError` for an exact ticker that does not exist, and for more markets than `markets_max`.
        """
        wanted = await self._wanted()
        missing = [one for one in self._settings.markets if _is_exact(one) and one not in wanted]
        if missing:
            raise ConfigurationError(f"markets: the venue has no market {', '.join(missing)}; check the names")
        if len(wanted) > self._settings.markets_max:
            raise ConfigurationError(
                f"markets={list(self._settings.markets)}: {len(wanted)} markets match, more than"
                f" markets_max={self._settings.markets_max}; raise it or narrow the patterns"
            )
        held = await self._held()
        others = await queries.markets_named(self._rest, [ticker for ticker in held if ticker not in wanted])
        await self._define([*wanted.values(), *others], is_start=True)
        self._registry.follow(wanted)

    async def refresh(self) -> None:
        """Read every known market anew: lifecycle messages were missed."""
        await self._define(await queries.markets_named(self._rest, self._registry.tickers()))

    async def fetch(self, ticker: str) -> bool:
        """Define one market anew; False when the venue does not show it (yet), or not yet what it pays."""
        try:
            market = await queries.market(self._rest, ticker)
        except RefusedByVenue as e:
            if e.code.startswith(NOT_FOUND):
                return False
            raise
        await self._define([market])
        return not self._registry.is_paying(ticker)

    async def _wanted(self) -> dict[str, Market]:
        found: dict[str, Market] = {}
        exact = [pattern for pattern in self._settings.markets if _is_exact(pattern)]
        for market in await queries.markets_named(self._rest, exact):
            found[market.ticker] = market
        for pattern in self._settings.markets:
            if not _is_exact(pattern):
                found |= {market.ticker: market for market in await self._matching(pattern)}
        return found

    async def _matching(self, pattern: str) -> list[Market]:
        kind, colon, name = pattern.partition(":")
        series = event = None
        if colon and kind == "event":
            event = name
        elif colon:
            series = name
        else:
            # A pattern whose first part is plain names one series, which spares reading every market there is.
            first = pattern.partition("-")[0]
            series = None if _WILDCARDS & set(first) else first
        selection = Selection((pattern,))
        found: list[Market] = []
        for status in ("open", "unopened", "paused"):
            listed = await queries.markets(self._rest, series_ticker=series, event_ticker=event, status=status)
            found += [market for market in listed if event is not None or selection.wants(market.ticker)]
        return found

    async def _held(self) -> list[str]:
        subaccount = self._settings.own_subaccount
        since_s = max(0, self._rest.time.now_ms() // 1000 - _SETTLEMENTS_LOOK_BACK_S)
        held = [one.ticker for one in await queries.positions(self._rest, subaccount=subaccount)]
        held += [one.ticker for one in await queries.orders(self._rest, status="resting", subaccount=subaccount)]
        held += [one.ticker for one in await queries.settlements(self._rest, since_s=since_s, subaccount=subaccount)]
        return list(dict.fromkeys(held))

    async def _define(self, markets: Iterable[Market], *, is_start: bool = False) -> None:
        """Define what can be. Raises `ConfigurationError` for an exactly wanted market that can't, but later than at
        the start it is left as it was known, and the others go on."""
        for market in markets:
            fees = await self._fees(market)
            try:
                events = self._registry.define(market, fees_of(*fees), ts_recv=self._clock.now_ns())
            except UnusableMarket as e:
                if is_start and self._is_exactly_wanted(market.ticker):
                    raise ConfigurationError(f"markets: {e}") from e
                continue
            for event in events:
                self._publish(event)

    async def _fees(self, market: Market) -> tuple[Series | None, EventMessage | None]:
        """The series and the event, whose fees hold for the market."""
        ticker = series_of(market.event_ticker)
        if ticker not in self._series:
            await self._load_series(ticker)
        if market.event_ticker not in self._events:
            self._events[market.event_ticker] = await self._event(market.event_ticker)
        return self._series[ticker], self._events[market.event_ticker]

    async def _load_series(self, ticker: str) -> None:
        """Read a series and, page by page, its live events: far fewer requests than one per event."""
        try:
            self._series[ticker] = await queries.series(self._rest, ticker)
        except RefusedByVenue as e:
            if not e.code.startswith(NOT_FOUND):
                raise
            self._series[ticker] = None
        for event in await queries.events_of_series(self._rest, ticker):
            self._events[event.event_ticker] = event

    async def _event(self, ticker: str) -> EventMessage | None:
        try:
            return await queries.event(self._rest, ticker)
        except RefusedByVenue as e:
            if not e.code.startswith(NOT_FOUND):
                raise
            return None

    def _is_exactly_wanted(self, ticker: str) -> bool:
        return ticker in self._settings.markets


def _is_exact(pattern: str) -> bool:
    return ":" not in pattern and not _WILDCARDS & set(pattern)


# A created market may take a moment to be readable (vendor docs).
_RETRY_MS = 1_000
_TRIES_MAX = 30


class MarketRefresher:
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
