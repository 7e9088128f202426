"""Reads markets over REST: at the start those that are wanted, later those that the stream announces as changed.

`MarketLoader` reads and publishes. `MarketRefresher` calls it from a task of its own, so that the stream never waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from connectors.kalshi.markets.instruments import UnusableMarket, fees_of, series_of, settlement_value_of
from connectors.kalshi.markets.registry import MarketRegistry, ReadBegan, Selection
from connectors.kalshi.rest import queries
from connectors.kalshi.rest.client import KalshiRest, UnreadableAnswer
from connectors.kalshi.rest.rate_limits import CostTable, documented_costs, rate_limits, tier_limits
from connectors.kalshi.settings import KalshiSettings
from connectors.kalshi.wire.market_messages import RestEvent, RestMarket, RestSeries
from framework.domain.errors import ConfigurationError, RefusedByVenue, Retryable
from framework.domain.events import Event
from framework.domain.market_events import LimitsDeclared
from framework.domain.ports import Clock

_WILDCARDS = frozenset("*?[")
# A position whose market settled while the daemon was down is closed by the payment, if it is no older than this.
_SETTLEMENTS_LOOK_BACK_S = 14 * 24 * 3600
# A created market may not be readable at once (vendor docs), so it is tried for half a minute.
_RETRY_MS = 1_000
_TRIES_MAX = 30
# Listing what is wanted takes a hundredth of the time at most: a pattern without a series reads every market there is.
_SEARCH_PAUSE_FACTOR = 100
_log = structlog.get_logger("kalshi")


class MarketLoader:
    """Reads markets with the fees of their series and events, defines them in the registry and publishes the events.

    Call order: `declare_limits`, `load` once, then `fetch`, `refresh` and `find_new`. All raise like `KalshiRest.get`.
    """

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
        self._series: dict[str, RestSeries | None] = {}
        self._events: dict[str, RestEvent | None] = {}
        self._search_due_ns = 0

    async def declare_limits(self) -> None:
        """Publish the account's rate limits, and pace reads by them.

        Where the venue refuses to state them, or states what can't be read, the documented ones of the setting `tier`
        are used.
        """
        try:
            costs = CostTable(await queries.get_endpoint_costs(self._rest))
        except (RefusedByVenue, UnreadableAnswer):
            costs = documented_costs()
        try:
            account = await queries.get_account_limits(self._rest)
        except (RefusedByVenue, UnreadableAnswer):
            account = tier_limits(self._settings.tier)
        limits = rate_limits(account, costs)
        self._rest.adopt_limits(limits, costs)
        self._publish(LimitsDeclared(self._venue, limits, self._clock.now_ns()))

    async def load(self) -> None:
        """Define every wanted market, and every other one in which the account has a position, an order or a payment.

        A pattern may match nothing yet: its markets are followed once they are created. Raises
        `ConfigurationError` for an exact ticker that does not exist, and for more markets than `markets_max`.
        """
        began = self._begin()
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
        others = await queries.get_markets_named(self._rest, [ticker for ticker in held if ticker not in wanted])
        await self._define([*wanted.values(), *others], began, is_start=True)
        self._registry.follow(wanted)

    async def refresh(self) -> list[str]:
        """Read every known market again, because lifecycle messages may have been missed. Returns those that must be
        read once more: a message came about them meanwhile."""
        began, known = self._begin(), self._registry.tickers()
        await self._define(await queries.get_markets_named(self._rest, known), began)
        return [ticker for ticker in known if self._registry.is_outdated(ticker)]

    async def find_new(self) -> None:
        """List what is wanted, define what is not known yet, and follow it as far as there is room: a market may have
        been created while nobody told us, or while there was none. Does nothing where the last list took so long that
        it is too early for another one."""
        began = self._begin()
        if not self._registry.has_room or began.monotonic_ns < self._search_due_ns:
            return
        try:
            wanted = await self._wanted()
        except (RefusedByVenue, UnreadableAnswer):
            self._pause_search(began)
            raise
        self._pause_search(began)
        new = [market for ticker, market in wanted.items() if not self._registry.find_ticker(ticker)]
        await self._define(new, began)
        self._registry.follow(wanted)

    def _pause_search(self, began: ReadBegan) -> None:
        now_ns = self._clock.monotonic_ns()
        self._search_due_ns = now_ns + _SEARCH_PAUSE_FACTOR * (now_ns - began.monotonic_ns)

    async def fetch(self, ticker: str) -> bool:
        """Read and define one market. False when the venue does not list it yet, not yet what it pays, or not yet what
        the last message said of it."""
        began = self._begin()
        market = await queries.or_none(queries.get_market(self._rest, ticker))
        if market is None:
            return False
        await self._define([market], began)
        return not (self._registry.is_paying(ticker) or self._registry.is_outdated(ticker))

    def _begin(self) -> ReadBegan:
        return ReadBegan(self._clock.monotonic_ns(), self._rest.time.now_ns())

    async def _wanted(self) -> dict[str, RestMarket]:
        found: dict[str, RestMarket] = {}
        exact = [pattern for pattern in self._settings.markets if _is_exact(pattern)]
        for market in await queries.get_markets_named(self._rest, exact):
            found[market.ticker] = market
        for pattern in self._settings.markets:
            if not _is_exact(pattern):
                found |= {market.ticker: market for market in await self._matching(pattern)}
        return found

    async def _matching(self, pattern: str) -> list[RestMarket]:
        kind, colon, name = pattern.partition(":")
        series = event = None
        if colon and kind == "event":
            event = name
        elif colon:
            series = name
        else:
            # A pattern whose first part has no wildcard names one series; without it every market would be read.
            first = pattern.partition("-")[0]
            series = None if _WILDCARDS & set(first) else first
        selection = Selection((pattern,))
        found: list[RestMarket] = []
        for status in ("open", "unopened", "paused"):
            listed = await queries.get_markets(self._rest, series_ticker=series, event_ticker=event, status=status)
            found += [market for market in listed if event is not None or selection.wants(market.ticker)]
        return found

    async def _held(self) -> list[str]:
        own = self._settings.own_subaccount
        since_s = max(0, self._rest.time.now_ms() // 1000 - _SETTLEMENTS_LOOK_BACK_S)
        held: list[str] = []
        for listed in (
            await queries.get_positions(self._rest, subaccount=own),
            await queries.get_orders(self._rest, status="resting", subaccount=own),
            await queries.get_settlements(self._rest, since_s=since_s, subaccount=own),
        ):
            held += [*(one.ticker for one in listed), *(row.text("ticker") for row in listed.bad if row.text("ticker"))]
        return list(dict.fromkeys(held))

    async def _define(self, markets: Iterable[RestMarket], began: ReadBegan, *, is_start: bool = False) -> None:
        """Define the markets that can be. At the start, an unusable one that is wanted by its exact name raises
        `ConfigurationError`. Later it stays as it was known: one bad market must not stop the others."""
        for market in markets:
            try:
                fees = await self._fees(market)
                events = self._registry.define(market, fees_of(*fees), ts_recv=self._clock.now_ns(), began=began)
            except (UnusableMarket, UnreadableAnswer) as e:
                if is_start and market.ticker in self._settings.markets:
                    raise ConfigurationError(f"markets: {e}") from e
                continue
            for event in events:
                self._publish(event)
            if settlement_value_of(market) is not None:
                self._events.pop(market.event_ticker, None)

    async def _fees(self, market: RestMarket) -> tuple[RestSeries | None, RestEvent | None]:
        """The series and the event, whose fees hold for the market."""
        ticker = series_of(market.event_ticker)
        if ticker not in self._series:
            await self._load_series(ticker)
        if market.event_ticker not in self._events:
            event = await queries.or_none(queries.get_event(self._rest, market.event_ticker))
            self._events[market.event_ticker] = event
        return self._series[ticker], self._events[market.event_ticker]

    async def _load_series(self, ticker: str) -> None:
        """Read a series and, page by page, its live events: far fewer requests than one per event."""
        self._series[ticker] = await queries.or_none(queries.get_series(self._rest, ticker))
        for event in await queries.get_events_of_series(self._rest, ticker):
            self._events[event.event_ticker] = event


def _is_exact(pattern: str) -> bool:
    return ":" not in pattern and not _WILDCARDS & set(pattern)


class MarketRefresher:
    """Queue of markets to read again, each at most once in it. `on_fetched` is called with each that was read."""

    def __init__(self, loader: MarketLoader, on_fetched: Callable[[str], None]) -> None:
        self._loader = loader
        self._on_fetched = on_fetched
        self._tries: dict[str, int] = {}
        self._asked_again: set[str] = set()
        self._is_refresh_wanted = False
        self._is_search_wanted = False
        self._is_wanted = asyncio.Event()
        self.abandoned = 0
        """How many markets could not be read in `_TRIES_MAX` tries; a refresh may still find them."""

    def __repr__(self) -> str:
        return f"<MarketRefresher waiting={len(self._tries)} refresh={self._is_refresh_wanted}>"

    def fetch(self, ticker: str) -> None:
        """Queue one market to be read; one that is queued already keeps its tries. One that is being read now is read
        once more after that: what this is asked for need not be in the answer."""
        self._tries.setdefault(ticker, 0)
        self._asked_again.add(ticker)
        self._is_wanted.set()

    def refresh(self) -> None:
        """Have every known market read and new ones looked for, before the queued ones."""
        self._is_refresh_wanted = True
        self.search()

    def search(self) -> None:
        """Have markets looked for that are wanted and not known yet."""
        self._is_search_wanted = True
        self._is_wanted.set()

    async def run(self) -> None:
        """Read what is queued, until cancelled. What may succeed then is tried again after a second; raises `Fatal`
        only."""
        while True:
            await self._is_wanted.wait()
            self._is_wanted.clear()
            if self._is_refresh_wanted:
                await self._refresh_known()
            if self._is_search_wanted:
                await self._find_new()
            for ticker in list(self._tries):
                await self._fetch(ticker)
            if self._tries or self._is_wanted.is_set():
                self._is_wanted.set()
                await asyncio.sleep(_RETRY_MS / 1000)

    async def _refresh_known(self) -> None:
        """One that is asked for meanwhile is done afterwards; so is one that failed, if it may succeed then."""
        self._is_refresh_wanted = False
        try:
            for ticker in await self._loader.refresh():
                self._tries.setdefault(ticker, 0)
        except (RefusedByVenue, UnreadableAnswer) as e:
            _log.warning("known markets can't be read again", reason=str(e))
        except Retryable:
            self._is_refresh_wanted = True
            self._is_wanted.set()

    async def _find_new(self) -> None:
        """One that fails is not done again before it is asked for: the lists may be long."""
        self._is_search_wanted = False
        try:
            await self._loader.find_new()
        except (Retryable, RefusedByVenue) as e:
            _log.warning("new markets can't be looked for", reason=str(e))

    async def _fetch(self, ticker: str) -> None:
        self._asked_again.discard(ticker)
        if await self._is_fetched(ticker):
            if ticker not in self._asked_again:
                del self._tries[ticker]
            self._on_fetched(ticker)
            return
        self._tries[ticker] += 1
        if self._tries[ticker] >= _TRIES_MAX:
            del self._tries[ticker]
            self.abandoned += 1

    async def _is_fetched(self, ticker: str) -> bool:
        try:
            return await self._loader.fetch(ticker)
        except (Retryable, RefusedByVenue):
            return False
