"""Candlesticks: quotes and trades of each market, kept by the minute as they happen."""

from __future__ import annotations

from dataclasses import dataclass, field

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
    """The minutes of all markets in which something happened, oldest first.

    An empty bid counts as 0, an empty ask as 1. Call `note` with every batch of engine events, in order.
    """

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
            market = self._exchange.state.markets[ticker]
            candle.ask.add(market.spec.one if ask is None else ask)
            candle.open_interest = market.open_interest

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
