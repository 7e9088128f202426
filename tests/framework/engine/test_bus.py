from __future__ import annotations

from collections.abc import Callable
from functools import partial

from framework.domain.instruments import InstrumentId
from framework.domain.market_events import BookStale, TradePrint
from framework.domain.strategy import Strategy
from framework.domain.views import BookView
from framework.engine.bus import ANY, Bus, Handler, bind
from framework.engine.strategy_host import StrategyHost
from framework.runtime.clock import ManualClock
from framework.state.books import Books

HERE, THERE = InstrumentId("tide:A"), InstrumentId("tide:B")


def handler(take: Callable[[BookStale], object]) -> Handler:
    """A handler that needs no time."""

    def handle(event: BookStale, /, *, started_ns: int | None) -> int | None:
        take(event)
        return started_ns

    return handle


def test_event_when_its_instrument_is_subscribed_then_only_its_handlers_are_called() -> None:
    bus, heard = Bus(), list[str]()
    bus.subscribe(BookStale, handler(lambda _: heard.append("here")), HERE)
    bus.subscribe(BookStale, handler(lambda _: heard.append("there")), THERE)
    bus.subscribe(TradePrint, handler(lambda _: heard.append("trade")), HERE)

    bus.publish(BookStale(HERE, 1, "gap"), HERE)

    assert heard == ["here"]


def test_event_when_a_handler_takes_every_instrument_then_it_is_called_too() -> None:
    bus, heard = Bus(), list[str]()
    bus.subscribe(BookStale, handler(lambda event: heard.append(event.instrument)))

    bus.publish(BookStale(HERE, 1, "gap"), HERE)
    bus.publish(BookStale(THERE, 1, "gap"), THERE)

    assert heard == [HERE, THERE]


def test_handlers_when_several_take_a_topic_then_they_are_called_in_the_order_of_subscription() -> None:
    bus, heard = Bus(), list[int]()
    for number in range(5):
        bus.subscribe(BookStale, handler(partial(_note, heard, number)), HERE if number % 2 else ANY)

    bus.publish(BookStale(HERE, 1, "gap"), HERE)

    assert heard == [0, 1, 2, 3, 4]


def _note(heard: list[int], number: int, _: object) -> None:
    heard.append(number)


def test_handler_when_it_subscribes_after_the_topic_was_used_then_it_hears_the_next_event() -> None:
    bus, heard = Bus(), list[str]()
    bus.publish(BookStale(HERE, 1, "gap"), HERE)
    bus.subscribe(BookStale, handler(lambda _: heard.append("late")), HERE)

    bus.publish(BookStale(HERE, 2, "gap"), HERE)

    assert heard == ["late"]


def test_event_when_nobody_subscribed_then_nothing_happens() -> None:
    Bus().publish(BookStale(HERE, 1, "gap"), HERE)


def test_handler_when_another_was_called_before_then_it_begins_when_that_one_was_done() -> None:
    bus, begun = Bus(), list[int | None]()

    def slow(_: BookStale, /, *, started_ns: int | None) -> int | None:
        begun.append(started_ns)
        return (started_ns or 0) + 7

    bus.subscribe(BookStale, slow)
    bus.subscribe(BookStale, slow)
    bus.publish(BookStale(HERE, 1, "gap"), HERE, 100)

    assert begun == [100, 107]


class _Changing(Strategy[None]):
    """Takes its first book one way and all others another way."""

    def __init__(self, seen: list[str]) -> None:
        self._seen = seen

    def on_book(self, _: BookView) -> None:
        self._seen.append("first")
        self.on_book = self._on_later_book  # type: ignore[method-assign]

    def _on_later_book(self, _: BookView) -> None:
        self._seen.append("later")


def test_strategy_when_it_changes_its_on_book_while_it_runs_then_the_new_one_is_called() -> None:
    bus, books, seen = Bus(), Books(), list[str]()
    host = StrategyHost("a", _Changing(seen), clock=ManualClock(), call_ns_max=1, on_fault=lambda *_: None)
    bind(bus, host, (HERE,), books)

    for _ in range(3):
        bus.publish(books.of(HERE), HERE)

    assert seen == ["first", "later", "later"]
