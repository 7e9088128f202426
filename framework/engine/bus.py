"""The bus: typed topics, resolved once into tuples of handlers, called inline and in a fixed order.

A topic is an event class, narrowed to one instrument or not. Handlers guard themselves (see
`framework.engine.strategy_host`): whatever one of them does, the next is called.

What follows from an event: which hook of which strategy hears of it, and which instrument is halted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from framework.domain.account_events import Scope, TradingState, TradingStateChanged
from framework.domain.instruments import InstrumentId
from framework.domain.market_events import BookDelta, BookLevel, BookSnapshot, BookStale, ConnectorStatus, TradePrint
from framework.engine.strategy_host import StrategyHost
from framework.state.books import Book, Books
from framework.state.change import Change
from framework.state.orders import Orders

Handler = Callable[[Any], None]

ANY = InstrumentId("")
"""Subscribe to a topic for every instrument."""


class Bus:
    """Who gets what. Handlers are called in the order in which they subscribed."""

    __slots__ = ("_resolved", "_subscriptions")

    def __init__(self) -> None:
        self._subscriptions: list[tuple[type, InstrumentId, Handler]] = []
        self._resolved: dict[tuple[type, InstrumentId], tuple[Handler, ...]] = {}

    def subscribe(self, event_type: type, handler: Handler, instrument: InstrumentId = ANY) -> None:
        """Have `handler` called for every event of exactly `event_type`, of one instrument or of `ANY`."""
        self._subscriptions.append((event_type, instrument, handler))
        self._resolved.clear()

    def publish(self, event: object, instrument: InstrumentId = ANY) -> None:
        """Call every handler of the event's topic, now."""
        topic = (type(event), instrument)
        handlers = self._resolved.get(topic)
        if handlers is None:
            handlers = self._resolve(topic)
        for handler in handlers:
            handler(event)

    def _resolve(self, topic: tuple[type, InstrumentId]) -> tuple[Handler, ...]:
        event_type, instrument = topic
        handlers = tuple(
            handler
            for subscribed_type, subscribed_instrument, handler in self._subscriptions
            if subscribed_type is event_type and subscribed_instrument in (ANY, instrument)
        )
        self._resolved[topic] = handlers
        return handlers


BOOK_EVENTS = (BookSnapshot, BookDelta, BookLevel, BookStale)


def bind(bus: Bus, host: StrategyHost, instruments: tuple[InstrumentId, ...], books: Books) -> None:
    """Subscribe a strategy's hooks to the topics of its instruments."""
    strategy = host.strategy
    for instrument in instruments:
        on_book = partial(_call_on_book, host, books.of(instrument))
        for event_type in BOOK_EVENTS:
            bus.subscribe(event_type, on_book, instrument)
        bus.subscribe(TradePrint, partial(host.call, strategy.on_trade), instrument)
    bus.subscribe(ConnectorStatus, partial(host.call, strategy.on_connector))


def notify(hosts: Mapping[str, StrategyHost], change: Change, orders: Orders) -> None:
    """Tell strategies of their fills, then of their orders."""
    for fill in change.fills:
        order = orders.get(fill.client_order_id)
        if order is not None and (host := hosts.get(order.strategy)):
            host.call(host.strategy.on_fill, fill, order)
    for order in change.orders:
        if host := hosts.get(order.strategy):
            host.call(host.strategy.on_order, order)


def halt(instrument: InstrumentId, change: Change, now_ns: int) -> TradingStateChanged:
    """The input that stops trading in an instrument after an alarm."""
    return TradingStateChanged(
        scope=Scope.INSTRUMENT,
        target=instrument,
        state=TradingState.HALTED,
        reason="; ".join(change.alarms),
        ts_recv=now_ns,
    )


def _call_on_book(host: StrategyHost, book: Book, _: object) -> None:
    host.call(host.strategy.on_book, book)
