"""Candlesticks: quotes and trades of each market, kept by the minute as they happen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.kalshi.sandbox import wire
from connectors.kalshi.sandbox.wire import PRICE_ONE
from connectors.sandbox.engine.events import BookChange, Event, TradePrint
from connectors.sandbox.engine.exchange import Exchange
from connectors.sandbox.engine.model import NS_PER_S

MINUTE_S = 60
KEPT_MINUTES = 10_080
"""Minutes kept of each market, counting those in which something happened: a week of a busy one."""


@dataclass
class Span:
    """Open, high, low and close of one figure, in price units; `open` is None before the first value."""

    open: int | None = None
    high: int = 0
    low: int = 0
    close: int = 0

    def add(self, value: int) -> None:
        """Add one more value, later than all before it."""
        if self.open is None:
            self.open = self.high = self.low = value
        self.high, self.low, self.close = max(self.high, value), min(self.low, value), value

    def join(self, later: Span) -> None:
        """Add a whole later span; an empty one changes nothing."""
        if later.open is not None:
            for value in (later.open, later.high, later.low, later.close):
                self.add(value)


@dataclass
class Candle:
    """One period of one market; `end_s` is its end in Unix seconds. `money` is the sum of price x size."""

    end_s: int
    bid: Span = field(default_factory=Span)
    ask: Span = field(default_factory=Span)
    price: Span = field(default_factory=Span)
    volume: int = 0
    money: int = 0
    open_interest: int = 0

    def join(self, later: Candle) -> None:
        """Add a whole later candle; `end_s` stays, and open interest is the later one's."""
        self.bid.join(later.bid)
        self.ask.join(later.ask)
        self.price.join(later.price)
        self.volume += later.volume
        self.money += later.money
        self.open_interest = later.open_interest


class Candles:
    """The minutes of all markets in which something happened, oldest first."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._minutes: dict[str, list[Candle]] = {}

    def note(self, events: list[Event]) -> None:
        """Take in a batch of engine events; quotes are read from the books as they are after it."""
        touched: set[str] = set()
        for event in events:
            if isinstance(event, TradePrint):
                candle = self._minute(event.market_id, event.ns)
                candle.price.add(event.price)
                candle.volume += event.size
                candle.money += event.price * event.size
            if isinstance(event, TradePrint | BookChange):
                touched.add(event.market_id)
        now_ns = self._exchange.state.now_ns
        for ticker in touched:
            book = self._exchange.state.books[ticker]
            candle = self._minute(ticker, now_ns)
            bid, ask = book.best("bid"), book.best("ask")
            candle.bid.add(0 if bid is None else bid)
            candle.ask.add(PRICE_ONE if ask is None else ask)
            candle.open_interest = self._exchange.state.markets[ticker].open_interest

    def between(self, ticker: str, *, start_s: int, end_s: int, period_min: int) -> list[Candle]:
        """Candles of `period_min` minutes that end within start..end (Unix seconds); empty periods are left out."""
        period_s = period_min * MINUTE_S
        found: dict[int, Candle] = {}
        for minute in self._minutes.get(ticker, ()):
            ends = -(-minute.end_s // period_s) * period_s
            if start_s <= ends <= end_s + period_s:
                found.setdefault(ends, Candle(ends)).join(minute)
        return list(found.values())

    def _minute(self, ticker: str, ns: int) -> Candle:
        ends = (ns // NS_PER_S // MINUTE_S + 1) * MINUTE_S
        minutes = self._minutes.setdefault(ticker, [])
        if not minutes or minutes[-1].end_s < ends:
            minutes.append(Candle(ends))
            del minutes[:-KEPT_MINUTES]
        return minutes[-1]


def candle_objects(candles: Iterable[Candle]) -> list[dict[str, Any]]:
    """MarketCandlestick objects of consecutive candles; trade prices of a period without a trade are null."""
    shown = []
    previous: int | None = None
    for candle in candles:
        shown.append(
            {
                "end_period_ts": candle.end_s,
                "open_interest_fp": wire.count(candle.open_interest),
                "price": _prices(candle, previous),
                "volume_fp": wire.count(candle.volume),
                "yes_ask": _quotes(candle.ask),
                "yes_bid": _quotes(candle.bid),
            }
        )
        previous = candle.price.close if candle.price.open is not None else previous
    return shown


def count_of(listed: Sequence[list[dict[str, Any]]]) -> int:
    """How many candles a batch answer holds, over all its markets."""
    return sum(len(one) for one in listed)


def _quotes(span: Span) -> dict[str, str]:
    return {
        "close_dollars": wire.price(span.close),
        "high_dollars": wire.price(span.high),
        "low_dollars": wire.price(span.low),
        "open_dollars": wire.price(span.open or 0),
    }


def _prices(candle: Candle, previous: int | None) -> dict[str, str | None]:
    span = candle.price
    if span.open is None:
        names = ("open", "low", "high", "close", "mean", "min", "max")
        shown: dict[str, str | None] = dict.fromkeys((f"{name}_dollars" for name in names), None)
    else:
        mean = (2 * candle.money + candle.volume) // (2 * candle.volume)
        shown = {f"{name}": value for name, value in _quotes(span).items()}
        shown |= {
            "max_dollars": wire.price(span.high),
            "mean_dollars": wire.price(mean),
            "min_dollars": wire.price(span.low),
        }
    return shown | {"previous_dollars": None if previous is None else wire.price(previous)}
