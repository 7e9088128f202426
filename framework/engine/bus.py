"""The bus: typed topics, resolved once into tuples of handlers, called inline and in a fixed order.

A topic is the class of what is published, narrowed to one instrument or not: `Book` (whatever changed it), `TradePrint`
or `ConnectorStatus`. Handlers guard themselves (see `framework.engine.strategy_host`): whatever one of them does, the
next is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

from framework.domain.account_events import TradingStateChanged
from framework.domain.instruments import InstrumentId
from framework.domain.market_events import ConnectorStatus, MarkPrice, TradePrint
from framework.engine.strategy_host import StrategyHost
from framework.state.books import Book, Books
from framework.state.change import Change
from framework.state.orders.index import Orders

ANY = InstrumentId("")
"""Subscribe to a topic for every instrument."""


class Handler(Protocol):
    """Takes what was published. `started_ns` is the monotonic time at which it begins, None when nobody has read the
    clock; it returns the time at which it was done, when the next handler begins. So each is timed by itself, and the
    clock is read once between two of them."""

    def __call__(self, event: Any, /, *, started_ns: int | None) -> int | None: ...


class Bus:
    """Who gets what. Handlers are called in the order in which they subscribed."""

    __slots__ = ("_resolved", "_subscriptions")

    def __init__(self) -> None:
        self._subscriptions: list[tuple[type, InstrumentId, Handler, str]] = []
        self._resolved: dict[tuple[type, InstrumentId], tuple[Handler, ...]] = {}

    def subscribe(
        self, event_type: type, handler: Handler, instrument: InstrumentId = ANY, *, subscriber: str = ""
    ) -> None:
        """Have `handler` called for every event of exactly `event_type`, of one instrument or of `ANY`. `subscriber`
        names it for `unsubscribe`."""
        self._subscriptions.append((event_type, instrument, handler, subscriber))
        self._resolved.clear()

    def unsubscribe(self, subscriber: str, instrument: InstrumentId) -> None:
        """Call this subscriber no more for events of one instrument."""
        self._subscriptions = [one for one in self._subscriptions if one[1::2] != (instrument, subscriber)]
        self._resolved.clear()

    def publish(self, event: object, instrument: InstrumentId = ANY, started_ns: int | None = None) -> None:
        """Call every handler of the event's topic, now; the first begins at `started_ns` (monotonic nanoseconds)."""
        topic = (type(event), instrument)
        handlers = self._resolved.get(topic)
        if handlers is None:
            handlers = self._resolve(topic)
        for handler in handlers:
            started_ns = handler(event, started_ns=started_ns)

    def _resolve(self, topic: tuple[type, InstrumentId]) -> tuple[Handler, ...]:
        event_type, instrument = topic
        handlers = tuple(
            handler
            for subscribed_type, subscribed_instrument, handler, _ in self._subscriptions
            if subscribed_type is event_type and subscribed_instrument in (ANY, instrument)
        )
        self._resolved[topic] = handlers
        return handlers


def bind(bus: Bus, host: StrategyHost, instruments: tuple[InstrumentId, ...], books: Books) -> None:
    """Subscribe a strategy's hooks to the topics of its instruments, and to the state of the connectors."""
    for instrument in instruments:
        bind_instrument(bus, host, instrument, books)
    bus.subscribe(ConnectorStatus, partial(host.call, "on_connector"))
    bus.subscribe(TradingStateChanged, partial(host.call, "on_state"))


def bind_instrument(bus: Bus, host: StrategyHost, instrument: InstrumentId, books: Books) -> None:
    """Subscribe a strategy's hooks to the topics of one more instrument."""
    # A strategy's book is there from the start, empty and not fresh: so its staleness is seen before any data.
    books.of(instrument)
    bus.subscribe(Book, partial(host.call, "on_book"), instrument, subscriber=host.name)
    bus.subscribe(TradePrint, partial(host.call, "on_trade"), instrument, subscriber=host.name)
    bus.subscribe(MarkPrice, partial(host.call, "on_mark"), instrument, subscriber=host.name)


def notify(hosts: Mapping[str, StrategyHost], change: Change, orders: Orders) -> None:
    """Call strategies for their fills, then for their orders."""
    for fill in change.fills:
        order = orders.get(fill.client_order_id)
        if order is not None and (host := hosts.get(order.strategy)):
            host.call("on_fill", fill, order)
    for order in change.orders:
        if host := hosts.get(order.strategy):
            host.call("on_order", order)
