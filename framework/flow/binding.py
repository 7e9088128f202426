"""What follows from an event: which hook of which strategy hears of it, and which instrument is halted."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from framework.domain.events import (
    BookDelta,
    BookLevel,
    BookSnapshot,
    BookStale,
    ConnectorStatus,
    Scope,
    TradePrint,
    TradingState,
    TradingStateChanged,
)
from framework.domain.instruments import InstrumentId
from framework.flow.bus import Bus
from framework.flow.host import StrategyHost
from framework.state.books import Book, Books
from framework.state.change import Change
from framework.state.orders import Orders

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
