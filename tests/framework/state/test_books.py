"""All books of all venues."""

from __future__ import annotations

import pytest

from framework.domain.instruments import InstrumentId
from framework.domain.market_events import (
    BookDelta,
    BookLevel,
    BookSnapshot,
    BookStale,
    ConnectorStatus,
    Heartbeat,
    TimerFired,
    TradePrint,
    VenueClock,
)
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side
from framework.state.books import AGE_NEVER_NS, Books, venue_of

A, B, OTHER = InstrumentId("tide:A"), InstrumentId("tide:B"), InstrumentId("ebb:A")


def snapshot(instrument: InstrumentId, *, ts_venue: int = 100) -> BookSnapshot:
    return BookSnapshot(instrument, ts_venue, 100, ((Price(49), Size(5)),), ((Price(51), Size(5)),))


@pytest.fixture
def books() -> Books:
    books = Books()
    for instrument in (A, B, OTHER):
        books.apply(snapshot(instrument), 1_000)
    return books


def test_apply_when_a_book_changes_then_returns_it(books: Books) -> None:
    assert books.apply(BookDelta(A, 1, 1, Side.BUY, Price(49), Size(1)), 2_000) is books.get(A)
    assert books.apply(BookLevel(A, 1, 1, Side.BUY, Price(49), Size(1)), 2_000) is books.get(A)
    assert books.apply(BookStale(A, 1, "gap"), 2_000) is books.get(A)


def test_apply_when_nothing_changes_then_returns_none(books: Books) -> None:
    books.apply(BookStale(A, 1, "gap"), 2_000)
    assert books.apply(BookStale(A, 1, "again"), 2_000) is None
    assert books.apply(BookDelta(A, 1, 1, Side.BUY, Price(49), Size(1)), 2_000) is None
    assert books.apply(BookLevel(A, 1, 1, Side.BUY, Price(49), Size(1)), 2_000) is None
    assert books.apply(TradePrint(A, 1, 1, "t", Price(50), Size(1), Side.BUY), 2_000) is None
    assert books.apply(TimerFired("maker", "tick", 1), 2_000) is None
    assert books.apply(Heartbeat("tide", 1, 1), 2_000) is None


def test_of_when_unknown_then_makes_an_empty_one_that_get_shows_too() -> None:
    books = Books()
    assert books.get(A) is None
    assert not books.of(A).is_fresh
    assert books.get(A) is books.of(A)


def test_connector_down_when_reported_then_only_its_books_are_stale(books: Books) -> None:
    books.apply(ConnectorStatus("tide", True, "", 1), 1_000)
    assert books.is_connected("tide")
    assert books.apply(ConnectorStatus("tide", False, "reset", 1), 2_000) is None
    assert [book.is_fresh for book in books.of_venue("tide")] == [False, False]
    assert books.of(A).stale_reason == "tide is down: reset"
    assert books.of(OTHER).is_fresh
    assert not books.is_connected("tide")
    books.apply(ConnectorStatus("tide", True, "", 1), 3_000)
    assert not books.of(A).is_fresh
    assert not books.is_connected("nowhere")


def test_heartbeat_when_received_then_books_of_its_venue_are_as_young_as_it(books: Books) -> None:
    books.apply(Heartbeat("tide", 0, 1), 9_000)
    assert books.of(A).age_ns(9_005) == 5
    assert books.of(OTHER).age_ns(9_005) == 8_005
    books.apply(Heartbeat("tide", 70, 100), 9_100)
    assert books.of(A).age_ns(9_105) == 5 + 30


def test_heartbeat_when_received_then_a_stale_book_stays_stale(books: Books) -> None:
    books.apply(BookStale(A, 1, "gap"), 2_000)
    books.apply(Heartbeat("tide", 0, 1), 9_000)
    assert not books.of(A).is_fresh


def test_heartbeat_when_it_names_an_instrument_then_only_that_book_is_as_young_as_it(books: Books) -> None:
    books.apply(Heartbeat("tide", 70, 100, A), 9_000)
    assert books.of(A).age_ns(9_005) == 5 + 30
    assert books.of(B).age_ns(9_005) == 8_005
    assert books.age_ns("tide", 9_005) == 5 + 30


def test_heartbeat_when_its_book_is_stale_or_was_never_received_then_it_proves_nothing(books: Books) -> None:
    never = InstrumentId("tide:C")
    books.apply(Heartbeat("tide", 0, 1, never), 9_000)
    assert books.get(never) is None
    books.apply(BookStale(A, 1, "gap"), 2_000)
    books.apply(Heartbeat("tide", 0, 1, A), 9_000)
    assert not books.of(A).is_fresh
    assert books.of(never).age_ns(9_000) == AGE_NEVER_NS


def test_venue_clock_when_measured_then_lateness_uses_it(books: Books) -> None:
    books.apply(VenueClock("tide", 25, 5, 1), 2_000)
    books.apply(snapshot(A, ts_venue=100), 3_000)
    assert books.of(A).age_ns(3_000) == 25


def test_venue_age_when_asked_then_is_its_newest_proof(books: Books) -> None:
    assert books.age_ns("tide", 1_010) == 10
    books.apply(Heartbeat("tide", 0, 1), 5_000)
    assert books.age_ns("tide", 5_003) == 3
    assert books.age_ns("nowhere", 1) == AGE_NEVER_NS
    assert set(books.venues) == {"tide", "ebb"}


def test_venue_of_when_symbol_holds_colons_then_takes_the_first_part() -> None:
    assert venue_of(InstrumentId("tide:A:B")) == "tide"
